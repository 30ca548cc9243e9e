"""Extents of files, which workers hash: a run with a state checks the bytes that earlier runs read or saved.

This module must not know an engine.
"""

from dataclasses import dataclass
from itertools import pairwise

from txfast.cluster.ranges import Range, is_cuttable, open_range_input
from txfast.errors import ClusterError
from txfast.input.open import bytes_source
from txfast.input.position import TABLE_ENDING, Position


@dataclass(frozen=True)
class Extent:
    """The bytes of a file from `start` to `end`."""

    path: str
    start: int
    end: int


def extents_before(whole: Range, position: Position) -> list[Extent] | None:
    """The extents of an input up to a position, one for each part that was hashed by itself.

    Empty if the input cannot have the same bytes there any more; None if it cannot be cut, so that its reader has to
    compare them. Raises SourceError.
    """
    source = open_range_input(whole)
    try:
        if not is_cuttable(source):
            return None
        if position.ending == TABLE_ENDING or (source.size_bytes or 0) < position.offset_bytes:
            return []
        ends = [0, *(end for end, _ in position.all_parts)]
        return [Extent(whole.path, start, end) for start, end in pairwise(ends)]
    finally:
        source.close()


def hash_extent(extent: Extent) -> str:
    """The xxh3-128 of an extent, as 32 hexadecimal digits.

    Raises SourceError, and ClusterError if the file ends earlier: the driver has seen all the bytes.
    """
    from xxhash import xxh3_128

    digest = xxh3_128()
    source = bytes_source(extent.path)  # not decompressed
    try:
        offset = extent.start
        for block in source.blocks(extent.start, extent.end):
            digest.update(block)
            offset += len(block)
    finally:
        source.close()
    if offset != extent.end:
        raise ClusterError(
            f"{source.name}: ends at byte {offset} where a worker sees it, and at {extent.end} or later where "
            f"the run was started: it was changed, or the two do not reach the same file; nothing is put out"
        )
    return digest.hexdigest()
