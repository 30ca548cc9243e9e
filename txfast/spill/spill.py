"""What does not fit in memory: rows and ledgers on disk, in partitions by client, until each is settled by itself.

Once a ledger would grow past its limit, what it holds and all rows that come after go to partitions. In the end each
partition is read into a ledger of its own, which has the whole limit to itself, and is divided further where even that
does not do. The accounts of each are sorted, and all of them merged.

This module must not know formats, nor what is done with the accounts.
"""

import os
import threading
import weakref
from array import array
from contextlib import suppress

from txfast.batch.batch import TransactionBatch
from txfast.errors import MemoryLimitError, SpillError
from txfast.interrupts import POLL_SECONDS, check
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.spill.partitions import Partitions
from txfast.spill.runs import RunMerge, run_blocks
from txfast.spill.slices import STATE_RECORDS, SliceReader
from txfast.spill.statuses import StatusReader, statuses_of

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PARTITIONS = 64
# A partition's buffer: large writes where the limit has room for them.
BUFFER_BYTES_MIN = 1 << 14
BUFFER_BYTES_MAX = 1 << 20
# All buffers of one spill together take at most this part of the limit, where that leaves the least size.
BUFFERS_SHARE = 16
# What settling needs beside a ledger: blocks, a batch, buffers of runs and statuses.
SETTLING_BYTES = 3 << 20
STATUS_BUFFER_BYTES = 1 << 13
RUN_BUFFER_BYTES_MAX = 1 << 16
# Where files that may be large belong, if nobody says.
FOLDERS = ("/var/tmp", "/tmp")
SETTLING_THREADS_MAX = 64
JOIN_SECONDS = 1.0
# So often may dividing leave all in one partition before that is taken for one client's.
ALIKE_MAX = 2
MEBIBYTE = 1 << 20
# A limit that a message names is larger by so much, for what cannot be told beforehand.
MARGIN_MIB = 8

# Held while the first ledger of a run goes to disk.
STARTING = threading.Lock()


class SpillFile:
    """A file without a name, which nobody else can read and which is gone with the process, however that ends.

    Raises SpillError where the system does not take or give bytes.
    """

    def __init__(self, folder: str | None) -> None:
        self.folder = folder or default_folder()
        self._descriptor = -1
        self._is_closed = False
        # Closes the descriptor when nobody has this any more, a thread that still writes included.
        self._finalizer: weakref.finalize[[int], SpillFile] | None = None
        self._lock = threading.Lock()
        self.bytes_written = 0

    def append(self, view: "bytes | bytearray | memoryview") -> int:
        """Write all of a view; return where it begins. Any thread may."""
        count = len(view)
        with self._lock:
            if self._is_closed:
                raise SpillError(f"{self.folder}: what was spilled is given back already")
            if self._descriptor < 0:
                self._descriptor = self._open()
                self._finalizer = weakref.finalize(self, os.close, self._descriptor)
            start = self.bytes_written
            self.bytes_written += count
        written = 0
        rest = memoryview(view)
        try:
            while written < count:
                written += os.pwrite(self._descriptor, rest[written:], start + written)
        except OSError as error:
            raise SpillError(
                f"{self.folder}: cannot hold what does not fit in the memory limit: {error.strerror or error}, after "
                f"{start >> 20} MiB; --spill-dir names another folder"
            ) from error
        return start

    def read_into(self, view: memoryview, offset: int) -> int:
        """Read so many bytes from there, all of which were written."""
        count, wanted = 0, len(view)
        try:
            while count < wanted:
                taken = os.preadv(self._descriptor, [view[count:]], offset + count)
                if not taken:
                    raise SpillError(f"{self.folder}: what was spilled is no longer there")
                count += taken
        except OSError as error:
            if isinstance(error, SpillError):
                raise
            raise SpillError(f"{self.folder}: cannot be read: {error.strerror or error}") from error
        return count

    def expect(self, byte_count: int) -> None:
        """Have room for about so many bytes, or raise SpillError before any is written."""
        folder = os.path.abspath(self.folder)
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        try:
            found = os.statvfs(folder)
        except OSError:
            return  # it does not say
        free = found.f_bavail * found.f_frsize
        if free < byte_count:
            raise SpillError(
                f"{self.folder}: cannot hold what does not fit in the memory limit: it takes about "
                f"{byte_count >> 20} MiB, and {free >> 20} MiB are free; --spill-dir names another folder"
            )

    def _open(self) -> int:
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            if hasattr(os, "O_TMPFILE"):
                with suppress(OSError):  # not every file system has files without a name
                    return os.open(self.folder, os.O_TMPFILE | os.O_RDWR | os.O_EXCL | os.O_CLOEXEC, 0o600)
            path = os.path.join(self.folder, f"txfast-{os.urandom(8).hex()}.spill")
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.unlink(path)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            raise SpillError(
                f"{self.folder}: cannot hold what does not fit in the memory limit: {error.strerror or error}; "
                f"--spill-dir names another folder"
            ) from error
        return descriptor

    def close(self) -> None:
        """Give its room back."""
        with self._lock:
            self._is_closed = True
            self._descriptor = -1
            finalizer, self._finalizer = self._finalizer, None
        if finalizer is not None:
            with suppress(OSError):  # nobody wants what was written
                finalizer()


