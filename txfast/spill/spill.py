"""Spill: ledgers and rows that do not fit in memory, on disk in partitions by client.

When a ledger would grow past its limit, everything that it holds goes to partitions, and so do all later rows of its
shard. At the end of the run each partition is settled: it is read into a ledger of its own, under the memory that
settling gives it, and its accounts are collected. A partition that is still too large is divided again.

This module must not know input or output formats.
"""

import threading

from txfast.batch.batch import TransactionBatch
from txfast.errors import MemoryLimitError
from txfast.ledger.figures import has_one_client
from txfast.ledger.ledger import Ledger
from txfast.printable import shown_id
from txfast.spill.file import Stream
from txfast.spill.partitions import Partitions
from txfast.spill.slices import STATE_BYTES, STATE_RECORDS, SliceReader
from txfast.spill.statuses import StatusReader, statuses_of

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from txfast.dialect.text_ids import TextIds
    from txfast.ledger.policy import Policy
    from txfast.spill.file import SpillFile
    from txfast.spill.settled import Settled

    class Stored(Protocol):
        """Ledgers over a store: run/stored.py."""

        def bytes_beside(self, ledger: Ledger, rows: int) -> int: ...
        def bytes_with_batch(self, ledger: Ledger, batch: TransactionBatch) -> int: ...
        def take(self, ledger: Ledger) -> None: ...
        def drop(self, ledger: Ledger) -> None: ...
        def prefetch(self, ledger: Ledger, batches: "Sequence[TransactionBatch]", shard: int, shards: int) -> int: ...
        def seal(self, ledgers: "Sequence[Ledger]") -> None: ...


PARTITIONS = 64
# The buffer of a partition: writes should be large where the limit allows it.
BUFFER_BYTES_MIN = 1 << 14
BUFFER_BYTES_MAX = 1 << 20
# Of a spill's memory limit, all its buffers together get a sixteenth, within the two sizes above for each.
LIMIT_BYTES_PER_BUFFER_BYTE = 16
STATUS_BUFFER_BYTES = 1 << 13
# After this many divisions in a row that left all records in one partition, they are taken for those of one client.
FAILED_DIVISIONS_MAX = 2
MEBIBYTE = 1 << 20
# Added to the limit that a message suggests, for memory that cannot be foreseen.
MARGIN_MIB = 8

# Held while the spill file of a run is made: the ledgers' threads share it.
STARTING = threading.Lock()


def buffers_bytes(limit_bytes: int) -> int:
    """The bytes of all buffers of a spill under a memory limit."""
    share = limit_bytes // LIMIT_BYTES_PER_BUFFER_BYTE // PARTITIONS
    return PARTITIONS * max(BUFFER_BYTES_MIN, min(share, BUFFER_BYTES_MAX))


