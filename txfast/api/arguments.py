"""Checks of the arguments that a program gives. Each raises UsageError for a value that means nothing."""

from txfast.errors import UsageError
from txfast.run.machine import default_memory_limit
from txfast.run.values import MEMORY_LIMIT_MIN, memory_size


def malformed_limit(max_malformed: int | None, *, strict: bool) -> int | None:
    """The most malformed rows that are allowed; None allows any number."""
    check_number("max_malformed", max_malformed)
    if max_malformed is not None and max_malformed < 0:
        raise UsageError(f"max_malformed={max_malformed}: it is 0 or more")
    if strict and max_malformed:
        raise UsageError(f"strict and max_malformed={max_malformed} contradict each other")
    return 0 if strict else max_malformed


def check_number(name: str, number: object) -> None:
    """See that an argument, where it is given, is a whole number."""
    if number is not None and not isinstance(number, int):
        raise UsageError(f"{name}={number!r}: it is a whole number")


def limit_in_bytes(memory_limit: "int | str | None") -> int:
    """A memory limit in bytes; by default the one of the command."""
    if memory_limit is None:
        return default_memory_limit()
    if isinstance(memory_limit, str):
        return memory_size(memory_limit)
    check_number("memory_limit", memory_limit)
    if memory_limit < MEMORY_LIMIT_MIN:
        raise UsageError(f"memory_limit={memory_limit}: the least is {MEMORY_LIMIT_MIN}, {MEMORY_LIMIT_MIN >> 20} MiB")
    return memory_limit
