"""Compares independent ways to read a file, on any number of random files.

    python -m tests.campaigns.differential [--files N] [--seed S]

Each line is read by the row parser and by Python's `csv`, `int` and `decimal`, if the rules agree with them on this
line; and each file of rows of several lines by the native reader and by them, if csv accepts it. Each file is replayed
by each reader, in one thread and in several, in blocks of a random size, under a random policy, and must give the same
accounts, rejects and figures, or the same refusal. The first file that differs is made as small as possible and shown.
test_differential.py runs a few of each. Comparisons with the rules themselves are in tests/run/test_properties.py.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections import Counter
from contextlib import suppress
from decimal import Context, Decimal, InvalidOperation

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.support import replays, strategies
from tests.support.reference_rows import BYTE_ORDER_MARK
from txfast.api.read import record_batch
from txfast.batch.batch import KINDS, MALFORMED_REASONS, TransactionBatch
from txfast.batch.cursor import report
from txfast.batch.header import COLUMN_NAMES, Header
from txfast.errors import TxfastError
from txfast.readers.csv import CsvReader
from txfast.readers.parse_line import parse_line

# The result of parse_line: a transaction, the reason why the row is malformed, or None for a blank line.
Verdict = tuple[str, int, int, int | None] | str | None

BLANKS = " \t\v\f"
QUOTE_BESIDE_BLANK = tuple(pair for blank in BLANKS for pair in (f'"{blank}', f'{blank}"'))
# More digits than any line has, so that nothing is rounded.
EXACT = Context(prec=100_000)

files = st.one_of(
    strategies.hostile_files(),
    strategies.plain_files(),
    strategies.policy_files(),
    strategies.wide_files(),
    strategies.noted_files(),
)


# ---- Lines -----------------------------------------------------------------------------------------


def agrees_with_csv(line: bytes) -> bool:
    """Whether the rules split this line into fields as Python's csv does.

    For csv, blanks between a comma and a quote are text, and blanks after a closing quote are an error. So there must
    be no blank beside a quote.
    """
    text = line.decode("latin-1")
    return not any(pair in text for pair in QUOTE_BESIDE_BLANK)


def verdict_by_csv(names: list[str], line: bytes) -> Verdict:
    """The verdict of csv, int and decimal on a line with these columns. The rules must agree with csv on the line."""
    if not line.strip(BLANKS.encode()):
        return None
    try:
        [texts] = csv.reader([line.decode("latin-1")], strict=True)
    except csv.Error:
        return "bad_quoting"
    return verdict_of(names, texts)


def verdict_of(names: list[str], texts: list[str]) -> Verdict:
    """The verdict on a row with these fields."""
    if any(text.strip(BLANKS) for text in texts[len(names) :]):
        return "too_many_fields"
    fields = {name: text.strip(BLANKS) for name, text in zip(names, texts, strict=False)}
    if not fields.get("type") or "client" not in fields or "tx" not in fields:
        return "missing_field"
    word = fields["type"].lower()
    kind = "withdrawal" if word == "withdraw" else word
    if kind not in KINDS:
        return "bad_type"
    client, tx = whole_number(fields["client"]), whole_number(fields["tx"])
    if client is None or tx is None:
        return "bad_client" if client is None else "bad_tx"
    if not fields.get("amount"):
        return kind, client, tx, None
    amount = units(fields["amount"])
    return "bad_amount" if amount is None else (kind, client, tx, amount)


def whole_number(text: str) -> int | None:
    """An id, by `int`. With other characters, `int` accepts more than the rules do."""
    with suppress(ValueError):
        if set(text) <= set("0123456789+"):
            number = int(text)
            return number if number < 2**64 else None
    return None


def units(text: str) -> int | None:
    """An amount in units of 0.0001, by `Decimal`. With other characters, `Decimal` accepts more than the rules do."""
    with suppress(InvalidOperation):
        if set(text) <= set("0123456789+-."):
            amount = Decimal(text).scaleb(4, EXACT)
            if amount == int(amount) and abs(amount) < 2**63:
                return int(amount)
    return None


def check_lines(content: bytes) -> Counter[str]:
    """Read every line of a file both ways. Returns how often each verdict occurred."""
    lines = content.removeprefix(BYTE_ORDER_MARK).splitlines()
    for index, line in enumerate(lines):
        names = column_names(line)
        if names:
            return compare_rows(Header(line, "in.csv"), names, lines[index + 1 :])
    return Counter()


def compare_rows(header: Header, names: list[str], rows: list[bytes]) -> Counter[str]:
    """Both verdicts on each row must be equal. Returns how often each occurred."""
    verdicts: Counter[str] = Counter()
    for row in filter(agrees_with_csv, rows):
        found, expected = parse_line(row, header), verdict_by_csv(names, row)
        assert found == expected, f"{row!r} is {found}, and {expected} to csv"
        verdicts["well-formed" if isinstance(found, tuple) else found or "blank"] += 1
    return verdicts


def column_names(line: bytes) -> list[str] | None:
    """The columns that csv finds in a header; None if it is not a header, or if csv and the rules differ on it."""
    if not agrees_with_csv(line):
        return None
    try:
        [texts] = csv.reader([line.decode("latin-1")], strict=True)
    except (csv.Error, ValueError):  # an empty line has no row
        return None
    names = [text.strip(BLANKS) for text in texts]
    return names if all(names.count(name) == 1 for name in COLUMN_NAMES) else None


# ---- Rows of several lines -----------------------------------------------------------------------------


def check_rows(content: bytes, block_bytes: int) -> Counter[str]:
    """Read a file by the native reader and by csv, if csv accepts it. Returns how often each verdict occurred."""
    expected = rows_by_csv(content.removeprefix(BYTE_ORDER_MARK)) if agrees_with_csv(content) else None
    if expected is None:
        return Counter()
    found = rows_by_reader(content, block_bytes)
    assert found == expected, f"{found}\nwhere csv has\n{expected}"
    return Counter(verdict if isinstance(verdict, str) else "row as by csv" for _, verdict in expected)


def rows_by_csv(content: bytes) -> list[tuple[int, Verdict]] | None:
    """The verdicts on all rows of a file, by csv: on malformed rows with the number of the row's first line, on others
    with 0. None if it is not a file of transactions, or if csv refuses it."""
    text = content.decode("latin-1")
    lines = list(io.StringIO(text, newline=""))
    rows = csv.reader(lines, strict=True)
    names: list[str] | None = None
    found: list[tuple[int, Verdict]] = []
    line = 0
    try:
        for texts in rows:
            raw, first, line = "".join(lines[line : rows.line_num]), line + 1, rows.line_num
            if not raw.strip(BLANKS + "\r\n"):
                continue
            if names is None:
                names = [each.strip(BLANKS) for each in texts]
                if any(names.count(name) != 1 for name in COLUMN_NAMES):
                    return None
                continue
            verdict = verdict_of(names, texts)
            found.append((first if isinstance(verdict, str) else 0, verdict))
    except csv.Error:
        return None
    return None if names is None else sorted(found, key=lambda row: row[0])


def rows_by_reader(content: bytes, block_bytes: int) -> list[tuple[int, Verdict]]:
    """The same by the native reader."""
    reader = CsvReader(io.BytesIO(content), "in.csv", block_bytes)
    batch = TransactionBatch()
    good: list[tuple[int, Verdict]] = []
    malformed: list[tuple[int, Verdict]] = []
    next_line = 1
    while reader.fill(batch):
        reader.scan(batch)
        next_line = batch.number_lines(next_line)
        malformed += [(line, MALFORMED_REASONS[reason]) for line, reason, *_ in report(batch, rejected=False)]
        for row in record_batch(batch).to_pylist() if len(batch) else ():
            amount = None if row["amount"] is None else int(row["amount"].scaleb(4, EXACT))
            good.append((0, (row["type"], row["client"], row["tx"], amount)))
    return good + malformed


# ---- Files -----------------------------------------------------------------------------------------


def replay(content: bytes, reader: str, block_bytes: int, threads: int, policy: str) -> replays.Outcome | str:
    """The outcome of a file under a policy, or the message of its refusal."""
    inputs = [("in.csv", content)]
    try:
        return replays.run(inputs, reader=reader, block_bytes=block_bytes, threads=threads, policy=policy)
    except TxfastError as error:
        return str(error)


def check_file(content: bytes, block_bytes: int, threads: int, policy: str = "") -> str:
    """Replay a file in every way. Returns "replayed" or "refused"."""
    expected = replay(content, "native", 1 << 18, 1, policy)
    for reader in replays.READERS:
        if not replays.can_carry(reader, content, None):
            continue
        fitting = replays.fit_block(reader, [("in.csv", content)], block_bytes)
        for count in (1, threads):
            found = replay(content, reader, fitting, count, policy)
            assert found == expected, f"{found}\nby {reader} in {count} threads, where it should be\n{expected}"
    return "refused" if isinstance(expected, str) else "replayed"


# ---- The campaign ----------------------------------------------------------------------------------


def campaign(count: int, seed_number: int) -> Counter[str]:
    """Check `count` random files. Returns how often each result occurred. Raises AssertionError at a difference."""
    agreed: Counter[str] = Counter()

    @seed(seed_number)
    @settings(
        max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False
    )
    @given(files, strategies.block_sizes, st.sampled_from(replays.THREADS[1:]), strategies.policies())
    def check(content: bytes, block_bytes: int, threads: int, policy: str) -> None:
        agreed[check_file(content, block_bytes, threads, policy)] += 1
        agreed.update(check_lines(content))
        agreed.update(check_rows(content, block_bytes))

    check()
    return agreed


def main(arguments: list[str]) -> int:
    """Run a campaign, and print how often each result occurred."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", metavar="N", type=int, default=1_000, help="number of files (default: 1000)")
    parser.add_argument("--seed", metavar="S", type=int, default=1, help="seed of the random files (default: 1)")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    agreed = campaign(options.files, options.seed)
    for name, count in agreed.most_common():
        print(f"{count:>12,} {name}")
    print(f"{options.files:,} files of seed {options.seed} agreed in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
