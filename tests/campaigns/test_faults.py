"""Runs in which a system call or an allocation fails or is cut short, by the shim of campaigns/faults."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from tests.campaigns.faults.campaign import (
    CLEAN,
    RIGHT,
    TEMPORARY,
    Campaign,
    Fault,
    Tally,
    faults_of,
    run_campaign,
)
from tests.campaigns.faults.scenarios import SCENARIOS, Scenario

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the shim replaces functions of glibc"),
    pytest.mark.untraced,
    pytest.mark.unmeasured,
]

SCENARIO_BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
ONE_THREAD = SCENARIO_BY_NAME["one thread"]
STRICT = SCENARIO_BY_NAME["strict"]
LINK = SCENARIO_BY_NAME["a link to the output"]
STANDARD = SCENARIO_BY_NAME["standard input and output"]
NEW = SCENARIO_BY_NAME["several inputs, nothing there before"]
NAMED = SCENARIO_BY_NAME["temporary files with names"]
STRICT_NAMED = STRICT._replace(name="strict, temporary files with names", named=True)
WRITER = "writers/file.py:"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    return Campaign(tmp_path_factory.mktemp("faults"))


def faults_on(campaign: Campaign, scenario: Scenario, function: str, *files: str, line: str = "") -> list[Fault]:
    """All faults of a function's calls on these files, from lines of Python that begin so."""
    calls = [call for call in campaign.count(scenario) if call.function == function]
    numbers = [
        number
        for number, call in enumerate(calls, 1)
        if TEMPORARY.sub("", call.file) in files and call.line.startswith(line)
    ]
    return [fault for fault in faults_of(calls) if fault.call in numbers]


def outcomes_of(campaign: Campaign, scenario: Scenario, function: str, *files: str, line: str = "") -> set[str]:
    """Inject all faults of a function's calls on these files. Returns the outcomes; every fault must be met."""
    faults = faults_on(campaign, scenario, function, *files, line=line)
    assert faults
    outcomes = list(campaign.inject_all([(scenario, fault) for fault in faults]))
    assert all(met for met, _ in outcomes)
    return {outcome for _, outcome in outcomes}


# ---- The campaign itself ---------------------------------------------------------------------------


def test_the_shim_sees_every_kind_of_call(campaign: Campaign) -> None:
    calls = campaign.count(ONE_THREAD)
    seen = {(call.function, TEMPORARY.sub("", call.file)) for call in calls}
    outputs = {"a.csv", "r.csv", "s.json"}
    assert seen >= {(function, name) for function in ("write", "fsync", "close", "link", "rename") for name in outputs}
    assert seen >= {("open", "r.csv"), ("open", "s.json"), ("open", ".")}
    assert seen >= {(function, "large.csv") for function in ("open", "stat", "read", "close")}
    assert seen >= {(function, "memory") for function in ("malloc", "calloc", "realloc")}
    # Several blocks were read and written, and the tables grew.
    for function, file in (("read", "large.csv"), ("write", "a.csv"), ("calloc", "memory")):
        assert len([call for call in calls if (call.function, TEMPORARY.sub("", call.file)) == (function, file)]) > 3
    assert "writers/file.py" in {call.line.partition(":")[0] for call in calls if call.function == "write"}


@pytest.mark.parametrize(
    ("sabotage", "function", "error", "words"),
    [
        ("ignored write errors", "write", "EIO", "csv has other content"),
        ("ignored write errors", "write", "short", "csv has other content"),
        ("temporary files left", "read", "EIO", ".part is left"),
        ("published at once", "read", "EIO", "csv has other content"),
    ],
)
def test_a_planted_defect_is_reported(tmp_path: Path, sabotage: str, function: str, error: str, words: str) -> None:
    sabotaged = Campaign(tmp_path, sabotage=sabotage)
    met, outcome = sabotaged.inject(ONE_THREAD, Fault(function, 3, error))
    assert met
    assert words in outcome


# ---- Outcomes of faults ----------------------------------------------------------------------------


def test_an_input_that_cannot_be_closed_changes_nothing(campaign: Campaign) -> None:
    assert outcomes_of(campaign, STRICT, "close", "small.csv") == {RIGHT}


