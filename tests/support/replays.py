"""Replays inputs in memory, through the kernel and through the reference, and compares the two.

`new_replay` is the only place that knows how to ask for a reader, a block size and a number of threads. This module
does not say which outcome is right: the tests and the reference do.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, cast

import pytest

import txfast.run.replay
from tests.support import reference, reference_rows
from txfast.batch.batch import MALFORMED_REASONS, TransactionBatch
from txfast.batch.cursor import report
from txfast.errors import TxfastError
from txfast.input.first_bytes import FIRST_BYTES, kind_of
from txfast.input.ref import resolve
from txfast.input.source import READERS as READERS
from txfast.input.source import Source
from txfast.ledger.ledger import STATUSES
from txfast.log.journal import WARN, Journal
from txfast.readers import arrow_csv
from txfast.run import all_malformed
from txfast.run.replay import Replay
from txfast.run.values import policy as parse_policy
from txfast.state.directory import StateDirectory
from txfast.writers.accounts_csv import csv_blocks

# Every reader must give the same bytes with every number of threads: one thread for all work, one scanner beside one
# applier, and several of both.
THREADS = (1, 2, 3, 8)

# With smaller blocks pyarrow does not recognise a byte order mark.
ARROW_BLOCK_BYTES_MIN = 4

# A name and a content.
Input = tuple[str, bytes]


class Reject(NamedTuple):
    """A row that was not applied."""

    file: str
    line: int
    status: str
    reason: str
    row: bytes


class Outcome(NamedTuple):
    """The result of a run: everything that must not depend on reader, block size or threads."""

    accounts: bytes
    rejects: list[Reject]
    rows: int
    applied: dict[str, int]
    malformed: dict[str, int]
    rejected: dict[str, int]


class RejectsJournal(Journal):
    """A journal that keeps the rejects and the warnings in lists, and writes no lines."""

    def __init__(self) -> None:
        super().__init__(WARN, named=True)
        self.rejects: list[Reject] = []
        self.warnings: list[object] = []

    def warning(self, message: object) -> None:
        self.warnings.append(message)

    def rows(self, file: str, batch: TransactionBatch) -> None:
        for line, malformed, status, row in report(batch):
            reason = MALFORMED_REASONS[malformed] if malformed else STATUSES[status]
            name = "malformed" if malformed else "rejected"
            self.rejects.append(Reject(file, line, name, reason, bytes(row)))


class Reads(io.RawIOBase):
    """A stream that is read in these pieces, as a pipe is: each read returns one piece or the rest of one."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._pieces:
            return 0
        count = min(len(buffer), len(self._pieces[0]))
        buffer[:count] = self._pieces[0][:count]
        self._pieces[0] = self._pieces[0][count:]
        if not self._pieces[0]:
            self._pieces.pop(0)
        return count


def new_replay(
    journal: Journal,
    reader: str,
    block_bytes: int | None,
    threads: int,
    *,
    refuses_malformed: bool = False,
    policy: str = "",
) -> Replay:
    """A run that goes on though all rows of an input are malformed, unless it `refuses_malformed`."""
    return txfast.run.replay.new_replay(
        journal,
        reader=reader,
        block_bytes=block_bytes,
        threads=threads,
        refuses_malformed=refuses_malformed,
        policy=parse_policy(policy),
    )


