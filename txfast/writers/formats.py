"""The formats of accounts: their names, the format that a path's suffix means, and the writer of each."""

import os

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.writers.accounts_table import Accounts
    from txfast.writers.output import Output

CSV, PARQUET, ARROW = FORMATS = ("csv", "parquet", "arrow")


def format_of(path: str) -> str:
    """The format that a path's suffix names; CSV for any other suffix."""
    suffix = os.path.splitext(path)[1].lower().removeprefix(".")
    return suffix if suffix in FORMATS else CSV


def write_accounts(accounts: "Accounts", output: "Output", account_format: str) -> None:
    """Write accounts to an open output in one of the FORMATS.

    Raises SourceError, and BrokenPipeError where the output is a pipe without a reader.
    """
    if account_format == CSV:
        from txfast.writers.accounts_csv import csv_blocks

        for block in csv_blocks(accounts):
            output.write(block)
        return
    from txfast.writers import accounts_table

    write = accounts_table.write_parquet if account_format == PARQUET else accounts_table.write_arrow
    write(accounts, output)
