"""settle: settles the partitions of all spills, several at once where threads and memory allow it."""

import threading
from contextlib import suppress

from txfast.interrupts import POLL_SECONDS, check
from txfast.spill.spill import buffers_bytes

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from txfast.spill.settled import Settled
    from txfast.spill.spill import Spill

# Memory that settling a partition needs beside its ledger: blocks, a batch, buffers of runs and of statuses.
SETTLING_BYTES = 3 << 20
SETTLING_THREADS_MAX = 64
# How long a run that failed waits for each of its threads.
JOIN_SECONDS = 1.0


def settle(
    spills: "list[Spill]",
    settled: "Settled",
    threads: int,
    limit_bytes: int,
    begins: "Callable[[int, int], object] | None" = None,
) -> None:
    """Settle all partitions, in at most `threads` threads, fewer where memory has no room for their ledgers.

    Whenever the calling thread begins a partition, `begins` is told how many were begun, this one included, and how
    many there are. Exceptions of `settle_partition` pass through; a signal raises Interrupted.
    """
    for spill in spills:
        spill.finish()
    jobs = [(spill.records(number), spill, number) for spill in spills for number in range(spill.partitions)]
    jobs = sorted((job for job in jobs if job[0]), key=lambda job: job[0])
    largest = max((spill.bytes_for(number) for _, spill, number in jobs), default=0)
    workers = max(1, min(threads, SETTLING_THREADS_MAX, len(jobs)))
    while workers > 1 and share_of(limit_bytes, workers) < largest:
        workers -= 1
    share = max(share_of(limit_bytes, workers), *(spill.bytes_min for spill in spills), 0)
    parts, caller = len(jobs), threading.get_ident()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not settled.stopped:
                try:
                    _, spill, number = jobs.pop()  # the largest first, so that no thread ends long after the others
                except IndexError:
                    return
                if begins is not None and threading.get_ident() == caller:
                    begins(parts - len(jobs), parts)
                spill.settle_partition(number, share)
                check()
        except BaseException as failure:
            failures.append(failure)
            settled.stopped = True

    run_in_threads(work, workers, settled)
    if failures:
        raise failures[0]


def share_of(limit_bytes: int, workers: int) -> int:
    """The bytes that each of so many threads has for a ledger, beside the buffers for a partition that is divided."""
    share = limit_bytes // workers - SETTLING_BYTES
    return max(0, share - buffers_bytes(share))


def run_in_threads(work: "Callable[[], None]", workers: int, settled: "Settled") -> None:
    """Call `work` in several threads, one of them this one, and wait for all. An interrupt stops them."""
    helpers = [threading.Thread(target=work, daemon=True) for _ in range(workers - 1)]
    try:
        with suppress(RuntimeError):  # the system starts no more threads: those that run do all the work
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
