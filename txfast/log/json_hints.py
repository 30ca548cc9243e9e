"""Hints about lines of JSON: why a line is no row, and what the fields of a row are.

Python's json says where a line breaks the grammar. This module must not know how rows are parsed: it looks at texts
that the parser has refused.
"""

import json

from txfast.batch.header import COLUMN_NAMES

BLANKS = " \t\v\f"
BYTE_ORDER_MARK = "\ufeff"
# A reported row is cut here: what is left of it says nothing.
ROW_BYTES_MAX = 1 << 16
ONE_LINE = "put each object into a line of its own: jq -c . FILE"


class Members(list[tuple[str, object]]):
    """The members of an object, those of the same key too."""


class NoJsonError(ValueError):
    """A word that Python reads, and that is no JSON."""


def json_hint(row: bytes) -> str:
    """Why a line is no object that is a row; "" where that is not known."""
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
    return members_hint(members)


def parse(text: str) -> object:
    """A value of JSON: objects as Members, numbers as their texts. Raises JSONDecodeError, NoJsonError and
    RecursionError."""

    def refuse_constant(word: str) -> None:
        raise NoJsonError(word)

    return json.loads(
        text, object_pairs_hook=Members, parse_int=str, parse_float=str, parse_constant=refuse_constant
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


def members_hint(members: Members) -> str:
    """What is wrong with the keys of an object."""
    for name in COLUMN_NAMES:
        exact = [value for key, value in members if key == name]
        fitting = exact or [value for key, value in members if key.lower() == name]
        if len(fitting) > 1:
            return f"the key {name} is there {'twice' if len(fitting) == 2 else f'{len(fitting)} times'}"
        for value in fitting:
            if isinstance(value, (Members, list)):
                return f"{name} is {'an object' if isinstance(value, Members) else 'an array'}, not a text or a number"
    return ""


def renames_hint(fields: dict[str, str], missing: list[str]) -> str:
    """Which keys to rename, so that the `missing` ones are there; "" where some have no likely name."""
    from txfast.batch.header_advice import renames_of

    renames = renames_of(list(fields), missing)
    return f"rename {', '.join(f'{name!r} to {role}' for role, name in renames.items())}" if renames else ""


def fields_of_object(row: bytes) -> dict[str, str]:
    """The texts of the four fields in an object, as far as it has them."""
    try:
        members = parse(row.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(members, Members):
        return {}
    in_any_case = {key.lower(): text_of(value) for key, value in members}
    return in_any_case | {key: text_of(value) for key, value in members if key in COLUMN_NAMES}


def text_of(value: object) -> str:
    """A value as the text of a field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip(BLANKS) if isinstance(value, str) else ""
