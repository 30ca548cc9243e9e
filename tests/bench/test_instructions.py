"""The instruction gate: what it makes of callgrind's report, and which growth it refuses. Nothing is counted here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import instructions
import pytest
from measure import BenchError

from txfast.ledger.policy import EXCLUDED, PRESETS, SWITCHES, Policy

pytestmark = pytest.mark.unmeasured

REPORT = """\
==4242== Callgrind, a call-graph generating cache profiler
==4242== Events    : Ir
==4242== Collected : 123456789
==4242==
==4242== I   refs:      123,456,789
"""
KEPT = {"scan": 200.0, "apply": 300.0}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, float]:
    """What the gate counts, which a test may change; numbers are kept in a file of its own."""
    counts = dict(KEPT)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(instructions, "KEPT", tmp_path / "instructions.json")
    monkeypatch.setattr(instructions, "built_with", lambda: "gcc 12 x86_64")
    monkeypatch.setattr(instructions, "count_stages", lambda _: counts)
    return counts


def test_the_count_is_found_in_the_report() -> None:
    assert instructions.collected(REPORT) == 123_456_789


def test_a_report_without_a_count_is_an_error_that_shows_its_last_line() -> None:
    with pytest.raises(BenchError, match="no count in its report: valgrind: out of memory"):
        instructions.collected("valgrind: out of memory\n")


def test_a_stage_is_counted_without_those_before_it() -> None:
    assert instructions.per_row({"scan": 20_000, "apply": 50_050}, 100) == {"scan": 200.0, "apply": 300.5}


def test_the_input_is_the_same_each_time_and_a_longer_one_begins_with_the_shorter() -> None:
    lines = list(instructions.transactions(3_000))
    assert lines == list(instructions.transactions(4_000))[:3_001]
    assert lines[:2] == ["type,client,tx,amount", "deposit,224,1,0.10"]
    assert {line.partition(",")[0] for line in lines[1:]} == {
        "deposit", "withdrawal", "dispute", "resolve", "chargeback",
    }  # fmt: skip


def test_the_compiler_is_read_from_the_module(tmp_path: Path) -> None:
    module = tmp_path / "module.so"
    module.write_bytes(b"\x7fELF\x00GCC: (Debian 12.2.0-14+deb12u1) 12.2.0\x00rest")
    assert instructions.compiler_of(module) == "gcc 12.2.0"
    module.write_bytes(b"\x7fELF\x00Debian clang version 14.0.6\x00rest")
    assert instructions.compiler_of(module) == "clang 14.0.6"
    module.write_bytes(b"\x7fELF")
    assert instructions.compiler_of(module) == "unknown compiler"


@pytest.mark.parametrize(
    ("stage", "count", "problem"),
    [
        ("scan", 203.9, None),
        ("scan", 150.0, None),
        ("scan", 204.2, "scan: 204.2 instructions a row, 200.0 before: +2.1%, more than 2%"),
        (
            "apply",
            900.0,
            "apply: 900.0 instructions a row, 300.0 before: +200.0%, more than 2% (is this the release build?)",
        ),
    ],
)
def test_growth_of_more_than_two_percent_is_a_problem(stage: str, count: float, problem: str | None) -> None:
    assert instructions.compare(KEPT | {stage: count}, KEPT) == ([] if problem is None else [problem])


def test_the_gate_compares_with_what_an_update_kept(
    counted: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert instructions.main(["--update"]) == 0
    assert json.loads(instructions.KEPT.read_text()) == {"gcc 12 x86_64": KEPT}
    assert instructions.main([]) == 0
    counted["scan"] = 210.0
    assert instructions.main([]) == 1
    said = capsys.readouterr()
    assert "scan: 210.0 instructions a row, +5.0% (gcc 12 x86_64)" in said.out
    assert "instructions: scan: 210.0 instructions a row, 200.0 before: +5.0%, more than 2%" in said.err


def test_an_update_leaves_the_numbers_of_other_compilers(counted: dict[str, float]) -> None:
    instructions.KEPT.write_text(json.dumps({"gcc 11 x86_64": {"scan": 1.0, "apply": 2.0}}))
    assert instructions.main(["--update"]) == 0
    assert json.loads(instructions.KEPT.read_text()) == {
        "gcc 11 x86_64": {"scan": 1.0, "apply": 2.0},
        "gcc 12 x86_64": counted,
    }


def test_every_value_of_every_switch_is_counted_and_all_of_them_together() -> None:
    names = instructions.policies()
    assert names[0] == ""
    single = {name for name in names if name.count("=") == 1}
    assert single == {f"{each.name}={value}" for each in SWITCHES for value in list(each.values)[1:]}
    assert set(PRESETS) < set(names)
    assert len(str(Policy(names[-1])).split(",")) == len(SWITCHES) - len(EXCLUDED)


def test_what_was_dumped_is_read_by_number_without_what_came_before(tmp_path: Path) -> None:
    for number, count in ((1, 900), (2, 30), (3, 70), (10, 80)):
        (tmp_path / f"callgrind.out.{number}").write_text(f"version: 1\nsummary: {count}\n\ntotals: {count}\n")
    (tmp_path / "callgrind.out").write_text("summary: 5\n")
    assert instructions.dumped(tmp_path) == [30, 70, 80]


def test_a_policy_is_counted_without_the_few_rows() -> None:
    counts = [100_000, 30_100_000, 200_000, 33_200_000]
    assert instructions.by_policy(counts, ["", "card"]) == {"": 300.0, "card": 330.0}
    with pytest.raises(BenchError, match="3 counts of 2 policies"):
        instructions.by_policy(counts[:3], ["", "card"])


@pytest.mark.parametrize(("count", "code"), [(335.9, 0), (336.4, 1)])
def test_a_policy_that_costs_more_than_twelve_percent_is_a_problem(
    count: float,
    code: int,
    counted: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(instructions, "count_policies", lambda _: {"": 300.0, "card": count})
    assert counted
    assert instructions.main(["--policies", "--update"]) == code
    assert instructions.main(["--policies"]) == code
    said = capsys.readouterr()
    assert "apply by default: 300.0 instructions a row, +0.0%" in said.out
    problem = "instructions: apply by card: 336.4 instructions a row, 300.0 by default: +12.1%, more than 12%"
    assert (problem in said.err) == bool(code)


@pytest.mark.usefixtures("counted")
def test_a_compiler_without_numbers_is_told_and_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert instructions.main([]) == 0
    assert "SKIPPED: instructions.json has no numbers for gcc 12 x86_64" in capsys.readouterr().out


def test_without_valgrind_nothing_is_counted_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert instructions.main([]) == 0
    assert capsys.readouterr().out.startswith("SKIPPED: no valgrind")