class Stream:
    """Bytes in a spill file that are written, and later read, in their order. For one thread at a time."""

    __slots__ = ("_ends", "_file", "_starts")

    def __init__(self, file: SpillFile) -> None:
        self._file = file
        self._starts, self._ends = array("Q"), array("Q")  # of each piece in the file

    def write(self, view: "bytes | bytearray | memoryview") -> None:
        """Write all of a view behind what is there."""
        if not len(view):
            return
        start = self._file.append(view)
        if self._ends and self._ends[-1] == start:
            self._ends[-1] += len(view)
        else:
            self._starts.append(start)
            self._ends.append(start + len(view))

    def reader(self) -> "Callable[[memoryview], int]":
        """A function that puts the next bytes into a view, as many as are there; 0 at the end."""
        extents = zip(self._starts, self._ends, strict=True)
        place = end = 0

        def read_into(view: memoryview) -> int:
            nonlocal place, end
            view = memoryview(view)
            filled = 0
            while filled < len(view):
                if place == end:
                    place, end = next(extents, (0, 0))
                    if place == end:
                        break
                taken = self._file.read_into(view[filled : filled + end - place], place)
                place += taken
                filled += taken
            return filled

        return read_into


class Settled:
    """The accounts of ledgers that are settled: a run each, and what they add up to. Any thread may `add`.

    `memory_limit` is that of the whole process, for messages; `tally` is told of every ledger that is given up, for its
    counts. `save`, where it is set, is given each ledger before that, one by one.
    """

    def __init__(self, file: SpillFile, memory_limit: int, tally: "Callable[[Ledger], None]") -> None:
        self.memory_limit = memory_limit
        self._tally = tally
        self.save: Callable[[Ledger], object] | None = None
        self.stopped = False  # nothing more is wanted
        self.available_units = 0
        self.held_units = 0
        self.locked_count = 0
        self._file = file
        self._count = 0
        self._runs: list[Stream] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def add(self, ledger: Ledger) -> None:
        """Take a ledger's accounts, once it is saved; of the ledger nothing else is left."""
        if self.save is not None:
            with self._lock:
                self.save(ledger)
        ledger.drop_transactions()
        accounts = AccountColumns([ledger])
        run = Stream(self._file)
        for block in run_blocks(accounts):
            run.write(block)
        self.give_up(ledger)
        with self._lock:
            self._runs.append(run)
            self._count += len(accounts)
            self.available_units += accounts.available_units
            self.held_units += accounts.held_units
            self.locked_count += accounts.locked_count

    def give_up(self, ledger: Ledger) -> None:
        """Have a ledger tallied that is about to be no more."""
        with self._lock:
            self._tally(ledger)

    def chunks(self) -> "Iterator[AccountColumns]":
        """Iterate all accounts in ascending order of client, in parts, each good until the next."""
        return merged_runs(self._runs)