class Spill:
    """The ledgers and rows of some clients on disk: `add_ledger` first, then `add_rows`, then `finish`, and then
    `settle_partition` for each partition, under a memory limit of `limit_bytes`.

    With `keep_statuses`, `statuses()` then reads the status of each row, in the original order. Ledgers have this
    `policy` and these `text_ids`. In a run with a state, `stored` loads what rows need, and gets what they change
    instead of `settled`.
    """

    def __init__(
        self,
        file: "SpillFile",
        limit_bytes: int,
        settled: "Settled",
        *,
        policy: "Policy | None" = None,
        text_ids: "TextIds | None" = None,
        keep_statuses: bool,
        stored: "Stored | None" = None,
    ) -> None:
        self._file = file
        self._stored = stored
        self._policy = policy
        self._text_ids = text_ids
        self._settled = settled
        self._slices = [Stream(file) for _ in range(PARTITIONS)]
        self._partitions = Partitions(
            PARTITIONS, buffers_bytes(limit_bytes) // PARTITIONS, self._write, text_ids=text_ids
        )
        self._statuses = [Stream(file) for _ in range(PARTITIONS)] if keep_statuses else None

    def _write(self, partition: int, view: memoryview) -> None:
        self._slices[partition].write(view)

    def add_ledger(self, ledger: Ledger) -> None:
        """Add everything that a ledger holds, before any rows. The caller clears it."""
        self._partitions.add_ledger(ledger)
        self._settled.give_up(ledger)

    def add_rows(self, batch: TransactionBatch, shard: int = 0) -> None:
        """Add the rows of a batch; only those of `shard` if the batch was routed."""
        self._partitions.add_rows(batch, shard)

    def stream(self) -> Stream:
        """A new stream in the same file."""
        return Stream(self._file)

    def finish(self) -> None:
        """Write the rest of the buffers: no more rows come."""
        self._partitions.finish()

    @property
    def partitions(self) -> int:
        """The number of partitions."""
        return self._partitions.count

    def records(self, partition: int) -> int:
        """The number of accounts, entries and rows in a partition."""
        return sum(self._partitions.counts(partition))

    @property
    def bytes_min(self) -> int:
        """Memory with which a partition can be settled: with less, each division would only lead to the next."""
        return self._ledger_bytes(STATE_RECORDS, STATE_RECORDS, STATE_BYTES)

    def bytes_for(self, partition: int) -> int:
        """The most bytes that the ledger of a partition needs, once all of it is written."""
        records = self.records(partition)
        return self._ledger_bytes(records, records, len(self._slices[partition]))

    def _ledger_bytes(self, accounts: int, transactions: int, text_bytes: int) -> int:
        return Ledger.bytes_for(accounts, transactions, self._policy, text_ids=self._text_ids, text_bytes=text_bytes)

    def settle_partition(self, partition: int, limit_bytes: int, failed_divisions: int = 0) -> None:
        """Read a partition into a ledger of at most `limit_bytes` and collect its accounts; divide it where it is
        larger.

        `failed_divisions` is how often dividing has left all records in one partition. Raises MemoryLimitError where
        one client alone is too large.
        """
        if not self.records(partition):
            return
        reader = SliceReader(self._slices[partition].reader(), text_ids=self._text_ids)
        ledger = Ledger(self._policy, self._text_ids)
        ledger.limit_memory(limit_bytes)
        ledger.expect(sum(self._partitions.counts(partition)[1:]))
        if self._stored is not None:
            self._stored.take(ledger)
        divided: Spill | None = None
        rows_applied = 0
        while divided is None and not self._settled.stopped and reader.next_is_state():
            if ledger.bytes_with(STATE_RECORDS, STATE_BYTES) > limit_bytes and len(ledger):
                divided = self._divide(ledger, partition, limit_bytes, failed_divisions, is_whole=False)
                divided._partitions.add_rest(reader)
            else:
                reader.restore(ledger)
        batch = TransactionBatch()
        while not self._settled.stopped and reader.fill(batch):
            if divided is None and self._bytes_with(ledger, batch) > limit_bytes and len(ledger):
                divided = self._divide(ledger, partition, limit_bytes, failed_divisions)
            if divided is not None:
                divided.add_rows(batch)
                continue
            if self._stored is not None:
                self._stored.prefetch(ledger, (batch,), 0, 1)
            ledger.apply(batch)
            rows_applied += len(batch)
            if self._statuses is not None:
                self._statuses[partition].write(statuses_of(batch))
        if self._settled.stopped:
            return
        if divided is None:
            self._collect(ledger)
            return
        divided._settle_all(limit_bytes, failed_divisions)
        if self._statuses is not None and not self._settled.stopped:
            self._merge_statuses(partition, divided, rows_applied)

    def _bytes_with(self, ledger: Ledger, batch: TransactionBatch) -> int:
        """The most bytes that a ledger takes with the rows of a batch."""
        if self._stored is None:
            return ledger.bytes_with_batch(batch)
        return self._stored.bytes_with_batch(ledger, batch)

    def _collect(self, ledger: Ledger) -> None:
        """Collect the accounts of a settled ledger."""
        if self._stored is None:
            self._settled.add(ledger)
            return
        self._stored.seal((ledger,))
        self._stored.drop(ledger)
        self._settled.give_up(ledger)

    def _settle_all(self, limit_bytes: int, failed_divisions: int) -> None:
        """Settle the partitions of a partition, one after the other."""
        self.finish()
        records = [self.records(number) for number in range(self.partitions)]
        for number in range(self.partitions):
            holds_all = records[number] == sum(records)
            self.settle_partition(number, limit_bytes, failed_divisions + 1 if holds_all else 0)

    def _divide(
        self, ledger: Ledger, partition: int, limit_bytes: int, failed_divisions: int, *, is_whole: bool = True
    ) -> "Spill":
        """Begin to divide a partition: move the ledger that it was read into so far into the state or, where there is
        none or accounts are left that were moved to disk (`is_whole` is false), into new partitions. These find an
        account that is there twice."""
        if failed_divisions >= FAILED_DIVISIONS_MAX and has_one_client(ledger):
            transactions = sum(self._partitions.counts(partition)[1:])
            missing = self._ledger_bytes(len(ledger), transactions, len(self._slices[partition])) - limit_bytes
            if self._stored is not None:
                missing += self._stored.bytes_beside(ledger, transactions)
            least = (self._settled.memory_limit + missing) // MEBIBYTE + MARGIN_MIB
            raise MemoryLimitError(
                f"client {shown_id(ledger.any_client())} alone has up to {transactions:,} transactions: "
                f"they need a memory limit of {least}MiB"
            )
        divided = Spill(
            self._file,
            limit_bytes,
            self._settled,
            policy=self._policy,
            text_ids=self._text_ids,
            keep_statuses=self._statuses is not None,
            stored=self._stored,
        )
        if self._stored is not None and is_whole:
            self._collect(ledger)
        else:
            divided.add_ledger(ledger)
            if self._stored is not None:
                self._stored.drop(ledger)
        ledger.clear()
        return divided

    def _merge_statuses(self, partition: int, divided: "Spill", rows_applied: int) -> None:
        """Append the statuses of the rows that were settled in `divided`, which begin after `rows_applied`."""
        assert self._statuses is not None
        reader = SliceReader(self._slices[partition].reader(), text_ids=self._text_ids)
        reader.pass_state()
        batch = TransactionBatch()
        while rows_applied and reader.fill(batch, rows_applied):
            rows_applied -= len(batch)
        statuses = divided.statuses()
        while reader.fill(batch):
            statuses.fill(batch)
            self._statuses[partition].write(statuses_of(batch))

    def statuses(self) -> StatusReader:
        """The statuses of all rows, once all partitions are settled."""
        assert self._statuses is not None
        readers = [stream.reader() for stream in self._statuses]
        return StatusReader(self._partitions, lambda partition, view: readers[partition](view), STATUS_BUFFER_BYTES)
