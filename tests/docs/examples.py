"""Runs the code blocks of a page as a reader would: in order, in one empty folder.

    python -m tests.docs.examples [--write | --plain] [PAGE …]

shows where a page says something else than what happens; with `--write` it puts what happens into the page. With
`--plain` it leaves out the blocks that need packages which txfast does not install. Without PAGE it takes all pages.

    console   lines after `$ ` are commands of bash; the lines below each are what it prints, on both outputs
    python    a program of its own; an `output` block after it has what it prints
    pycon     lines after `>>> `, and what they print
    sh        commands of bash that succeed; what they print is compared where an `output` block follows

`…` in what is printed stands for any text. This module must not know which pages there are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import Block, blocks_of, needs_of, pages
from tests.support.command import environment
from tests.support.project import PROJECT_ROOT

RUNNABLE = ("console", "python", "pycon", "sh")
# Blocks that only show something.
SHOWN = ("text", "csv", "json", "py", "sql")
PATIENCE_SECONDS = 120
PROGRAMS = Path(sys.executable).parent


class Difference(NamedTuple):
    """A block whose text is not what happens, and what happens."""

    block: Block
    happened: str

    def __str__(self) -> str:
        return f"{self.block.where}: says\n{self.block.text}where this happens:\n{self.happened}"


def differences(page: Path, folder: Path, *, plain: bool = False) -> Iterator[Difference]:
    """Run all blocks of a page in a folder that is empty; yield those that say something else than what happens.

    With `plain`, run only those that need no package beside txfast's own dependencies.
    """
    for name in needs_of(page):
        shutil.copytree(PROJECT_ROOT / name, folder / name, ignore=shutil.ignore_patterns("stress_test.csv"))
    blocks = blocks_of(page)
    with tempfile.TemporaryDirectory() as aside:
        variables = variables_for(Path(aside))
        for index, block in enumerate(blocks):
            if (file := block.note("file")) is not None:
                (folder / file).write_text(block.text, encoding="utf-8")
            elif is_run(block) and not (plain and block.note("with")):
                following = blocks[index + 1] if index + 1 < len(blocks) else None
                output = following if following is not None and following.note("output") is not None else None
                yield from differences_of(block, output, folder, variables)


def is_run(block: Block) -> bool:
    """Whether the tests run a block."""
    return block.language in RUNNABLE and block.note("not run") is None


def differences_of(block: Block, output: Block | None, folder: Path, variables: dict[str, str]) -> Iterator[Difference]:
    """The same for one block, after which stands what it prints."""
    if block.language == "console":
        happened = run_console(block.text, folder, variables)
        if happened != block.text:
            yield Difference(block, happened)
        return
    if block.language == "python":
        printed = run([sys.executable, "-c", block.text], block, folder, variables)
    elif block.language == "pycon":
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write(block.text)
            file.flush()
            printed = run([sys.executable, "-m", "doctest", file.name], block, folder, variables)
    else:
        printed = run(["bash", "-ec", block.text], block, folder, variables)
        if output is None:
            return
    if output is None:
        assert not printed, f"{block.where}: prints this, and no output block after it says so:\n{printed}"
    elif not fits(output.text, printed):
        yield Difference(output, printed)


def run(command: list[str], block: Block, folder: Path, variables: dict[str, str]) -> str:
    """What a command prints, on both outputs; it has to succeed."""
    printed, exit_code = run_any(command, folder, variables)
    assert exit_code == 0, f"{block.where}: ends with exit code {exit_code}:\n{printed}"
    return printed


def run_any(command: list[str], folder: Path, variables: dict[str, str]) -> tuple[str, int]:
    preloaded = variables.get("LD_PRELOAD")
    if preloaded and command[0] == "bash":  # bash does not survive a sanitizer
        variables = {name: text for name, text in variables.items() if name != "LD_PRELOAD"}
    ended = subprocess.run(
        command,
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return ended.stdout.decode(), ended.returncode


def run_console(text: str, folder: Path, variables: dict[str, str]) -> str:
    """A console block as it should be: its commands, and what each prints unless what is there fits that."""
    parts = re.split(r"^(\$ (?:.*\\\n)*.*\n)", text, flags=re.M)
    assert not parts[0], "a console block begins with a command, after `$ `"
    happened = ""
    exit_code = 0
    for command, expected in zip(parts[1::2], parts[2::2], strict=True):
        # Each is a shell of its own, which knows how the one before it ended.
        script = f"(exit {exit_code})\n{command.removeprefix('$ ')}"
        printed, exit_code = run_any(["bash", "-c", script], folder, variables)
        happened += command + (expected if fits(expected, printed) else printed)
    return happened


def fits(expected: str, printed: str) -> bool:
    """Whether this was printed; `…` stands for any text, and a line of it alone for any lines."""
    pattern = ".*".join(map(re.escape, expected.split("…")))
    return re.fullmatch(pattern, printed, re.S) is not None


def variables_for(aside: Path) -> dict[str, str]:
    """The environment of examples: this Python's programs first, and nothing that would leave files in the folder."""
    variables = environment()
    preloaded = variables.get("LD_PRELOAD")
    programs = PROGRAMS
    if preloaded:
        programs = aside / "programs"
        programs.mkdir()
        for name in ("txfast", "python", "python3"):
            script = f'#!/bin/sh\nLD_PRELOAD="{preloaded}" exec {PROGRAMS / name} "$@"\n'
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
    return variables | {
        "PATH": f"{programs}{os.pathsep}{variables.get('PATH', '')}",
        "COLUMNS": "80",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(aside),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def write(page: Path, changes: list[Difference]) -> None:
    """Put what happens into the page."""
    lines = page.read_text(encoding="utf-8").split("\n")
    for block, happened in reversed(changes):
        first = block.first - 1
        lines[first : first + block.text.count("\n")] = happened.split("\n")[:-1]
    page.write_text("\n".join(lines), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Check pages, or mend them; return the exit code."""
    named = [Path(name).resolve() for name in arguments if name not in ("--write", "--plain")]
    found = 0
    for page in named or pages():
        with tempfile.TemporaryDirectory() as folder:
            changes = list(differences(page, Path(folder), plain="--plain" in arguments))
        found += len(changes)
        if "--write" in arguments:
            write(page, changes)
        for change in changes:
            print(change)
    return 1 if found and "--write" not in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
