"""The instruction gate: what it makes of callgrind's report, and which growth it refuses. Nothing is counted here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import instructions
import pytest
from measure import BenchError

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
