"""The reference's verdicts on single rows: a transaction, or the reason why the row is malformed."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support import reference, reference_dialect, reference_json, reference_rows

# Type, client, tx and amount, in units.
Transaction = tuple[str, int | str, int | str, int | None]


class Recorder(reference.Replay):
    """The reference without a ledger: it keeps a well-formed row instead of applying it."""

    row: Transaction

    def apply(self, kind: str, client: int, tx: int, amount: int | None) -> str:
        self.row = (kind, client, tx, amount)
        return "applied"


recorder = Recorder()


def expected_row(line: bytes, columns: reference_rows.Columns) -> Transaction | str:
    """The reference's verdict on a line: the row, the reason why it is malformed, or "" for a blank line."""
    if not line.strip(reference_rows.BLANKS):
        return ""
    if len(line) > reference_rows.ROW_LIMIT_BYTES:
        return "row_too_long"
    fields = reference_rows.split_fields(line)
    if fields is None:
        return "bad_quoting"
    status, reason = recorder._read_fields(fields, columns)
    return recorder.row if status == "applied" else reason


def expected_object(line: bytes) -> Transaction | str:
    """The reference's verdict on a line of JSON: the row, or the reason why it is malformed."""
    texts = reference_json.find_json_texts(line)
    if texts is None:
        return "bad_json"
    status, reason = recorder._read_texts(texts)
    return recorder.row if status == "applied" else reason


def objects_in(file: bytes, settings: Mapping[str, str]) -> list[tuple[int, Transaction | str]]:
    """The reference's verdicts on lines of JSON under a dialect, without those that are ignored."""
    found: list[tuple[int, Transaction | str]] = []
    for row in reference_dialect.read_json_rows(file, reference_dialect.Dialect.of(settings)):
        if isinstance(row.outcome, reference_dialect.Malformed):
            found.append((row.line, row.outcome.reason))
        elif isinstance(row.outcome, reference_dialect.Transaction):
            kind, client, tx, amount, _ = row.outcome
            found.append((row.line, (kind, client, tx, amount)))
    return found
