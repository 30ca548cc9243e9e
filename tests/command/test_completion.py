"""The completion scripts: their content, and how the installed shells complete with them."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.command import Folder, shell
from txfast.command.completion import FILE_METAVARS, completion_script
from txfast.command.option import Option
from txfast.command.options import OPTIONS, SHELLS
from txfast.log.journal import LEVELS

PATIENCE_SECONDS = 30

# The line before the completion key, and the line after it. In the folder of these tests there is one completion.
LINES = [
    ("txfast --thr", "txfast --threads"),
    ("txfast --log-format j", "txfast --log-format json"),
    ("txfast --log-format=j", "txfast --log-format=json"),
    ("txfast --completion z", "txfast --completion zsh"),
    ("txfast in.csv --reader nat", "txfast in.csv --reader native"),
    ("txfast -o acc", "txfast -o accounts.csv"),
    ("txfast --stats=acc", "txfast --stats=accounts.csv"),
    ("txfast acc", "txfast accounts.csv"),
    ("txfast in.csv de", "txfast in.csv debug"),
    ("txfast --strict in.csv tr", "txfast --strict in.csv trace"),
    ("txfast --threads acc", "txfast --threads acc"),
    ("txfast --max-malformed acc", "txfast --max-malformed acc"),
    ("txfast --log-level acc", "txfast --log-level acc"),
    ("txfast my", "txfast my file.csv"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in SHELLS:
        (tmp_path / f"script.{name}").write_text(completion_script(name, OPTIONS))
    for name in ("accounts.csv", "in.csv", "my file.csv", "errors.csv"):
        (tmp_path / name).touch()
    return tmp_path


def needs(shell: str) -> str:
    """The program of a shell. Without it, the test is skipped."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not here")
    return program