def merged_runs(runs: "Sequence[Stream]") -> "Iterator[AccountColumns]":
    """Iterate the accounts of runs in ascending order of client, in parts, each good until the next."""
    buffer_bytes = min(RUN_BUFFER_BYTES_MAX, SETTLING_BYTES // max(1, len(runs)))
    return iter(RunMerge([run.reader() for run in runs], buffer_bytes))


class Spill:
    """Ledgers and rows of some clients, on disk in partitions: `add_ledger`, then `add_rows`, `finish`, and
    `settle_partition` each. With `keep_statuses`, `statuses()` says then what became of the rows, in their order.
    """

    def __init__(self, file: SpillFile, limit_bytes: int, settled: Settled, *, keep_statuses: bool) -> None:
        self._file = file
        self._settled = settled
        buffer_bytes = limit_bytes // BUFFERS_SHARE // PARTITIONS
        buffer_bytes = max(BUFFER_BYTES_MIN, min(buffer_bytes, BUFFER_BYTES_MAX))
        self._slices = [Stream(file) for _ in range(PARTITIONS)]
        self._partitions = Partitions(PARTITIONS, buffer_bytes, self._write)
        self._statuses = [Stream(file) for _ in range(PARTITIONS)] if keep_statuses else None

    def _write(self, partition: int, view: memoryview) -> None:
        self._slices[partition].write(view)

    def add_ledger(self, ledger: Ledger) -> None:
        """Take all that a ledger holds, before any rows."""
        self._partitions.add_ledger(ledger)
        self._settled.give_up(ledger)

    def add_rows(self, batch: TransactionBatch, shard: int = 0) -> None:
        """Take a batch's rows: of one that was routed, those of `shard`."""
        self._partitions.add_rows(batch, shard)

    def stream(self) -> Stream:
        """A new stream in the same file."""
        return Stream(self._file)

    def finish(self) -> None:
        """There are no more rows."""
        self._partitions.finish()

    def records(self, partition: int) -> int:
        """How many accounts, entries and rows a partition holds."""
        return sum(self._partitions.counts(partition))

    def settle_partition(self, partition: int, limit_bytes: int, alike: int = 0) -> None:
        """Read a partition into a ledger of at most so many bytes, and have its accounts settled; divide it further
        where it does not fit.

        `alike` says how often dividing has left all in one partition, and so in all likelihood of one client. Raises
        MemoryLimitError where that does not fit.
        """
        if not self.records(partition):
            return
        reader = SliceReader(self._slices[partition].reader())
        ledger = Ledger()
        ledger.limit_memory(limit_bytes)
        ledger.expect(sum(self._partitions.counts(partition)[1:]))
        deeper: Spill | None = None
        rows_applied = 0
        while deeper is None and not self._settled.stopped and reader.next_is_state():
            if ledger.bytes_with(STATE_RECORDS) > limit_bytes and len(ledger):
                deeper = self._divide(ledger, partition, limit_bytes, alike)
                deeper._partitions.add_rest(reader)
            else:
                reader.restore(ledger)
        batch = TransactionBatch()
        while not self._settled.stopped and reader.fill(batch):
            if deeper is None and ledger.bytes_with(len(batch)) > limit_bytes and len(ledger):
                deeper = self._divide(ledger, partition, limit_bytes, alike)
            if deeper is not None:
                deeper.add_rows(batch)
                continue
            ledger.apply(batch)
            rows_applied += len(batch)
            if self._statuses is not None:
                self._statuses[partition].write(statuses_of(batch))
        if self._settled.stopped:
            return
        if deeper is None:
            self._settled.add(ledger)
            return
        deeper.finish()
        records = [deeper.records(number) for number in range(PARTITIONS)]
        for number in range(PARTITIONS):
            deeper.settle_partition(number, limit_bytes, alike + 1 if records[number] == sum(records) else 0)
        if self._statuses is not None and not self._settled.stopped:
            self._merge_statuses(partition, deeper, rows_applied)

    def _divide(self, ledger: Ledger, partition: int, limit_bytes: int, alike: int) -> "Spill":
        """Partitions for what one partition holds, with what its ledger has by now in them."""
        if len(ledger) == 1 and alike >= ALIKE_MAX:
            transactions = sum(self._partitions.counts(partition)[1:])
            missing = Ledger.bytes_for(1, transactions) - limit_bytes
            least = (self._settled.memory_limit + missing) // MEBIBYTE + MARGIN_MIB
            raise MemoryLimitError(
                f"client {ledger.any_client()} alone has up to {transactions} transactions: "
                f"they need a memory limit of {least}MiB"
            )
        deeper = Spill(self._file, limit_bytes, self._settled, keep_statuses=self._statuses is not None)
        deeper.add_ledger(ledger)
        ledger.clear()
        return deeper

    def _merge_statuses(self, partition: int, deeper: "Spill", rows_applied: int) -> None:
        """Say what became of a partition's rows from where they were divided further."""
        assert self._statuses is not None
        reader = SliceReader(self._slices[partition].reader())
        reader.pass_state()
        batch = TransactionBatch()
        while rows_applied and reader.fill(batch, rows_applied):
            rows_applied -= len(batch)
        statuses = deeper.statuses()
        while reader.fill(batch):
            statuses.fill(batch)
            self._statuses[partition].write(statuses_of(batch))

    def statuses(self) -> StatusReader:
        """What became of the rows, once all partitions are settled."""
        assert self._statuses is not None
        readers = [stream.reader() for stream in self._statuses]
        return StatusReader(
            self._partitions, lambda partition, view: readers[partition](view), STATUS_BUFFER_BYTES
        )


def settle(spills: "list[Spill]", settled: Settled, threads: int, limit_bytes: int) -> None:
    """Settle all partitions, as many at once as threads and the limit allow. Raises what `settle_partition` does."""
    for spill in spills:
        spill.finish()
    jobs = [(spill.records(number), spill, number) for spill in spills for number in range(PARTITIONS)]
    jobs = sorted((job for job in jobs if job[0]), key=lambda job: job[0])
    largest = Ledger.bytes_for(jobs[-1][0], jobs[-1][0]) if jobs else 0
    workers = max(1, min(threads, SETTLING_THREADS_MAX, len(jobs), limit_bytes // (largest + SETTLING_BYTES)))
    # One that has to be divided needs buffers beside its ledger.
    share = limit_bytes // workers - SETTLING_BYTES
    share = max(0, share - max(BUFFER_BYTES_MIN * PARTITIONS, share // BUFFERS_SHARE))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not settled.stopped:
                try:
                    _, spill, number = jobs.pop()
                except IndexError:
                    return
                spill.settle_partition(number, share)
                check()
        except BaseException as failure:
            failures.append(failure)
            settled.stopped = True

    helpers = [threading.Thread(target=work, daemon=True) for _ in range(workers - 1)]
    try:
        with suppress(RuntimeError):  # those that could be started do it all
            for helper in helpers:
                helper.start()
        work()
        for helper in helpers:
            while helper.ident is not None and helper.is_alive():
                helper.join(POLL_SECONDS)
                check()
    except BaseException:
        settled.stopped = True
        for helper in helpers:
            if helper.ident is not None:
                helper.join(JOIN_SECONDS)
        raise
    if failures:
        raise failures[0]


def default_folder() -> str:
    """Where spill files go if nobody says: where temporary files may be large."""
    named = os.environ.get("TMPDIR")
    for folder in (named, *FOLDERS):
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return os.curdir
