"""The arguments of the public functions: one table of what each may be, and the one check of them.

A value that means nothing raises UsageError: it says the argument, the value, and the right ones. This module must not
know what an argument does.
"""

import logging
import math
import operator
import os
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from txfast.errors import UsageError
from txfast.input.location import keep_secrets_of
from txfast.input.ref import is_location
from txfast.input.source import LAST_LINE_RULES, READERS
from txfast.log.journal import LEVELS, PROGRESS_MODES
from txfast.printable import without_secrets
from txfast.run import values
from txfast.run.values import MEMORY_LIMIT_MIN
from txfast.writers.formats import CONTENTS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from txfast.dialect.dialect import Dialect
    from txfast.ledger.policy import Policy

# The words that an argument may be, for type checkers. A test holds them to the tables that runs use.
Reader: TypeAlias = Literal["native", "arrow"]
LogLevel: TypeAlias = Literal["error", "warn", "info", "debug", "trace"]
ProgressMode: TypeAlias = Literal["auto", "always", "never"]
LastLine: TypeAlias = Literal["take", "hold", "fail"]
AccountsFormat: TypeAlias = Literal["csv", "parquet", "arrow"]
RejectsFormat: TypeAlias = Literal["csv", "jsonl", "parquet"]

# A value is shown in a message up to here.
SHOWN_LENGTH_MAX = 60


class Wrong(Exception):  # noqa: N818 (it never leaves this module)
    """A value is none of those that an argument may be."""


class Allowed:
    """What an argument may be.

    `take` returns the value as a run takes it; it raises Wrong, or UsageError where it knows better what is wrong.
    `right` says the right values in words.
    """

    __slots__ = ("may_be_none", "right", "take")

    def __init__(self, right: str, take: "Callable[[Any], object]", *, may_be_none: bool = False) -> None:
        self.right = f"{right}, or None" if may_be_none else right
        self.take = take
        self.may_be_none = may_be_none


def taken(name: str, given: object) -> Any:
    """An argument of this name in ARGUMENTS, as a run takes it. Raises UsageError for a value that means nothing."""
    allowed = ARGUMENTS[name]
    name = name.partition(" of ")[0]
    if given is None and allowed.may_be_none:
        return None
    try:
        return allowed.take(given)
    except Wrong:
        raise UsageError(f"{name}{shown(given)}: it is {allowed.right}") from None
    except UsageError as error:
        raise UsageError(f"{name}{shown(given)}: {without_secrets(str(error))}") from None


def shown(given: object) -> str:
    """A value in a message, after the name of the argument: a short one itself, else its type."""
    if given is None or isinstance(given, str | bytes | bool | int | float | os.PathLike):
        keep_secrets_of(str(given))
        text = without_secrets(repr(given))
        return f"={text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + '…'}"
    return f" of type {type_name(given)}"


def type_name(given: object) -> str:
    """The name of an object without one, in messages and rejects: its type, after the package that it comes from."""
    kind = type(given)
    package = kind.__module__.partition(".")[0].lstrip("_")
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"


# ---- What arguments may be -------------------------------------------------------------------------


def switch(given: object) -> bool:
    if not isinstance(given, bool):
        raise Wrong
    return given


def progress_mode(given: object) -> str:
    """One of the command's words; True is always, False is never."""
    if isinstance(given, bool):
        return "always" if given else "never"
    if not isinstance(given, str) or given not in PROGRESS_MODES:
        raise Wrong
    return given


def switch_or_rejects_file(given: object) -> bool | str:
    if isinstance(given, bool):
        return given
    try:
        return values.rejects_file(path_text(given))
    except UsageError as error:
        raise UsageError(f"it is True, False or the path of a rejects file: {error}") from None


def whole_number(given: object) -> int:
    """A number of any integer type, numpy's too; not True or False."""
    if isinstance(given, bool):
        raise Wrong
    try:
        return int(operator.index(given))  # type: ignore[arg-type]
    except TypeError:
        raise Wrong from None


def number_from(least: int) -> Allowed:
    """A whole number that is this or more, or None."""

    def take(given: object) -> int:
        number = whole_number(given)
        if number < least:
            raise Wrong
        return number

    return Allowed(f"a whole number, {least} or more", take, may_be_none=True)


def bytes_or_size(given: object) -> int:
    if isinstance(given, str):
        return values.memory_size(given)
    number = whole_number(given)
    if number < MEMORY_LIMIT_MIN:
        raise UsageError(f"the least is {MEMORY_LIMIT_MIN}, {MEMORY_LIMIT_MIN >> 20} MiB")
    return number


