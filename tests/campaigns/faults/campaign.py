"""Injects a fault into each system call on a run's own files, and into each allocation of the kernel, one a run.

    python -m tests.campaigns.faults.campaign [--every N]

A fault is an error, or a read or write of fewer bytes. Each scenario runs once without the shim, for the right result;
once with the shim, to count the calls; and then once for each call and each fault of that call. Such a run must end in
one of two ways:

    right   exactly as without the fault: exit code, standard error and every output
    clean   exit code 1, one line that names the file whose call failed, or says that memory ran out; outputs are
            unchanged from before the run, and no temporary file is left (except one that could not be removed)

Anything else is a third outcome and fails the campaign. Standard output cannot be restored: after a failure it holds
the start of the right output, or nothing.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

import txfast
from tests.campaigns.faults.scenarios import SCENARIOS, SPILL, STATE, Scenario, inputs
from tests.support.command import VOLATILE_STATS

HERE = Path(__file__).resolve().parent
PACKAGE = Path(txfast.__file__).resolve().parent
PATIENCE_SECONDS = 60
PROCESSES = 2

ERRORS = ("ENOSPC", "EIO", "EINTR", "ENOMEM")
SHORT = "short"
SYSTEM_CALLS = (
    "stat", "readlink", "open", "fchmod", "dup", "fadvise", "fsync", "close", "link", "rename", "unlink", "madvise",
    "mkdir",
)  # fmt: skip
ALLOCATIONS = ("malloc", "calloc", "realloc", "posix_memalign")
# By function: the faults of one call; and the fault that a call and all later ones have (a full disk, no memory).
FAULTS: dict[str, tuple[str, ...]] = {
    "read": (*ERRORS, SHORT),
    "write": (*ERRORS, SHORT),
    **dict.fromkeys(SYSTEM_CALLS, ERRORS),
    **dict.fromkeys(ALLOCATIONS, ("ENOMEM",)),
    "pthread_create": ("EAGAIN",),
}
LASTING = {"write": "ENOSPC", **dict.fromkeys(ALLOCATIONS, "ENOMEM")}

ERROR_CHARACTERS = 300
STANDARD_OUTPUT = "stdout.csv"
TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.(part|progress|old)$")


# ---- One run ---------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """The fault of one call of a function, counted from 1. With `lasts`, all later calls have it too."""

    function: str
    call: int
    error: str
    lasts: bool = False

    def __str__(self) -> str:
        return f"{self.function} {self.call}: {self.error}{' from there on' if self.lasts else ''}"


class Call(NamedTuple):
    """A call that the shim saw: on a file of the folder, `memory` or `threads`; its site in C, its line of Python."""

    function: str
    file: str
    site: str
    line: str


class Result(NamedTuple):
    """The result of a run: exit code, standard error, and the files by name, with content (a link: its target)."""

    exit_code: int
    errors: str
    files: Mapping[str, bytes]
    calls: tuple[Call, ...]


def build_shim(folder: Path) -> Path:
    """Compile the shim into a folder. Returns its path."""
    shim = folder / "shim.so"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    options = ["-std=gnu11", "-O1", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*compiler, *options, "-o", shim, HERE / "shim.c", "-ldl"], check=True)
    return shim


class Campaign:
    """Runs scenarios, each in a new folder, with the shim."""

    def __init__(self, folder: Path, *, sabotage: str = "") -> None:
        self._folder = folder.resolve()
        self._shim = build_shim(self._folder)
        self._sabotage = sabotage
        self._right: dict[str, Result] = {}
        for name, content in inputs().items():
            (self._folder / name).write_bytes(content)

    def right(self, scenario: Scenario) -> Result:
        """The result of a run without the shim."""
        if scenario.name not in self._right:
            right = self.run(scenario, watched=False)
            assert right.exit_code == scenario.exit_code, right.errors
            self._right[scenario.name] = right
        return self._right[scenario.name]

    def count(self, scenario: Scenario) -> tuple[Call, ...]:
        """The calls of a run without a fault."""
        counted = self.run(scenario)
        outcome = judge(scenario, self.right(scenario), counted, self._state_before(scenario))
        assert outcome == RIGHT, f"{scenario.name}: {outcome}"
        return counted.calls

    def inject_all(self, cases: Sequence[tuple[Scenario, Fault]]) -> Iterator[tuple[bool, str]]:
        """The results of `inject` for all cases, in order. PROCESSES cases run at the same time."""
        with ThreadPoolExecutor(PROCESSES) as pool:
            yield from pool.map(lambda case: self.inject(*case), cases)

    def inject(self, scenario: Scenario, fault: Fault) -> tuple[bool, str]:
        """Inject a fault. Returns whether the run met it, and the outcome: RIGHT, CLEAN, or what is wrong."""
        result = self.run(scenario, fault)
        return bool(result.calls), judge(scenario, self.right(scenario), result, self._state_before(scenario))

    def run(self, scenario: Scenario, fault: Fault | None = None, *, watched: bool = True) -> Result:
        """Run a scenario in a new folder and a new process. `watched`: with the shim."""
        with tempfile.TemporaryDirectory(dir=self._folder) as made:
            folder = Path(made) / "run"
            folder.mkdir()
            self._fill(folder, scenario)
            log = Path(made) / "log"
            log.touch()
            variables = self._variables(folder, log, scenario, fault) if watched else {}
            exit_code, errors = self._start(folder, scenario, variables)
            calls = [Call(*line.split("\t")) for line in log.read_text().splitlines()]
            left = {path.name: content_of(path) for path in folder.iterdir() if path.name != SPILL}
            left |= {f"{SPILL}/{path.name}": b"" for path in folder.glob(f"{SPILL}/*")}
        return Result(exit_code, errors, left, tuple(calls))

    def _fill(self, folder: Path, scenario: Scenario) -> None:
        for name in scenario.files:
            os.link(self._folder / name, folder / name)
        if scenario.earlier_outputs:
            for name in scenario.outputs:
                (folder / name).write_bytes(earlier(name))
        for name, target in scenario.links:
            (folder / name).symlink_to(target)
        if scenario.state_of:
            shutil.copytree(self._earlier_state(scenario), folder / STATE)

    def _state_before(self, scenario: Scenario) -> bytes:
        return content_of(self._earlier_state(scenario)) if scenario.state_of else b""

    def _earlier_state(self, scenario: Scenario) -> Path:
        """The state of an earlier run, with an input that later runs do not have. It is made the first time."""
        state = self._folder / scenario.name
        if not state.exists():
            exit_code, errors = self._start(
                self._folder, Scenario("", (*scenario.state_of, "-q", "--state", state.name), ()), {}
            )
            assert exit_code == 0, errors
            (self._folder / STANDARD_OUTPUT).unlink()
        return state

    def _variables(self, folder: Path, log: Path, scenario: Scenario, fault: Fault | None) -> dict[str, str]:
        number = 0 if fault is None or fault.error == SHORT else getattr(errno, fault.error)
        return {
            "LD_PRELOAD": str(self._shim),
            "ARROW_DEFAULT_MEMORY_POOL": "system",
            "FAULTS_FOLDER": str(folder),
            "FAULTS_LOG": str(log),
            "FAULTS_FUNCTION": fault.function if fault else "",
            "FAULTS_CALL": str(fault.call if fault else 0),
            "FAULTS_ERROR": str(number),
            "FAULTS_LASTS": str(int(fault.lasts if fault else False)),
            "FAULTS_SABOTAGE": self._sabotage,
            "FAULTS_NAMED": str(int(scenario.named)),
            "FAULTS_SPILL": str(int(scenario.spills)),
        }

    def _start(self, folder: Path, scenario: Scenario, variables: Mapping[str, str]) -> tuple[int, str]:
        path = os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)])
        paths = {"FAULTS_PATH": path, "FAULTS_PACKAGE": str(PACKAGE)}
        command = [sys.executable, "-I", "-S", str(HERE / "driver.py")]
        if not variables:
            command = [sys.executable, "-c", "from txfast.__main__ import entry; entry()"]
            paths = {"PYTHONPATH": path}
        own = {name: value for name, value in os.environ.items() if not name.startswith("TXFAST_")}
        with (
            open(folder / scenario.stdin if scenario.stdin else os.devnull, "rb") as stdin,
            open(folder / STANDARD_OUTPUT, "wb") as stdout,
        ):
            try:
                ended = subprocess.run(
                    [*command, *scenario.arguments], cwd=folder, env={**own, **paths, **variables},
                    stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return -1, f"it did not end within {PATIENCE_SECONDS} seconds"
        return ended.returncode, ended.stderr.decode()


def content_of(path: Path) -> bytes:
    """The content of a file or folder, without figures that differ from run to run."""
    if path.is_symlink():
        return b"-> " + os.readlink(path).encode()
    if path.is_dir():
        return b"\n".join(
            b"%s: %s" % (str(file.relative_to(path)).encode(), content_of(file))
            for file in sorted(path.rglob("*"))
            if file.is_file()
        )
    if path.name == "manifest.json":
        return json.dumps(without_volatile(json.loads(path.read_bytes()))).encode()
    content = path.read_bytes()
    if path.suffix == ".arrow":  # of a state: its hashes are made with a random number
        rows = pa.ipc.open_file(path).read_all().to_pylist()
        return f"{len(content)} bytes: {rows}".encode()
    if path.name == "s.json" and content.startswith(b"{"):
        figures = json.loads(content)
        content = json.dumps([(name, figures[name]) for name in figures if name not in VOLATILE_STATS]).encode()
    return content


def without_volatile(fields: dict[str, Any]) -> dict[str, Any]:
    """A state's manifest without its time, its folder, and what a random number makes of each segment."""
    inputs = {Path(path).name: position for path, position in fields["inputs"].items()}
    files = {name: said["bytes"] for name, said in fields["files"].items()}
    runs = [
        [run["sort"], *({**segment, "number": 0, "index_hash": 0} for segment in run["segments"])]
        for run in fields["runs"]
    ]
    return {**fields, "created": "", "hash": "", "inputs": inputs, "files": files, "runs": runs}


