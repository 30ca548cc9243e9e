"""The most memory that a run of the command takes."""

from __future__ import annotations

import subprocess

from tests.support.command import COMMAND, Folder, environment, unmeasured

PROGRAM = """\
import resource, subprocess, sys
stdin = open(sys.argv[1], "rb") if sys.argv[1] else None
feeder = subprocess.Popen(["cat"], stdin=stdin, stdout=subprocess.PIPE) if stdin else None
ended = subprocess.run(sys.argv[2:], stdin=feeder and feeder.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, ended.returncode, ended.stderr.decode(), sep="\\n")
"""


def peak_bytes(folder: Folder, *arguments: str, stdin: str | None = None) -> tuple[int, int, str]:
    """The most memory, the exit code and the errors of a run; `stdin` is a file that is piped in."""
    ended = subprocess.run(
        ["python3", "-c", PROGRAM, stdin or "", COMMAND, *arguments], capture_output=True, text=True, check=True,
        cwd=folder.path, env=unmeasured(environment()),
    )  # fmt: skip
    peak, code, errors = ended.stdout.split("\n", 2)
    return int(peak) << 10, int(code), errors.strip()
