"""The machine as this process may use it: cores and memory, within its control groups."""

import os
import sys

from txfast.input.room import PYARROW_BYTES

CGROUP_ROOT = "/sys/fs/cgroup"
CGROUPS_OF_PROCESS = "/proc/self/cgroup"
# The default limit, of all memory: the rest is for the system's cache and for other processes.
MEMORY_PERCENT = 80
# Memory for pyarrow, which is imported later, and for its buffers; and the least limit of a run that needs pyarrow.
ARROW_MEMORY_BYTES = 112 << 20
ARROW_MEMORY_LIMIT_MIN = 256 << 20
# Memory that a run with a state takes beside its ledgers: for rows that are looked up together, filters that are kept,
# rows that are sorted, and a segment that is written. It is a twelfth of the limit, and STORE_BYTES, within two bounds.
STORE_BYTES = 80 << 20
STORE_BYTES_MIN = 112 << 20
STORE_BYTES_MAX = 320 << 20
# What pyarrow keeps of its memory while a store is written.
ARROW_STORE_BYTES = 32 << 20
# Memory for DuckDB, beside what a query may take: its library, its connection, and record batches on their way; and the
# least limit of a run with a query.
DUCKDB_MEMORY_BYTES = 96 << 20
QUERY_MEMORY_LIMIT_MIN = 384 << 20


def kept_memory_bytes(
    memory_limit: int, *, needs_arrow: bool, decompresses: bool, has_queries: bool, has_state: bool, reads_tables: bool
) -> int:
    """Memory to keep in a run under this limit: for DuckDB, and for a state's store, or for pyarrow in a run that needs
    it or only decompresses by it."""
    queried = DUCKDB_MEMORY_BYTES if has_queries else 0
    if has_state:
        return queried + store_memory_bytes(memory_limit, with_tables=reads_tables)
    if needs_arrow or has_queries:
        return queried + ARROW_MEMORY_BYTES
    return PYARROW_BYTES if decompresses else 0


def store_memory_bytes(memory_limit: int, *, with_tables: bool = False) -> int:
    """Memory to keep for a state's store, and for libraries, in a run under this limit. A run `with_tables` has
    read most of them when the store takes the most, but pyarrow keeps some memory."""
    store = max(STORE_BYTES_MIN, min(STORE_BYTES + memory_limit // 12, STORE_BYTES_MAX))
    return store + (ARROW_STORE_BYTES if with_tables else 0)


def available_cores() -> int:
    """The number of cores that this process may run on, or fewer where its control group has a quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, quota))


def cpu_quota() -> int | None:
    """The cores that the process's control groups allow it, rounded up; None without a limit."""
    quotas = []
    for folder in control_group_folders():
        words = words_of(f"{folder}/cpu.max")
        words = words or [*words_of(f"{folder}/cpu.cfs_quota_us"), *words_of(f"{folder}/cpu.cfs_period_us")]
        # Without a quota the first is `max`, or -1.
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
            quotas.append(max(1, -(-int(words[0]) // int(words[1]))))
    return min(quotas) if quotas else None


def words_of(path: str) -> list[str]:
    """The words of a small file; none where it cannot be read."""
    try:
        with open(path) as file:
            return file.read().split()
    except (OSError, ValueError):
        return []


def default_memory_limit() -> int:
    """The default memory limit in bytes: MEMORY_PERCENT of the machine's memory, or of its control group's limit."""
    return total_memory_bytes() * MEMORY_PERCENT // 100


def total_memory_bytes() -> int:
    """The memory of the machine in bytes, or the limit of the process's control groups where that is less."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for folder in control_group_folders("memory"):
        words = words_of(f"{folder}/memory.max") or words_of(f"{folder}/memory.limit_in_bytes")
        # Without a limit it is `max`, or more than any machine has.
        if words and words[0].isdecimal():
            limits.append(int(words[0]))
    return min(limits)


def control_group_folders(controller: str = "cpu") -> list[str]:
    """The folders of the process's control groups, and of those around them, that may hold a limit of a controller.

    In version 2 there is one hierarchy, in version 1 one for each controller; both may be there.
    """
    try:
        with open(CGROUPS_OF_PROCESS) as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return []
    folders = []
    for number, controllers, group in groups:
        if number == "0":
            roots = [CGROUP_ROOT, f"{CGROUP_ROOT}/unified"]
        elif controller in controllers.split(","):
            roots = [f"{CGROUP_ROOT}/{controllers}", f"{CGROUP_ROOT}/{controller}"]
        else:
            continue
        while group:
            folders += [root + group.rstrip("/") for root in roots]
            group = "" if group == "/" else os.path.dirname(group)
    return folders


def memory_bytes_now() -> int:
    """The memory of this process now, in bytes; 0 where the system does not say."""
    words = words_of("/proc/self/statm")
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if len(words) > 1 else 0


def return_free_memory() -> None:
    """Have the C library return to the system what it keeps of freed memory, where it can: glibc keeps a third of a
    ledger."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def peak_memory_bytes() -> int:
    """The most memory that this process has had at once, in bytes."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) << 10
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
