"""The reference for JSON lines under a dialect: the fields of a line, slowly and obviously.

It is written from the rules alone, as reference.py is, and must not import `txfast`. It must not know what a field
means.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tests.support.reference_dialect_rows import BLANKS, Field
from tests.support.reference_json import Members, Number, bytes_of, parse_members, split_lines, text_of

# By role, and by the name of a column that rows are kept by; None where a line has no such key.
Fields = dict[str, Field | None]


def cut_json_rows(text: bytes, comment: bytes | None) -> list[tuple[int, bytes]]:
    """The rows of a file, each with its number and without its ending. Blank lines and comments are no rows."""
    rows, _ = split_lines(text)
    return [(number, row) for number, row in rows if comment is None or not row.lstrip(BLANKS).startswith(comment)]


def find_fields(
    line: bytes, columns: Mapping[str, bytes], kept: Collection[bytes]
) -> tuple[Fields, list[Field]] | None:
    """The fields of a line by role, and those of the columns that rows are kept by. None where the line is no object
    as the rules ask for."""
    members = parse_members(line)
    if members is None:
        return None
    places = {role: find_key(members, name) for role, name in columns.items()}
    kept_places = [find_key(members, name) for name in kept]
    if any(len(found) > 1 for found in (*places.values(), *kept_places)):
        return None
    used = [found[0] for found in places.values() if found]
    if len(set(used)) < len(used):
        return None
    if any(isinstance(members[index][1], list) for index in (*used, *(found[0] for found in kept_places if found))):
        return None
    fields = {role: field_of(members[found[0]][1]) if found else None for role, found in places.items()}
    return fields, [field_of(members[found[0]][1]) if found else Field(b"", False) for found in kept_places]


def find_key(members: Members, name: bytes) -> list[int]:
    """The indexes of the members whose key is exactly this name; else of those that have it in other case."""
    keys = [b"".join(map(bytes_of, key)) for key, _ in members]
    exact = [index for index, key in enumerate(keys) if key == name]
    # bytes.lower() changes ASCII letters alone.
    return exact or [index for index, key in enumerate(keys) if key.lower() == name.lower()]


def field_of(value: object) -> Field:
    """A value as a field."""
    return Field(text_of(value), is_quoted=False, is_number=isinstance(value, Number))
