"""The reference for JSON lines: reads the four texts of a line by Python's json, slowly and obviously.

It is written from the rules alone, as reference.py is, and must not import `txfast`. Python's json goes deeper into
nested values by recursion: a test of deep ones needs no reference.
"""

from __future__ import annotations

import json
from typing import NoReturn

from tests.support.reference_rows import (
    BLANKS,
    BYTE_ORDER_MARK,
    COLUMN_NAMES,
    LINE_ENDING,
    Texts,
)


class Number(str):
    """A number, as it is written."""

    __slots__ = ()


class Members(list[tuple[str, object]]):
    """The members of an object, those of the same name too."""


def is_json(content: bytes) -> bool:
    """Whether a file is JSON lines: its first byte that is not blank is `{`."""
    return content.removeprefix(BYTE_ORDER_MARK).lstrip(BLANKS + b"\r\n").startswith(b"{")


def split_lines(content: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """The rows of a file, each with its number and without its ending; and the number of lines. A blank line is no
    row."""
    lines = LINE_ENDING.split(content.removeprefix(BYTE_ORDER_MARK))
    if not lines[-1]:
        lines.pop()
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip(BLANKS)], len(lines)


def parse_members(line: bytes) -> Members | None:
    """The members of the object that a line is; None where it is none."""
    try:
        members = json.loads(
            line.decode("utf-8", "surrogateescape"),
            object_pairs_hook=Members, parse_int=Number, parse_float=Number, parse_constant=refuse_constant,
        )  # fmt: skip
    except ValueError:
        return None
    return members if isinstance(members, Members) else None


def find_json_texts(line: bytes) -> Texts | None:
    """The texts of the four columns; None where the line is no object as the rules ask for."""
    members = parse_members(line)
    if members is None:
        return None
    texts = []
    for column_name in COLUMN_NAMES:
        name = column_name.decode()
        exact = [value for key, value in members if key == name]
        # str.lower() makes ASCII letters of some others: the Kelvin sign is k.
        fitting = exact or [value for key, value in members if key.isascii() and key.lower() == name]
        if len(fitting) > 1 or any(isinstance(value, list) for value in fitting):
            return None
        texts.append(text_of(fitting[0]) if fitting else None)
    type_, client, tx, amount = texts
    return type_, client, tx, amount


def refuse_constant(name: str) -> NoReturn:
    """Python reads NaN and the infinities, which are no JSON."""
    raise ValueError(name)


def text_of(value: object) -> bytes:
    """A value as the text of a field, trimmed."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return b"".join(map(bytes_of, str(value))).strip(BLANKS)


def bytes_of(character: str) -> bytes:
    """A character as bytes: those that are no UTF-8 are surrogates from U+DC80 to U+DCFF. Any other surrogate has three
    bytes."""
    is_escaped_byte = "\udc80" <= character <= "\udcff"
    return character.encode("utf-8", "surrogateescape" if is_escaped_byte else "surrogatepass")
