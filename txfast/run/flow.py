"""How batches flow from an intake into the books: in the caller's thread alone, or through several threads.

Scanner threads turn blocks into batches. Each applier thread applies its shard's rows of every batch, in the order of
the batches. The caller's thread iterates the applied batches and gives each back to be filled again; where there is one
ledger and no statuses are kept, it applies them itself. The number of batches is fixed, so a fast reader waits for the
appliers.

This module must not know what an input is, nor what the caller does with applied batches.
"""

from time import perf_counter

from txfast.batch.batch import TransactionBatch
from txfast.errors import ThreadsError
from txfast.interrupts import LISTENER, POLL_SECONDS
from txfast.run.plan import SPARE_BATCHES

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from txfast.run.books import Books
    from txfast.run.intake import Intake

    Flow: TypeAlias = "InlineFlow | ThreadedFlow"
    # Result of block N: its batch, the exception raised, or None at the end of the input.
    Result: TypeAlias = TransactionBatch | BaseException | None

JOIN_SECONDS = 0.2


def admitted(intake: "Intake", books: "Books", batch: TransactionBatch) -> bool:
    """Admit the next scanned and routed batch, in input order; False after the batch in which the run stops."""
    if not intake.admit(batch):
        return False
    if batch.is_cut:  # it was routed before, with the rows behind the cut
        books.route(batch)
    return True


class InlineFlow:
    """One input in the caller's thread alone: iterates its batches, applied, in order. `seconds` are by stage.

    Several batches are scanned before the first of them is applied only where the books look up in a state what all of
    them need.
    """

    def __init__(self, intake: "Intake", books: "Books") -> None:
        self._intake = intake
        self._books = books
        self._batches_left = 0  # scanned, and not yielded yet
        self.seconds = {"read": 0.0, "scan": 0.0, "apply": 0.0}

    def pause(self) -> None:
        """Do nothing: no block is read before all scanned batches are yielded, and then the flow `has_caught_up`."""

    @property
    def has_caught_up(self) -> bool:
        """Whether no batch is scanned after the one yielded last."""
        return not self._batches_left

    def go_on(self) -> None:
        """Do nothing, since `pause` did nothing."""

    def __iter__(self) -> "Iterator[TransactionBatch]":
        books = self._books
        shards = range(len(books.ledgers))
        batches = [TransactionBatch() for _ in range(books.batches_together)]
        at_end = False
        failure: BaseException | None = None
        while not at_end:
            together: list[TransactionBatch] = []
            try:
                while not at_end and len(together) < len(batches):
                    batch = batches[len(together)]
                    at_end = not self._scan_next(batch)
                    if not at_end:
                        together.append(batch)
            except BaseException as error:
                at_end, failure = True, error  # raised after the rows before it
            prefetched = [0] * len(shards)
            for index, batch in enumerate(together):
                started = perf_counter()
                for shard in shards:
                    if index >= prefetched[shard]:
                        prefetched[shard] = index + books.prefetch(together[index:], shard)
                    books.apply(batch, shard)
                self.seconds["apply"] += perf_counter() - started
                self._batches_left = len(together) - index - 1
                yield batch
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # a frame of its own traceback would keep it alive

    def _scan_next(self, batch: TransactionBatch) -> bool:
        """Fill a batch with the next block and scan it; False at the end of the input, and where the run stops."""
        intake, books = self._intake, self._books
        started = perf_counter()
        with LISTENER:  # it may wait for a pipe
            more = intake.fill(batch)
        filled = perf_counter()
        self.seconds["read"] += filled - started
        if not more:
            return False
        intake.scan(batch)
        books.route(batch)
        self.seconds["scan"] += perf_counter() - filled
        return admitted(intake, books, batch)


