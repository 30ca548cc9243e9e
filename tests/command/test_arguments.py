"""The command line and its variables: accepted values, usage errors, and which of two settings wins."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path
from typing import Any

import pytest

from tests.support.arguments import parse, usage_error
from tests.support.command import ACCOUNTS, FILE, MALFORMED_LINE, REJECTED_LINE, Folder, shell
from txfast.command import settings
from txfast.command.options import OPTIONS
from txfast.command.settings import OVERRIDDEN_BY, Settings
from txfast.dialect.dialect import Dialect
from txfast.errors import MemoryLimitError
from txfast.input.ref import InputRef
from txfast.ledger.policy import Policy
from txfast.log.journal import LEVELS
from txfast.run.destinations import OUTPUTS
from txfast.writers.formats import usual_suffixes

# For each option: a text that its variable accepts, the attribute of Settings, and the value that this gets.
VALUES: dict[str, tuple[str, str, Any]] = {
    "reader": ("arrow", "reader", "arrow"),
    "delimiter": ("tab", "dialect", Dialect({"delimiter": "tab"})),
    "columns": (
        "client=Payer ID,tx=Ref",
        "dialect",
        Dialect({"columns.client": "Payer ID", "columns.tx": "Ref"}),
    ),
    "types": (
        "SALE=deposit,a=b=ignore",
        "dialect",
        Dialect({"types.SALE": "deposit", "types.a=b": "ignore"}),
    ),
    "decimal": (",", "dialect", Dialect({"decimal": ","})),
    "decimals": ("2", "dialect", Dialect({"decimals": "2"})),
    "ids": ("text", "dialect", Dialect({"ids": "text"})),
    "dialect": ("null=-,NULL\nskip=3", "dialect", Dialect({"null": "-,NULL", "skip": "3"})),
    "profile": ("threads.toml", "threads", 3),
    "policy": ("card", "policy", Policy("card")),
    "output": ("a.csv", "output", "a.csv"),
    "output_format": ("parquet", "output_format", "parquet"),
    "opening": ("open.csv", "opening", "open.csv"),
    "sql": ("FROM rows", "sql", "sql"),
    "changed": ("1", "changed", True),
    "rejects": ("r.jsonl", "rejects", "r.jsonl"),
    "expect": ("right.csv", "expect", "right.csv"),
    "differences": ("d.jsonl", "differences", "d.jsonl"),
    "stats": ("s.json", "stats", "s.json"),
    "state": ("folder", "state", "folder"),
    "checkpoint": ("0.5", "checkpoint", 0.5),
    "last_line": ("hold", "last_line", "hold"),
    "max_malformed": ("7", "max_malformed", 7),
    "strict": ("yes", "max_malformed", 0),
    "threads": ("3", "threads", 3),
    "memory_limit": ("1.5GiB", "memory_limit", 3 << 29),
    "spill_dir": ("spill", "spill_dir", "spill"),
    "progress": ("never", "progress", "never"),
    "log_level": ("debug", "level", LEVELS.index("debug")),
    "log_format": ("json", "log_format", "json"),
    "color": ("never", "color", "never"),
    "quiet": ("1", "quiet", True),
    "verbose": ("1", "verbose", True),
}
# Variables that an option needs beside its own.
NEEDED = {
    "checkpoint": {"state": "folder"}, "last_line": {"state": "folder"}, "differences": {"expect": "right.csv"},
    "changed": {"state": "folder"},
}  # fmt: skip
SETTABLE = [option for option in OPTIONS if option.variable is not None]


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that has the profile of VALUES, as the current one."""
    (tmp_path / "threads.toml").write_text("threads = 3\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)


in_a_folder = pytest.mark.usefixtures("_here")


def plain_settings(settings: Settings) -> dict[str, Any]:
    """All settings but `inputs`, by name; of other files that are looked up, their names."""
    values = {name: getattr(settings, name) for name in Settings.__slots__ if name != "inputs"}
    return {name: value.name if isinstance(value, InputRef) else value for name, value in values.items()}


# ---- Flags ----------------------------------------------------------------------------------------


def test_the_defaults() -> None:
    settings = parse("in.csv")
    assert plain_settings(settings) == {
        "level": 0, "level_named": False, "log_format": "text", "max_malformed": None,
        "account": [], "changed": False, "compact": False,
        "checkpoint": None, "color": "auto", "dialect": None, "dialect_of": False, "differences": None,
        "expect": None, "last_line": None,
        "memory_limit": None, "opening": None, "output": "-", "output_format": "csv", "policy": None,
        "progress": "auto", "quiet": False, "reader": "native", "rejects": None, "spill_dir": None, "sql": None,
        "state": None,
        "stats": None, "threads": None, "verbose": False, "verify": False,
    }  # fmt: skip
    assert [ref.name for ref in settings.inputs] == ["in.csv"]


def test_each_option_has_an_example_in_values() -> None:
    assert set(VALUES) == {option.name for option in SETTABLE}


@in_a_folder
@pytest.mark.parametrize("option", SETTABLE, ids=lambda option: option.name)
def test_a_flag_is_set(option: Any) -> None:
    text, attribute, value = VALUES[option.name]
    for flag in option.flags:
        words = [flag] if option.metavar is None else [flag, text]
        needed = NEEDED.get(option.name, {})
        assert plain_settings(parse(*words, "in.csv", **needed))[attribute] == value
        assert plain_settings(parse("in.csv", *words, **needed))[attribute] == value


def test_quiet_turns_progress_off() -> None:
    assert parse("-q", "--progress", "always", "in.csv").progress == "never"


@pytest.mark.parametrize("arguments", [("--strict", "--max-malformed", "0"), ("--max-malformed=0", "--strict")])
def test_strict_allows_no_malformed_row(arguments: tuple[str, ...]) -> None:
    assert parse(*arguments, "in.csv").max_malformed == 0


def test_strict_and_a_number_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    line = usage_error(capsys, "--strict", "--max-malformed", "5", "in.csv")
    assert line.endswith("--strict and --max-malformed 5 contradict each other")


@pytest.mark.parametrize(
    "name", [*(f"r.tar{suffix}" for suffix in usual_suffixes("rejects")), "r.CSV", "/dev/null", "/dev/stderr"]
)
def test_rejects_are_accepted_with_a_suffix_or_as_a_device(name: str) -> None:
    assert parse("--rejects", name, "in.csv").rejects == name


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_rejects_may_go_to_standard_output_without_the_accounts(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert parse("--rejects", name, "-o", "a.csv", "in.csv").rejects == name
    assert "would both go to standard output" in usage_error(capsys, "--rejects", name, "in.csv")


@pytest.mark.parametrize("name", ["r", "r.txt", ".csv", "r.csv.bz2", "r.parquet.gz", "r.json"])
def test_rejects_with_another_suffix_are_refused(capsys: pytest.CaptureFixture[str], name: str) -> None:
    line = usage_error(capsys, "--rejects", name, "in.csv")
    assert f"txfast: --rejects: {name!r}: " in line
    assert "end the name in .csv, .jsonl" in line or line.endswith("end the name in .parquet")


@pytest.mark.parametrize("name", ["r.parquet", "r.PARQUET", "r.Parquet"])
def test_rejects_as_parquet_need_more_memory_than_a_small_limit(capsys: pytest.CaptureFixture[str], name: str) -> None:
    line = usage_error(capsys, "--memory-limit=128MiB", "--rejects", name, "in.csv")
    assert line.endswith(" is too little for Parquet: the least is 256MiB")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--rejects", "r.parquet"], "Parquet"), (["--reader", "arrow"], "--reader arrow"),
        (["-o", "a.arrow"], "accounts as arrow"), (["--state", "state"], "--state"),
    ],
)  # fmt: skip
def test_what_needs_pyarrow_needs_more_memory_than_a_small_control_group_has(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], what: str
) -> None:
    monkeypatch.setattr(settings, "default_memory_limit", lambda: (256 << 20) - 1)
    assert parse("in.csv").memory_limit is None
    assert parse(*arguments, "in.csv", "--memory-limit", "256MiB").memory_limit == 256 << 20
    with pytest.raises(MemoryLimitError, match=f"is too little for {what}: 80 % of it is less than 256MiB: give it"):
        parse(*arguments, "in.csv")


