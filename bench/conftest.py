"""Benchmarks run on one generated file; each run is saved, and rows per second are printed at the end.

    pytest bench --benchmark-compare

compares with the last saved run, if there is one. TXFAST_BENCH_ROWS sets the number of rows of the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import generate
import pytest
from measure import generator_version
from pytest_benchmark.fixture import BenchmarkFixture

# Ignored by git: saved runs, and the files that they read.
STORAGE = Path(__file__).resolve().parent.parent / ".benchmarks"
ROWS = int(os.environ.get("TXFAST_BENCH_ROWS", "500_000"))
ROUNDS = 7


class Speed(NamedTuple):
    stage: str
    rows: int
    seconds: float


SPEEDS = pytest.StashKey[list[Speed]]()
Measure = Callable[..., None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SPEEDS] = []
    if not config.option.benchmark_save:
        config.option.benchmark_autosave = "stages"
    if config.option.benchmark_storage == "file://./.benchmarks":
        config.option.benchmark_storage = f"file://{STORAGE}"
    if config.option.benchmark_compare and config.option.benchmark_group_by == "group":
        config.option.benchmark_group_by = "name"
    config.option.benchmark_columns = config.option.benchmark_columns or ["min", "median", "mean", "stddev", "rounds"]


# The number of rows is part of each benchmark's name, so that files of different sizes are never compared.
@pytest.fixture(scope="session", params=[ROWS], ids=lambda rows: f"{rows}_rows")
def transactions() -> Path:
    """A file of ROWS rows, made once for each version of the generator."""
    path = STORAGE / "inputs" / f"{ROWS}-{generator_version()}.csv"
    if not path.exists() and generate.main([str(ROWS), "-o", str(path)]):
        pytest.fail(f"{path} could not be made")
    return path


@pytest.fixture
def measure(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Measure:
    """Measure a stage: call `run` ROUNDS times, each with a new result of `prepare`, and record rows per second."""

    def run_rounds(rows: int, run: Callable[..., object], prepare: Callable[[], object] | None = None) -> None:
        def arguments() -> tuple[tuple[object], dict[str, Any]]:
            assert prepare is not None
            return (prepare(),), {}

        benchmark.pedantic(  # type: ignore[no-untyped-call]
            run, setup=arguments if prepare else None, rounds=ROUNDS, warmup_rounds=1
        )
        if benchmark.stats is not None:
            seconds = benchmark.stats.stats.median
            benchmark.extra_info["rows"] = rows
            benchmark.extra_info["rows_per_second"] = round(rows / seconds)
            request.config.stash[SPEEDS].append(Speed(request.node.name, rows, seconds))

    return run_rounds


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.stash[SPEEDS]:
        return
    terminalreporter.section("rows per second (median)", sep="-")
    for speed in config.stash[SPEEDS]:
        per_second = speed.rows / speed.seconds
        terminalreporter.write_line(
            f"{speed.stage:<40} {per_second:>13,.0f}  ({speed.rows:,} rows in {speed.seconds:.4f} s)"
        )
