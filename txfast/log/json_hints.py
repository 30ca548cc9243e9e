"""Hints about lines of JSON: why a line is no row, and what the fields of a row are.

Python's json says where a line breaks the grammar. This module must not know how rows are parsed: it looks at texts
that the parser has refused.
"""

import json

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLANKS = " \t\v\f"
BYTE_ORDER_MARK = "\ufeff"
# A reported row is cut here: what is left of it says nothing.
ROW_BYTES_MAX = 1 << 16
ONE_LINE = "put each object into a line of its own: jq -c . FILE"


class Number(str):
    """The text of a number."""

    __slots__ = ()


class Members(list[tuple[str, object]]):
    """The members of an object, those of the same key too."""


class NoJsonError(ValueError):
    """A word that Python reads, and that is no JSON."""


def json_hint(row: bytes, columns: "Mapping[str, str]", kept: "Sequence[str]" = ()) -> str:
    """Why a line is no object that is a row; "" where that is not known. `columns` has the key of each role, `kept` are
    keys that tell whether a row is read."""
    text = row.decode("utf-8", "replace").strip(BLANKS)
    if len(row) >= ROW_BYTES_MAX:
        return ""
    if text.startswith(BYTE_ORDER_MARK):
        return "a byte order mark in front of it? leave that out"
    if text.startswith("{'"):
        return "single quotes? JSON has double quotes"
    if text in ("{", "}", "},", "[", "]") or text.startswith('"'):
        return f"an object of several lines? {ONE_LINE}"
    if text.startswith("["):
        return "an array? put its objects into lines of their own: jq -c '.[]' FILE"
    try:
        members = parse(text)
    except NoJsonError as error:
        return f"{error} is no JSON: write null, or leave the key out"
    except json.JSONDecodeError as error:
        return grammar_hint(text, error)
    except RecursionError:
        return ""
    if not isinstance(members, Members):
        return "an object has braces around it"
    return members_hint(members, columns, kept)


def parse(text: str) -> object:
    """A value of JSON: objects as Members, numbers as Numbers. Raises JSONDecodeError, NoJsonError and
    RecursionError."""

    def refuse_constant(word: str) -> None:
        raise NoJsonError(word)

    return json.loads(
        text, object_pairs_hook=Members, parse_int=Number, parse_float=Number, parse_constant=refuse_constant
    )  # fmt: skip


def grammar_hint(text: str, error: json.JSONDecodeError) -> str:
    """Where a text breaks the grammar, in words."""
    if error.msg == "Extra data":
        if text[error.pos :] == ",":
            return "a comma behind the object? leave that out"
        return f"one object a line: there is more from column {error.pos + 1} on"
    if error.pos >= len(text):
        return "it ends too early"
    return f"no JSON from column {error.pos + 1} on"


def members_hint(members: Members, columns: "Mapping[str, str]", kept: "Sequence[str]") -> str:
    """What is wrong with the keys of an object."""
    roles: dict[int, str] = {}
    for role, name in (*columns.items(), *((f"keep.{name}", name) for name in kept)):
        fitting = fitting_members(members, name)
        if len(fitting) > 1:
            return f"the key {name} is there {'twice' if len(fitting) == 2 else f'{len(fitting)} times'}"
        for index in fitting:
            key, value = members[index]
            if isinstance(value, (Members, list)):
                return f"{name} is {'an object' if isinstance(value, Members) else 'an array'}, not a text or a number"
            if role in columns and index in roles:
                return f"the key {key} cannot be both {roles[index]} and {role}"
            if role in columns:
                roles[index] = role
    return ""


def fitting_members(members: Members, name: str) -> list[int]:
    """The indexes of the members whose key is this name; else of those whose key is it in any case."""
    exact = [index for index, (key, _) in enumerate(members) if key == name]
    return exact or [index for index, (key, _) in enumerate(members) if key.lower() == name.lower()]


def settings_hint(values: "Mapping[str, str]", missing: list[str]) -> str:
    """The option that names the keys of the `missing` columns; "" where some have no likely name."""
    from txfast.batch.header_advice import columns_option, renames_of

    renames = renames_of(list(values), missing)
    return f"add {columns_option(renames)}" if renames else ""


def value_of(values: "Mapping[str, str]", name: str) -> str:
    """The text of the key of this name, exactly or in any case."""
    if name in values:
        return values[name]
    return next((value for key, value in values.items() if key.lower() == name.lower()), "")


def values_of_object(row: bytes) -> dict[str, str]:
    """The texts of the values of an object, by key; none where a line is no object."""
    try:
        members = parse(row.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return {key: text_of(value) for key, value in members} if isinstance(members, Members) else {}


def text_of(value: object) -> str:
    """A value as the text of a field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return value
    return value.strip(BLANKS) if isinstance(value, str) else ""
