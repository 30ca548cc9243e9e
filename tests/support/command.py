"""Runs the real command in a process and a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.support.reference import ACCOUNTS_HEADER, HEADER

COMMAND = str(Path(sys.executable).with_name("txfast"))

NO_ACCOUNTS = ACCOUNTS_HEADER
# The file of most tests: an applied row, a rejected one and a malformed one.
FILE = HEADER + b"deposit,1,1,5\nwithdrawal,1,2,9.5\nfee,1,3,1\n"
ACCOUNTS = ACCOUNTS_HEADER + b"1,5.0000,0.0000,5.0000,false\n"
MALFORMED_LINE = "malformed: in.csv:4: bad_type: fee,1,3,1"
REJECTED_LINE = "rejected: in.csv:3: insufficient_funds: withdrawal,1,2,9.5"
APPLIED_LINE = "debug: in.csv:2: applied: deposit,1,1,5"

# Rows, or accounts, that fill a pipe several times over.
MANY = 20_000
PATIENCE_SECONDS = 60

# Fields of the stats that differ between two runs over the same inputs.
VOLATILE_STATS = ("seconds", "rows_per_second", "peak_memory_bytes", "spilled_bytes")

Descriptor = int | IO[bytes]


class Run:
    """The result of a finished process: exit code, standard output, and standard error as text and as lines.

    `outcome` is the last line of a run in which rows were refused, which `errors` and `error_lines` lack; else "".
    """

    def __init__(self, exit_code: int, output: bytes, errors: bytes) -> None:
        self.exit_code = exit_code
        self.output = output
        self.errors = errors.decode()
        self.outcome = ""
        last = (self.errors.splitlines() or [""])[-1]
        if re.match(r"rows: [0-9,]+ applied, |.*\"outcome\": {", last):
            self.outcome = last
            self.errors = self.errors.removesuffix(last + "\n")
        self.error_lines = self.errors.splitlines()

    def assert_failed(self, *words: str) -> None:
        """The run failed: exit code 1, no output, and one line on standard error that contains these words."""
        assert self.exit_code == 1, self.errors
        assert self.output == b""
        [line] = self.error_lines
        assert line.startswith("txfast: ")
        assert [word for word in words if word not in line] == [], line

    def assert_misused(self, *words: str) -> None:
        """The arguments were refused: exit code 2, no output, and one line that contains these words."""
        assert self.exit_code == 2, self.errors
        assert self.output == b""
        [line] = self.error_lines
        assert line.startswith("txfast: ")
        assert [word for word in words if word not in line] == [], line


class Folder:
    """A folder to run the command in. It contains in.csv."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("in.csv", FILE)

    def write(self, name: str, content: bytes) -> Path:
        path = self.path / name
        path.write_bytes(content)
        return path

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def names(self) -> list[str]:
        return sorted(os.listdir(self.path))

    def run(
        self,
        *arguments: str | bytes | Path,
        stdin: bytes | Descriptor = b"",
        stdout: Descriptor = subprocess.PIPE,
        command: tuple[str, ...] = (COMMAND,),
        variables: Mapping[str, str] | None = None,
    ) -> Run:
        ended = subprocess.run(
            [*command, *arguments],
            cwd=self.path,
            env=environment() | dict(variables or {}),
            stdin=None if isinstance(stdin, bytes) else stdin,
            input=stdin if isinstance(stdin, bytes) else None,
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Run(ended.returncode, ended.stdout or b"", ended.stderr)

    @contextmanager
    def running(self, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """A run that has read most of MANY rows from standard input and waits for more."""
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [COMMAND, *arguments], cwd=self.path, env=unmeasured(environment()), stdin=pipe, stdout=pipe, stderr=pipe
        ) as process:
            try:
                assert process.stdin is not None
                process.stdin.write(many_accounts())
                process.stdin.flush()
                yield process
            finally:
                process.kill()


def environment() -> dict[str, str]:
    """This process's variables, without txfast's options, which a user may have set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TXFAST_")}


def unmeasured(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables without those that make coverage follow a process.

    For processes that a signal ends: such a process saves no coverage, and coverage may lose an exception that a signal
    handler raises inside it.
    """
    return {name: value for name, value in variables.items() if not name.startswith("COVERAGE_")}


def many_accounts() -> bytes:
    """A file of MANY rows, each with a client of its own."""
    return HEADER + b"".join(b"deposit,%d,1,1\n" % client for client in range(MANY))


def finish(process: subprocess.Popen[bytes]) -> Run:
    """Wait until a run ends by itself, with its standard input still open."""
    exit_code = process.wait(PATIENCE_SECONDS)
    assert process.stdout is not None
    assert process.stderr is not None
    return Run(exit_code, process.stdout.read(), process.stderr.read())


def shell(folder: Folder, script: str) -> Run:
    """Run a bash script. $TXFAST in it is the command.

    A library that is preloaded into the tests (a sanitizer) is preloaded into the command only: bash would crash.
    """
    variables = environment()
    preloaded = variables.pop("LD_PRELOAD", "")
    command = f"env LD_PRELOAD={preloaded.replace(' ', ':')} {COMMAND}" if preloaded else COMMAND
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=folder.path,
        env=variables | {"TXFAST": command},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Run(ended.returncode, ended.stdout, ended.stderr)
