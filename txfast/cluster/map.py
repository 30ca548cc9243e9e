"""The map task: read a range of the inputs and divide its rows into one slice for each shard.

It runs in any process that has txfast and reaches the inputs. This module must not know what becomes of rows, nor an
engine.
"""

from collections.abc import Iterator

from txfast.batch.batch import MALFORMED_REASONS
from txfast.cluster.currency_codes import bytes_of
from txfast.cluster.pieces import make_last_piece, make_piece
from txfast.cluster.range_reader import RangeReader
from txfast.cluster.ranges import Range
from txfast.cluster.results import Piece, RangeReport
from txfast.spill.partitions import Partitions

SHARDS_MAX = 1 << 16
# Memory for the unsent rows of all shards. A shard's part of it, within these limits, is the size of a piece.
UNSENT_BYTES = 64 << 20
PIECE_BYTES_MIN, PIECE_BYTES_MAX = 1 << 12, 1 << 22


def map_range(part: Range, shards: int) -> Iterator[Piece | RangeReport]:
    """Read a range: iterate the pieces of a slice for each shard, a shard's in order, and a report at the end.

    Raises InputError and SourceError.
    """
    if not 1 <= shards <= SHARDS_MAX:
        raise ValueError(f"{shards} shards: there are 1 to {SHARDS_MAX}")
    ready: list[Piece] = []
    piece_counts = [0] * shards
    reader = RangeReader(part)
    text_ids = None if reader.dialect is None else reader.dialect.text_ids
    currencies = None if text_ids is None else text_ids.currencies
    sent_codes = [0] * shards  # of the currencies, how many each shard was told

    def new_codes(shard: int) -> bytes:
        if currencies is None:
            return b""
        first, sent_codes[shard] = sent_codes[shard], len(currencies)
        return bytes_of(currencies.codes[first:])

    def write(shard: int, view: memoryview) -> None:
        ready.append(make_piece(shard, shards, part.number, piece_counts[shard], view, new_codes(shard)))
        piece_counts[shard] += 1

    piece_bytes = max(PIECE_BYTES_MIN, min(PIECE_BYTES_MAX, UNSENT_BYTES // shards))
    slices = Partitions(shards, piece_bytes, write, by_shard=True, text_ids=text_ids)
    lines = rows = ignored_rows = row_in_quotes = 0
    malformed = [0] * len(MALFORMED_REASONS)
    for batch in reader:
        lines = batch.number_lines(lines + 1) - 1
        row_in_quotes = row_in_quotes or batch.row_in_quotes
        rows += len(batch) + batch.malformed_rows
        ignored_rows += batch.ignored_rows
        if batch.malformed_rows:
            batch.count_malformed(malformed)
        slices.add_rows(batch)
        yield from ready
        ready.clear()
    slices.finish()
    yield from ready
    for shard in range(shards):
        rows_sent = slices.counts(shard)[2]
        yield make_last_piece(shard, shards, part.number, piece_counts[shard], rows_sent, new_codes(shard))
    yield RangeReport(
        part.number,
        lines,
        rows,
        tuple(malformed),
        reader.bytes_read,
        reader.lines_before,
        reader.position(lines),
        reader.held_bytes,
        reader.held_in_quotes,
        reader.begin,
        reader.end,
        row_in_quotes,
        reader.starts_anew,
        () if reader.header is None else reader.header.ignored,
        ignored_rows,
    )