def earlier(name: str) -> bytes:
    """The content of an output before the run."""
    return f"{name} of an earlier run\n".encode()


# ---- Outcomes --------------------------------------------------------------------------------------

RIGHT = "right"
CLEAN = "clean"


def judge(scenario: Scenario, right: Result, result: Result, state_before: bytes) -> str:
    """The outcome of a run: RIGHT, CLEAN, or what is wrong."""
    wrong = differences(result, right.files)
    if (result.exit_code, result.errors) == (right.exit_code, right.errors) and not wrong:
        return RIGHT
    if result.exit_code != 1:
        return f"exit code {result.exit_code}, {wrong or 'right outputs'}: {result.errors[-ERROR_CHARACTERS:]}"
    lines = result.errors.splitlines()
    if len(lines) != 1 or not lines[0].startswith("txfast: "):
        return f"no line that says what failed: {result.errors[-ERROR_CHARACTERS:]}"
    if not result.calls:
        return f"a failure without a fault: {lines[0]}"
    if result.errors != right.errors and not names_failure(lines[0], scenario, result.calls[0]):
        return f"a line that names something else than {result.calls[0].file}: {lines[0]}"
    before = {name: content for name, content in right.files.items() if name in scenario.files}
    before |= {name: earlier(name) for name in scenario.outputs if scenario.earlier_outputs}
    before |= {name: f"-> {target}".encode() for name, target in scenario.links}
    if scenario.state_of:
        before[STATE] = state_before
    printed = result.files.get(STANDARD_OUTPUT, b"")
    before[STANDARD_OUTPUT] = printed if right.files[STANDARD_OUTPUT].startswith(printed) else b""
    return differences(result, before) or CLEAN


