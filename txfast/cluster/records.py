"""Results of tasks as rows of columns, for an engine that moves columns: numbers, text and bytes, and no pickled
objects.

A record is (kind, shard, number, second, content). For reports, which belong to no shard, `shard` is the number of
shards. `number` is the range, or the number of an AccountRun; `second` is the number of a Piece, or the bytes of the
codes before the accounts of an AccountRun. Reports and summaries become JSON, everything else keeps its content.
"""

import json
from dataclasses import fields as fields_of
from typing import Any

from txfast.cluster.extents import Extent
from txfast.cluster.ranges import Range
from txfast.cluster.results import AccountRun, Piece, RangeReport, RowStatuses, ShardSummary
from txfast.cluster.sent_dialect import SentDialect
from txfast.input.position import Position
from txfast.state.manifest import Fields
from txfast.state.positions import fields_of_position, position_of

PIECE, REPORT, RUN, STATUSES, SUMMARY = KINDS = range(5)

Result = Piece | RangeReport | AccountRun | RowStatuses | ShardSummary
Record = tuple[int, int, int, int, bytes]


def text_of(value: Range | Extent | RangeReport | ShardSummary) -> str:
    """A value as JSON, in one line."""
    fields = {field.name: getattr(value, field.name) for field in fields_of(value)}
    if isinstance(fields.get("header"), bytes):
        fields["header"] = fields["header"].decode("latin-1")
    if isinstance(fields.get("position"), Position):
        fields["position"] = fields_of_position(fields["position"])
    if "by_currency" in fields:
        fields["by_currency"] = [(code.decode("latin-1"), *units) for code, *units in fields["by_currency"]]
    return json.dumps(fields)


def fields_in(text: str | bytes) -> dict[str, Any]:
    """The fields of a value, from its JSON."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()
    }
    if fields.get("header") is not None:
        fields["header"] = fields["header"].encode("latin-1")
    if "dialect" in fields:
        fields["dialect"] = SentDialect(fields["dialect"])
    if "by_currency" in fields:
        fields["by_currency"] = tuple((code.encode("latin-1"), *units) for code, *units in fields["by_currency"])
    if fields.get("position") is not None:
        fields["position"] = position_of(Fields("what the cluster sent", fields["position"]))
    return fields


def record_of(result: Result, shards: int) -> Record:
    """The record of a result."""
    match result:
        case Piece():
            return PIECE, result.shard, result.range, result.number, result.content
        case AccountRun():
            return RUN, result.shard, result.number, len(result.codes), result.codes + result.content
        case RowStatuses():
            return STATUSES, result.shard, result.range, 0, result.content
        case RangeReport():
            return REPORT, shards, result.number, 0, text_of(result).encode()
        case ShardSummary():
            return SUMMARY, result.shard, 0, 0, text_of(result).encode()


def result_of(record: Record) -> Result:
    """The result that a record was made of."""
    kind, shard, number, second, buffer = record
    content = bytes(buffer)
    if kind == PIECE:
        return Piece(shard, number, second, content)
    if kind == RUN:
        return AccountRun(shard, number, content[second:], content[:second])
    if kind == STATUSES:
        return RowStatuses(shard, number, content)
    fields = fields_in(content)
    return RangeReport(**fields) if kind == REPORT else ShardSummary(**fields)
