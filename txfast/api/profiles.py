"""Profiles of programs: a TOML file that gives a public function arguments, beneath those of the call.

This module must not know what an argument does.
"""

import inspect
from collections.abc import Mapping
from functools import wraps

from txfast.api.arguments import ARGUMENTS, taken
from txfast.errors import UsageError
from txfast.ledger.policy import Policy
from txfast.run import values
from txfast.run.dialect_options import overlaid
from txfast.run.profile import DIALECT_OPTIONS, POLICY, read_profile

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    Parameters = ParamSpec("Parameters")
    Returned = TypeVar("Returned")

# The options of the command that are arguments too, and the function that makes one of the text in a profile.
OPTIONS: "dict[str, Callable[[str], object]]" = {
    "reader": str,
    "sql": values.query,
    "opening": values.file_name,
    "rejects": values.rejects_file,
    "state": values.folder_name,
    "last_line": str,
    "checkpoint": values.second_count,
    "max_malformed": values.row_count,
    "strict": values.switch,
    "threads": values.thread_count,
    "memory_limit": values.memory_size,
    "spill_dir": values.spill_folder,
    "progress": str,
    "log_level": str,
}
LEFT_OUT = "leave it out of a profile for programs"
LOGGING = f"a program has a logger: {LEFT_OUT}"
INSTEAD = "it does something else than a run: give it to the command"
# The options that no function takes, and what to do.
REFUSED = {
    "output": "write the accounts of the result with accounts.write(path)",
    "output_format": "write the accounts of the result with accounts.write(path, format=...)",
    "expect": "compare the accounts of the result with accounts.differences(expected)",
    "differences": "compare the accounts of the result with accounts.differences(expected)",
    "stats": "take the stats of the result",
    "log_format": LOGGING,
    "color": LOGGING,
    "quiet": LOGGING,
    "verbose": LOGGING,
    "profile": "a profile cannot name another one",
    "account": "look it up by txfast.open(state)[client]",
    "changed": "apply the inputs to txfast.open(state), and take its accounts(changed=True)",
    "dialect_of": INSTEAD,
    "verify": INSTEAD,
    "compact": INSTEAD,
    "completion": INSTEAD,
    "version": INSTEAD,
    "h": INSTEAD,
    "help": INSTEAD,
}


def takes_profile(function: "Callable[Parameters, Returned]") -> "Callable[Parameters, Returned]":
    """Have a function with arguments `profile` and `dialect` get the arguments of that file, beneath those of a call.

    The function itself does not see the profile. Of `dialect` and `policy`, an argument overrides single parts.
    """
    names = set(inspect.signature(function).parameters)
    name = "txfast." + function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def call(*arguments: "Parameters.args", **given: "Parameters.kwargs") -> "Returned":
        path = taken("profile", given.pop("profile", None))
        if path is not None:
            given = arguments_of(path, name, names, given)  # type: ignore[assignment]
        return function(*arguments, **given)

    return call


def arguments_of(path: str, function: str, names: "set[str]", given: "Mapping[str, Any]") -> "dict[str, Any]":
    """The arguments of a call, with those of a profile beneath. `names` are all arguments of the function.

    Raises SourceError for a profile that cannot be read, and UsageError for a key that means nothing here, or a wrong
    value.
    """
    elsewhere = f"{function} has no such argument: {LEFT_OUT}, or use txfast.process"
    known = [*DIALECT_OPTIONS, *(name for name in (*OPTIONS, POLICY) if name in names)]
    refused = REFUSED | {name: elsewhere for name in (*OPTIONS, POLICY) if name not in names}
    profile = read_profile(path, {name: name == "strict" for name in known}, refused)
    found: dict[str, Any] = {}
    for name in profile.options:
        text = profile.text(name)
        try:
            found[name] = OPTIONS[name](text)
        except UsageError as error:
            raise profile.error(name.replace("_", "-"), error) from None
        if name in ARGUMENTS:
            check(profile.error, name, found[name])
    merged = {**found, **given}
    if profile.dialect:
        merged["dialect"] = dialect_over(profile.dialect, given.get("dialect"))
    if profile.policy:
        merged["policy"] = policy_over(",".join(profile.policy), given.get("policy"))
    return merged


def check(error_of: "Callable[[str, object], UsageError]", name: str, value: object) -> None:
    """Raise UsageError, which names the profile, where an argument cannot have this value."""
    try:
        taken(name, value)
    except UsageError as error:
        raise error_of(name.replace("_", "-"), str(error).partition(": ")[2]) from None


def dialect_over(base: "dict[str, str]", given: object) -> object:
    """A dialect of a profile, with the parts of an argument in place of its own. What is no dialect stays as it is."""
    if given is None:
        return base
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        return given
    return overlaid(base, given)


def policy_over(base: str, given: object) -> object:
    """A policy of a profile, with the settings of an argument in place of its own. What is no policy stays as it is."""
    if given is None or given == "":
        return base
    if isinstance(given, str):
        return f"{base},{given}"
    return {**Policy(base), **given} if isinstance(given, Mapping) else given