def differences(result: Result, wanted: Mapping[str, bytes]) -> str:
    """The differences between a run's files and the wanted ones, in words; empty if there are none.

    A temporary file whose removal failed may be left.
    """
    kept = {call.file for call in result.calls if call.function == "unlink" and TEMPORARY.search(call.file)}
    wrong = [f"{name} is gone" for name in sorted(wanted.keys() - result.files.keys())]
    wrong += [f"{name} is left" for name in sorted(result.files.keys() - wanted.keys() - kept)]
    for name in sorted(wanted.keys() & result.files.keys()):
        if result.files[name] != wanted[name]:
            wrong.append(f"{name} has other content ({len(result.files[name])} bytes for {len(wanted[name])})")
    return ", ".join(wrong)


def names_failure(line: str, scenario: Scenario, call: Call) -> bool:
    """Whether an error line names the file of this call."""
    if call.file == "memory":
        return line.startswith("txfast: out of memory: ")
    name = SPILL if call.file.startswith(f"{SPILL}/") else TEMPORARY.sub("", call.file)
    if name.split("/")[0] == STATE:
        return line.startswith(f"txfast: {STATE}")
    names = {name, *(link for link, target in scenario.links if target == name)}
    if name == scenario.stdin:
        names = {"standard input"}
    elif name == STANDARD_OUTPUT:
        names = {"standard output"}
    return any(line.startswith(f"txfast: {name}: ") for name in names)


