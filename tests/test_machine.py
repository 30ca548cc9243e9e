"""What the process may use of the machine is read where the system tells it, and elsewhere got by other means."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from txfast import machine


def set_quotas(folder: Path, monkeypatch: pytest.MonkeyPatch, *quotas: str) -> None:
    """Have the process in control groups, one inside the other, with these lines in their `cpu.max`."""
    groups = [folder / str(place) for place in range(len(quotas))]
    for group, quota in zip(groups, quotas, strict=True):
        group.mkdir()
        (group / "cpu.max").write_text(quota)
    monkeypatch.setattr(machine, "control_group_folders", lambda: [*map(str, groups), str(folder / "none")])


@pytest.mark.parametrize(
    ("quotas", "cores"),
    [
        ([], None),
        (["max 100000\n"], None),
        (["200000 100000\n"], 2),
        (["250000 100000\n"], 3),
        (["50000 100000\n"], 1),
        (["max 100000\n", "300000 100000\n", "400000 100000\n"], 3),
        (["what is this\n", "100000 100000\n"], 1),
    ],
)
def test_the_least_quota_of_the_control_groups_counts(
    quotas: list[str], cores: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_quotas(tmp_path, monkeypatch, *quotas)
    assert machine.cpu_quota() == cores


def test_a_quota_leaves_a_core_and_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: None)
    cores = machine.available_cores()
    for quota, expected in ((0, 1), (1, 1), (cores + 1, cores)):
        monkeypatch.setattr(machine, "cpu_quota", lambda quota=quota: quota)
        assert machine.available_cores() == expected


def test_control_groups_are_those_of_the_process_outwards(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "1:cpu:/old\n0::/user.slice/one\n"
    monkeypatch.setattr(machine, "open", lambda _: io.StringIO(text), raising=False)
    root = machine.CGROUP_ROOT
    assert machine.control_group_folders() == [f"{root}/user.slice/one", f"{root}/user.slice", root]


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