@contextmanager
def though_all_malformed() -> Iterator[None]:
    """Inside, a run goes on though all rows of an input are malformed: for tests of what becomes of such rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(all_malformed, "all_malformed_code", lambda *_: None)
        yield


def open_bytes(name: str, content: bytes | Sequence[bytes]) -> Source:
    """An input in memory: its bytes, or the pieces in which it is read."""
    stream = io.BytesIO(content) if isinstance(content, bytes) else Reads(content)
    first_bytes = (content if isinstance(content, bytes) else b"".join(content))[:FIRST_BYTES]
    return Source(name, cast(io.FileIO, stream), None, kind_of(first_bytes))


def run(
    inputs: Sequence[tuple[str, bytes | Sequence[bytes]]],
    *,
    reader: str = READERS[0],
    block_bytes: int | None = None,
    threads: int = 1,
    policy: str = "",
) -> Outcome:
    """Replay inputs in memory. Raises TxfastError."""
    journal = RejectsJournal()
    replay = new_replay(journal, reader, block_bytes, threads, policy=policy)
    for name, content in inputs:
        replay.read_source(open_bytes(name, content))
    return outcome_of(replay, journal)


def run_files(
    paths: Sequence[Path],
    *,
    reader: str = READERS[0],
    block_bytes: int | None = None,
    threads: int = 1,
    policy: str = "",
) -> Outcome:
    """Replay files on disk. Raises TxfastError."""
    journal = RejectsJournal()
    replay = new_replay(journal, reader, block_bytes, threads, policy=policy)
    for path in paths:
        replay.read(resolve(str(path)))
    return outcome_of(replay, journal)


def occurred(counts: dict[str, int]) -> dict[str, int]:
    """The counts without zeros."""
    return {name: count for name, count in counts.items() if count}


def outcome_of(replay: Replay, journal: RejectsJournal, state: StateDirectory | None = None) -> Outcome:
    """The outcome, once all is read. In a run with a state, which is open, what has changed is saved there."""
    seals = state is not None and not state.stays(changed=replay.rows > 0)
    accounts = replay.collect(seals=seals)
    if seals:
        assert state is not None
        assert replay.books.stored is not None
        state.save(replay.books.stored.store)
    return Outcome(
        accounts=b"".join(map(bytes, csv_blocks(accounts))),
        rejects=journal.rejects,
        rows=replay.rows,
        applied=occurred(replay.figures().applied()),
        malformed=occurred(replay.figures().malformed()),
        rejected=occurred(replay.figures().rejected()),
    )


def run_reference(inputs: Sequence[Input], policy: str = "") -> Outcome:
    """The same by the reference. Raises NotTransactions."""
    replay = reference.replay(*inputs, policy=policy)
    assert replay.conserved()
    rejects = [Reject(each.file, each.line, each.status, each.reason, each.row) for each in replay.rejects]
    return Outcome(
        accounts=replay.accounts_csv(),
        rejects=rejects,
        rows=replay.rows,
        applied=dict(replay.applied),
        malformed=dict(replay.malformed),
        rejected=dict(replay.rejected),
    )


def can_carry(reader: str, content: bytes, block_bytes: int | None) -> bool:
    """Whether the reader must accept this content. If not, it may stop with an error that names the way out."""
    if reader != "arrow":
        return True
    if block_bytes is None:
        block_bytes = arrow_csv.PYARROW_BLOCK_BYTES
    longest = max(map(len, content.splitlines()), default=0)
    if any(b"\n" in row or b"\r" in row for _, row in reference_rows.split_rows(content)[0]):
        return False
    return b"\x01" not in content and block_bytes >= max(longest, ARROW_BLOCK_BYTES_MIN)


def fit_block(reader: str, inputs: Sequence[Input], block_bytes: int) -> int:
    """A block size for the reader. The arrow reader's blocks must hold the longest line, so add its length there."""
    if reader != "arrow":
        return block_bytes
    longest = max((len(line) for _, content in inputs for line in content.splitlines()), default=0)
    return max(longest, ARROW_BLOCK_BYTES_MIN) + block_bytes - 1


def assert_as_reference(
    inputs: Sequence[Input], *, reader: str, block_bytes: int | None = None, threads: int = 1, policy: str = ""
) -> Outcome | None:
    """Replay the inputs and compare everything with the reference. Returns None if both refuse the inputs."""
    expected: Outcome | None = None
    outcome: Outcome | None = None
    refusal = ""
    with suppress(reference_rows.NotTransactions):
        expected = run_reference(inputs, policy)
    try:
        outcome = run(inputs, reader=reader, block_bytes=block_bytes, threads=threads, policy=policy)
    except TxfastError as error:
        refusal = str(error)
    if outcome is None and not all(can_carry(reader, content, block_bytes) for _, content in inputs):
        assert expected is None or "--reader native" in refusal
        return None
    assert outcome == expected, f"{refusal or outcome}\nwhere the reference has\n{expected}"
    return outcome