# ---- The campaign ----------------------------------------------------------------------------------


class Tally:
    """Counts of faults by function and outcome."""

    def __init__(self) -> None:
        self.sites: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self.calls: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()
        self.clean: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.third: Counter[str] = Counter()
        self.not_met = 0
        self.third_outcomes: list[str] = []

    def count(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self.calls[call.function] += 1
            self.sites[call.function].add((call.site, call.line))

    def add(self, scenario: Scenario, fault: Fault, *, met: bool, outcome: str) -> None:
        if not met and outcome == RIGHT:
            self.not_met += 1
            return
        self.injected[fault.function] += 1
        if outcome == CLEAN:
            self.clean[fault.function] += 1
        elif outcome == RIGHT:
            self.right[fault.function] += 1
        else:
            self.third[fault.function] += 1
            self.third_outcomes.append(f"{scenario.name}: {fault}: {outcome}")
            print(f"third outcome: {self.third_outcomes[-1]}", file=sys.stderr)

    def lines(self) -> Iterator[str]:
        yield f"{'function':<15}{'sites':>7}{'calls':>8}{'failures':>10}{'clean':>8}{'right':>8}{'third':>7}"
        for function in FAULTS:
            if self.calls[function]:
                yield self._line(function, len(self.sites[function]), [
                    counter[function] for counter in (self.calls, self.injected, self.clean, self.right, self.third)
                ])  # fmt: skip
        yield self._line("all", sum(map(len, self.sites.values())), [
            counter.total() for counter in (self.calls, self.injected, self.clean, self.right, self.third)
        ])  # fmt: skip

    def _line(self, name: str, sites: int, counts: list[int]) -> str:
        calls, injected, clean, right, third = counts
        return f"{name:<15}{sites:>7}{calls:>8}{injected:>10}{clean:>8}{right:>8}{third:>7}"


def faults_of(calls: Iterable[Call]) -> Iterator[Fault]:
    """All faults of these calls."""
    for function, count in Counter(call.function for call in calls).items():
        for call in range(1, count + 1):
            for error in FAULTS[function]:
                yield Fault(function, call, error)
            if function in LASTING:
                yield Fault(function, call, LASTING[function], lasts=True)


def run_campaign(campaign: Campaign, scenario: Scenario, tally: Tally, *, every: int = 1) -> None:
    """Inject all faults of a scenario, or one in `every` of them, and tally the outcomes."""
    calls = campaign.count(scenario)
    tally.count(calls)
    cases = [(scenario, fault) for fault in faults_of(calls)][::every]
    for (_, fault), (met, outcome) in zip(cases, campaign.inject_all(cases), strict=True):
        tally.add(scenario, fault, met=met, outcome=outcome)


def main() -> int:
    parser = argparse.ArgumentParser(description="Inject a fault into each call of a run, one a run.")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="inject only one fault in N")
    parser.add_argument("--scenario", choices=[scenario.name for scenario in SCENARIOS], help="only this one")
    options = parser.parse_args()
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="txfast-faults."))
    try:
        campaign = Campaign(folder)
        for scenario in SCENARIOS:
            if options.scenario in (None, scenario.name):
                run_campaign(campaign, scenario, tally, every=options.every)
                print(f"{scenario.name}: {tally.injected.total()} failures so far", file=sys.stderr)
    finally:
        shutil.rmtree(folder)
    print(*tally.lines(), sep="\n")
    print(f"{tally.not_met} faults were not met: with several threads, runs differ in their number of calls")
    return 1 if tally.third_outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
