"""Inputs whose rows are all malformed: such an input fails the run, since it is not what its reader takes it for.

This module must not know how rows are read.
"""

from txfast.batch.batch import MALFORMED_REASONS
from txfast.errors import InputError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    from txfast.batch.batch import TransactionBatch
    from txfast.batch.header import Header


# Reasons that mostly mean that a file needs a dialect.
TOLD_BY_PROFILE = ("bad_quoting", "bad_type", "bad_amount")
# Of each reason, by its code, an example of a malformed row: line, row and header.
Examples = dict[int, "tuple[int, bytes, Header | None]"]


def keep_examples(examples: Examples, batch: "TransactionBatch") -> None:
    """Keep the first malformed row of each reason in a batch that was noted."""
    from txfast.batch.cursor import report

    for line, reason, _, row in report(batch, rejected=False):
        examples.setdefault(reason, (line, bytes(row), batch.header))


def all_malformed_code(counts: "Sequence[int]", rows: int) -> int | None:
    """The code of the reason that most rows have, if all rows are malformed, in these numbers by the code; else None,
    also if there is no row."""
    return max(range(len(counts)), key=counts.__getitem__) if rows and rows == sum(counts) else None


def refuse_all_malformed(
    name: str,
    counts: "Sequence[int]",
    rows: int,
    examples: "Examples | None" = None,
    *,
    outcome: str = "; no accounts written",
) -> None:
    """Raise InputError if an input has rows, and all of them are malformed, in these numbers by the code of the reason.

    The reason that most rows have is named, with a hint from the example of it: line, row and header. `outcome` ends
    the message.
    """
    code = all_malformed_code(counts, rows)
    if code is None:
        return
    from txfast.batch.header_advice import PROFILE_HINT
    from txfast.log.hints import REASON_HINTS, hint_of
    from txfast.text.words import counted

    reason = MALFORMED_REASONS[code]
    found = "the only row is malformed" if rows == 1 else f"all {rows:,} rows are malformed"
    most = reason if counts[code] == rows else f"{reason} in {counted(counts[code], 'row')}"
    hint, way_out = REASON_HINTS[reason], ""
    if examples and code in examples:
        line, row, header = examples[code]
        most += f", first in line {line:,}" if rows > 1 else f", in line {line:,}"
        if header is not None:
            hint = hint_of(reason, row, header) or hint
            # Of a table and of JSON lines, the names of columns are right already.
            if reason in TOLD_BY_PROFILE and header.dialect is None and not (header.of_table or header.is_json):
                way_out = f"; {PROFILE_HINT}"
    raise InputError(f"{name}: {found}: {most} ({hint}){outcome}{way_out}")
