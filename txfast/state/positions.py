"""How far inputs were read, as a manifest has it: a Position in JSON and back.

This module must not know when positions are noted.
"""

from txfast.input.position import ENDINGS, TABLE_ENDING, Position
from txfast.state import manifest

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.state.snapshot import Snapshot


def fields_of_position(position: Position) -> "dict[str, object]":
    """A position as a manifest has it."""
    fields: dict[str, object] = {
        "offset": position.offset_bytes,
        "lines": position.lines,
        "xxh3_128": position.digest,
        "ending": position.ending,
        "header": manifest.text_from(position.header),
    }
    if position.head:
        fields["head"] = position.head
    if position.open_bytes:
        fields["open"] = position.open_bytes
    if position.parts:
        fields["parts"] = [{"end": end, "xxh3_128": digest} for end, digest in position.parts]
    return fields


def positions_of(snapshot: "Snapshot") -> dict[str, Position]:
    """The positions that a snapshot's manifest has, by the key of the input. Raises StateError."""
    inputs = snapshot.fields.part("inputs")
    return {key: position_of(inputs.part(key)) for key in inputs.names()}


def position_of(fields: manifest.Fields) -> Position:
    """The position that these fields of a manifest are. Raises StateError."""
    parts = fields.parts("parts") if "parts" in fields.names() else []
    head = str(fields.take("head", str)) if "head" in fields.names() else ""
    open_bytes = fields.take("open", int) if "open" in fields.names() else 0
    position = Position(
        fields.take("offset", int), fields.take("lines", int), fields.take("xxh3_128", str),
        fields.choice("ending", ENDINGS), fields.encoded("header"),
        tuple((int(part.take("end", int)), str(part.take("xxh3_128", str))) for part in parts), head, open_bytes,
    )  # fmt: skip
    # Each line has a byte; rows of a table may take less.
    if position.ending != TABLE_ENDING and position.lines > position.offset_bytes:
        raise fields.error("lines")
    if open_bytes > position.offset_bytes:
        raise fields.error("open")
    ends = [0, *(end for end, _ in position.all_parts)]
    if parts and ends != sorted(set(ends)):
        raise fields.error("parts")
    return position