@pytest.mark.parametrize("count", ["0", "-1", "1_0", "\u0661", "two", "", "9" * 19, "1" * 5_000])
def test_the_number_of_threads_is_one_or_more(capsys: pytest.CaptureFixture[str], count: str) -> None:
    assert "is no number of threads: it is 1 or more" in usage_error(capsys, f"--threads={count}", "in.csv")


@pytest.mark.parametrize("count", ["-1", "1.0", " 1", "+1", "all", "", "9" * 19])
def test_the_number_of_malformed_rows_is_zero_or_more(capsys: pytest.CaptureFixture[str], count: str) -> None:
    assert "--max-malformed: " in usage_error(capsys, "--max-malformed", count, "in.csv")
    assert "is no number of rows: it is 0 or more" in usage_error(capsys, f"--max-malformed={count}", "in.csv")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--no-such-option", "in.csv"), "--no-such-option"),
        (("-z",), "-z"),
        (("in.csv", "-o"), "-o"),
        (("in.csv", "--log-level"), "--log-level"),
        (("in.csv", "--log-level", "loud"), "'loud': it is one of error, warn, info, debug, trace"),
        (("in.csv", "--log-format", "xml"), "'xml': it is one of text, json"),
        (("in.csv", "--progress", "bar"), "'bar': it is one of auto, always, never"),
        (("in.csv", "--reader", "Native"), "'Native': it is one of native, arrow"),
        (("in.csv", "--completion", "csh"), "--completion: 'csh': it is one of bash, zsh, fish"),
        (("--quie", "in.csv"), "--quie"),
        (("--strict=1", "in.csv"), "--strict"),
        (("-", "-"), "standard input can be read only once"),
        (("-o", "", "in.csv"), "--output: the name of the file is empty"),
        (("--stats=", "in.csv"), "--stats: the name of the file is empty"),
        (("--stats", "-", "in.csv"), "the stats and the accounts would both go to standard output: name a file"),
        (("--strict", "--max-malformed", "1", "in.csv"), "contradict"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(folder: Folder, arguments: tuple[str, ...], words: str) -> None:
    folder.run(*arguments).assert_misused(words)
    assert folder.names() == ["in.csv"]


def test_no_file_at_a_terminal_is_a_usage_error(folder: Folder) -> None:
    controller, terminal = pty.openpty()
    try:
        for arguments in ((), ("warn",), ("-q",)):
            folder.run(*arguments, stdin=terminal).assert_misused("no FILE")
    finally:
        os.close(controller)
        os.close(terminal)


def test_two_dashes_end_the_options(folder: Folder) -> None:
    folder.write("-odd.csv", FILE)
    assert folder.run("--", "-odd.csv").output == ACCOUNTS


def test_control_characters_are_escaped_in_a_usage_error(folder: Folder) -> None:
    run = folder.run("-o", "a\x1b[31m\n", "--stats", "a\x1b[31m\n", "in.csv")
    run.assert_misused(r"--output a\x1b[31m\x0a and --stats a\x1b[31m\x0a are the same file")


def test_a_usage_error_never_goes_to_standard_output(folder: Folder) -> None:
    run = shell(folder, "$TXFAST --strict --no-such-option 2>&-")
    assert (run.exit_code, run.output) == (2, b"")


# ---- Variables ------------------------------------------------------------------------------------


def test_variables_are_named_after_their_options() -> None:
    assert {option.variable for option in SETTABLE} >= {"TXFAST_THREADS", "TXFAST_LOG_LEVEL", "TXFAST_MAX_MALFORMED"}
    assert [option.name for option in OPTIONS if option.variable is None] == [
        "dialect_of", "account", "verify", "compact", "completion", "version", "h", "help",
    ]  # fmt: skip


@in_a_folder
@pytest.mark.parametrize("name", VALUES)
def test_a_variable_is_set(name: str) -> None:
    text, attribute, value = VALUES[name]
    for arguments in (("in.csv",), ("--", "in.csv")):
        assert plain_settings(parse(*arguments, **{name: text}, **NEEDED.get(name, {})))[attribute] == value


@pytest.mark.parametrize("name", VALUES)
def test_an_empty_variable_counts_as_not_set(name: str) -> None:
    for arguments in (("in.csv",), ("--", "in.csv")):
        settings, default = parse(*arguments, **{name: ""}), parse("in.csv")
        assert plain_settings(settings) == plain_settings(default)
        assert [ref.name for ref in settings.inputs] == [ref.name for ref in default.inputs]


@in_a_folder
@pytest.mark.parametrize(
    ("name", "flags", "value"),
    [
        ("reader", ["--reader", "native"], "native"),
        ("policy", ["--policy", "overdraft=all"], Policy("overdraft=all")),
        ("output", ["-o", "-"], "-"),
        ("rejects", ["--rejects", "b.csv"], "b.csv"),
        ("stats", ["--stats", "b.json"], "b.json"),
        ("max_malformed", ["--max-malformed", "0"], 0),
        ("strict", ["--max-malformed", "5"], 5),
        ("max_malformed", ["--strict"], 0),
        ("threads", ["--threads", "1"], 1),
        ("progress", ["--progress", "auto"], "auto"),
        ("log_level", ["--log-level", "warn"], LEVELS.index("warn")),
        ("log_level", ["warn"], LEVELS.index("warn")),
        ("log_format", ["--log-format", "text"], "text"),
        ("quiet", ["debug"], False),
    ],
)
def test_a_flag_overrides_a_variable(name: str, flags: list[str], value: object) -> None:
    text, attribute, _ = VALUES[name]
    for variable in (text, "what it would not take"):
        assert getattr(parse("in.csv", *flags, **{name: variable}), attribute) == value


@in_a_folder
@pytest.mark.parametrize(
    "name",
    [
        name
        for name in VALUES
        if name not in ("expect", "opening", "output", "policy", "profile", "spill_dir", "sql", "state", "stats")
    ],
)
def test_a_variable_with_a_wrong_value_is_named(capsys: pytest.CaptureFixture[str], name: str) -> None:
    line = usage_error(capsys, "in.csv", **{name: "what it would not take"})
    assert f"txfast: TXFAST_{name.upper()}: 'what it would not take'" in line


@pytest.mark.parametrize("text", ["1", "true", "yes", "True", "YES"])
def test_a_switch_is_set(text: str) -> None:
    assert parse("in.csv", quiet=text).quiet


@pytest.mark.parametrize("text", ["0", "false", "no", "False", "NO"])
def test_a_switch_is_not_set(text: str) -> None:
    settings = parse("in.csv", quiet=text, strict=text, max_malformed="4")
    assert (settings.quiet, settings.max_malformed) == (False, 4)


def test_a_level_from_a_variable_counts_as_named() -> None:
    assert parse("in.csv", log_level="error").level_named
    assert not parse("in.csv", quiet="1").level_named


def test_variables_that_contradict_each_other_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    line = usage_error(capsys, "in.csv", strict="yes", max_malformed="5")
    assert line.endswith("txfast: TXFAST_STRICT=yes and TXFAST_MAX_MALFORMED=5 contradict each other")


def test_flags_that_contradict_each_other_are_refused_with_any_variables(capsys: pytest.CaptureFixture[str]) -> None:
    line = usage_error(capsys, "in.csv", "--strict", "--max-malformed=5", strict="no", max_malformed="0")
    assert line.endswith("txfast: --strict and --max-malformed 5 contradict each other")


def test_a_level_given_twice_is_a_usage_error_whatever_the_variable(capsys: pytest.CaptureFixture[str]) -> None:
    line = usage_error(capsys, "in.csv", "--log-level", "info", "warn", log_level="debug")
    assert line.endswith("the level is given twice: warn and --log-level info")


def test_options_that_override_others_are_options() -> None:
    assert {*OVERRIDDEN_BY, *set().union(*OVERRIDDEN_BY.values()), *OUTPUTS} <= set(VALUES)


def test_the_command_reads_its_variables(folder: Folder) -> None:
    run = folder.run("in.csv", variables={"TXFAST_LOG_LEVEL": "warn", "TXFAST_OUTPUT": "out.csv"})
    assert (run.exit_code, run.output, run.error_lines) == (0, b"", [REJECTED_LINE, MALFORMED_LINE])
    assert (folder.path / "out.csv").read_bytes() == ACCOUNTS
    folder.run("in.csv", variables={"TXFAST_THREADS": "none"}).assert_misused("TXFAST_THREADS: 'none'")
    run = folder.run("in.csv", variables={"TXFAST_HELP": "1", "TXFAST_QUIET": "true"})
    assert (run.exit_code, run.output, run.errors) == (0, ACCOUNTS, "")


def test_an_unknown_variable_is_warned_of(folder: Folder) -> None:
    variables = {"TXFAST_THREDS": "1", "TXFAST_NO": "1", "TXFAST_BUILD": "checked", "TXFAST_OUTPUT": ""}
    lines = folder.run("in.csv", variables=variables).error_lines
    assert lines[:2] == [
        "warn: TXFAST_NO: no option has this variable, so it changes nothing",
        "warn: TXFAST_THREDS: no option has this variable, so it changes nothing; did you mean 'TXFAST_THREADS'?",
    ]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--acount"], "--acount: there is no such option; did you mean '--account'?"),
        (["--max", "3"], "--max: there is no such option; did you mean '--max-malformed'?"),
        (
            ["\u2014threads", "2"],
            "'\u2014threads' begins with a dash that is no hyphen, as pasted text often has: type - or -- instead",
        ),
        (["--stat=x"], "--stat: there is no such option; did you mean '--stats'?"),
        (["--xyzzy", "1"], "--xyzzy: there is no such option; txfast -h lists the options"),
        (["--progress", "alwys"], "--progress: 'alwys': it is one of auto, always, never; did you mean 'always'?"),
        (["inof"], "'inof': there is no file of this name, and it is no level; did you mean 'info'?"),
        (["INFO"], "'INFO': there is no file of this name, and it is no level; did you mean 'info'?"),
        (["--completion", "fisch"], "--completion: 'fisch': it is one of bash, zsh, fish; did you mean 'fish'?"),
        (["-o"], "--output: its value is missing"),
        (["--strict=yes"], "--strict: it takes no value"),
        (
            ["--memory-limit", "-1G"],
            "--memory-limit: '-1G' is no size: it is a number with a unit, such as 512MiB, 2GB or 1G",
        ),
        (["--checkpoint", "-.5s"], "--checkpoint: '-.5s' is no number of seconds: it is 0 or more, as 30 or 0.5"),
        (
            ["--rejects", "r.gz"],
            "--rejects: 'r.gz': .gz means gzip alone, and rejects are written as CSV, JSON lines or Parquet: end the "
            "name in .csv, .jsonl, .parquet, .csv.gz, .csv.zst, .jsonl.gz or .jsonl.zst",
        ),
    ],
)
def test_a_mistyped_word_is_answered_by_the_nearest(folder: Folder, arguments: list[str], words: str) -> None:
    folder.run("in.csv", *arguments).assert_misused(f"txfast: {words}")
    [line] = folder.run("--log-format=json", "in.csv", *arguments).error_lines
    assert json.loads(line)["message"] == words


