"""The rows of a batch as they are reported: their line numbers and their raw text."""

from __future__ import annotations

import random

import pytest

from tests.support import replays, strategies
from tests.support.reference import HEADER
from tests.support.replays import READERS
from tests.support.rows import Row, make_batch
from txfast.batch.cursor import report
from txfast.ledger.ledger import Ledger

pytestmark = pytest.mark.unmeasured

# Line lengths around 64 bytes: endings are searched in windows of that size.
LENGTHS = [0, 1, 30, 59, 60, 61, 62, 63, 64, 127, 128, 200]


@pytest.mark.untraced
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("blank_share", [0.0, 0.02, 0.7])
def test_line_numbers_are_right_for_every_line_ending(reader: str, blank_share: float) -> None:
    rng = random.Random(int(100 * blank_share))
    for endings in ([b"\n"], [b"\r"], [b"\r\n"], [b"\n", b"\r", b"\r\n", b"\n\r"]):
        lines = [HEADER.rstrip()]
        for index in range(600):
            blank = rng.random() < blank_share
            lines.append(b" " * rng.randrange(3) if blank else b"%d" % index + b"x" * rng.choice(LENGTHS))
            if rng.random() < 0.3:
                lines.append(Row("deposit", index % 3, index % 100, index).line())
        content = b"".join(line + rng.choice(endings) for line in lines)
        for block_bytes in (700, 5_000, None):
            replays.assert_as_reference([("in.csv", content)], reader=reader, block_bytes=block_bytes)
            replays.assert_as_reference([("in.csv", content + b"end")], reader=reader, block_bytes=block_bytes)


@pytest.mark.parametrize("ending", strategies.ENDINGS)
@pytest.mark.parametrize("blank_lines", [0, 1])
def test_an_ending_is_found_at_every_place_in_a_window(ending: bytes, blank_lines: int) -> None:
    for length in range(140):
        rows = [b"x" * length + b"y", b"z", b"deposit,1,1,1", b"deposit,1,1,1", b"w"]
        content = HEADER + ending * blank_lines + ending.join(rows)
        outcome = replays.assert_as_reference([("in.csv", content)], reader="native")
        assert outcome is not None
        assert len(outcome.rejects) == 4


@pytest.mark.parametrize("chosen", range(8))
def test_a_report_holds_the_chosen_rows(chosen: int) -> None:
    rng = random.Random(chosen)
    lines = [b"fee,1,1,1" if rng.random() < 0.1 else b"deposit,1,%d,1" % (index % 400) for index in range(900)]
    outcome = replays.run_reference([("f", HEADER + b"\n".join(lines))])
    refused = {reject.line - 1: (reject.status, reject.row) for reject in outcome.rejects}
    applied, rejected, malformed = bool(chosen & 1), bool(chosen & 2), bool(chosen & 4)
    wanted = {"applied": applied, "rejected": rejected, "malformed": malformed}
    batch = make_batch(lines)
    Ledger().apply(batch)
    reported = [
        (line, "malformed" if reason else "rejected" if status else "applied", row)
        for line, reason, status, row in report(batch, applied=applied, rejected=rejected, malformed=malformed)
    ]
    everything = [(index, *refused.get(index, ("applied", line))) for index, line in enumerate(lines, 1)]
    assert reported == [row for row in everything if wanted[row[1]]]
