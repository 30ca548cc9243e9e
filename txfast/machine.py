"""What this process may use of the machine."""

import os
import sys

CGROUP_ROOT = "/sys/fs/cgroup"


def available_cores() -> int:
    """How many cores this process may use: those that it may run on, or fewer where its control group has a quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, quota))


def cpu_quota() -> int | None:
    """The cores that the process's control groups allow it, rounded up; None without a limit."""
    quotas = []
    for folder in control_group_folders():
        try:
            with open(f"{folder}/cpu.max") as file:
                allowed, period = file.read().split()
        except (OSError, ValueError):
            continue
        if allowed != "max":
            quotas.append(-(-int(allowed) // int(period)))
    return min(quotas) if quotas else None


def control_group_folders() -> list[str]:
    """The process's control group and those around it, innermost first, where they can be seen."""
    try:
        with open("/proc/self/cgroup") as file:
            groups = [line.rstrip("\n").partition("::")[2] for line in file if line.startswith("0::")]
    except OSError:
        return []
    folders = []
    for group in groups:
        while group:
            folders.append(CGROUP_ROOT + group.rstrip("/"))
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
