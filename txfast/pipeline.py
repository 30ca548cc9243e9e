"""The one loop: read batches, apply them, report what was refused.

This module must not know formats, rules or the command line: readers make batches, a ledger takes them, a journal
hears of their rows.
"""

import time
from collections.abc import Sequence

from txfast.batch import KINDS
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.log import WARN, Journal
from txfast.read import arrow
from txfast.read.row import MALFORMED_REASONS
from txfast.read.source import Source, open_source


class InputFigures:
    """How much one input held."""

    __slots__ = ("bytes", "name", "rows")

    def __init__(self, name: str) -> None:
        self.name = name
        self.bytes = 0
        self.rows = 0


class Replay:
    """A run: `read` inputs in their order, then look at the `ledgers` and the figures."""

    def __init__(self, journal: Journal | None = None, *, block_bytes: int | None = None, threads: int = 1) -> None:
        self.ledgers = [Ledger()]
        self.inputs: list[InputFigures] = []
        self.malformed_rows = [0] * len(MALFORMED_REASONS)
        self.seconds = {"read": 0.0, "apply": 0.0, "report": 0.0}
        self.threads = threads
        self._journal = journal
        self._block_bytes = arrow.BLOCK_BYTES if block_bytes is None else block_bytes

    def read(self, name: str) -> None:
        """Replay one input. Raises TxfastError, OSError and MemoryError."""
        source = open_source(name)
        try:
            self.read_source(source)
        finally:
            source.close()

    def read_source(self, source: Source) -> None:
        """Replay one input that is open already, and stays open."""
        [ledger] = self.ledgers
        journal = self._journal
        keep_status = journal is not None and journal.shows(WARN)
        figures = InputFigures(source.name)
        self.inputs.append(figures)
        clock = time.perf_counter
        started = clock()
        for batch in arrow.read_csv(source, block_bytes=self._block_bytes, threads=self.threads):
            read = clock()
            ledger.apply(batch, keep_status=keep_status)
            applied = clock()
            figures.rows += len(batch) + batch.malformed_rows
            if batch.malformed_rows:
                batch.count_malformed(self.malformed_rows)
            if journal is not None:
                journal.rows(source.name, batch)
            self.seconds["read"] += read - started
            self.seconds["apply"] += applied - read
            started = clock()
            self.seconds["report"] += started - applied
        figures.bytes = source.position()

    @property
    def rows(self) -> int:
        return sum(figures.rows for figures in self.inputs)

    def applied(self) -> dict[str, int]:
        """Applied rows by type."""
        return {
            kind: sum(ledger.count(code, 0) for ledger in self.ledgers) for code, kind in enumerate(KINDS)
        }

    def rejected(self) -> dict[str, int]:
        """Rejected rows by reason, those that occurred."""
        return occurred(
            STATUSES,
            [
                sum(ledger.count(kind, status) for ledger in self.ledgers for kind in range(len(KINDS)))
                if status
                else 0
                for status in range(len(STATUSES))
            ],
        )

    def malformed(self) -> dict[str, int]:
        """Malformed rows by reason, those that occurred."""
        return occurred(MALFORMED_REASONS, self.malformed_rows)


def occurred(names: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    """The names whose counts are not 0, with them."""
    return {name: count for name, count in zip(names, counts, strict=True) if count}
