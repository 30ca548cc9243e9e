"""Makes every system call on a run's own files, and every allocation of the kernel, fail or fall short, one a run.

    python -m tests.campaigns.faults.campaign [--every N]

Each scenario is run once without the shim, which says what is right; once with it, to count the calls; and then once
for every call and every fault that it may meet. Such a run must end in one of two ways:

    right   exactly as without the fault: exit code, standard error and every output
    clean   exit code 1, one line that names the file whose call failed, or says that memory ran out; the outputs
            are what they were before the run, and no temporary file is left (but one that could not be removed)

Anything else is a third outcome. Standard output is no file that could be kept: after a failure it holds the first
part of what is right, or nothing.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
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

import txfast
from tests.support.command import VOLATILE_STATS

HERE = Path(__file__).resolve().parent
PACKAGE = Path(txfast.__file__).resolve().parent
PATIENCE_SECONDS = 60
PROCESSES = 2

ERRORS = ("ENOSPC", "EIO", "EINTR", "ENOMEM")
SHORT = "short"
# Those that a call may meet, and those that all later calls meet too: a full disk, a machine without memory.
SYSTEM_CALLS = (
    "stat", "readlink", "open", "fchmod", "dup", "fadvise", "fsync", "close", "link", "rename", "unlink", "madvise",
    "mkdir",
)  # fmt: skip
ALLOCATIONS = ("malloc", "calloc", "realloc", "posix_memalign")
FAULTS: dict[str, tuple[str, ...]] = {
    "read": (*ERRORS, SHORT),
    "write": (*ERRORS, SHORT),
    **dict.fromkeys(SYSTEM_CALLS, ERRORS),
    **dict.fromkeys(ALLOCATIONS, ("ENOMEM",)),
    "pthread_create": ("EAGAIN",),
}
LASTING = {"write": "ENOSPC", **dict.fromkeys(ALLOCATIONS, "ENOMEM")}

ERROR_CHARACTERS = 300
OUTPUTS = ("a.csv", "r.csv", "r.jsonl", "r.parquet", "s.json", "target.csv")
STANDARD_OUTPUT = "stdout.csv"
TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.part$")


# ---- Scenarios -------------------------------------------------------------------------------------


class Scenario(NamedTuple):
    """A command line, the files that it finds, and how it ends."""

    name: str
    arguments: tuple[str, ...]
    files: tuple[str, ...]
    exit_code: int = 0
    earlier_outputs: bool = True
    stdin: str | None = None
    links: tuple[tuple[str, str], ...] = ()  # each a symbolic link and its target
    spills: bool = False  # its ledgers go to disk at once, into the folder `spill`
    with_state: bool = False

    @property
    def outputs(self) -> list[str]:
        """The files that a run puts in place."""
        named = [dict(self.links).get(word, word) for word in self.arguments]
        return [word for word in named if word in OUTPUTS]


STATS = ("--stats", "s.json")
SPILL = "spill"
STATE = "state"
SCENARIOS = (
    Scenario(
        "one thread",
        ("large.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS),
        ("large.csv",),
    ),
    Scenario(
        "three threads",
        ("large.csv", "-q", "--threads", "3", "-o", "a.csv", "--rejects", "r.jsonl", *STATS),
        ("large.csv",),
    ),
    Scenario(
        "several inputs, nothing there before",
        ("small.csv", "other.csv", "large.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS),
        ("small.csv", "other.csv", "large.csv"),
        earlier_outputs=False,
    ),
    Scenario(
        "standard input and output",
        ("-", "-q", "--threads", "3", "--rejects", "r.jsonl", *STATS),
        ("large.csv",),
        stdin="large.csv",
    ),
    Scenario(
        "strict",
        ("small.csv", "-q", "--strict", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS),
        ("small.csv",),
        exit_code=3,
    ),
    Scenario(
        "an input that is none",
        ("small.csv", "none.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS),
        ("small.csv", "none.csv"),
        exit_code=1,
    ),
    Scenario(
        "a link to the output",
        ("small.csv", "-q", "--threads", "1", "-o", "link.csv"),
        ("small.csv",),
        links=(("link.csv", "target.csv"),),
    ),
    Scenario(
        "moved to disk",
        (
            "other.csv", "small.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS,
            "--memory-limit", "96MiB", "--spill-dir", SPILL,
        ),
        ("other.csv", "small.csv"),
        spills=True,
    ),
    Scenario(
        "Parquet rejects",
        ("small.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.parquet", *STATS),
        ("small.csv",),
    ),
    Scenario(
        "a state",
        (
            "small.csv", "other.csv", "-q", "--threads", "1", "--state", STATE, "-o", "a.csv", "--rejects", "r.csv",
            *STATS,
        ),
        ("small.csv", "other.csv"),
        with_state=True,
    ),
)  # fmt: skip


def inputs() -> dict[str, bytes]:
    """The files by name. The large one takes several blocks, and has the tables and the index grow."""
    header = b"type,client,tx,amount\n"
    chance = random.Random(1)
    large = []
    for tx in range(52_000):
        kind = chance.choice((b"deposit", b"deposit", b"deposit", b"withdrawal", b"dispute", b"resolve", b"fee"))
        large.append(b"%s,%d,%d,%d.25\n" % (kind, chance.randrange(tx // 2 + 5) + 1, tx, chance.randrange(900)))
    small = [b"deposit,%d,%d,7\n" % (tx % 90, tx) for tx in range(200)]
    small += [b"withdrawal,3,300,900\n", b"fee,4,301,1\n", b"dispute,3,3,\n", b"chargeback,3,3,\n"]
    other = [b"deposit,%d,%d,2\n" % (tx % 500, tx + 1000) for tx in range(5000)]
    return {
        "large.csv": header + b"".join(large),
        "small.csv": header + b"".join(small),
        "other.csv": header + b"".join(other),
        "none.csv": b"no,transactions\n1,2\n",
    }


# ---- One run ---------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """What a call meets: the `call`-th of this function, counted from 1; `lasts` says that all later ones do too."""

    function: str
    call: int
    error: str
    lasts: bool = False

    def __str__(self) -> str:
        return f"{self.function} {self.call}: {self.error}{' from there on' if self.lasts else ''}"


class Call(NamedTuple):
    """A call that the shim saw: on which file of the folder, `memory` or `threads`; and from where in C and Python."""

    function: str
    file: str
    place: str
    line: str


class Result(NamedTuple):
    """What a run left: how it ended, and all files in its folder, a link's target as its content."""

    exit_code: int
    errors: str
    files: Mapping[str, bytes]
    calls: tuple[Call, ...]