# ---- Content ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_names_all_flags_choices_and_levels(shell: str) -> None:
    script = completion_script(shell, OPTIONS)
    for option in OPTIONS:
        names = [flag.lstrip("-") for flag in option.flags] if shell == "fish" else option.flags
        assert [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", script)] == []
        assert option.choices is None or " ".join(option.choices) in script
    assert " ".join(LEVELS) in script
    assert "@" not in script.replace("$@", "").replace("[@]", "").replace("[@]:", "").replace("{COMP_WORDS[@]", "")
    assert script.isascii()


def test_a_script_follows_the_table() -> None:
    option = Option("-x", "--an-option", group="Other", metavar="DIR", help="it's [here]: \\o/", manual="")
    assert "DIR" in FILE_METAVARS
    assert "    -x|--an-option) return ;;\n" in completion_script("bash", [option])
    zsh = completion_script("zsh", [option])
    assert r"'(-x --an-option)-x+[it'\''s \[here\]\: \\o/]:DIR:_files'" in zsh
    assert r"'(-x --an-option)--an-option=[it'\''s \[here\]\: \\o/]:DIR:_files'" in zsh
    assert r"complete -c txfast -s x -l an-option -r -F -d 'it\'s [here]: \\o/'" in completion_script("fish", [option])


# ---- Shells ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_finds_no_syntax_error_in_its_script(folder: Path, shell: str) -> None:
    ended = subprocess.run(
        [needs(shell), "-n", folder / f"script.{shell}"], capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


class Terminal:
    """A shell at a terminal, in a folder, with the completion of the command loaded."""

    def __init__(self, folder: Path, program: str, arguments: list[str], set_up: str) -> None:
        self._controller, terminal = pty.openpty()
        variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C", "PS1": "> "}
        self._shell = subprocess.Popen(
            [program, *arguments], cwd=folder, env=variables, stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        self._seen = ""
        self._answers = 0
        self._type(f"{set_up}\n")
        self.complete("")

    def _type(self, text: str) -> None:
        os.write(self._controller, text.encode())

    def complete(self, line: str) -> str:
        """Return the line after the completion key. The shell prints it, because `echo` is put in front."""
        self._answers += 1
        key = "\t" if line else ""
        self._type(f"{line}{key}\x01echo answer$(({self._answers})): \n")
        ends = time.monotonic() + PATIENCE_SECONDS
        while not (found := re.search(rf"^answer{self._answers}: ?(.*?)\r*\n", self._seen, re.M)):
            assert time.monotonic() < ends, self._seen
            self._seen += os.read(self._controller, 10_000).decode()
        return found[1].rstrip(" =")

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        os.close(self._controller)


def test_bash_completes_at_a_terminal(folder: Path) -> None:
    terminal = Terminal(folder, needs("bash"), ["--norc", "--noprofile", "-i"], "source script.bash")
    try:
        assert {line: terminal.complete(line) for line, _ in LINES} == dict(LINES)
    finally:
        terminal.close()


@pytest.mark.parametrize("installed", [False, True])
def test_zsh_completes_at_a_terminal(folder: Path, installed: bool) -> None:
    load = "autoload -Uz compinit && compinit -u -D"
    if installed:
        (folder / "functions").mkdir()
        (folder / "script.zsh").rename(folder / "functions" / "_txfast")
        set_up = f"fpath=($PWD/functions $fpath); {load}"
    else:
        set_up = f"{load}; source script.zsh"
    terminal = Terminal(folder, needs("zsh"), ["-f", "-i"], set_up)
    try:
        assert {line: terminal.complete(line) for line, _ in LINES} == dict(LINES)
    finally:
        terminal.close()


def test_fish_completes(folder: Path) -> None:
    program = needs("fish")

    def complete(line: str) -> str:
        ended = subprocess.run(
            [program, "--no-config", "-c", "source script.fish; complete -C $argv[1]", line],
            cwd=folder, env=os.environ | {"HOME": str(folder)}, capture_output=True, text=True,
            timeout=PATIENCE_SECONDS, check=True,
        )  # fmt: skip
        words = [each.partition("\t")[0] for each in ended.stdout.splitlines()]
        if not words:
            return line
        [word] = words
        return line.rpartition(" ")[0] + " " + word.replace("\\ ", " ")

    assert {line: complete(line) for line, _ in LINES} == dict(LINES)


def bash_reply(folder: Path, *words: str) -> list[str]:
    """The completions that the function for bash finds for the last of these words, divided as bash divides them."""
    program = 'source script.bash; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _txfast; printf "%s\\n" "${COMPREPLY[@]}"'
    ended = subprocess.run(
        [needs("bash"), "-c", program, "bash", *words], cwd=folder, capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    return ended.stdout.split("\n")[:-1]


def test_bash_finds_every_word_that_may_follow(folder: Path) -> None:
    assert bash_reply(folder, "txfast", "--") == [flag for option in OPTIONS for flag in option.flags if "--" in flag]
    assert bash_reply(folder, "txfast", "--re") == ["--reader", "--rejects"]
    assert bash_reply(folder, "txfast", "--reader", "") == ["native", "arrow"]
    assert bash_reply(folder, "txfast", "--reader", "=") == ["native", "arrow"]
    assert bash_reply(folder, "txfast", "--log-level", "e") == ["error"]
    assert bash_reply(folder, "txfast", "in.csv", "e") == ["error", "errors.csv"]
    assert bash_reply(folder, "txfast", "my") == [""], "files alone are left to readline"
    assert bash_reply(folder, "txfast", "-o", "e") == [""]
    assert bash_reply(folder, "txfast", "--", "--reader", "e") == ["error", "errors.csv"]
    assert bash_reply(folder, "txfast", "--", "-") == [""]


# ---- The command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHELLS)
def test_the_command_prints_its_completion_scripts(tmp_path: Path, name: str) -> None:
    run = Folder(tmp_path).run("--completion", name)
    assert (run.exit_code, run.output.decode(), run.errors) == (0, completion_script(name, OPTIONS), "")


def test_a_script_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    shell(folder, "$TXFAST --completion bash > /dev/full").assert_failed("No space left on device")
    shell(folder, "$TXFAST --completion bash >&-").assert_failed("standard output: cannot be written: it is closed")