def seconds(given: object) -> float:
    """A number of seconds of any type that is a number; not True or False."""
    if isinstance(given, bool | str | bytes):
        raise Wrong
    try:
        number = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise Wrong from None
    if not 0 <= number < math.inf:
        raise Wrong
    return number


def path_text(given: object) -> str:
    if not isinstance(given, str | os.PathLike):
        raise Wrong
    path = os.fspath(given)
    if isinstance(path, bytes):
        raise UsageError("a path of bytes: decode it by os.fsdecode()")
    if not path:
        raise UsageError("the path is empty")
    if is_location(path):
        raise UsageError("it is elsewhere: name a path on this machine")
    return path


def folder(given: object) -> str:
    return values.folder_name(path_text(given))


def spill_folder(given: object) -> str:
    return values.spill_folder(path_text(given))


def query(given: object) -> str:
    """The text of a query, or the name of a file with one."""
    if not isinstance(given, str):
        raise Wrong
    return values.query(given)


def policy(given: object) -> "Policy | None":
    """A text, a mapping of switches to values, or a Policy; None for the default one."""
    if not isinstance(given, str | Mapping):
        raise Wrong
    return values.policy(given)


def dialect(given: object) -> "Dialect | None":
    """A mapping of parts to values, or a Dialect; None for the default one."""
    if not isinstance(given, Mapping):
        raise Wrong
    settings = {}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(name, str) or not isinstance(value, str | int):
            raise Wrong
        settings[name] = str(value)
    return values.dialect(settings)


def words(allowed: tuple[str, ...], *, may_be_none: bool = False) -> Allowed:
    """One of these words."""

    def take(given: object) -> str:
        if not isinstance(given, str) or given not in allowed:
            raise Wrong
        return given

    return Allowed(f"one of {', '.join(allowed)}", take, may_be_none=may_be_none)


def given_logger(given: object) -> "logging.Logger":
    if not isinstance(given, logging.Logger):
        raise Wrong
    return given


# Every argument of every public function except the inputs (inputs.py) and what is looked up, such as a client. One
# that means something else elsewhere is there a second time, with "of" and where.
ARGUMENTS: dict[str, Allowed] = {
    "rejects": Allowed("True, False or the path of a rejects file", switch_or_rejects_file),
    "max_malformed": number_from(0),
    "strict": Allowed("True or False", switch),
    "profile": Allowed("the path of a profile, a TOML file", path_text, may_be_none=True),
    "policy": Allowed('a policy, such as "card" or "redispute=after-resolve"', policy, may_be_none=True),
    "dialect": Allowed(
        'a mapping of parts to values, such as {"delimiter": ";", "decimals": 2}', dialect, may_be_none=True
    ),
    "sql": Allowed("the text of a DuckDB query, or the path of a .sql file", query, may_be_none=True),
    "reader": words(READERS),
    "threads": number_from(1),
    "memory_limit": Allowed('a number of bytes, or a text such as "2GiB"', bytes_or_size, may_be_none=True),
    "spill_dir": Allowed("the path of a folder", spill_folder, may_be_none=True),
    "progress": Allowed(f"True, False or one of {', '.join(PROGRESS_MODES)}", progress_mode),
    "statuses": Allowed("True or False", switch),
    "create": Allowed("True or False", switch),
    "changed": Allowed("True or False", switch),
    "log_level": words(LEVELS),
    "state": Allowed("the path of a folder", folder, may_be_none=True),
    "checkpoint": Allowed("a number of seconds, 0 or more", seconds, may_be_none=True),
    "last_line": words(LAST_LINE_RULES, may_be_none=True),
    "logger": Allowed('a logger, as logging.getLogger("txfast") is', given_logger, may_be_none=True),
    "path": Allowed("a path: text, or an os.PathLike", path_text),
    "format": words(CONTENTS["accounts"][0], may_be_none=True),
    "format of rejects": words(CONTENTS["rejects"][0], may_be_none=True),
}


# ---- Arguments that belong together ----------------------------------------------------------------


def malformed_limit(max_malformed: int | None, *, strict: bool) -> int | None:
    """The most malformed rows that are allowed; None allows any number. Raises UsageError."""
    limit: int | None = taken("max_malformed", max_malformed)
    if not taken("strict", strict):
        return limit
    if limit:
        raise UsageError(f"strict=True and max_malformed={limit} contradict each other: leave one of them out")
    return 0
