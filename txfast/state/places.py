"""How far inputs were read, as a manifest has it: a Place in JSON and back.

This module must not know when places are noted.
"""

from txfast.input.position import ENDINGS, Place
from txfast.state import manifest

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.state.snapshot import Snapshot


def fields_of_place(place: Place) -> "dict[str, object]":
    """A place as a manifest has it."""
    fields: dict[str, object] = {
        "offset": place.offset_bytes,
        "lines": place.lines,
        "xxh3_128": place.digest,
        "ending": place.ending,
        "header": manifest.text_from(place.header),
    }
    if place.parts:
        fields["parts"] = [{"end": end, "xxh3_128": digest} for end, digest in place.parts]
    return fields


def places_of(snapshot: "Snapshot") -> dict[str, Place]:
    """The places that a snapshot's manifest has, by the key of the input. Raises StateError."""
    inputs = snapshot.fields.part("inputs")
    return {key: place_of(inputs.part(key)) for key in inputs.names()}


def place_of(fields: manifest.Fields) -> Place:
    """The place that these fields of a manifest are. Raises StateError."""
    parts = fields.parts("parts") if "parts" in fields.names() else []
    place = Place(
        fields.take("offset", int), fields.take("lines", int), fields.take("xxh3_128", str),
        fields.choice("ending", ENDINGS), fields.encoded("header"),
        tuple((int(part.take("end", int)), str(part.take("xxh3_128", str))) for part in parts),
    )  # fmt: skip
    ends = [0, *(end for end, _ in place.all_parts)]
    if parts and ends != sorted(set(ends)):
        raise fields.error("parts")
    return place
