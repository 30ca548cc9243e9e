"""What this process may use of the machine."""

import os
import sys

CGROUP_ROOT = "/sys/fs/cgroup"
CGROUPS_OF_PROCESS = "/proc/self/cgroup"


def available_cores() -> int:
    """How many cores this process may use: those that it may run on, or fewer where its control group has a quota."""
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


def control_group_folders() -> list[str]:
    """The folders of the process's control groups, and of those around them, that may hold a quota of the CPU.

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
        elif "cpu" in controllers.split(","):
            roots = [f"{CGROUP_ROOT}/{controllers}", f"{CGROUP_ROOT}/cpu"]
        else:
            continue
        while group:
            folders += [root + group.rstrip("/") for root in roots]
            group = "" if group == "/" else os.path.dirname(group)
    return folders


def peak_memory_bytes() -> int:
    """The most memory that this process has had at once."""
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
