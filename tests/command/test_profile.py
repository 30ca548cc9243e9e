"""Profiles: options, dialect and policy from a TOML file, beneath flags and variables."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.arguments import parse
from tests.support.command import ACCOUNTS, FILE, Folder
from txfast.command.options import OPTIONS
from txfast.command.settings import Settings
from txfast.dialect.dialect import Dialect
from txfast.ledger.policy import Policy
from txfast.log.journal import LEVELS

GIRO = (
    "Status;Art;Konto;Beleg;Betrag\n"
    "fertig;Gutschrift;31;501;2.750,00\n"
    "offen;Gutschrift;31;502;1,00\n"
    "fertig;Hinweis;;;\n"
    "fertig;Lastschrift;31;503;84,90\n"
    "fertig;Gutschrift;32;504;-\n"
)
GIRO_PROFILE = """
decimals = 2

[columns]
type = "Art"
client = "Konto"
tx = "Beleg"
amount = "Betrag"

[types]
Gutschrift = "deposit"
Lastschrift = "withdrawal"
Hinweis = "ignore"

[dialect]
decimal = ","
thousands = "."
null = ["-", "NULL"]

[dialect.keep]
Status = ["fertig", "gebucht"]
"""
GIRO_ACCOUNTS = b"client,available,held,total,locked\n31,2665.10,0.00,2665.10,false\n32,0.00,0.00,0.00,false\n"


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


in_a_folder = pytest.mark.usefixtures("_here")


def settings_of(text: str, *arguments: str, **variables: str) -> Settings:
    """The settings of a command line with a profile of this text."""
    Path("p.toml").write_text(text, encoding="utf-8")
    return parse("--profile", "p.toml", "in.csv", *arguments, **variables)


def dialect_of(text: str, *arguments: str, **variables: str) -> dict[str, str]:
    """The dialect of a command line with a profile of this text."""
    return dict(settings_of(text, *arguments, **variables).dialect or {})


# ---- Runs ------------------------------------------------------------------------------------------


def test_a_profile_reads_a_strange_file(folder: Folder) -> None:
    folder.write("giro.csv", GIRO.encode())
    folder.write("giro.toml", GIRO_PROFILE.encode())
    run = folder.run("giro.csv", "--profile", "giro.toml", "-q")
    assert (run.exit_code, run.output, run.errors) == (0, GIRO_ACCOUNTS, "")
    run = folder.run("giro.csv", "-q", variables={"TXFAST_PROFILE": "giro.toml"})
    assert (run.exit_code, run.output, run.errors) == (0, GIRO_ACCOUNTS, "")


def test_files_of_a_profile_are_named_from_the_current_folder(folder: Folder) -> None:
    (folder.path / "deep").mkdir()
    folder.write("deep/p.toml", b'output = "out.csv"\nstats = "s.json"\nquiet = true\n')
    run = folder.run("in.csv", "--profile", "deep/p.toml")
    assert (run.exit_code, run.output, run.errors) == (0, b"", "")
    assert folder.read("out.csv") == ACCOUNTS
    assert json.loads(folder.read("s.json"))["rows"] == 3


def test_the_log_format_of_a_profile_holds_for_its_own_failures(folder: Folder) -> None:
    folder.write("p.toml", b'log-format = "json"\ncheckpoint = 1\n')
    [line] = folder.run("in.csv", "--profile", "p.toml").error_lines
    assert json.loads(line)["message"] == "checkpoint = 1 in p.toml needs --state DIR, where checkpoints are kept"
    run = folder.run("in.csv", "--profile", "p.toml", "--log-format", "text")
    run.assert_misused("txfast: checkpoint = 1 in p.toml")


# ---- Values ----------------------------------------------------------------------------------------


@in_a_folder
def test_a_query_may_be_in_a_profile() -> None:
    settings = settings_of("sql = \"SELECT 'deposit' AS type, 1 AS client, 2 AS tx, 3 AS amount\"\n")
    assert settings.sql is not None
    assert settings.inputs[-1] is settings.sql


@in_a_folder
def test_every_option_of_a_run_may_be_in_a_profile() -> None:
    text = """
