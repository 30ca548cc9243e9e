"""Damages saved states and kills runs at random. Damages must be noticed; kills must leave no trace in the results.

    python -m tests.campaigns.crashes [--flips N] [--kills N] [--each] [--seed N]

A flip changes one byte of a snapshot's file, truncates the file or makes it longer. Opening the snapshot with all its
files must fail. For each tenth flip there is a run over the damaged state too, which must give the right accounts, or
fail and name the file. A kill ends a run that takes checkpoints, at a random moment or just before one of its calls on
files (fsync, rename, write, …), by the shim of campaigns/faults. Then the state must verify, and the same command must
go on to the results of an undisturbed run. `--each` also kills before every fsync, link and rename.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

import txfast
from tests.campaigns.faults.campaign import HERE, PACKAGE, TEMPORARY, build_shim
from tests.campaigns.faults.scenarios import inputs
from tests.support.command import VOLATILE_STATS
from txfast.errors import StateError
from txfast.state import manifest
from txfast.state.snapshots import open_snapshot

PATIENCE_SECONDS = 60
QUIET = logging.Logger("quiet", logging.CRITICAL)
OUTPUTS = ("out.csv", "r.csv", "s.json")
# Under it, accounts and payments have details, which the files of a snapshot then hold too.
POLICY = ("--policy", "card")
COMMAND = (
    "small.csv", "large.csv", "other.csv", "-q", *POLICY, "--state", "state", "--checkpoint", "0", "--threads", "3",
    "-o", "out.csv", "--rejects", "r.csv", "--stats", "s.json",
)  # fmt: skip
# The shim's functions that change something on disk, unlike `stat` or `read`: a crash between two of them matters.
FUNCTIONS = ("open", "write", "fsync", "close", "rename", "link")


def damages(chance: random.Random, content: bytes) -> Iterator[bytes]:
    """Variants of a file: with one byte changed, shorter, or longer."""
    while True:
        index = chance.randrange(len(content))
        turned = bytearray(content)
        turned[index] ^= 1 << chance.randrange(8)
        yield bytes(turned)
        turned = bytearray(content)
        turned[index] = (turned[index] + chance.randrange(1, 256)) % 256
        yield bytes(turned)
        yield content[:index]
        yield content + bytes([chance.randrange(256)])


def count_unnoticed(snapshot: Path, flips: int, chance: random.Random) -> int:
    """Damage a snapshot's files `flips` times, each time restoring them. Returns the number of unnoticed damages."""
    unnoticed = 0
    files = sorted(path.name for path in snapshot.iterdir())
    for number, file in enumerate(files):
        whole = (snapshot / file).read_bytes()
        share = flips // len(files) + (number < flips % len(files))
        for _, damaged in zip(range(share), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            try:
                open_snapshot(str(snapshot))
            except StateError:
                continue
            unnoticed += 1
        (snapshot / file).write_bytes(whole)
    return unnoticed


def count_wrong(start: Path, flips: int, chance: random.Random) -> int:
    """Damage files of the newest snapshot `flips` times, each time in a copy of the state, and run over the inputs.
    Returns how often the accounts were wrong, or the error did not name the file."""
    copy = start / "copy"
    snapshot = copy / "snapshot-1"

    def run() -> list[tuple[object, ...]]:
        result = txfast.process(start / "small.csv", start / "other.csv", state=copy, policy=POLICY[1], logger=QUIET)
        return list(map(tuple, result.accounts))

    shutil.copytree(start / "state", copy)
    right, wrong = run(), 0
    for _ in range(flips):
        shutil.rmtree(copy)
        shutil.copytree(start / "state", copy)
        path = chance.choice(sorted(snapshot.iterdir()))
        path.write_bytes(next(islice(damages(chance, path.read_bytes()), chance.randrange(4), None)))
        try:
            wrong += run() != right
        except StateError as error:
            wrong += path.name not in str(error)
    shutil.rmtree(copy)
    return wrong


class Killings:
    """Kills runs of one command, each in a folder of its own."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self._folder = folder.resolve()
        self._chance = chance
        self._shim = build_shim(self._folder)
        self._start = self._folder / "start"
        self._start.mkdir()
        for name, content in inputs().items():
            (self._start / name).write_bytes(content)
        # An earlier run has read the first half of one input.
        small = (self._start / "small.csv").read_bytes()
        (self._start / "small.csv").write_bytes(small[: small.index(b"\n", len(small) // 2) + 1])
        self._run(self._start, ("small.csv", "-q", "--state", "state", *POLICY))
        (self._start / "small.csv").write_bytes(small)
        right = self._copy()
        started = time.monotonic()
        assert self._run(right) == 0
        self._seconds = time.monotonic() - started
        self.right = left_in(right)
        self._calls = self._count()

    def _copy(self) -> Path:
        """A new folder with the inputs and the state of the earlier run."""
        folder = Path(tempfile.mkdtemp(dir=self._folder)) / "run"
        shutil.copytree(self._start, folder)
        manifest_path = folder / "state" / "snapshot-1" / manifest.NAME
        fields = json.loads(manifest_path.read_bytes())
        del fields["hash"]
        # The state knows inputs by their paths.
        fields["inputs"] = {str(folder / Path(path).name): position for path, position in fields["inputs"].items()}
        manifest_path.write_bytes(manifest.text_of(fields))
        return folder

    def _environment(self, folder: Path, function: str = "", call: int = 0) -> dict[str, str]:
        log = folder.parent / "log"
        log.touch()
        return {
            "LD_PRELOAD": str(self._shim), "ARROW_DEFAULT_MEMORY_POOL": "system",
            "FAULTS_FOLDER": str(folder), "FAULTS_LOG": str(log), "FAULTS_FUNCTION": function,
            "FAULTS_CALL": str(call), "FAULTS_ERROR": "-1", "FAULTS_LASTS": "0", "FAULTS_SABOTAGE": "",
            "FAULTS_PATH": os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)]),
            "FAULTS_PACKAGE": str(PACKAGE),
        }  # fmt: skip

    def _run(
        self,
        folder: Path,
        arguments: tuple[str, ...] = COMMAND,
        watched: Mapping[str, str] | None = None,
        kill_after_seconds: float | None = None,
    ) -> int:
        """Run the command. Returns its exit code, negative for a signal. Raises AssertionError if it fails."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("TXFAST_")}
        command = [sys.executable, "-c", "from txfast.__main__ import entry; entry()"]
        own["PYTHONPATH"] = os.pathsep.join([str(PACKAGE.parent), *filter(None, sys.path)])
        if watched:
            command = [sys.executable, "-I", "-S", str(HERE / "driver.py")]
        with subprocess.Popen(
            [*command, *arguments], cwd=folder, env={**own, **(watched or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                _, errors = process.communicate(timeout=kill_after_seconds or PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                _, errors = process.communicate()
        if process.returncode > 0:
            raise AssertionError(f"{' '.join(arguments)}: exit code {process.returncode}: {errors.decode()}")
        return process.returncode

    def _count(self) -> Counter[str]:
        """The number of calls of each function in an undisturbed run."""
        folder = self._copy()
        self._run(folder, watched=self._environment(folder))
        calls = (folder.parent / "log").read_text().splitlines()
        shutil.rmtree(folder.parent)
        return Counter(call.partition("\t")[0] for call in calls)

    def each(self) -> Iterator[tuple[str, str]]:
        """As `kill`, before every fsync, link and rename."""
        for function in ("fsync", "link", "rename"):
            for call in range(1, self._calls[function] + 1):
                yield self.kill_at(function, call)

    def kill_at(self, function: str, call: int) -> tuple[str, str]:
        """As `kill`, before this call of a function."""
        folder = self._copy()
        try:
            code = self._run(folder, watched=self._environment(folder, function, call))
            where = f"before {function} {call} of {self._calls[function]}"
            return where, self._look(folder, was_killed=code == -signal.SIGKILL)
        finally:
            shutil.rmtree(folder.parent)

    def kill(self) -> tuple[str, str]:
        """Kill a run at random, then go on. Returns (where it was killed, what is wrong afterwards or "")."""
        function = self._chance.choice([*FUNCTIONS, *["a moment"] * len(FUNCTIONS)])
        if function != "a moment":
            return self.kill_at(function, self._chance.randrange(1, self._calls[function] + 1))
        folder = self._copy()
        seconds = self._chance.uniform(0.1, self._seconds)
        try:
            code = self._run(folder, kill_after_seconds=seconds)
            return f"after {seconds:.3f} seconds", self._look(folder, was_killed=code == -signal.SIGKILL)
        finally:
            shutil.rmtree(folder.parent)

    def _look(self, folder: Path, *, was_killed: bool) -> str:
        """Run the same command again after a kill. Returns what is wrong ("" if nothing)."""
        try:
            self._run(folder, ("--state", "state", "--verify"))
            ended = not was_killed or len(list((folder / "state").glob("snapshot-[12]"))) == 2
            if not ended:
                self._run(folder)
            if wrong := differences(self.right, left_in(folder)):
                return f"{'ended' if ended else 'resumed'}: {wrong}"
            # Now the state holds all inputs: another run must give the same accounts, and leave no temporary file.
            self._run(folder)
            left = [f"{path.name} is left" for path in folder.iterdir() if TEMPORARY.search(path.name)]
            wrong = differences({"out.csv": self.right["out.csv"]}, {"out.csv": left_in(folder)["out.csv"]})
            return ", ".join(filter(None, [wrong, *left]))
        except (AssertionError, OSError) as error:
            return str(error)


def left_in(folder: Path) -> dict[str, object]:
    """The outputs of a run, without stats that differ from run to run."""
    left: dict[str, object] = {name: (folder / name).read_bytes() for name in OUTPUTS}
    stats = json.loads((folder / "s.json").read_bytes())
    left["s.json"] = {name: content for name, content in stats.items() if name not in VOLATILE_STATS}
    return left


def differences(right: Mapping[str, object], found: Mapping[str, object]) -> str:
    """The names of outputs that differ, with a remark."""
    return ", ".join(f"{name} has other content" for name in right if found[name] != right[name])


def main() -> int:
    parser = argparse.ArgumentParser(description="Damage saved states and kill runs, at random.")
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as made:
        killings = Killings(Path(made), chance)
        unnoticed = count_unnoticed(Path(made).resolve() / "start/state/snapshot-1", arguments.flips, chance)
        wrong_runs = count_wrong(Path(made).resolve() / "start", arguments.flips // 10, chance)
        print(f"{arguments.flips} flips: {unnoticed} unnoticed, {wrong_runs} wrong runs")
        kills = 0
        outcomes = (killings.kill() for _ in range(arguments.kills))
        for where, wrong in chain(killings.each() if arguments.each else (), outcomes):
            kills += 1
            if wrong:
                failures += 1
                print(f"{where}: {wrong}", flush=True)
        print(f"{kills} kills: {failures} left something wrong")
    return int(bool(unnoticed or wrong_runs or failures))


if __name__ == "__main__":
    sys.exit(main())
