"""Measures whole commands in fresh processes, on generated inputs that are kept. For the other scripts in bench/.

Some functions run in a process of their own, from their source alone (`python_command`), so they import what they need
themselves. This module must not know which programs are measured.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

BENCH = Path(__file__).resolve().parent
GENERATOR = BENCH / "generate.py"
# The sources that determine a generated file.
GENERATOR_SOURCES = (GENERATOR, BENCH / "workload.py")
RESULTS = BENCH / "results.md"
CACHE = BENCH.parent / ".benchmarks" / "inputs"
RESULTS_TITLE = "# Measurements\n\nEach section is written by the script of the same name in `bench/`.\n"

MEGABYTE = 1_000_000

# Import nothing from the working directory: it may hold unbuilt sources of txfast.
PYTHON = ("-P",)
# The smallest Python, for a process that only starts another one.
BARE_PYTHON = ("-I", "-S")


class BenchError(Exception):
    """Why a measurement cannot be made or trusted."""


# ---- Processes and their cost --------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """The cost of one process. `failure` says why it failed, or is empty."""

    seconds: float
    peak_bytes: int
    failure: str = ""
    processor_seconds: float = 0.0


def launch(output: str, fed: str, *command: str) -> None:
    """Run `command` with its output in a file; print its exit code, seconds, peak memory in bytes, and the seconds of
    the processor.

    With `fed`, the name of a file, standard input is a pipe with that file's bytes. This function runs in a process of
    its own, a small one, because a process inherits the peak of the process that starts it.
    """
    import os
    import sys
    import time

    if fed:
        input_end, feeding_end = os.pipe()
        to_feed = [(os.POSIX_SPAWN_DUP2, feeding_end, 1)]
        os.posix_spawnp("cat", ["cat", fed], os.environ, file_actions=to_feed)
        os.close(feeding_end)
    else:
        input_end = os.open(os.devnull, os.O_RDONLY)
    to_run = [
        (os.POSIX_SPAWN_DUP2, input_end, 0),
        (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
    ]
    started = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=to_run)
    # Otherwise `cat` would wait for ever if the command ends early.
    os.close(input_end)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    peak_unit = 1 if sys.platform == "darwin" else 1024
    used = usage.ru_utime + usage.ru_stime
    print(os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss * peak_unit, used)


def python_command(function: Callable[..., None], *arguments: str, flags: Sequence[str] = PYTHON) -> list[str]:
    """The command that calls a self-contained function, with texts as arguments, in a fresh process.

    The process gets only the function's source, so it pays for the function's imports and for no others.
    """
    program = f"import sys\n{inspect.getsource(function)}\n{function.__name__}(*sys.argv[1:])\n"
    return [sys.executable, *flags, "-c", program, *arguments]


def txfast_command(*arguments: str) -> list[str]:
    """The command txfast that is installed beside the running Python."""
    script = shutil.which("txfast", path=sysconfig.get_path("scripts"))
    return [*([script] if script else [sys.executable, *PYTHON, "-m", "txfast"]), *arguments]


def run_measured(command: Sequence[str], output: Path, *, fed: Path | None = None) -> Run:
    """Run a command in a fresh process, with its output in a file. With `fed`, that file is piped into it."""
    launcher = python_command(launch, str(output), str(fed or ""), *command, flags=BARE_PYTHON)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TXFAST_")}
    launched = subprocess.run(launcher, capture_output=True, env=environment, text=True, errors="replace")
    if launched.returncode:
        raise BenchError(f"{command[0]}: cannot be run: {last_line(launched.stderr)}")
    code, seconds, peak_bytes, used = launched.stdout.split()
    failure = last_line(launched.stderr) or f"exit code {code}" if int(code) else ""
    return Run(float(seconds), int(peak_bytes), failure, float(used))


def run_in_turns(commands: Mapping[str, Sequence[str]], runs: int, output: Path) -> dict[str, list[Run]]:
    """The runs of each command, by its name; they take turns. Raises BenchError if one fails."""
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            run = run_measured(command, output)
            if run.failure:
                raise BenchError(f"{name}: {run.failure}")
            found[name].append(run)
    return found


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


# ---- Inputs and results --------------------------------------------------------------------------


def cached_input(cache: Path, rows: int, clients: int, ids: str = "dense", spread: str = "uniform") -> Path:
    """The generated file of this shape, written at its first use. A changed generator makes a new file."""
    path = cache / f"{ids}-{'' if spread == 'uniform' else spread + '-'}{rows}-{clients}-{generator_version()}.csv"
    if not path.exists():
        say(f"writing {path} …")
        generator = [sys.executable, str(GENERATOR), str(rows), str(clients), "--ids", ids, "-o", str(path)]
        generator += ["--clients", spread]
        if subprocess.run(generator).returncode:
            raise BenchError(f"{path}: cannot be generated")
        # Otherwise the disk would still be writing it during the first runs.
        os.sync()
    return path


def generator_version() -> str:
    """A short hash of the generator's sources."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in GENERATOR_SOURCES)).hexdigest()[:8]


def say(line: str) -> None:
    """Print progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def describe_machine(packages: Iterable[str]) -> str:
    """The machine and the versions of packages, in one line without a date."""
    model = platform.processor() or platform.machine()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        models = [line for line in cpu_info.read_text().splitlines() if line.startswith("model name")]
        model = models[0].partition(":")[2].strip() if models else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    versions = [f"{name} {package_version(name)}" for name in packages]
    machine = [f"{model}, {cores} cores, {memory_gib:.1f} GiB", platform.system(), python, *versions]
    return "; ".join(machine) + "."


def package_version(name: str) -> str:
    """A package's version without its local part, which may hold a date."""
    try:
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return "not installed"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table: `texts` columns of text, then columns of numbers."""
    lines = [header, [*["---"] * texts, *["---:"] * (len(header) - texts)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write_section(path: Path, name: str, paragraphs: Iterable[str]) -> None:
    """Replace the section between the two markers of this name, or add it. The rest of the file stays."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    content = path.read_text(encoding="utf-8") if path.exists() else RESULTS_TITLE
    before, found, rest = content.partition(begin)
    _, closed, after = rest.partition(end)
    if found and not closed:
        raise BenchError(f"{path}: the marker {end.strip()} is missing")
    if not found:
        before = f"{content.rstrip()}\n\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    section = "\n\n".join(paragraph.strip() for paragraph in paragraphs)
    path.write_text(f"{before}{begin}{section}\n{end}{after}", encoding="utf-8")


def whole_number(text: str) -> int:
    """A whole number from 1 on, which may be written as 5e6."""
    try:
        number = int(text) if text.isdigit() else int(float(text))
    except (ValueError, OverflowError):
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return number


def whole_numbers(text: str) -> list[int]:
    """Ascending whole numbers, separated by commas."""
    return sorted({whole_number(number) for number in text.split(",")})


def add_number(parser: argparse.ArgumentParser, flag: str, default: int, meaning: str) -> None:
    """Add an option whose value is a whole number."""
    parser.add_argument(flag, metavar="N", type=whole_number, default=default, help=f"{meaning} (default: {default})")


def exit_code_of(script: str, measure: Callable[[], object]) -> int:
    """Call `measure`, and say why where it cannot measure; return the script's exit code."""
    try:
        measure()
    except (BenchError, OSError) as error:
        say(f"{script}: {error}")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where files go."""
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, default=CACHE,
        help="keep generated files in this folder (default: .benchmarks/inputs)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, default=RESULTS,
        help="write a section of this Markdown file (default: bench/results.md)",
    )  # fmt: skip