threads = 3
memory-limit = "2GiB"
checkpoint = 0.5
max-malformed = 7
state = "st"
rejects = "r.csv"
output = "o.csv"
output-format = "csv"
stats = "s.json"
opening = "open.csv"
expect = "e.csv"
differences = "d.csv"
spill-dir = "spill"
last-line = "hold"
reader = "native"
progress = "never"
log-level = "debug"
log-format = "json"
color = "never"
strict = false
verbose = "yes"
quiet = 0
changed = false
delimiter = "tab"
columns = ["client=Payer", "tx=Ref"]
types = "SALE=deposit"
decimal = ","
ids = "text"
decimals = 2
dialect = ["skip=3", "null=-"]
policy = ["card", "overdraft=all"]
"""
    settings = settings_of(text)
    assert {option.name for option in OPTIONS if option.variable} - {"profile", "sql"} == {
        line.partition(" = ")[0].replace("-", "_") for line in text.split("\n") if line
    }
    assert (settings.threads, settings.memory_limit, settings.checkpoint) == (3, 2 << 30, 0.5)
    assert (settings.max_malformed, settings.state, settings.rejects, settings.output) == (7, "st", "r.csv", "o.csv")
    assert (settings.stats, settings.differences, settings.spill_dir) == ("s.json", "d.csv", "spill")
    assert [ref.name for ref in settings.balances] == ["open.csv", "e.csv"]
    assert (settings.last_line, settings.progress, settings.color) == ("hold", "never", "never")
    assert (settings.level, settings.level_named, settings.log_format) == (LEVELS.index("debug"), True, "json")
    assert (settings.quiet, settings.verbose, settings.changed) == (False, True, False)
    assert settings.policy == Policy("card,overdraft=all")
    assert settings.dialect == Dialect({
        "delimiter": "tab", "columns.client": "Payer", "columns.tx": "Ref", "types.SALE": "deposit", "decimal": ",",
        "decimals": "2", "skip": "3", "null": "-", "ids": "text",
    })  # fmt: skip


@in_a_folder
@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("[dialect]\nheader = false", {"header": "no"}),
        ("[dialect]\nheader = true", {}),
        ('[dialect]\nskip = 2\nquote = "none"', {"skip": "2", "quote": "none"}),
        ('[dialect]\nkeep.Status = "a, b"', {"keep.Status": "a, b"}),
        ('[dialect]\n"keep.a.b" = ["x", 1]', {"keep.a.b": "x,1"}),
        ('[dialect.keep]\n"a.b" = ["x"]', {"keep.a.b": "x"}),
        (
            '[dialect.columns]\nclient = "K"\n[dialect.types]\nX = "ignore"',
            {"columns.client": "K", "types.X": "ignore"},
        ),
        ('[types]\n"+" = "deposit"\n"-" = "withdrawal"', {"types.+": "deposit", "types.-": "withdrawal"}),
        ('[columns]\ntx = "a, b"', {"columns.tx": "a, b"}),
        (
            "[dialect]\nheader = false\n[columns]\ntype = 4\nclient = 3\ntx = 2\namount = 1",
            {
                "header": "no", "columns.type": "4", "columns.client": "3", "columns.tx": "2", "columns.amount": "1",
            },
        ),
        ('decimal = ","\n[dialect]\ndecimal = "/"', {"decimal": ","}),
        ('[columns]\nclient = "A"\n[dialect]\ncolumns.client = "B"', {"columns.client": "A"}),
        ('dialect = "null=-,NULL\\nskip=3"', {"null": "-,NULL", "skip": "3"}),
        ("", {}),
        ("\ufeff# saved by a program that begins with a byte order mark\n", {}),
    ],
)  # fmt: skip
def test_a_dialect_is_in_tables(text: str, dialect: dict[str, str]) -> None:
    assert settings_of(text).dialect == (Dialect(dialect) if dialect else None)


@in_a_folder
@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ('[policy]\noverdraft = "all"\npreset = "card"\nredispute = "never"', "card,overdraft=all,redispute=never"),
        ('[policy]\nredispute = "never"', ""),
        ("[policy]", ""),
        ('policy = "card"', "card"),
        ('policy = "card,redispute=never"', "card,redispute=never"),
    ],
)
def test_a_policy_is_a_table_or_a_text(text: str, policy: str) -> None:
    assert str(settings_of(text).policy or "") == str(Policy(policy))


# ---- What beats what -------------------------------------------------------------------------------


@in_a_folder
def test_flags_beat_variables_and_these_beat_a_profile() -> None:
    text = 'threads = 3\noutput = "p.csv"'
    assert settings_of(text).threads == 3
    assert settings_of(text, threads="4").threads == 4
    assert settings_of(text, "--threads", "5", threads="4").threads == 5
    assert settings_of(text, "-o", "-").output == "-"
    assert settings_of(text, output="").output == "p.csv"  # an empty variable is none


@in_a_folder
def test_the_profile_of_a_flag_beats_that_of_a_variable() -> None:
    Path("other.toml").write_text("threads = 9\n", encoding="utf-8")
    assert settings_of("threads = 3", profile="other.toml").threads == 3


@in_a_folder
def test_a_wrong_value_that_is_overridden_does_not_matter() -> None:
    assert settings_of('threads = "x"', "--threads", "5").threads == 5


@in_a_folder
@pytest.mark.parametrize(
    ("text", "flags", "variables", "attribute", "value"),
    [
        ("strict = true", ["--max-malformed", "5"], {}, "max_malformed", 5),
        ("max-malformed = 5", ["--strict"], {}, "max_malformed", 0),
        ("strict = true", [], {"max_malformed": "5"}, "max_malformed", 5),
        ("max-malformed = 5", [], {"strict": "1"}, "max_malformed", 0),
        ("max-malformed = 5", [], {"strict": "no"}, "max_malformed", 5),
        ("quiet = true", ["debug"], {}, "quiet", False),
        ("quiet = true", ["-v"], {}, "quiet", False),
        ("quiet = true", [], {"log_level": "warn"}, "quiet", False),
        ("verbose = true", ["-q"], {}, "verbose", False),
        ('log-level = "debug"', ["warn"], {}, "level", LEVELS.index("warn")),
    ],
)
def test_what_says_the_contrary_beats_a_profile_too(
    text: str, flags: list[str], variables: dict[str, str], attribute: str, value: object
) -> None:
    assert getattr(settings_of(text, *flags, **variables), attribute) == value


COLUMNS = '[columns]\nclient = "A"\ntx = "B"\n[types]\nSALE = "deposit"\nFEE = "ignore"\n'


@in_a_folder
@pytest.mark.parametrize(
    ("flags", "variables", "changed"),
    [
        (["--columns", "client=X"], {}, {"columns.client": "X"}),
        ([], {"columns": "client=X"}, {"columns.client": "X"}),
        (["--types", "SALE=refund"], {}, {"types.SALE": "refund"}),
        (["--dialect", "columns.tx=X"], {}, {"columns.tx": "X"}),
        (["--dialect", " columns.tx =X"], {}, {"columns.tx": "X"}),
        (["--decimals", "2", "--dialect", "decimals=3"], {}, {"decimals": "2"}),
    ],
)
def test_parts_of_a_dialect_are_overridden_one_by_one(
    flags: list[str], variables: dict[str, str], changed: dict[str, str]
) -> None:
    own = {"columns.client": "A", "columns.tx": "B", "types.SALE": "deposit", "types.FEE": "ignore"}
    assert dialect_of(COLUMNS, *flags, **variables) == own | changed


@in_a_folder
def test_a_word_in_another_case_is_overridden_too() -> None:
    assert dialect_of('[types]\nSALE = "deposit"', "--types", "sale=refund") == {"types.sale": "refund"}
    assert dialect_of('[dialect.keep]\nStatus = "a"', "--dialect", "keep.status=b") == {"keep.status": "b"}
    own = {"types.Ü": "deposit", "types.ü": "refund"}  # another letter, as in the file
    assert dialect_of('[types]\n"Ü" = "deposit"', "--types", "ü=refund") == own


@in_a_folder
def test_the_dialect_options_of_a_profile_are_beneath_any_part_that_a_flag_gives() -> None:
    assert dialect_of("decimals = 2", "--dialect", "decimals=3") == {"decimals": "3"}
    assert dialect_of('decimal = ","\n[dialect]\nthousands = "."', "--dialect", "thousands=none") == {"decimal": ","}


@in_a_folder
def test_a_flag_overrides_the_same_part_in_another_variable() -> None:
    assert dialect_of("decimals = 4", "--dialect", "decimals=1", decimals="3") == {"decimals": "1"}
    assert dialect_of("", "--types", "SALE=refund", dialect="types.sale=deposit") == {"types.SALE": "refund"}
    assert dialect_of("", dialect="decimals=1", decimals="3") == {"decimals": "3"}


@in_a_folder
def test_switches_of_a_policy_are_overridden_one_by_one() -> None:
    text = '[policy]\npreset = "card"\noverdraft = "all"\n'
    assert settings_of(text).policy == Policy("card,overdraft=all")
    assert settings_of(text, "--policy", "redispute=never").policy == Policy("card,overdraft=all,redispute=never")
    assert settings_of(text, policy="overdraft=none").policy == Policy("card,overdraft=none")
    assert settings_of(text, "--policy", "locked=closed", policy="overdraft=none").policy == Policy(
        "card,overdraft=all,locked=closed"
    )


# ---- Messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("threds = 3", "p.toml: threds: there is no such option; did you mean 'threads'?"),
        ("max_malformed = 3", "p.toml: max_malformed: there is no such option; write max-malformed"),
        ("xyzzy = 3", "p.toml: xyzzy: there is no such option; txfast -h lists the options"),
        ("[column]\nclient = 1", "p.toml: column: there is no such option; did you mean 'columns'?"),
        ('profile = "q.toml"', "p.toml: profile: a profile cannot name another one"),
        ("version = true", "p.toml: version: it does something else than a run: give it on the command line"),
        ('dialect-of = "a"', "p.toml: dialect-of: it does something else than a run"),
        ('completion = "zsh"', "p.toml: completion: it does something else"),
        ("threads = 0", "p.toml: threads: '0' is no number of threads: it is 1 or more"),
        ("threads = true", "p.toml: threads: true: it has a value of its own, and is no switch"),
        ("output = false", "p.toml: output: false: it has a value of its own, and is no switch"),
        ("threads = [1]", "p.toml: threads: it is one text, number, true or false"),
        ("state = 2026-01-01", "p.toml: state: it is one text, number, true or false"),
        ("[threads]\nn = 1", "p.toml: threads: it is one value; tables are [dialect], [columns], [types], [policy]"),
        ('strict = "maybe"', "p.toml: strict: 'maybe': it is one of 1, true, yes, 0, false, no"),
        ('reader = "Native"', "p.toml: reader: 'Native': it is one of native, arrow; did you mean 'native'?"),
        ('output = ""', "p.toml: output: the name of the file is empty"),
        ("columns = 3", "p.toml: columns: it is a text, a list of texts, or a table"),
        ('columns = "client"', "p.toml: columns: 'client' is no NAME=VALUE, as client=Customer,tx=id"),
        ('columns = "cleint=A"', "p.toml: columns: dialect 'columns.cleint': it is one of type, client"),
        ('types = "SALE=depsit"', "p.toml: types: dialect types.SALE=depsit: it is one of deposit"),
        ('[columns]\ncleint = "A"', "p.toml: columns.cleint: dialect 'columns.cleint': it is one of type, client, tx"),
        ('[columns]\nclient = ""', "p.toml: columns.client: '': it is the name of a column"),
        ("[columns]\nclient = true", "p.toml: columns.client: true: it is a text or a number"),
        ('[columns]\nclient = ["a"]', "p.toml: columns.client: it is one text or number; lists are for null and keep"),
        ("[columns]\nclient = 2026-01-01", "p.toml: columns.client: it is a text, a number or a list of words"),
        ('[types]\nSALE = "depsit"', "p.toml: types.SALE: 'depsit': it is one of deposit, withdrawal, "),
        ('[types]\na.b = "deposit"', "p.toml: types.a: it is no table: put a name that has a point in it into quotes"),
        ('[dialect]\ndelimitter = ";"', "p.toml: dialect.delimitter: dialect 'delimitter': there is no such part; "),
        ('[dialect]\ndelimiter = ";;"', "p.toml: dialect.delimiter: ';;': it is one character, no letter"),
        ("[dialect]\nskip = true", "p.toml: dialect.skip: true: it is a text or a number"),
        ("[dialect.skip]\nn = 1", "p.toml: dialect.skip: it is no table"),
        ("[dialect.kept]\nn = 1", "p.toml: dialect.kept: dialect 'kept': there is no such part; there are "),
        ('[dialect]\nnull = ["a,b"]', "p.toml: dialect.null: it is a list of words that have no comma"),
        ("[dialect]\nnull = []", "p.toml: dialect.null: it is a list of words that have no comma"),
        ("[dialect]\nnull = [true]", "p.toml: dialect.null: it is a list of words that have no comma"),
        ("[dialect.keep]\nx = [[1]]", "p.toml: dialect.keep.x: it is a list of words that have no comma"),
        ("delimiter = [1]", "p.toml: delimiter: it is one text, number, true or false"),
        ('decimals = "x"', "p.toml: decimals: 'x': it is a whole number from 0 to 9"),
        ("policy = 1", "p.toml: policy: it is a text, a list of texts, or a table"),
        ('policy = ""', "p.toml: policy: it is empty: leave it out for the default"),
        ('policy = "kard"', "p.toml: policy: policy 'kard': there is no such preset; there is card; did you mean"),
        ('[policy]\nredispute = "x"', "p.toml: policy.redispute: policy redispute=x: it is one of never, after"),
        ("[policy]\nredispute = true", "p.toml: policy.redispute: it is a text"),
        ('[policy]\nre-dispute = "never"', "p.toml: policy.re-dispute: it is one of preset, redispute, locked, "),
        ("[policy]\nthreads = '2'", "direct-chargeback, withdrawal-ids; an option stands before the first table"),
        ("[columns]\nstate = 'st'", "credit, debit; an option stands before the first table"),
        ('[policy]\npreset = "kard"', "p.toml: policy.preset: 'kard': it is one of card; did you mean 'card'?"),
        (
            '[policy]\nwithdrawal-ids = "ignored"\nwithdrawal-dispute = "hold"',
            "p.toml: policy: policy withdrawal-ids=ignored excludes withdrawal-dispute=hold",
        ),
        ("threads = 3\nthreads =\n", "p.toml:2: is no TOML: Invalid value in column 10; a line is NAME = VALUE"),
        ("a = [1,", "p.toml:1: is no TOML: "),
        ("decimal = ,", 'texts stand in quotes, as decimal = ","'),
        (".".join("a" * 20_000) + " = 1", "p.toml: a: there is no such option"),
        ('"" = 1', "p.toml: '': there is no such option"),
        ("a = " + "[" * 5000, "p.toml: is no profile: its lists or tables are nested too deeply"),
        ("# " + "x" * (1 << 20), "p.toml: is longer than 1 MiB: is it a profile?"),
        ('"a\\u001b[31m" = 1', r"p.toml: a\x1b[31m: there is no such option"),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_a_wrong_profile_is_a_usage_error_that_names_file_and_key(folder: Folder, text: str, words: str) -> None:
    folder.write("p.toml", text.encode())
    run = folder.run("in.csv", "--profile", "p.toml")
    run.assert_misused(words)
    assert run.error_lines[0].startswith("txfast: p.toml:")
    assert folder.names() == ["in.csv", "p.toml"]


def test_a_profile_that_is_no_text_is_named_with_its_line(folder: Folder) -> None:
    folder.write("p.toml", b'threads = 1\noutput = "\xff"\n')
    folder.run("in.csv", "--profile", "p.toml").assert_misused("txfast: p.toml:2: is not UTF-8: save it as UTF-8")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.toml", "txfast: missing.toml: cannot be read: No such file or directory"),
        (".", "txfast: .: cannot be read: Is a directory: name the files in it"),
        ("", "txfast: --profile: the name of the file is empty"),
    ],
)
def test_a_profile_that_cannot_be_read_is_a_usage_error(folder: Folder, name: str, words: str) -> None:
    folder.run("in.csv", "--profile", name).assert_misused(words)


def test_standard_input_is_no_profile(folder: Folder) -> None:
    run = folder.run("in.csv", "--profile", "-", stdin=b"threads = 2\n")
    run.assert_misused("a profile is a file, and - is none: name it, or write /dev/stdin")
    assert folder.run("in.csv", "--profile", "/dev/stdin", stdin=b"threads = 2\n").output == ACCOUNTS


def test_the_variable_of_a_profile_is_named(folder: Folder) -> None:
    run = folder.run("in.csv", variables={"TXFAST_PROFILE": "a/"})
    run.assert_misused("txfast: TXFAST_PROFILE: 'a/' names a folder, not a file: add the name of the file")


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        (
            "strict = true\nmax-malformed = 5",
            [],
            "strict = true in p.toml and max-malformed = 5 in p.toml contradict each other",
        ),
        ("quiet = 1\nverbose = true", [], "quiet = 1 in p.toml and verbose = true in p.toml contradict each other"),
        (
            'memory-limit = "128MiB"',
            ["--state", "st"],
            "memory-limit = 128MiB in p.toml is too little for --state: the least is 256MiB",
        ),
        ('output = "a.csv"', ["--rejects", "a.csv"], "output = a.csv in p.toml and --rejects a.csv are the same file"),
        (
            "[columns]\ntype = 'T'",
            ["--columns", "credit=In,debit=Out"],
            "dialect columns.type excludes columns.credit, which says what a row is (p.toml is the profile)",
        ),
        (
            '[policy]\nwithdrawal-dispute = "hold"',
            ["--policy", "withdrawal-ids=ignored"],
            "choose withdrawal-dispute=reject, or another withdrawal-ids (p.toml is the profile)",
        ),
        ('[dialect]\nheader = false\ncolumns.tx = 1', [], "(p.toml is the profile)"),
    ],
)  # fmt: skip
def test_a_message_says_that_an_option_came_from_the_profile(
    folder: Folder, text: str, arguments: list[str], words: str
) -> None:
    folder.write("p.toml", text.encode())
    folder.run("in.csv", "--profile", "p.toml", *arguments).assert_misused(words)


@pytest.mark.parametrize("text", ['output = "a.csv"', 'opening = "in.csv"'])
def test_what_a_check_of_a_state_has_no_use_for_is_named_as_in_the_profile(folder: Folder, text: str) -> None:
    folder.write("p.toml", text.encode())
    run = folder.run("--state", "st", "--verify", "--profile", "p.toml")
    run.assert_misused(f"leave {text.replace(chr(34), '')} in p.toml out")


def test_an_output_never_replaces_the_profile(folder: Folder) -> None:
    folder.write("p", b'output = "p"\n')
    folder.run("in.csv", "--profile", "p").assert_misused("output = p in p")
    assert folder.read("p") == b'output = "p"\n'


def test_a_flag_over_a_profile_is_named_as_the_flag(folder: Folder) -> None:
    folder.write("p.toml", b'memory-limit = "1GiB"\n')
    run = folder.run("in.csv", "--profile", "p.toml", "--memory-limit", "128MiB", "--state", "st")
    run.assert_misused("--memory-limit 128MiB is too little for --state")
    run = folder.run("in.csv", "--profile", "p.toml", "--state", "st", variables={"TXFAST_MEMORY_LIMIT": "128MiB"})
    run.assert_misused("TXFAST_MEMORY_LIMIT=128MiB is too little for --state")


def test_no_message_shows_a_secret_of_a_profile(folder: Folder) -> None:
    secret = "s3://name:very-secret@bucket/key"
    folder.write("p.toml", f'expect = "{secret}"\nstats = ["{secret}"]\n'.encode())
    run = folder.run("in.csv", "--profile", "p.toml")
    run.assert_misused("p.toml: stats: ")
    folder.write("p.toml", f'reader = "{secret}"\n'.encode())
    run = folder.run("in.csv", "--profile", "p.toml")
    run.assert_misused("p.toml: reader: ")
    assert "very-secret" not in run.errors


def test_a_state_keeps_the_dialect_of_a_profile(folder: Folder) -> None:
    folder.write("p.toml", b"decimals = 2\n")
    assert folder.run("in.csv", "--profile", "p.toml", "--state", "st", "-q").exit_code == 0
    folder.write("b.csv", FILE)
    folder.run("b.csv", "--state", "st", "-q").assert_failed("decimals")
    assert folder.run("b.csv", "--state", "st", "-q", variables={"TXFAST_PROFILE": "p.toml"}).exit_code == 0


def test_help_and_dialect_of_read_no_profile(folder: Folder) -> None:
    variables = {"TXFAST_PROFILE": "missing.toml"}
    for arguments in (("--help",), ("--version",), ("--completion=bash",), ("--dialect-of", "in.csv")):
        assert folder.run(*arguments, variables=variables).exit_code == 0


@in_a_folder
def test_a_run_without_a_profile_imports_neither_its_module_nor_toml() -> None:
    import subprocess
    import sys

    Path("in.csv").write_bytes(FILE)
    program = (
        "import sys; before = set(sys.modules); from txfast.command.arguments import parse_arguments; "
        "parse_arguments(['-q', 'in.csv']); print(*sorted(set(sys.modules) - before))"
    )
    variables = {name: text for name, text in os.environ.items() if not name.startswith("TXFAST_")}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=variables)
    assert set(ended.stdout.split()).isdisjoint({"tomllib", "txfast.run.profile", "txfast.dialect.detect"})
