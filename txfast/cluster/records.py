"""What goes through an engine that moves columns: ranges, pieces and all that becomes of them, as (kind, place, number,
second number, content): numbers and bytes, nothing that would have to be unpickled.

The place is the shard of what belongs to one, and behind all shards for the rest.
"""

import json
from dataclasses import asdict, replace

from txfast.cluster.blocks import Piece, Range, Report, Run, Statuses, Summary

PIECE, REPORT, RUN, STATUSES, SUMMARY = KINDS = range(5)

Item = Piece | Report | Run | Statuses | Summary
# Kind, place, range or number of the run, number of the piece, content.
Record = tuple[int, int, int, int, bytes]


def range_text(part: Range) -> str:
    """A range as JSON."""
    fields = asdict(part)
    if part.header is not None:
        fields["header"] = part.header.decode("latin-1")
    return json.dumps(fields)


def read_range(text: str) -> Range:
    """The range again."""
    part = Range(**json.loads(text))
    return part if part.header is None else replace(part, header=str(part.header).encode("latin-1"))


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
            return REPORT, shards, item.number, 0, json.dumps(asdict(item)).encode()
        case Summary():
            return SUMMARY, item.shard, 0, 0, json.dumps(asdict(item)).encode()


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
    fields = json.loads(content)
    if kind == REPORT:
        return Report(**fields | {"malformed": tuple(fields["malformed"])})
    return Summary(**fields | {"counts": tuple(fields["counts"])})