def build_shim(folder: Path) -> Path:
    """Compile the shim into a folder."""
    shim = folder / "shim.so"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    options = ["-std=gnu11", "-O1", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run([*compiler, *options, "-o", shim, HERE / "shim.c", "-ldl"], check=True)
    return shim


class Campaign:
    """Runs in folders below one, with a shim that is built there."""

    def __init__(self, folder: Path, *, sabotage: str = "") -> None:
        self._folder = folder.resolve()
        self._shim = build_shim(self._folder)
        self._sabotage = sabotage
        self._right: dict[str, Result] = {}
        for name, content in inputs().items():
            (self._folder / name).write_bytes(content)

    def right(self, scenario: Scenario) -> Result:
        """What a run leaves that nothing watches."""
        if scenario.name not in self._right:
            right = self.run(scenario, watched=False)
            assert right.exit_code == scenario.exit_code, right.errors
            self._right[scenario.name] = right
        return self._right[scenario.name]

    def count(self, scenario: Scenario) -> tuple[Call, ...]:
        """The calls of a run that meets no fault."""
        counted = self.run(scenario)
        outcome = judge(scenario, self.right(scenario), counted, self._state_before(scenario))
        assert outcome == RIGHT, f"{scenario.name}: {outcome}"
        return counted.calls

    def inject_all(self, cases: Sequence[tuple[Scenario, Fault]]) -> Iterator[tuple[bool, str]]:
        """What `inject` says of each case, in their order. Some run at the same time."""
        with ThreadPoolExecutor(PROCESSES) as pool:
            yield from pool.map(lambda case: self.inject(*case), cases)

    def inject(self, scenario: Scenario, fault: Fault) -> tuple[bool, str]:
        """Whether a run met this fault, and what came of it: RIGHT, CLEAN, or what is wrong."""
        result = self.run(scenario, fault)
        return bool(result.calls), judge(scenario, self.right(scenario), result, self._state_before(scenario))

    def run(self, scenario: Scenario, fault: Fault | None = None, *, watched: bool = True) -> Result:
        """One run in a fresh folder and a fresh process."""
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
        if scenario.with_state:
            self._make_state()
            shutil.copytree(self._folder / STATE, folder / STATE)

    def _state_before(self, scenario: Scenario) -> bytes:
        return content_of(self._folder / STATE) if scenario.with_state else b""

    def _make_state(self) -> None:
        """What an earlier run has left, with an input that no later one has."""
        earlier_run = Scenario("", ("small.csv", "-q", "--state", STATE), ())
        if not (self._folder / STATE).exists():
            exit_code, errors = self._start(self._folder, earlier_run, {})
            assert exit_code == 0, errors
            (self._folder / STANDARD_OUTPUT).unlink()

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
            "FAULTS_SPILL": str(int(scenario.spills)),
        }

    def _start(self, folder: Path, scenario: Scenario, variables: Mapping[str, str]) -> tuple[int, str]:
        path = os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)])
        places = {"FAULTS_PATH": path, "FAULTS_PACKAGE": str(PACKAGE)}
        command = [sys.executable, "-I", "-S", str(HERE / "driver.py")]
        if not variables:
            command = [sys.executable, "-c", "from txfast.__main__ import entry; entry()"]
            places = {"PYTHONPATH": path}
        own = {name: value for name, value in os.environ.items() if not name.startswith("TXFAST_")}
        with (
            open(folder / scenario.stdin if scenario.stdin else os.devnull, "rb") as stdin,
            open(folder / STANDARD_OUTPUT, "wb") as stdout,
        ):
            try:
                ended = subprocess.run(
                    [*command, *scenario.arguments], cwd=folder, env={**own, **places, **variables},
                    stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=PATIENCE_SECONDS, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return -1, f"it did not end within {PATIENCE_SECONDS} seconds"
        return ended.returncode, ended.stderr.decode()


def content_of(path: Path) -> bytes:
    """A file's content, without the figures that differ from run to run."""
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
    if path.name == "s.json" and content.startswith(b"{"):
        figures = json.loads(content)
        content = json.dumps([(name, figures[name]) for name in figures if name not in VOLATILE_STATS]).encode()
    return content


def without_volatile(fields: dict[str, Any]) -> dict[str, Any]:
    """A state's manifest without when and where it was made."""
    inputs = {Path(path).name: place for path, place in fields["inputs"].items()}
    return {**fields, "created": "", "hash": "", "inputs": inputs}


def earlier(name: str) -> bytes:
    """What an output held before the run."""
    return f"{name} of an earlier run\n".encode()


# ---- What is right ---------------------------------------------------------------------------------

RIGHT = "right"
CLEAN = "clean"


def judge(scenario: Scenario, right: Result, result: Result, state_before: bytes) -> str:
    """RIGHT, CLEAN, or what is wrong with it."""
    wrong = differences(result, right.files)
    if (result.exit_code, result.errors) == (right.exit_code, right.errors) and not wrong:
        return RIGHT
    if result.exit_code != 1:
        return f"exit code {result.exit_code}, {wrong or 'right outputs'}: {result.errors[-ERROR_CHARACTERS:]}"
    lines = result.errors.splitlines()
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"no line that says what failed: {result.errors[-ERROR_CHARACTERS:]}"
    if not result.calls:
        return f"a failure without a fault: {lines[0]}"
    if result.errors != right.errors and not names_failure(lines[0], scenario, result.calls[0]):
        return f"a line that names something else than {result.calls[0].file}: {lines[0]}"
    before = {name: content for name, content in right.files.items() if name in scenario.files}
    before |= {name: earlier(name) for name in scenario.outputs if scenario.earlier_outputs}
    before |= {name: f"-> {target}".encode() for name, target in scenario.links}
    if scenario.with_state:
        before[STATE] = state_before
    printed = result.files.get(STANDARD_OUTPUT, b"")
    before[STANDARD_OUTPUT] = printed if right.files[STANDARD_OUTPUT].startswith(printed) else b""
    return differences(result, before) or CLEAN


def differences(result: Result, wanted: Mapping[str, bytes]) -> str:
    """How the files that a run left differ from those wanted; empty where they do not.

    A temporary file that the system would not remove may be there.
    """
    kept = {call.file for call in result.calls if call.function == "unlink" and TEMPORARY.search(call.file)}
    wrong = [f"{name} is gone" for name in sorted(wanted.keys() - result.files.keys())]
    wrong += [f"{name} is left" for name in sorted(result.files.keys() - wanted.keys() - kept)]
    for name in sorted(wanted.keys() & result.files.keys()):
        if result.files[name] != wanted[name]:
            wrong.append(f"{name} has other content ({len(result.files[name])} bytes for {len(wanted[name])})")
    return ", ".join(wrong)


def names_failure(line: str, scenario: Scenario, call: Call) -> bool:
    """Whether a line of an error tells of this call."""
    if call.file == "memory":
        return line.startswith("error: out of memory: ")
    name = SPILL if call.file.startswith(f"{SPILL}/") else TEMPORARY.sub("", call.file)
    if name.split("/")[0] == STATE:
        return line.startswith(f"error: {STATE}")
    names = {name, *(link for link, target in scenario.links if target == name)}
    if name == scenario.stdin:
        names = {"standard input"}
    elif name == STANDARD_OUTPUT:
        names = {"standard output"}
    return any(line.startswith(f"error: {name}: ") for name in names)


# ---- The campaign ----------------------------------------------------------------------------------


class Tally:
    """What became of the faults, by function."""

    def __init__(self) -> None:
        self.places: dict[str, set[tuple[str, str]]] = defaultdict(set)
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
            self.places[call.function].add((call.place, call.line))

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
                yield self._line(function, len(self.places[function]), [
                    counter[function] for counter in (self.calls, self.injected, self.clean, self.right, self.third)
                ])  # fmt: skip
        yield self._line("all", sum(map(len, self.places.values())), [
            counter.total() for counter in (self.calls, self.injected, self.clean, self.right, self.third)
        ])  # fmt: skip

    def _line(self, name: str, sites: int, counts: list[int]) -> str:
        calls, injected, clean, right, third = counts
        return f"{name:<15}{sites:>7}{calls:>8}{injected:>10}{clean:>8}{right:>8}{third:>7}"


def faults_of(calls: Iterable[Call]) -> Iterator[Fault]:
    """Every fault that these calls may meet."""
    for function, count in Counter(call.function for call in calls).items():
        for call in range(1, count + 1):
            for error in FAULTS[function]:
                yield Fault(function, call, error)
            if function in LASTING:
                yield Fault(function, call, LASTING[function], lasts=True)


def run_campaign(campaign: Campaign, scenario: Scenario, tally: Tally, *, every: int = 1) -> None:
    """Inject every fault that a scenario can meet, or one in so many of them, and tally what became of it."""
    calls = campaign.count(scenario)
    tally.count(calls)
    cases = [(scenario, fault) for fault in faults_of(calls)][::every]
    for (_, fault), (met, outcome) in zip(cases, campaign.inject_all(cases), strict=True):
        tally.add(scenario, fault, met=met, outcome=outcome)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make every call of a run fail, one a run.")
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
    print(f"{tally.not_met} faults were not met: with several threads, not every run makes as many calls")
    return 1 if tally.third_outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
