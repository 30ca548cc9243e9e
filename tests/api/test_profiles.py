"""Profiles in Python: a TOML file gives arguments beneath those of the call, with the meaning that the command has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import txfast
from txfast.api.arguments import ARGUMENTS
from txfast.api.profiles import OPTIONS, REFUSED
from txfast.command.options import OPTIONS as COMMAND_OPTIONS
from txfast.dialect.dialect import Dialect
from txfast.errors import SourceError, UsageError
from txfast.ledger.policy import Policy
from txfast.run.profile import DIALECT_OPTIONS, POLICY

ORDERS = b"Type;Payer;tx;amount\nSALE;7;1;5,50\nwithdrawal;7;2;1,25\nsale;7;3;x\n"
PROFILE = """
delimiter = ";"
decimals = 2

[columns]
client = "Payer"

[types]
SALE = "deposit"

[dialect]
decimal = ","
"""
DIALECT = {"delimiter": ";", "decimal": ",", "columns.client": "Payer", "types.SALE": "deposit", "decimals": "2"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("orders.csv").write_bytes(ORDERS)


def profile(text: str) -> Path:
    Path("p.toml").write_text(text, encoding="utf-8")
    return Path("p.toml")


def test_every_option_of_the_command_is_an_argument_or_is_refused_with_the_way_out() -> None:
    known = {*OPTIONS, *DIALECT_OPTIONS, POLICY}
    assert known.isdisjoint(REFUSED)
    assert {option.name for option in COMMAND_OPTIONS} == known | set(REFUSED)
    assert set(OPTIONS) - {"opening"} <= set(ARGUMENTS)
    parameters = set(inspect.signature(txfast.process).parameters)
    assert parameters == {*OPTIONS, "dialect", "policy", "profile", "inputs", "logger"}


def test_a_profile_reads_a_strange_file() -> None:
    result = txfast.process("orders.csv", profile=profile(PROFILE))
    assert dict(result.stats["dialect"]) == DIALECT
    assert str(result.accounts[0].available) == "4.25"
    ledger = txfast.Ledger(profile="p.toml")
    assert ledger.apply("orders.csv") == {"applied": 2, "bad_amount": 1}
    assert txfast.read("orders.csv", profile="p.toml").read_all().num_rows == 2


def test_options_of_a_profile_are_arguments() -> None:
    Path("open.csv").write_bytes(b"client;available\n7;1\n")
    text = """