def test_a_last_argument_that_is_like_no_level_is_a_file(folder: Folder) -> None:
    folder.run("in.csv", "payments").assert_failed("payments: cannot be read: No such file or directory")
    folder.run("in.csv", "info.csv").assert_failed("info.csv: cannot be read: No such file or directory")


def test_a_size_in_a_message_is_as_it_was_given(folder: Folder) -> None:
    run = folder.run("--memory-limit", "128MiB", "--state", "st", "in.csv")
    run.assert_misused("--memory-limit 128MiB is too little for --state")
    run = folder.run("--state", "st", "in.csv", variables={"TXFAST_MEMORY_LIMIT": "128MiB"})
    run.assert_misused("TXFAST_MEMORY_LIMIT=128MiB is too little for --state")


def test_quiet_and_verbose_contradict_each_other(folder: Folder) -> None:
    folder.run("-q", "-v", "in.csv").assert_misused(
        "--quiet and --verbose contradict each other: leave one of them out"
    )
    assert "info: malformed 1" in folder.run("-v", "in.csv", variables={"TXFAST_QUIET": "1"}).errors


def test_help_is_shown_whatever_the_variables(folder: Folder) -> None:
    for flag in ("--help", "--version", "--completion=bash"):
        assert folder.run(flag, variables={"TXFAST_THREADS": "none"}).exit_code == 0
