"""The reduce task: settle a shard, which is to apply its slices in order and put out its accounts.

It runs in any process that has txfast; with a state, also where the state's directory can be reached. This module must
not know an engine, nor where the rows came from.
"""

import os
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from tempfile import TemporaryDirectory
from typing import Any

from txfast.batch.batch import TransactionBatch
from txfast.cluster.currency_codes import Numbers, bytes_of, came_damaged
from txfast.cluster.pieces import Slices
from txfast.cluster.results import AccountRun, RowStatuses, ShardSummary
from txfast.cluster.sent_dialect import own_dialect, without_sent_keys
from txfast.dialect.text_ids import TextIds
from txfast.errors import ClusterError, SpillError, unwritable
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.run.books import Books
from txfast.run.machine import available_cores, default_memory_limit, memory_bytes_now, store_memory_bytes
from txfast.run.plan import make_plan
from txfast.run.values import policy as parse_policy
from txfast.spill.partitions import Partitions
from txfast.spill.runs import run_blocks
from txfast.spill.slices import SliceReader, renumber_rows
from txfast.spill.spill import Spill
from txfast.spill.statuses import statuses_of
from txfast.state.snapshot import Snapshot
from txfast.state.snapshots import snapshot_of, store_of

# The size of a run of accounts, except the last.
RUN_BYTES = 1 << 20
# Nearly all statuses of a slice are the same, so the fastest compression does.
STATUS_COMPRESSION_LEVEL = 1
DEFERRED_BUFFER_BYTES = 1 << 12


def reduce_shard(
    pieces: Iterable[bytes],
    ranges: int,
    shard: int,
    shards: int,
    *,
    keep_statuses: bool = False,
    memory_limit: int | None = None,
    spill_folder: str | None = None,
    policy: str = "",
    dialect: str = "",
    begin_with: tuple[str, dict[str, Any]] | None = None,
    save_in: tuple[str, str] | None = None,
) -> Iterator[AccountRun | RowStatuses | ShardSummary]:
    """Settle a shard: iterate the statuses of its slices, if `keep_statuses`, then its accounts in runs, then a
    summary.

    `pieces` are the contents of all pieces of the shard, range by range. `memory_limit` is in bytes, for the whole
    process of this task; by default it is one core's part of the machine's memory. What exceeds it goes to files in
    `spill_folder`. Rows mean what the text `policy` says; `dialect` is the `dialect_text` of the run, by whose key
    ids that are texts are hashed.

    `begin_with` is a snapshot's folder and the fields of its manifest: the shard begins with its part of that. What it
    changes is saved in the folder `save_in`, by the key of its store. The folder is gone when the run has ended, but an
    engine may settle a shard again even then, if it has lost the results: they are then saved nowhere.

    Raises ClusterError where a piece is missing, repeated or out of order; SpillError, MemoryLimitError, CapacityError;
    with a state, StateError and SourceError.
    """
    memory_limit = memory_limit or default_memory_limit() // available_cores()
    plan = make_plan(
        cores=1, memory_used=memory_bytes_now(), memory_limit=memory_limit,
        memory_reserved=store_memory_bytes(memory_limit) if begin_with or save_in else 0,
    )  # fmt: skip
    chosen = own_dialect(dialect)
    books = Books(
        plan, policy=parse_policy(policy), dialect=chosen, keep_statuses=keep_statuses, spill_folder=spill_folder
    )
    with ExitStack() as closing:
        closing.callback(books.close)
        reduction = Reduction(books, shard, shards)
        if save_in is not None:
            # An engine may run a task twice at once: each attempt has a folder of its own.
            folder = os.path.join(save_in[0], f"shard-{shard}-{secrets.token_hex(8)}")
            is_kept = os.path.isdir(save_in[0])
            if not is_kept:
                folder = closing.enter_context(TemporaryDirectory(dir=spill_folder))
            snapshot = None
            if begin_with is not None:
                snapshot = snapshot_of(begin_with[0], without_sent_keys(begin_with[1]))
            reduction.begin_with(snapshot, folder, save_in[1], is_kept=is_kept)
        yield from reduction.settle(Slices(pieces, ranges, shard, shards))


