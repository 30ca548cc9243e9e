"""The campaigns name tests and modules in their settings: each name must exist, or a campaign would leave it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns import coverage_report, sanitizers, wheels
from tests.support.project import PROJECT_ROOT

pytestmark = pytest.mark.unmeasured

TESTS = PROJECT_ROOT / "tests"


def assert_test_exists(name: str) -> None:
    """A file or folder of tests, or `file::test`."""
    path, _, test = name.partition("::")
    assert (PROJECT_ROOT / path).exists(), name
    assert not test or f"def {test}(" in (PROJECT_ROOT / path).read_text(), name


@pytest.mark.parametrize(
    "names",
    [
        coverage_report.KERNEL_TESTS,
        coverage_report.QUICK_TESTS,
        *sanitizers.DESELECTED.values(),
        [f"tests/{file}" for file in (*sanitizers.QUICK_TESTS, *sanitizers.PRELOADING_TESTS, *sanitizers.THREAD_TESTS)],
        [f"tests/{file}" for file in (*sanitizers.QUICK_THREAD_TESTS, sanitizers.OVERRUN_TEST, *wheels.TESTS)],
    ],
)
def test_a_test_that_a_campaign_names_exists(names: list[str]) -> None:
    for name in names:
        assert_test_exists(name)


@pytest.mark.parametrize(
    "module", [*coverage_report.QUICK_MODULES, *sanitizers.QUICK_THREAD_MODULES, sanitizers.OVERRUN_MODULE]
)
def test_a_module_that_a_campaign_builds_exists(module: str) -> None:
    assert Path(PROJECT_ROOT, *module.split(".")).with_suffix(".pyx").is_file()


def test_a_source_that_must_be_covered_exists() -> None:
    assert [name for name in coverage_report.COVERED if not (PROJECT_ROOT / name).is_file()] == []
