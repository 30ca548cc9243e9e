"""Arguments of the public functions: each is one of its right values, or an error that names them."""

from __future__ import annotations

import inspect
import io
import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import dataset

import txfast
from tests.support.reference import HEADER
from txfast.api.arguments import ARGUMENTS, AccountsFormat, LastLine, LogLevel, Reader, RejectsFormat, shown
from txfast.errors import UsageError
from txfast.input.source import LAST_LINE_RULES, READERS
from txfast.log.journal import LEVELS
from txfast.writers.formats import CONTENTS, FORMATS

ROWS = HEADER + b"deposit,1,1,10.5\n"


def file() -> io.BytesIO:
    return io.BytesIO(ROWS)


def accounts() -> txfast.Accounts:
    return txfast.process(file()).accounts


# Every public function with arguments that ARGUMENTS has.
CALLS: dict[str, Callable[..., object]] = {
    "process": lambda **given: txfast.process(file(), **given),
    "read": lambda **given: txfast.read(file(), **given),
    "Ledger": lambda **given: txfast.Ledger(**given),
    "Ledger.apply": lambda **given: txfast.Ledger().apply(file(), **given),
    "Ledger.load": lambda path="missing", **given: txfast.Ledger.load(path, **given),
    "Ledger.save": lambda **given: txfast.Ledger().save(**given),
    "open": lambda path="missing", **given: txfast.open(path, **given),
    "StateLedger.accounts": lambda **given: txfast.open("missing", create=True).accounts(**given),
    "StateLedger.apply": lambda **given: txfast.open("missing", create=True).apply(file(), **given),
    "StateLedger.load": lambda path="missing", **given: txfast.StateLedger.load(path, **given),
    "StateLedger.save": lambda **given: txfast.open("missing", create=True).save(**given),
    "Accounts.write": lambda path="a.csv", **given: accounts().write(path, **given),
    "Rejects.write": lambda path="r.csv", **given: txfast.process(file(), rejects=True).rejects.write(path, **given),
}
# Inputs are checked by themselves, as are files of balances, and a client that is none has no account.
NOT_IN_THE_TABLE = {
    "inputs", "transactions", "opening", "expected", "client", "default", "row", "start", "stop", "requested_schema",
}  # fmt: skip
# An argument that means something else in one function.
OTHER_NAMES = {("Rejects.write", "format"): "format of rejects"}

ANYTHING_BUT = [object(), ..., [], (), {}, pd.DataFrame(), "wrong", "", b"x", 1.5, -1, math.nan]
NOT_A_SWITCH = [*ANYTHING_BUT, None, 0, 1, "True"]
NOT_A_NUMBER = [*ANYTHING_BUT, True, "1"]
NOT_A_PATH = [object(), ..., [], (), {}, pd.DataFrame(), "", b"x", 1.5, -1, True, None]
WRONG: dict[str, list[Any]] = {
    "rejects": NOT_A_SWITCH,
    "max_malformed": NOT_A_NUMBER,
    "strict": NOT_A_SWITCH,
    "dialect": [
        *(each for each in ANYTHING_BUT if not isinstance(each, dict)),
        True,
        {"delimiter": ";;"},
        {"delimitter": ";"},
        {"decimals": 10},
        {"decimals": True},
        {"columns.customer": "Customer"},
        {"types.SALE": "sale"},
        {"types.+": "deposit"},
        {"thousands": "."},
        {"skip": None},
        {1: ";"},
        {"": ""},
    ],
    "profile": [each for each in NOT_A_PATH if each is not None],
    "policy": [
        *(each for each in ANYTHING_BUT if not isinstance(each, str | dict)),
        "wrong",
        True,
        1,
        "kard",
        "card,",
        "redispute",
        "redispute=",
        "redispute=x",
        "re-dispute=never",
        "withdrawal-ids=ignored,withdrawal-dispute=hold",
        {"redispute": "x"},
        {"card": "yes"},
        {"redispute": "never,locked=disputes"},
        {"locked": None},
        {1: "never"},
        {"": ""},
        {"withdrawal-ids": "ignored", "withdrawal-dispute": "mark"},
        [("redispute", "never")],
        {"redispute"},
    ],
    "sql": [7, b"FROM x", "", " "],
    "reader": [*ANYTHING_BUT, None, "pandas", "Native"],
    "threads": [*NOT_A_NUMBER, 0],
    "memory_limit": [*NOT_A_NUMBER, 5, "1MB", "2", 1e9, False],
    "spill_dir": [each for each in NOT_A_PATH if each is not None],
    "state": [each for each in NOT_A_PATH if each is not None],
    "checkpoint": [object(), ..., [], {}, pd.DataFrame(), "1", b"1", True, -1, -0.5, math.nan, math.inf, 10**400],
    "last_line": [*ANYTHING_BUT, "auto", "Take"],
    "progress": [*NOT_A_SWITCH, "on"],
    "statuses": NOT_A_SWITCH,
    "create": NOT_A_SWITCH,
    "changed": NOT_A_SWITCH,
    "log_level": [*ANYTHING_BUT, None, "wran", "INFO", 1],
    "logger": [*ANYTHING_BUT, "txfast", logging],
    "path": NOT_A_PATH,
    "format": [*ANYTHING_BUT, "CSV", "xlsx"],
    "format of rejects": [*ANYTHING_BUT, "CSV", "arrow"],
}
RIGHT_WORDS = {
    "reader": READERS,
    "log_level": LEVELS,
    "last_line": LAST_LINE_RULES,
    "format": FORMATS,
    "format of rejects": CONTENTS["rejects"][0],
    "rejects": ("True", "False"),
    "strict": ("True", "False"),
    "progress": ("True", "False", "auto", "always", "never"),
    "statuses": ("True", "False"),
    "create": ("True", "False"),
    "changed": ("True", "False"),
}