class Reduction:
    """A shard that is being settled: `begin_with` a snapshot, if there is one, then `settle`."""

    def __init__(self, books: Books, shard: int, shards: int) -> None:
        self._books = books
        self._shard = shard
        self._shards = shards
        self._deferred: DeferredStatuses | None = None
        self._snapshot: Snapshot | None = None
        self._folder: str | None = None
        self._is_kept = False

    def begin_with(self, snapshot: Snapshot | None, folder: str, key: str, *, is_kept: bool) -> None:
        """Begin with the accounts and transactions of a snapshot, if there is one, and save what is changed in a
        folder; whether that `is_kept`, so that the driver finds it."""
        self._folder = folder
        self._is_kept = is_kept
        if snapshot is not None and store_of(snapshot) is None:
            snapshot = snapshot.of_shard(self._shard, self._shards, self._books.dialect)
        self._snapshot = snapshot
        self._books.begin_with(snapshot, self._new_folder, bytes.fromhex(key))

    def _new_folder(self) -> str:
        assert self._folder is not None, "the run has a state"
        try:
            os.makedirs(self._folder, 0o700, exist_ok=True)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        return self._folder

    def settle(self, slices: Slices) -> Iterator[AccountRun | RowStatuses | ShardSummary]:
        """Apply all slices, and iterate the results, the summary last."""
        for number, read_into in enumerate(slices):
            statuses, rows = self._apply(number, slices, read_into)
            if rows != slices.rows:
                raise ClusterError(
                    f"shard {self._shard}, range {number}: {rows:,} rows came, and {slices.rows:,} were sent; nothing "
                    f"is put out"
                )
            if statuses is not None:
                yield self._compressed(number, statuses)
        stored = self._books.stored
        if stored is None:
            accounts = self._books.collect()
        else:
            self._books.seal()
            accounts = self._books.collect_stored(self._shard, self._shards)
        if self._deferred is not None:
            for number, statuses in self._deferred.settled():
                yield self._compressed(number, statuses)
        run_count = 0
        codes = b"" if self._books.currencies is None else bytes_of(self._books.currencies.codes)
        for content in cut_into_runs(accounts.chunks()):
            yield AccountRun(self._shard, run_count, content, codes)
            run_count += 1
        yield ShardSummary(
            self._shard, tuple(self._books.counts()), len(accounts), accounts.locked_count, accounts.available_units,
            accounts.held_units, self._books.spilled_bytes, run_count,
            (0, 0, 0) if self._snapshot is None else self._snapshot.restored,
            self._saved(),
            self._books.unread_amounts,
            tuple((code, *units) for code, units in accounts.by_currency().items()),
        )  # fmt: skip

    def _saved(self) -> dict[str, Any] | None:
        """What was saved, for the driver; None where it is nowhere."""
        stored = self._books.stored
        if stored is None or not self._is_kept:
            return None
        return {"folder": os.path.basename(self._folder or ""), **stored.store.added()}

    def _batches(self, slices: Slices, read_into: Callable[[memoryview], int]) -> Iterator[TransactionBatch]:
        """Iterate the rows of a slice, with the numbers of currencies that the books have."""
        text_ids, currencies = self._books.text_ids, self._books.currencies
        numbers = None
        if text_ids is not None and currencies is not None:
            text_ids = TextIds(client=text_ids.client, tx=text_ids.tx, key=text_ids.key, currencies=slices.currencies)
            numbers = Numbers(currencies)
        batch = TransactionBatch()
        reader = SliceReader(read_into, text_ids=text_ids)
        while reader.fill(batch):
            if numbers is not None:
                numbers.know(slices.currencies.codes)
                try:
                    renumber_rows(batch, numbers.table)
                except SpillError as error:
                    raise came_damaged(f"shard {self._shard}: rows with currencies") from error
            yield batch
        if numbers is not None:
            numbers.know(slices.currencies.codes)  # those of other shards too: too many fail the run, as on one machine

    def _apply(
        self, number: int, slices: Slices, read_into: Callable[[memoryview], int]
    ) -> tuple[bytearray | None, int]:
        """Apply a slice; return the statuses of its rows, and their number.

        The statuses are None if they are not wanted, or if some are not known before the end.
        """
        statuses = bytearray()
        rows = deferred_rows = 0
        for batch in self._batches(slices, read_into):
            self._books.prefetch((batch,), 0)
            self._books.apply(batch, 0)
            rows += len(batch)
            if not self._books.keep_statuses:
                continue
            if batch.unsettled_shards:
                if self._deferred is None:
                    spill = self._books.spills[0]
                    assert spill is not None, "rows were spilled"
                    self._deferred = DeferredStatuses(spill, self._books.text_ids)
                self._deferred.add(batch)
                deferred_rows += len(batch)
            else:
                statuses += statuses_of(batch)
        if self._deferred is not None and deferred_rows:
            self._deferred.end_range(number, statuses, deferred_rows)
        return statuses if self._books.keep_statuses and not deferred_rows else None, rows

    def _compressed(self, number: int, statuses: bytearray) -> RowStatuses:
        content = zlib.compress(statuses, STATUS_COMPRESSION_LEVEL) if any(statuses) else b""
        return RowStatuses(self._shard, number, content)


class DeferredStatuses:
    """Statuses of spilled rows, which are known once the spill is settled. Until then the rows themselves are kept a
    second time, in the order of the input: `add` them, `end_range` after each range, then iterate `settled`."""

    def __init__(self, spill: Spill, text_ids: TextIds | None) -> None:
        self._spill = spill
        self._text_ids = text_ids
        self._stream = stream = spill.stream()
        self._rows = Partitions(
            1, DEFERRED_BUFFER_BYTES, lambda _, view: stream.write(view), by_shard=True, text_ids=text_ids
        )
        # Each range's number, the statuses of its rows before the first deferred one, and its deferred rows.
        self._ranges: list[tuple[int, bytearray, int]] = []

    def add(self, batch: TransactionBatch) -> None:
        """Keep the rows of a batch."""
        self._rows.add_rows(batch)

    def end_range(self, number: int, statuses: bytearray, rows: int) -> None:
        """Assign the last `rows` rows to a range. `statuses` are those of the range's rows before them."""
        self._ranges.append((number, statuses, rows))

    def settled(self) -> Iterator[tuple[int, bytearray]]:
        """Iterate the number of each range and the statuses of all its rows, once the spill is settled."""
        self._rows.finish()
        settled = self._spill.statuses()
        reader = SliceReader(self._stream.reader(), text_ids=self._text_ids)
        batch = TransactionBatch()
        for number, statuses, rows in self._ranges:
            while rows and reader.fill(batch, rows):
                rows -= len(batch)
                settled.fill(batch)
                statuses += statuses_of(batch)
            yield number, statuses


def cut_into_runs(chunks: Iterable[AccountColumns]) -> Iterator[bytes]:
    """Iterate sorted accounts as the contents of runs."""
    run = bytearray()
    for block in chain.from_iterable(map(run_blocks, chunks)):
        run += block
        if len(run) >= RUN_BYTES:
            yield bytes(run)
            run.clear()
    if run:
        yield bytes(run)
