"""The corpus of the fuzzers, with all earlier findings: each file runs through its target, without a fuzzer."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tests.campaigns import fuzz
from tests.campaigns.fuzz import run
from tests.support.project import PROJECT_ROOT, copy_project

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

Target = Callable[[bytes], None]

CORPUS = sorted(path for path in run.CORPUS.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    """The targets by name. Their probe is built first."""
    folder = tmp_path_factory.mktemp("probe")
    shutil.copy(run.FOLDER / "probe.pyx", folder)
    run.build_module(folder / "probe.pyx", os.environ | {"CFLAGS": "-O0"}, PROJECT_ROOT)
    # The targets import the probe as their neighbour, but it was built in another folder.
    [built] = folder.glob("probe*.so")
    spec = spec_from_file_location("tests.campaigns.fuzz.probe", built)
    assert spec is not None
    assert spec.loader is not None
    probe = module_from_spec(spec)
    sys.modules[spec.name] = probe
    setattr(fuzz, "probe", probe)  # noqa: B010 (mypy knows no attribute of that name)
    spec.loader.exec_module(probe)
    found: dict[str, Target] = import_module("tests.campaigns.fuzz.targets").TARGETS
    return found


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_kernel_and_reference_agree_on_a_file_of_the_corpus(path: Path, targets: dict[str, Target]) -> None:
    targets[path.parent.name](path.read_bytes())


def test_each_target_has_a_corpus_and_is_run() -> None:
    assert {path.parent.name for path in CORPUS} == set(run.TARGETS)


def test_a_target_accepts_no_bytes(targets: dict[str, Target]) -> None:
    assert targets.keys() == {*run.TARGETS, run.CANARY}
    for target in targets.values():
        target(b"")


def test_each_constant_that_the_fuzzers_make_small_is_where_it_is_looked_for(tmp_path: Path) -> None:
    copy_project(tmp_path)
    run.make_small(tmp_path)
    for name, changes in run.SMALL.items():
        text = (tmp_path / name).read_text()
        assert all(small in text for _large, small in changes), name


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.parse_arguments(["rows"])
    assert "no target 'rows': it is one of row, plain" in capsys.readouterr().err
