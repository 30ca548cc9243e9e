"""What the process may use of the machine: quotas of control groups of either version, and affinity."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from txfast.run import machine


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the control groups, on a machine of eight cores."""
    monkeypatch.setattr(machine, "CGROUP_ROOT", str(tmp_path / "cgroup"))
    monkeypatch.setattr(machine, "CGROUPS_OF_PROCESS", str(tmp_path / "groups"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return tmp_path


def write(root: Path, groups: str, **files: str) -> None:
    """The process's groups, and files whose names have `__` for slashes."""
    (root / "groups").write_text(groups)
    for name, text in files.items():
        path = root / "cgroup" / name.replace("__", "/").replace("_max", ".max").replace("_cfs", ".cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_without_control_groups_all_cores_may_be_used(root: Path) -> None:
    assert machine.cpu_quota() is None
    assert machine.available_cores() == 8
    write(root, "0::/\n")
    assert machine.available_cores() == 8


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000\n", 8), ("200000 100000\n", 2), ("150000 100000\n", 2), ("5000 100000\n", 1),
        ("1600000 100000\n", 8), ("nonsense\n", 8), ("100000 0\n", 8), ("", 8),
    ],
)  # fmt: skip
def test_a_quota_of_version_2_counts_rounded_up(root: Path, text: str, cores: int) -> None:
    write(root, "0::/service\n", service__cpu_max=text)
    assert machine.available_cores() == cores


def test_the_smallest_quota_of_a_group_and_those_around_it_counts(root: Path) -> None:
    write(root, "0::/a/b/c\n", a__cpu_max="300000 100000\n", a__b__c__cpu_max="600000 100000\n")
    assert machine.available_cores() == 3


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("quota", "cores"), [("-1\n", 8), ("250000\n", 3)])
def test_a_quota_of_version_1_counts(root: Path, folder: str, quota: str, cores: int) -> None:
    groups = "4:memory:/m\n3:cpu,cpuacct:/pod/box\n"
    write(root, groups, **{f"{folder}__pod__cpu_cfs_quota_us": quota, f"{folder}__pod__cpu_cfs_period_us": "100000\n"})
    assert machine.available_cores() == cores


def test_both_versions_at_once_both_count(root: Path) -> None:
    files = {"cpu__cpu_cfs_quota_us": "500000", "cpu__cpu_cfs_period_us": "100000"}
    files["unified__x__cpu_max"] = "400000 100000"
    write(root, "1:cpu:/\n0::/x\n", **files)
    assert machine.available_cores() == 4


GIBIBYTE = 1 << 30


@pytest.mark.parametrize(
    ("text", "limit"), [("max\n", 8), (f"{3 * GIBIBYTE}\n", 3), ("nonsense\n", 8), ("", 8), (f"{99 * GIBIBYTE}", 8)]
)
def test_the_memory_of_a_group_of_version_2_counts(
    root: Path, monkeypatch: pytest.MonkeyPatch, text: str, limit: int
) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 8 << 18, "SC_PAGE_SIZE": 4096}.__getitem__)
    write(root, "0::/a/b\n", a__memory_max=text, a__b__memory_max="max\n")
    assert machine.total_memory_bytes() == limit * GIBIBYTE
    assert machine.default_memory_limit() == limit * GIBIBYTE * 80 // 100


def test_the_memory_of_a_group_of_version_1_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 8 << 18, "SC_PAGE_SIZE": 4096}.__getitem__)
    folder = root / "cgroup" / "memory" / "pod"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{2 * GIBIBYTE}\n")
    (root / "groups").write_text("5:memory:/pod\n3:cpu,cpuacct:/other\n")
    assert machine.total_memory_bytes() == 2 * GIBIBYTE


def test_the_memory_of_this_process_now_is_some_and_no_more_than_its_peak() -> None:
    assert 1 << 20 < machine.memory_bytes_now() <= machine.peak_memory_bytes()


def test_affinity_is_a_limit_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, "0::/\n", cpu_max="400000 100000")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    assert machine.available_cores() == 1


def test_the_peak_of_memory_is_at_least_what_is_held(root: Path) -> None:  # noqa: ARG001 (an unreadable root does no harm)
    block = bytearray(64 << 20)
    assert machine.peak_memory_bytes() > len(block)


def test_a_system_without_proc_has_no_control_groups_and_a_peak_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    known = machine.peak_memory_bytes()

    def not_there(path: str) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(machine, "open", not_there, raising=False)
    assert machine.control_group_folders() == []
    assert machine.cpu_quota() is None
    assert machine.peak_memory_bytes() == pytest.approx(known, rel=0.1)
    monkeypatch.setattr(machine, "open", lambda _: io.StringIO("Name:\tpython\n"))
    assert machine.peak_memory_bytes() == pytest.approx(known, rel=0.1)


def test_free_memory_is_returned_where_the_c_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    import ctypes

    trimmed: list[int] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _: type("Library", (), {"malloc_trim": trimmed.append}))
    machine.return_free_memory()
    assert trimmed == [0]
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    machine.return_free_memory()
