"""The option --policy: lists, repetitions, the variable, the preset, wrong names and values, the stats."""

from __future__ import annotations

import json

import pytest

from tests.support.arguments import parse, usage_error
from tests.support.command import Folder
from txfast.command.options import OPTIONS
from txfast.ledger.policy import EXCLUDED, PRESETS, SWITCHES, Policy

ROWS = b"type,client,tx,amount\n"
# A deposit is disputed, resolved, and disputed again.
TWICE = ROWS + b"deposit,1,1,5\ndispute,1,1,\nresolve,1,1,\ndispute,1,1,\n"


def policy(*arguments: str, **variables: str) -> str:
    """The settings of a command line that are not the default."""
    return str(parse(*arguments, "in.csv", **variables).policy or "")


def test_without_the_option_there_is_no_policy() -> None:
    assert parse("in.csv").policy is None
    assert parse("in.csv", policy="").policy is None


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_each_value_of_each_switch_is_accepted(switch: object) -> None:
    assert parse("--policy", f"{switch.name}={switch.default}", "in.csv").policy is None  # type: ignore[attr-defined]
    for value in list(switch.values)[1:]:  # type: ignore[attr-defined]
        assert policy("--policy", f"{switch.name}={value}") == f"{switch.name}={value}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["--policy", "redispute=after-resolve,locked=deposits"], "redispute=after-resolve,locked=deposits"),
        (["--policy", "locked=deposits", "--policy", "redispute=after-resolve"],
         "redispute=after-resolve,locked=deposits"),
        (["--policy=locked=deposits", "--policy=locked=disputes"], "locked=disputes"),
        (["--policy", "locked=deposits,locked=closed"], ""),
        (["--policy", " overdraft = all , zero-amount=reject"], "overdraft=all,zero-amount=reject"),
        (["--policy", "card"], PRESETS["card"]),
        (["--policy", "redispute=never,card"], PRESETS["card"]),
        (["--policy", "card", "--policy", "redispute=never,dispute-amount=ignore"],
         "locked=disputes,withdrawal-dispute=hold"),
        (["--policy", "card,withdrawal-dispute=reject,withdrawal-ids=ignored"],
         "redispute=after-resolve,locked=disputes,dispute-amount=partial,withdrawal-ids=ignored"),
    ],
)  # fmt: skip
def test_of_a_switch_that_is_set_twice_the_later_value_counts(arguments: list[str], meant: str) -> None:
    assert policy(*arguments) == meant


def test_the_variable_takes_lists_and_a_flag_replaces_all_of_it() -> None:
    assert policy(policy="card,redispute=never") == "locked=disputes,withdrawal-dispute=hold,dispute-amount=partial"
    assert policy("--policy", "overdraft=all", policy="card") == "overdraft=all"
    assert policy("--policy", "locked=closed", policy="card") == ""
    assert policy("--policy", "overdraft=all", policy="no such policy") == "overdraft=all"


NAMES = ", ".join(switch.name for switch in SWITCHES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("redisputed=never", f"policy 'redisputed': there is no such switch; there are {NAMES}; "
         "did you mean 'redispute'?"),
        ("colour=red", f"policy 'colour': there is no such switch; there are {NAMES}"),
        ("redispute=after-resolved", "policy redispute=after-resolved: it is one of never, after-resolve; "
         "did you mean 'after-resolve'?"),
        ("redispute=yes", "policy redispute=yes: it is one of never, after-resolve"),
        ("locked=", "policy locked=: it is one of closed, deposits, disputes, deposits+disputes"),
        ("locked", "policy locked has no value: it is one of closed, deposits, disputes, deposits+disputes"),
        ("cards", "policy 'cards': there is no such preset; there is card; did you mean 'card'?"),
        ("visa", "policy 'visa': there is no such preset; there is card"),
        ("Card", "policy 'Card': there is no such preset; there is card; did you mean 'card'?"),
        ("card,", "policy '': a setting is missing: is a variable of the shell not set?"),
        ("=never", "policy '=never': a setting is missing: is a variable of the shell not set?"),
        ("", "the policy is empty: is a variable of the shell not set? leave the option out for the default"),
        ("withdrawal-ids=ignored,withdrawal-dispute=hold", "policy withdrawal-ids=ignored excludes "
         "withdrawal-dispute=hold: choose withdrawal-dispute=reject, or another withdrawal-ids"),
        ("card,withdrawal-ids=ignored", "policy withdrawal-ids=ignored excludes withdrawal-dispute=hold: "
         "choose withdrawal-dispute=reject, or another withdrawal-ids"),
    ],
)  # fmt: skip
def test_a_wrong_policy_is_a_usage_error(capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    assert usage_error(capsys, "--policy", text, "in.csv") == f"txfast: --policy: {words}"
    if text:
        assert usage_error(capsys, "in.csv", policy=text) == f"txfast: TXFAST_POLICY: {words}"


def test_a_wrong_policy_ends_the_command_with_exit_code_2_and_no_output(folder: Folder) -> None:
    run = folder.run("--policy", "locked=open", "-o", "a.csv", "--state", "ledger", "in.csv")
    run.assert_misused("--policy: policy locked=open: it is one of closed, deposits, disputes, deposits+disputes")
    folder.run("--policy", "card", "--policy", "", "in.csv").assert_misused("a setting is missing")
    folder.run("in.csv", "--policy").assert_misused("--policy: its value is missing")
    assert folder.names() == ["in.csv"]


def test_the_policy_decides_what_rows_do_and_stands_in_the_stats(folder: Folder) -> None:
    folder.write("twice.csv", TWICE)
    plain = folder.run("-q", "twice.csv", "--stats", "plain.json")
    assert plain.output.endswith(b"1,5.0000,0.0000,5.0000,false\n")
    run = folder.run("-q", "twice.csv", "--stats", "stats.json", "--policy", "card", "--policy", "locked=closed")
    assert run.output.endswith(b"1,0.0000,5.0000,5.0000,false\n")
    plain_stats, stats = (json.loads((folder.path / name).read_text()) for name in ("plain.json", "stats.json"))
    assert plain_stats["policy"] == {switch.name: switch.default for switch in SWITCHES}
    assert stats["policy"] == dict(Policy("card,locked=closed"))
    assert list(stats["policy"]) == list(plain_stats["policy"])
    assert (plain_stats["rejected"]["duplicate_dispute"], stats["rejected"]["duplicate_dispute"]) == (1, 0)


def test_a_variable_sets_the_policy_of_the_command(folder: Folder) -> None:
    folder.write("twice.csv", TWICE)
    run = folder.run("-q", "twice.csv", variables={"TXFAST_POLICY": "redispute=after-resolve"})
    assert run.output.endswith(b"1,0.0000,5.0000,5.0000,false\n")


def test_the_long_text_has_every_switch_value_preset_and_exclusion() -> None:
    [option] = [option for option in OPTIONS if option.name == "policy"]
    text = " ".join(option.manual.split())
    listed = "; ".join(f"{switch.name} ({', '.join(switch.values)})" for switch in SWITCHES)
    assert f"the first of which is the default: {listed}. " in text
    assert [f"{name} stands for {meaning.replace(',', ', ')}." in text for name, meaning in PRESETS.items()] == [True]
    assert [f"{name}={value} excludes" in text for name, value, _, _ in EXCLUDED] == [True]