def test_an_output_that_cannot_be_closed_fails_the_run_before_publication(campaign: Campaign) -> None:
    assert outcomes_of(campaign, LINK, "close", "target.csv", line=WRITER) == {CLEAN}
    assert outcomes_of(campaign, STRICT, "close", "r.csv", "s.json", line=WRITER) == {CLEAN}
    assert outcomes_of(campaign, STANDARD, "close", "stdout.csv") == {CLEAN}


def test_a_published_output_need_not_close(campaign: Campaign) -> None:
    for scenario in (LINK, NEW, NAMED):
        files = ("a.csv", "target.csv", "r.csv", "s.json")
        assert outcomes_of(campaign, scenario, "close", *files, line="writers/temporary.py:") == {RIGHT}


def test_an_output_that_is_discarded_need_not_close_or_be_removed(campaign: Campaign) -> None:
    assert outcomes_of(campaign, STRICT, "close", "a.csv") == {RIGHT}
    assert outcomes_of(campaign, STRICT_NAMED, "unlink", "a.csv") == {RIGHT}


def test_a_folder_that_cannot_be_synced_changes_nothing(campaign: Campaign) -> None:
    for function in ("open", "fsync", "close"):
        assert outcomes_of(campaign, STRICT, function, ".") == {RIGHT}


def test_a_failure_is_reported_even_if_the_log_gets_no_memory(campaign: Campaign) -> None:
    [last, *_] = [fault for fault in reversed(list(faults_of(campaign.count(STRICT)))) if fault.function == "calloc"]
    assert last.lasts
    assert campaign.inject(STRICT, last) == (True, CLEAN)
    # The log's own allocations, for the malformed row and then for the failure. Python asks for memory in large pieces,
    # so that either line may be the one that needs more: a row's line without memory fails the run, which is reported.
    mallocs = [call for call in campaign.count(STRICT) if call.function == "malloc"]
    logged = [number for number, call in enumerate(mallocs, 1) if call.line.startswith("log")]
    outcomes = [campaign.inject(STRICT, Fault("malloc", number, "ENOMEM")) for number in logged]
    assert (True, RIGHT) in outcomes
    assert set(outcomes) <= {(True, RIGHT), (True, CLEAN)}


@pytest.mark.parametrize(("scenario", "function"), [(ONE_THREAD, "rename"), (NAMED, "rename"), (NEW, "link")])
def test_a_file_that_does_not_get_its_name_leaves_all_outputs_unchanged(
    campaign: Campaign, scenario: Scenario, function: str
) -> None:
    outputs = ("r.csv", "s.json", "a.csv", "target.csv")
    assert outcomes_of(campaign, scenario, function, *outputs) == {CLEAN}


def test_a_file_without_a_name_that_cannot_get_one_leaves_all_outputs_unchanged(campaign: Campaign) -> None:
    assert outcomes_of(campaign, LINK, "link", "target.csv") == {CLEAN}


def test_a_file_system_without_files_that_have_no_name_changes_nothing(campaign: Campaign) -> None:
    assert outcomes_of(campaign, STRICT, "open", ".", line="writers/temporary.py:") == {RIGHT}


def test_outputs_are_published_even_if_the_old_ones_cannot_be_kept(campaign: Campaign) -> None:
    assert outcomes_of(campaign, STRICT_NAMED, "link", "r.csv") == {RIGHT}
    assert outcomes_of(campaign, STRICT, "unlink", "r.csv") == {RIGHT}


def test_a_link_that_cannot_be_followed_is_not_replaced(campaign: Campaign) -> None:
    for function in ("stat", "readlink"):
        assert outcomes_of(campaign, LINK, function, "link.csv") <= {CLEAN, RIGHT}


def test_threads_that_cannot_be_started_fail_the_run(campaign: Campaign) -> None:
    assert outcomes_of(campaign, STANDARD, "pthread_create", "threads") == {CLEAN}


def test_a_fault_leaves_the_earlier_outputs_or_the_right_ones(campaign: Campaign) -> None:
    tally = Tally()
    for scenario in SCENARIOS:
        imports_pyarrow = scenario.state_of or scenario.name == "Parquet rejects"  # which is slow
        run_campaign(campaign, scenario, tally, every=97 if imports_pyarrow else 37)
    assert tally.third_outcomes == []
    assert tally.injected.total() > 50
    assert tally.clean.total() > tally.injected.total() // 4
    assert tally.right.total() > 0