class ThreadedFlow:
    """One input through several threads: iterates its batches, applied, in order. `seconds` are by stage, summed over
    threads.

    A failure takes the place of the batch in which it happened, so that all rows before it are reported first, with any
    number of threads. Each ledger has a thread. Only where there is one ledger, and no statuses are kept, the
    caller's thread applies the batches itself.
    """

    def __init__(self, intake: "Intake", books: "Books", scanners: int) -> None:
        import threading
        from contextvars import copy_context

        self._intake = intake
        self._books = books
        self.seconds = {"read": 0.0, "scan": 0.0, "apply": 0.0}
        self._appliers = len(books.ledgers) if len(books.ledgers) > 1 or books.keep_statuses else 0
        self._reading = threading.Lock()
        self._blocks_read = 0
        self._number = 0  # of the block whose batch was yielded last
        self._at_end = False
        # All below is read and changed with this lock held; each change notifies.
        self._changed = threading.Condition()
        self._stopped = False
        self._paused = False
        batches = scanners + self._appliers + SPARE_BATCHES + books.batches_together - 1
        self._free = [TransactionBatch() for _ in range(batches)]
        self._prefetched = [0] * len(books.ledgers)  # by shard, the number of the first batch that is not
        self._arrived: dict[int, Result] = {}  # by number of the block
        self._blocks_admitted = 0
        self._scanned: dict[int, Result] = {}  # admitted blocks, without a gap
        self._applied: dict[int, Result] = {} if self._appliers else self._scanned
        self._appliers_left: dict[int, int] = {}
        self._threads = [
            # In the caller's context: a generator of the caller's may run there.
            *(
                threading.Thread(target=copy_context().run, args=(self._scan_blocks,), daemon=True)
                for _ in range(scanners)
            ),
            *(threading.Thread(target=self._apply_shard, args=(n,), daemon=True) for n in range(self._appliers)),
        ]

    def __iter__(self) -> "Iterator[TransactionBatch]":
        try:
            self._start_threads()
            number = 0
            while (batch := self._take_applied(number)) is not None:
                if not self._appliers:
                    self._apply(number, batch, 0)
                self._number = number
                yield batch
                with self._changed:
                    del self._applied[number]
                    self._free.append(batch)
                    self._changed.notify_all()
                number += 1
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            # A thread that waits for a pipe cannot be told to stop; it ends with the process.
            patience_ends = perf_counter() + JOIN_SECONDS
            for thread in self._threads:
                if thread.ident is not None:  # it was started
                    thread.join(max(0.0, patience_ends - perf_counter()))

    # ---- Checkpoints -------------------------------------------------------------------------------

    def pause(self) -> None:
        """Admit no further batches until `go_on`, so that the flow `has_caught_up` once those admitted are applied."""
        with self._changed:
            self._paused = True

    @property
    def has_caught_up(self) -> bool:
        """Whether every batch up to the one yielded last is applied, and no batch after it; nor is one looked up."""
        with self._changed:
            if not self._appliers:
                return self._prefetched[0] <= self._number + 1
            return self._blocks_admitted == self._number + 1

    def go_on(self) -> None:
        """Admit batches again."""
        with self._changed:
            self._paused = False
            self._admit()
            self._changed.notify_all()

    # ---- The caller's thread -----------------------------------------------------------------------

    def _start_threads(self) -> None:
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            count = len(self._threads)
            raise ThreadsError(f"threads: {count} cannot be started ({error}); --threads 1 needs none") from error

    def _take_applied(self, number: int) -> TransactionBatch | None:
        """Wait for a block's batch; None at the end of the input. Raises the failure that took its place, and
        Interrupted."""
        LISTENER.check()
        with self._changed:
            while number not in self._applied:
                self._changed.wait(POLL_SECONDS)
                LISTENER.check()
            result = self._applied[number]
        if isinstance(result, BaseException):
            failure, result = result, None
            self._forget(failure)
            try:
                raise failure
            finally:
                del failure  # a frame of its own traceback would keep it alive
        return result

    def _forget(self, failure: BaseException) -> None:
        """Drop a failure that is raised now: by its traceback it refers to this flow."""
        with self._changed:
            for results in (self._arrived, self._scanned, self._applied):
                for number in [number for number, result in results.items() if result is failure]:
                    results[number] = None

    def _apply(self, number: int, batch: TransactionBatch, shard: int) -> None:
        started = perf_counter()
        if number >= self._prefetched[shard]:
            together = self._scanned_from(number)
            self._prefetched[shard] = number + self._books.prefetch(together, shard)
        self._books.apply(batch, shard)
        spent = perf_counter() - started
        with self._changed:
            self.seconds["apply"] += spent

    def _scanned_from(self, number: int) -> list[TransactionBatch]:
        """The scanned batches from this one on, as many as there are and are looked up together."""
        together: list[TransactionBatch] = []
        with self._changed:
            while len(together) < self._books.batches_together:
                found = self._scanned.get(number + len(together))
                if not isinstance(found, TransactionBatch):
                    break
                together.append(found)
        return together

    # ---- Scanners ----------------------------------------------------------------------------------

    def _scan_blocks(self) -> None:
        """Read and scan blocks until there are no more."""
        while True:
            with self._changed:
                while not self._free and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                batch = self._free.pop()
            result: Result = batch
            started = filled = perf_counter()
            with self._reading:
                if self._at_end:
                    return
                number = self._blocks_read
                self._blocks_read += 1
                started = perf_counter()
                try:
                    if not self._intake.fill(batch):
                        result = None
                except BaseException as failure:
                    result = failure
                filled = perf_counter()
                self._at_end = result is not batch
            if result is batch:
                try:
                    self._intake.scan(batch)
                    self._books.route(batch)
                except BaseException as failure:
                    result = failure
            scanned = perf_counter()
            with self._changed:
                self.seconds["read"] += filled - started
                self.seconds["scan"] += scanned - filled
                self._arrived[number] = result
                is_last = result is not batch
                result = None  # a failure's traceback has this frame
                self._admit()
                self._changed.notify_all()
            if is_last:
                return

    def _admit(self) -> None:
        """Admit the blocks that have arrived, in order, up to the first gap."""
        while self._blocks_admitted in self._arrived and not self._paused:
            number = self._blocks_admitted
            result = self._arrived.pop(number)
            if isinstance(result, TransactionBatch):
                try:
                    if not admitted(self._intake, self._books, result):
                        return
                except BaseException as failure:
                    result = failure
            if not isinstance(result, TransactionBatch):
                self._applied[number] = result
            elif self._appliers:
                self._appliers_left[number] = self._appliers
            self._scanned[number] = result
            result = None  # a failure's traceback has this frame
            self._blocks_admitted += 1

    # ---- Appliers ----------------------------------------------------------------------------------

    def _take_scanned(self, number: int) -> TransactionBatch | None:
        """Wait for a block's batch; None at the end of the input, at a failure, and once the flow has stopped."""
        with self._changed:
            while number not in self._scanned and not self._stopped:
                self._changed.wait()
            result = None if self._stopped else self._scanned[number]
        return result if isinstance(result, TransactionBatch) else None

    def _apply_shard(self, shard: int) -> None:
        """Apply this shard's rows of every batch, in order."""
        number = 0
        try:
            while (batch := self._take_scanned(number)) is not None:
                self._apply(number, batch, shard)
                with self._changed:
                    self._appliers_left[number] -= 1
                    if not self._appliers_left[number]:
                        del self._scanned[number], self._appliers_left[number]
                        self._applied[number] = batch
                        self._changed.notify_all()
                number += 1
        except BaseException as failure:
            with self._changed:
                self._applied.setdefault(number, failure)
                self._changed.notify_all()
