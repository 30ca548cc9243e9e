"""What goes through an engine that moves columns: ranges, pieces and all that becomes of them, as (kind, place, number,
second number, content): numbers and bytes, nothing that would have to be unpickled.

The place is the shard of what belongs to one, and behind all shards for the rest.
"""

import json
from dataclasses import fields as fields_of
from typing import Any

from txfast.cluster.blocks import Piece, Report, Run, Statuses, Summary
from txfast.cluster.ranges import Extent, Range
from txfast.input.position import Place
from txfast.state.manifest import Fields
from txfast.state.places import fields_of_place, place_of

PIECE, REPORT, RUN, STATUSES, SUMMARY = KINDS = range(5)

Item = Piece | Report | Run | Statuses | Summary
# Kind, place, range or number of the run, number of the piece, content.
Record = tuple[int, int, int, int, bytes]


def text_of(item: Range | Extent | Report | Summary) -> str:
    """An item as JSON."""
    fields = {field.name: getattr(item, field.name) for field in fields_of(item)}
    if isinstance(fields.get("header"), bytes):
        fields["header"] = fields["header"].decode("latin-1")
    if isinstance(fields.get("place"), Place):
        fields["place"] = fields_of_place(fields["place"])
    return json.dumps(fields)


def fields_in(text: str | bytes) -> dict[str, Any]:
    """The fields of an item again."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()
    }
    if fields.get("header") is not None:
        fields["header"] = fields["header"].encode("latin-1")
    if fields.get("place") is not None:
        fields["place"] = place_of(Fields("what the cluster sent", fields["place"]))
    return fields


def record_of(item: Item, shards: int) -> Record:
    """An item as a record."""
    match item:
        case Piece():
            return PIECE, item.shard, item.range, item.number, item.content
        case Run():
            return RUN, item.shard, item.number, 0, item.content
        case Statuses():
            return STATUSES, item.shard, item.range, 0, item.content
        case Report():
            return REPORT, shards, item.number, 0, text_of(item).encode()
        case Summary():
            return SUMMARY, item.shard, 0, 0, text_of(item).encode()


def read_record(record: Record) -> Item:
    """The item again."""
    kind, place, number, second, buffer = record
    content = bytes(buffer)
    if kind == PIECE:
        return Piece(place, number, second, content)
    if kind == RUN:
        return Run(place, number, content)
    if kind == STATUSES:
        return Statuses(place, number, content)
    fields = fields_in(content)
    return Report(**fields) if kind == REPORT else Summary(**fields)
