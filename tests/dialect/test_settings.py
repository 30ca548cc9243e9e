"""Settings of a dialect: a wrong one is an error that says which are right, before any input is read."""

from __future__ import annotations

import io

import pytest

import txfast
from tests.support.command import Folder
from tests.support.project import PROJECT_ROOT
from txfast.dialect.dialect import PARTS
from txfast.errors import UsageError

SEMICOLONS = b"Kind;Customer;tx;amount\nSALE;7;1;2,50\nfee;7;2;1\n"
SETTINGS = {
    "delimiter": ";", "decimal": ",", "columns.type": "Kind", "columns.client": "Customer",
    "types.SALE": "deposit", "types.fee": "ignore", "decimals": "2",
}  # fmt: skip
ACCOUNTS = b"client,available,held,total,locked\n7,2.50,0.00,2.50,false\n"


class NeverRead(io.RawIOBase):
    """An input that fails the test when it is read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:  # noqa: ARG002
        raise AssertionError("the input was read")


# Settings of which one is wrong, and words that the message must have.
WRONG: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"delimitr": ";"}, ("delimitr", "delimiter")),
    ({"": ";"}, ("delimiter",)),
    ({"columns": "x"}, ("columns.",)),
    ({"columns.": "x"}, ("columns.",)),
    ({"columns.customer": "x"}, ("customer", "client", "tx", "amount", "credit", "debit")),
    ({"columns.client": ""}, ("columns.client",)),
    ({"types.SALE": "sale"}, ("sale", "deposit", "withdrawal", "reversal", "ignore")),
    ({"types.SALE": "Deposit "}, ("deposit",)),
    ({"types.": "deposit"}, ("types",)),
    ({"types.+": "deposit"}, ("types.-",)),
    ({"types.-": "deposit"}, ("types.+",)),
    ({"columns.credit": "In"}, ("columns.debit",)),
    ({"columns.debit": "Out"}, ("columns.credit",)),
    ({"keep.": "x"}, ("keep",)),
    ({"keep.state": ""}, ("keep.state",)),
    ({"types.+": "deposit", "types.-": "ignore"}, ("types.-", "ignore")),
    (
        {"types.+": "deposit", "types.-": "withdrawal", "columns.credit": "In", "columns.debit": "Out"},
        ("types.+", "credit"),
    ),
    ({"delimiter": ""}, ("delimiter", "tab")),
    ({"delimiter": ";;"}, (";;", "tab")),
    ({"delimiter": "§"}, ("§", "tab")),
    ({"delimiter": "\n"}, ("delimiter",)),
    ({"delimiter": "\r"}, ("delimiter",)),
    ({"quote": ""}, ("quote", "none")),
    ({"quote": "''"}, ("''", "none")),
    ({"quote": "\n"}, ("quote",)),
    ({"delimiter": "'", "quote": "'"}, ("delimiter", "quote")),
    ({"delimiter": '"'}, ("delimiter", "quote")),
    ({"decimal": ""}, ("decimal",)),
    ({"decimal": ",,"}, ("decimal",)),
    ({"decimal": "5"}, ("decimal",)),
    ({"decimal": "-"}, ("decimal",)),
    ({"thousands": "5"}, ("thousands",)),
    ({"thousands": "+"}, ("thousands",)),
    ({"thousands": "."}, ("thousands", "decimal")),
    ({"thousands": ",", "decimal": ","}, ("thousands", "decimal")),
    ({"header": "maybe"}, ("maybe", "yes", "no")),
    ({"skip": "-1"}, ("skip", "-1")),
    ({"skip": "one"}, ("skip", "one")),
    ({"skip": ""}, ("skip",)),
    ({"comment": ""}, ("comment",)),
    ({"comment": "x" * 17}, ("comment", "16")),
    ({"comment": "Ü" * 9}, ("comment", "16")),
    ({"encoding": "ebcdic"}, ("ebcdic", "utf-8", "utf-16", "latin-1", "cp1252")),
    ({"decimals": "10"}, ("10", "0", "9")),
    ({"decimals": "-1"}, ("-1", "0", "9")),
    ({"decimals": "two"}, ("two", "0", "9")),
    ({"amounts": "cents"}, ("cents", "major", "minor")),
    ({"rounding": "up"}, ("refuse", "truncate", "half-even", "half-up")),
    ({"header": "no", "columns.client": "Customer"}, ("columns.client", "Customer", "number")),
    ({"header": "no", "columns.client": "1"}, ("columns.type",)),
    ({"header": "no", "columns.client": "0"}, ("columns.client", "0")),
    ({"header": "no", "keep.status": "done"}, ("keep.status", "number")),
    ({"header": "no", "types.+": "deposit", "types.-": "withdrawal"}, ("columns.client",)),
    ({"header": "no", "columns.credit": "3", "columns.debit": "4"}, ("columns.client",)),
]


@pytest.mark.parametrize(("settings", "words"), WRONG, ids=[str(settings) for settings, _ in WRONG])
def test_a_wrong_setting_is_an_error_that_names_the_right_ones(
    settings: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError) as refused:
        txfast.process(NeverRead(), dialect=settings)
    assert [word for word in words if word not in str(refused.value)] == [], str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [{"skip": object()}, {1: "x"}, [], 5, object()])
def test_a_dialect_is_a_mapping_of_settings(value: object) -> None:
    with pytest.raises(UsageError):
        txfast.process(NeverRead(), dialect=value)  # type: ignore[call-overload]


def test_no_settings_are_no_dialect() -> None:
    file = b"type,client,tx,amount\n"
    assert txfast.process(io.BytesIO(file), dialect={}).stats["dialect"] == {}
    assert txfast.process(io.BytesIO(file), dialect=None).stats["dialect"] == {}


# ---- What the stats say --------------------------------------------------------------------------


def test_stats_have_the_settings_that_are_not_default() -> None:
    stats = txfast.process(io.BytesIO(SEMICOLONS), dialect=SETTINGS).stats
    assert {name: str(value) for name, value in stats["dialect"].items()} == SETTINGS
    assert (stats["rows"], stats["ignored"]) == (1, 1)


def test_stats_leave_out_settings_that_are_default() -> None:
    defaults = {"quote": '"', "decimal": ".", "header": "yes", "skip": "0", "decimals": "4", "rounding": "refuse"}
    stats = txfast.process(io.BytesIO(b"type,client,tx,amount\n"), dialect=defaults).stats
    assert (stats["dialect"], stats["ignored"]) == ({}, 0)


# ---- The command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        [f"--dialect={name}={value}" for name, value in SETTINGS.items()],
        ["-d", ";", "--decimal", ",", "--columns", "type=Kind,client=Customer", "--types", "SALE=deposit,fee=ignore",
         "--decimals", "2"],
        ["--delimiter", ";", "--decimal=,", "--columns", "type=Kind", "--columns", "client=customer", "--types",
         "sale=deposit", "--types=fee=ignore", "--dialect", "decimals=2"],
    ],
    ids=["settings", "flags", "both"],
)  # fmt: skip
def test_the_command_takes_settings_and_flags(folder: Folder, arguments: list[str]) -> None:
    folder.write("sales.csv", SEMICOLONS)
    ended = folder.run("sales.csv", *arguments)
    assert (ended.exit_code, ended.output, ended.error_lines) == (0, ACCOUNTS, [])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--dialect", "rounding=up"], "half-up"),
        (["--dialect", "roundin=half-up"], "rounding"),
        (["--dialect", "rounding"], "rounding"),
        (["-d", ";;"], "tab"),
        (["--columns", "customer=x"], "client"),
        (["--types", "SALE=sale"], "deposit"),
        (["--decimals", "12"], "9"),
        (["--decimal", "5"], "decimal"),
    ],
)
def test_a_wrong_setting_on_the_command_line_is_a_wrong_command_line(
    folder: Folder, arguments: list[str], word: str
) -> None:
    folder.run("in.csv", *arguments).assert_misused(word)


def test_the_reference_has_every_part_with_its_default() -> None:
    page = (PROJECT_ROOT / "docs" / "reference" / "dialect.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    rows = [row for row in rows if len(row) == 4]  # the table of all parts
    for part in PARTS:
        [default, *_] = [row[2] for row in rows if f"`{part.name}" in row[0]]
        if part.default and not part.name.endswith("."):
            assert default.replace("`", "") == part.default.replace("`", ""), part.name
