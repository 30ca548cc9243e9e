"""The rejects task: read a range once more, with the statuses of its rows, and make its rejects.

A reducer has statuses but no text, a map task has text but no statuses: only a second reading has both. This module
must not know an engine, nor where rejects are put.
"""

import os
import zlib
from collections.abc import Iterable, Iterator

from txfast.batch.batch import TransactionBatch
from txfast.cluster.range_reader import RangeReader
from txfast.cluster.ranges import Range
from txfast.cluster.results import RowStatuses
from txfast.errors import ClusterError
from txfast.input.source import was_changed
from txfast.ledger.route import route
from txfast.spill.statuses import set_statuses
from txfast.writers.reject_tables import CollectedRejects
from txfast.writers.reject_text import RejectText

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa
else:
    from txfast.late import pa

# In which form rejects travel: the text of a file with that suffix, or Arrow streams.
REJECT_FORMATS = ("csv", "jsonl", "arrow")


def reject_blobs(
    part: Range, first_line: int, shards: int, statuses: Iterable[RowStatuses], reject_format: str
) -> Iterator[bytes]:
    """Iterate the rejects of a range in one of the REJECT_FORMATS: text without its header, or whole Arrow streams.

    `first_line` is the number of the range's first line in its input, and `statuses` has those of every shard.

    Raises ClusterError where a shard's statuses are missing or repeated, InputError where they do not fit the rows, and
    SourceError.
    """
    batches = settled_batches(part, first_line, shards, statuses)
    if reject_format == "arrow":
        return arrow_blobs(part.name, batches)
    return text_blobs(part.name, batches, reject_format)


def settled_batches(
    part: Range, first_line: int, shards: int, statuses: Iterable[RowStatuses]
) -> Iterator[TransactionBatch]:
    """Read a range: iterate batches whose rows have their statuses. Raises as `reject_blobs`."""
    statuses_left = statuses_by_shard(part.number, shards, statuses)
    next_line = first_line
    for batch in RangeReader(part, keep_text=True):
        next_line = batch.number_lines(next_line)
        if batch.header is None:  # only blank lines so far
            continue
        route(batch, shards)
        for shard in range(shards):
            rows = batch.shard_rows(shard)
            known = statuses_left[shard]
            if known is None:
                set_statuses(batch, shard, bytes(rows))
                continue
            if len(known) < rows:
                raise was_changed(part.name)
            set_statuses(batch, shard, known[:rows])
            statuses_left[shard] = known[rows:]
        yield batch
    if any(statuses_left.values()):
        raise was_changed(part.name)


def statuses_by_shard(number: int, shards: int, statuses: Iterable[RowStatuses]) -> dict[int, memoryview | None]:
    """The statuses of a range's rows for each shard; None if all were applied. Raises ClusterError."""
    found: dict[int, memoryview | None] = {}
    for each in statuses:
        if each.range != number or each.shard in found:
            raise ClusterError(f"range {number}: the statuses of range {each.range}, shard {each.shard} came")
        found[each.shard] = memoryview(zlib.decompress(each.content)) if each.content else None
    if sorted(found) != list(range(shards)):
        raise ClusterError(f"range {number}: the statuses of {len(found)} of {shards} shards came")
    return found


def text_blobs(name: str, batches: Iterable[TransactionBatch], text_format: str) -> Iterator[bytes]:
    """Iterate the rejects of batches, of the input with this name, as CSV or JSON lines."""
    text = RejectText(text_format)
    text.rest()  # drop the header: the driver writes it
    for batch in batches:
        for block in text.blocks(os.fsencode(name), batch):
            yield bytes(block)
    rest = bytes(text.rest())
    if rest:
        yield rest


def arrow_blobs(name: str, batches: Iterable[TransactionBatch]) -> Iterator[bytes]:
    """Iterate the rejects of batches, of the input with this name, as Arrow streams of one record batch each."""
    collected = CollectedRejects()
    for batch in batches:
        collected.add(name, batch)
        yield from map(arrow_stream, collected.take())
    collected.finish()
    yield from map(arrow_stream, collected.take())


def arrow_stream(batch: pa.RecordBatch) -> bytes:
    """A record batch as an Arrow stream of its own."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