def parameters() -> Iterator[tuple[str, str]]:
    """Each argument of each public function, but for those of another kind."""
    for name in txfast.__all__:
        found = getattr(txfast, name)
        functions = {name: found} if inspect.isfunction(found) or name == "Ledger" else {}
        if inspect.isclass(found) and not issubclass(found, Exception | tuple):
            methods = inspect.getmembers(found, lambda each: inspect.isfunction(each) or inspect.ismethod(each))
            functions |= {f"{name}.{method}": value for method, value in methods if not method.startswith("_")}
        for function, value in functions.items():
            for parameter in inspect.signature(value).parameters:
                if parameter != "self" and parameter not in NOT_IN_THE_TABLE:
                    yield function, OTHER_NAMES.get((function, parameter), parameter)


def test_every_argument_of_a_public_function_is_in_the_table() -> None:
    found = set(parameters())
    assert {parameter for _, parameter in found} == set(ARGUMENTS) == set(WRONG)
    assert {function for function, _ in found} == set(CALLS)


@pytest.mark.parametrize(("function", "name"), sorted(parameters()))
def test_a_wrong_value_is_refused_with_the_right_ones(
    function: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in WRONG[name]:
        with pytest.raises(UsageError) as refused:
            CALLS[function](**{name.partition(" of ")[0]: wrong})
        message = str(refused.value)
        assert message.startswith(f"{name.partition(' of ')[0]}{shown(wrong)}: "), message
        assert ": " in message
        assert "\n" not in message
        assert all(word in message for word in RIGHT_WORDS.get(name, ())), message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("log_level", "wran", "log_level='wran': it is one of error, warn, info, debug, trace"),
        ("policy", 1, 'policy=1: it is a policy, such as "card" or "redispute=after-resolve", or None'),
        (
            "policy",
            {"redispute": "always"},
            "policy of type dict: policy redispute=always: it is one of never, after-resolve",
        ),
        (
            "policy",
            "withdrawal-ids=ignored,withdrawal-dispute=hold",
            "policy='withdrawal-ids=ignored,withdrawal-dispute=hold': policy withdrawal-ids=ignored excludes "
            "withdrawal-dispute=hold: choose withdrawal-dispute=reject, or another withdrawal-ids",
        ),
        ("progress", ..., "progress of type ellipsis: it is True, False or one of auto, always, never"),
        ("threads", True, "threads=True: it is a whole number, 1 or more, or None"),
        ("threads", pd.DataFrame(), "threads of type pandas.DataFrame: it is a whole number, 1 or more, or None"),
        ("memory_limit", 5, "memory_limit=5: the least is 100663296, 96 MiB"),
        (
            "memory_limit",
            "2",
            "memory_limit='2': '2' is no size: it is a number with a unit, such as 512MiB, 2GB or 1G",
        ),
        ("spill_dir", b"x", "spill_dir=b'x': it is the path of a folder, or None"),
        ("reader", "x" * 99, "reader='" + "x" * 59 + "…: it is one of native, arrow"),
    ],
)
def test_a_message_says_what_was_found_and_what_to_do(name: str, wrong: object, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        CALLS["process"](**{name: wrong})
    assert str(refused.value) == message


def test_right_values_of_every_type_are_taken(tmp_path: Path) -> None:
    numbers: dict[str, Any] = {
        "max_malformed": np.int64(0),
        "threads": np.uint8(1),
        "memory_limit": np.int64(1 << 30),
    }
    result = txfast.process(file(), **numbers, spill_dir=tmp_path, logger=logging.Logger("mine"))
    assert result.stats["threads"] == 1
    assert type(result.stats["threads"]) is int
    assert txfast.process(file(), max_malformed=None, threads=None, memory_limit=None, spill_dir=None, logger=None)
    accounts().write(tmp_path / "a.txt", format=None)
    assert (tmp_path / "a.txt").read_bytes().startswith(b"client,")


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"x"


def test_a_path_of_bytes_is_refused_with_the_way_out() -> None:
    for function, name in (("process", "spill_dir"), ("Ledger.save", "path"), ("Accounts.write", "path")):
        with pytest.raises(UsageError, match=rf"{name}=<.*BytesPath.*: a path of bytes: decode it by os.fsdecode"):
            CALLS[function](**{name: BytesPath()})


@pytest.mark.parametrize(
    ("types", "table"),
    [
        (Reader, READERS),
        (LastLine, LAST_LINE_RULES),
        (LogLevel, LEVELS),
        (AccountsFormat, FORMATS),
        (RejectsFormat, CONTENTS["rejects"][0]),
    ],
)
def test_the_words_that_type_checkers_know_are_those_of_the_run(types: object, table: tuple[str, ...]) -> None:
    assert get_args(types) == table


# ---- Inputs --------------------------------------------------------------------------------------

FRAME = pl.DataFrame({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["1"]})


class Lazy:
    """As a frame of Spark or Dask: the name of its one method is the way to a table."""

    def __init__(self, method: str) -> None:
        setattr(self, method, lambda: None)


NO_INPUTS: dict[str, tuple[object, str]] = {
    "empty list": ([], r"no input: the list is empty"),
    "empty tuple": ((), r"no input: the tuple is empty"),
    "empty set": (set(), r"no input: the set is empty"),
    "list of paths": (["a.csv", "b.csv"], r"a list of str is no input: give its elements one by one; only"),
    "list of a table and a path": ([FRAME, Path("a.csv")], r"a list of pathlib.PosixPath is no input"),
    "tuple of files": ((file(), file()), r"a tuple of io.BytesIO is no input: give its elements one by one"),
    "generator of paths": ((name for name in ["a.csv"]), r"a generator of str is no input: give its elements one by"),
    "list of dictionaries": ([{"type": "deposit"}], r"an iterable of dict cannot be read: its elements must be tables"),
    "dictionary": ({"type": ["deposit"]}, r"an input of type dict is no table: make one of it, as pyarrow.table\(\)"),
    "lazy frame": (FRAME.lazy(), r"an input of type polars.LazyFrame is no table yet: give what its collect\(\) ret"),
    "dataset": (dataset.dataset(FRAME.to_arrow()), r"pyarrow.InMemoryDataset is no table yet: .* its to_table\(\) "),
    "frame of Spark": (Lazy("toArrow"), r"is no table yet: give what its toArrow\(\) returns"),
    "frame of Dask": (Lazy("compute"), r"is no table yet: give what its compute\(\) returns"),
    "class": (Path, r"an input of type type cannot be read: it is a path, a binary file, or a table"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "reason"), NO_INPUTS.values(), ids=NO_INPUTS.keys())
def test_what_is_no_input_is_refused_with_the_way_out(given: Any, reason: str) -> None:
    calls: list[Callable[..., object]] = [txfast.process, txfast.Ledger().apply, lambda given: list(txfast.read(given))]
    if isinstance(given, Iterator):
        del calls[1:]  # it can be iterated once
    for call in calls:
        with pytest.raises(UsageError, match=reason):
            call(given)


def test_no_row_is_applied_before_all_inputs_are_checked() -> None:
    ledger = txfast.Ledger()
    batches: list[Any] = [FRAME.to_arrow(), "a.csv"]
    with pytest.raises(UsageError, match="one by one"):
        ledger.apply(batches)
    assert len(ledger) == 0


def test_a_table_without_rows_is_an_input() -> None:
    assert len(txfast.process(FRAME.clear()).accounts) == 0
    assert len(txfast.process(pa.table(FRAME).slice(0, 0)).accounts) == 0
    assert len(txfast.process(iter(())).accounts) == 0