threads = 1
memory-limit = "4GiB"
max-malformed = 5
strict = false
reader = "native"
rejects = "r.csv"
opening = "open.csv"
state = "st"
checkpoint = 0.5
last-line = "take"
spill-dir = "spill"
progress = "never"
log-level = "error"
policy = "card"
"""
    result = txfast.process("orders.csv", profile=profile(text + PROFILE.replace("decimals = 2\n", "")))
    assert result.stats["threads"] == 1
    assert result.stats["policy"]["locked"] == "disputes"
    assert str(result.accounts[0].available) == "5.2500"
    assert result.rejects is None
    assert Path("r.csv").read_bytes().count(b"\n") == 2
    assert Path("st").is_dir()


def test_an_argument_beats_a_profile_also_where_it_is_the_default() -> None:
    path = profile("strict = true\nmax-malformed = 0\n" + PROFILE)
    with pytest.raises(txfast.TooManyMalformedError):
        txfast.process("orders.csv", profile=path)
    assert txfast.process("orders.csv", profile=path, strict=False, max_malformed=None).stats["rows"] == 3
    assert list(txfast.read("orders.csv", profile=path, strict=False, max_malformed=1))
    path = profile("threads = 1\n" + PROFILE)
    assert txfast.process("orders.csv", profile=path, threads=2).stats["threads"] == 2
    assert txfast.process("orders.csv", profile=None, dialect=DIALECT).stats["rows"] == 3


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"decimals": 3}, {"decimals": "3"}),
        ({"types.sale": "refund", "types.SALE": "deposit"}, {"types.sale": "refund"}),
        ({"columns.client": "payer"}, {"columns.client": "payer"}),
        (Dialect({"decimals": "3"}), {"decimals": "3"}),
        (None, {}),
        ({}, {}),
    ],
)
def test_a_dialect_overrides_single_parts(given: Any, changed: dict[str, str]) -> None:
    result = txfast.process("orders.csv", profile=profile(PROFILE), dialect=given)
    assert dict(result.stats["dialect"]) == DIALECT | changed


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("overdraft=all", "card,overdraft=all"),
        ({"redispute": "never"}, "card,redispute=never"),
        (Policy("overdraft=all"), "overdraft=all"),
        ("", "card"),
        (None, "card"),
    ],
)
def test_a_policy_overrides_single_switches(given: Any, expected: str) -> None:
    path = profile(PROFILE + '[policy]\npreset = "card"\n')
    assert dict(txfast.process("orders.csv", profile=path, policy=given).stats["policy"]) == dict(Policy(expected))


PROCESS: Callable[..., object] = lambda **given: txfast.process("orders.csv", **given)  # noqa: E731
READ: Callable[..., object] = lambda **given: txfast.read("orders.csv", **given)  # noqa: E731


@pytest.mark.parametrize(
    ("call", "text", "message"),
    [
        (PROCESS, 'output = "a.csv"', "p.toml: output: write the accounts of the result with accounts.write(path)"),
        (PROCESS, "quiet = true", "p.toml: quiet: a program has a logger: leave it out of a profile for programs"),
        (PROCESS, "verify = true", "p.toml: verify: it does something else than a run: give it to the command"),
        (PROCESS, 'profile = "q"', "p.toml: profile: a profile cannot name another one"),
        (PROCESS, "thread = 1", "p.toml: thread: there is no such option; did you mean 'threads'?"),
        (PROCESS, "max_malformed = 1", "p.toml: max_malformed: there is no such option; write max-malformed"),
        (PROCESS, "threads = 0", "p.toml: threads: '0' is no number of threads: it is 1 or more"),
        (PROCESS, 'strict = "perhaps"', "p.toml: strict: 'perhaps': it is one of 1, true, yes, 0, false, no"),
        (PROCESS, 'reader = "Native"', "p.toml: reader: it is one of native, arrow"),
        (PROCESS, 'rejects = "r.xlsx"', "p.toml: rejects: 'r.xlsx': .xlsx means"),
        (PROCESS, 'state = "s3://a/b"', "p.toml: state: s3://a/b is elsewhere: name a folder on this machine"),
        (PROCESS, 'progress = "x"', "p.toml: progress: it is True, False or one of auto, always, never"),
        (PROCESS, '[columns]\ncleint = "A"', "p.toml: columns.cleint: dialect 'columns.cleint': it is one of type"),
        (PROCESS, '[policy]\nlocked = "x"', "p.toml: policy.locked: policy locked=x: it is one of closed"),
        (
            READ,
            'policy = "card"',
            "p.toml: policy: txfast.read has no such argument: leave it out of a profile for programs, or use "
            "txfast.process",
        ),
        (READ, "threads = 1", "p.toml: threads: txfast.read has no such argument"),
        (READ, 'output = "a.csv"', "p.toml: output: write the accounts of the result"),
        (txfast.Ledger, "strict = true", "p.toml: strict: txfast.Ledger has no such argument"),
    ],
)
def test_a_wrong_profile_is_refused_by_file_and_key(call: Callable[..., object], text: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        call(profile=profile(text))
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("given", [{1: "x"}, {"decimals": None}, "x", 1])
def test_a_wrong_argument_is_refused_beside_a_profile_too(given: Any) -> None:
    path = profile(PROFILE + '[policy]\npreset = "card"\n')
    with pytest.raises(UsageError, match=r"^dialect"):
        txfast.process("orders.csv", profile=path, dialect=given)
    with pytest.raises(UsageError, match=r"^policy"):
        txfast.process("orders.csv", profile=path, policy=given)


def test_a_profile_that_cannot_be_read_is_a_source_error() -> None:
    with pytest.raises(SourceError, match=r"^missing\.toml: cannot be read: No such file or directory$") as refused:
        txfast.process("orders.csv", profile="missing.toml")
    assert isinstance(refused.value, OSError)
    assert refused.value.filename == "missing.toml"


def test_a_ledger_without_a_profile_is_as_ever() -> None:
    ledger = txfast.Ledger()
    ledger.save("st")
    assert len(txfast.Ledger.load("st", threads=1)) == 0
