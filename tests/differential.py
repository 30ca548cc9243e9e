"""The engine against others that owe it nothing, on random rows and files.

    python tests/differential.py [--files N] [--rows N] [--seed N]

Rows: the row parser against Python's `csv` and `decimal`, where the rules agree with them. Files: the native reader
against pyarrow's, several threads against one, small blocks against large ones. The same seed tries the same.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import re
import sys
import time
from collections.abc import Sequence
from decimal import Context, Decimal

import harness
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from txfast.batch import KINDS
from txfast.errors import TxfastError

csv.field_size_limit(1 << 30)

BLANKS = " \t\v\f"
# Where `csv` has another rule: it knows no blanks around quotes, of which the rules make nothing.
OTHER_RULE = re.compile(rb'(^|,)[ \t\v\f]+"|"[ \t\v\f]+(,|$)')
PLAIN_NUMBER = re.compile(r"[+-]?(?=.?[0-9])[0-9]*\.?[0-9]*", re.ASCII)
UNITS_MAX = 2**63 - 1
EXACTLY = Context(prec=1_000)

any_files = st.one_of(harness.hostile_files(), harness.plain_files(), harness.wide_files())


# What a row is: type, client, tx and amount in units of 0.0001, or the reason why it is malformed.
Verdict = tuple[str, int, int, int | None] | str


# ---- Rows ----------------------------------------------------------------------------------------


def identifier(text: str) -> int | None:
    digits = text.removeprefix("+")
    number = int(digits) if digits.isascii() and digits.isdecimal() else -1
    return number if 0 <= number < 2**64 else None


def units_of(text: str) -> int | None:
    if not PLAIN_NUMBER.fullmatch(text):
        return None
    units = EXACTLY.multiply(Decimal(text), 10_000)
    return int(units) if units == units.to_integral_value() and abs(units) <= UNITS_MAX else None


def as_csv_and_decimal_have_it(line: bytes) -> Verdict:
    """A line of type, client, tx, amount and whatever follows."""
    try:
        [fields] = csv.reader([line.decode("latin-1")], strict=True)
    except csv.Error:
        return "bad_quoting"
    texts: list[str | None] = [*(field.strip(BLANKS) for field in fields), None, None, None, None]
    kind, client_text, tx_text, amount_text = texts[:4]
    if not kind or client_text is None or tx_text is None:
        return "missing_field"
    if kind not in KINDS:
        return "bad_type"
    client, tx = identifier(client_text), identifier(tx_text)
    if client is None or tx is None:
        return "bad_client" if client is None else "bad_tx"
    units = units_of(amount_text) if amount_text else None
    return "bad_amount" if amount_text and units is None else (kind, client, tx, units)


four_texts = st.tuples(harness.type_texts, harness.id_texts, harness.id_texts, harness.amount_texts)
lines = four_texts.flatmap(harness.spoilt_rows)


def compare_row(line: bytes) -> None:
    """Assert that both say the same of a line, where the rules agree with `csv`."""
    if line.strip(BLANKS.encode()) and not OTHER_RULE.search(line) and not re.search(rb"[\r\n]", line):
        assert harness.STANDARD_HEADER.parse(line) == as_csv_and_decimal_have_it(line), line


# ---- Files ---------------------------------------------------------------------------------------


def outcome_or_refusal(content: bytes, **how: object) -> object:
    try:
        return harness.run([("in.csv", content)], **how)  # type: ignore[arg-type]
    except TxfastError:
        return "refused"


def compare_file(content: bytes, block_bytes: int) -> None:
    """Assert that readers, threads and blocks make no difference to a file."""
    expected = outcome_or_refusal(content)
    for reader, threads in itertools.product(harness.READERS, (1, 3)):
        fitting = harness.fit_block(reader, [("in.csv", content)], block_bytes)
        if harness.can_carry(reader, content, fitting):
            found = outcome_or_refusal(content, reader=reader, threads=threads, block_bytes=fitting)
            assert found == expected, f"{reader}, {threads} threads, blocks of {fitting}: {content!r}"


# ---- The command ---------------------------------------------------------------------------------


def campaign(files: int, row_count: int, first_seed: int) -> None:
    """Compare so many rows and files. Raises AssertionError."""
    profile = {
        "deadline": None, "database": None, "phases": [Phase.generate, Phase.shrink],
        "suppress_health_check": list(HealthCheck),
    }  # fmt: skip

    @seed(first_seed)
    @settings(max_examples=row_count, **profile)  # type: ignore[arg-type]
    @given(lines)
    def compare_rows(line: bytes) -> None:
        compare_row(line)

    @seed(first_seed)
    @settings(max_examples=files, **profile)  # type: ignore[arg-type]
    @given(any_files, harness.block_sizes)
    def compare_files(content: bytes, block_bytes: int) -> None:
        compare_file(content, block_bytes)

    compare_rows()
    compare_files()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description="Compare txfast with others.", allow_abbrev=False)
    parser.add_argument("--files", metavar="N", type=int, default=30_000, help="random files (default: 30000)")
    parser.add_argument("--rows", metavar="N", type=int, default=100_000, help="random rows (default: 100000)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="where to begin (default: 1)")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    campaign(options.files, options.rows, options.seed)
    seconds = time.perf_counter() - started
    print(f"{options.rows:,} rows and {options.files:,} files: no difference, in {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
