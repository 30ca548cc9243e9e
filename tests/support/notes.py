"""Files whose rows have notes of many lines, some of which look like rows."""

from __future__ import annotations

import csv
import io
import random

NOTE_HEADER = b"type,client,tx,amount,note\n"
KINDS = ("deposit", "deposit", "withdrawal", "dispute", "resolve", "fee")
NOTES = (
    "", "plain", "two\nlines", 'a "quoted"\r\nword', "deposit,666,1,1000000,x", "\n", "\r", 'x",\n"', "one\n\n\nfour",
    "thanks\ndeposit,666,1,1000000,x", '"', ",\n,",
)  # fmt: skip


def notes_file(rows: int, seed: int) -> bytes:
    """A file of many rows, as Python's csv writes them. A third of them is refused: malformed or rejected."""
    chance = random.Random(seed)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=chance.choice(["\n", "\r\n"]))
    for _ in range(rows):
        amount = chance.choice(["1.5", "2", "9000", "1\n", "x\n\n"])
        note = chance.choice(NOTES)
        writer.writerow([chance.choice(KINDS), chance.randrange(40), chance.randrange(400), amount, note])
    return NOTE_HEADER + text.getvalue().encode()


def raw_rows(rejects: bytes) -> list[tuple[int, str, bytes]]:
    """(line, reason, row) of each reject in a CSV of them."""
    rows = csv.reader(io.StringIO(rejects.decode("latin-1"), newline=""), strict=True)
    next(rows)
    return [(int(row[1]), row[3], row[8].encode("latin-1")) for row in rows]
