"""The pieces in which a slice travels from a map task to the reducer of its shard, and the check that all arrive.

A slice holds all rows of a range for one shard, in the compact form in which rows are spilled to disk. A header on each
piece says which piece it is, so that the reducer notices every piece that is lost, repeated or out of order: no engine
is trusted with that. This module must not know what the rows mean.
"""

import struct
from collections.abc import Callable, Iterable, Iterator

from txfast.cluster.currency_codes import add_codes
from txfast.cluster.results import Piece
from txfast.dialect.currencies import Currencies
from txfast.errors import ClusterError

# Magic, range, number of the piece, shard, number of shards, whether it is the last piece, rows of the whole slice, and
# the bytes of the codes of currencies that follow.
PIECE_HEADER = struct.Struct("<4sQQII?QI")
MAGIC = b"txs2"


def make_piece(
    shard: int, shards: int, range_number: int, number: int, content: bytes | memoryview, codes: bytes = b""
) -> Piece:
    """A piece of a slice with some of its rows. `codes` are those of currencies that are new in it (`bytes_of`)."""
    header = PIECE_HEADER.pack(MAGIC, range_number, number, shard, shards, False, 0, len(codes))
    return Piece(shard, range_number, number, header + codes + bytes(content))


def make_last_piece(shard: int, shards: int, range_number: int, number: int, rows: int, codes: bytes = b"") -> Piece:
    """The last piece of a slice: no rows, but their number in the whole slice, and all other codes of the range."""
    header = PIECE_HEADER.pack(MAGIC, range_number, number, shard, shards, True, rows, len(codes))
    return Piece(shard, range_number, number, header + codes)


class Slices:
    """The slices of a shard, put together from the contents of its pieces and checked.

    Iterate one function for each range, in order: it reads the slice like `readinto` of a raw file. Read each slice to
    its end before the next. `currencies` are those of its range, as far as the slice was read. Raises ClusterError
    where another piece comes than is due.
    """

    def __init__(self, pieces: Iterable[bytes], ranges: int, shard: int, shards: int) -> None:
        self._pieces = iter(pieces)
        self.currencies = Currencies()
        self._ranges = ranges
        self._shard, self._shards = shard, shards
        self._range = self._piece = 0
        self._unread = memoryview(b"")
        self._at_end = False
        self.rows = 0  # of the slice that was read last

    def __iter__(self) -> Iterator[Callable[[memoryview], int]]:
        for number in range(self._ranges):
            self._range, self._piece, self._at_end = number, 0, False
            self.currencies = Currencies()
            yield self._read_into
            if not self._at_end:
                raise self._disorder("something else than its end was read")
        if next(self._pieces, None) is not None:
            raise self._disorder("there is more after the last range")

    def _read_into(self, view: memoryview) -> int:
        while not len(self._unread) and not self._at_end:
            self._take_piece()
        count = min(len(view), len(self._unread))
        view[:count] = self._unread[:count]
        self._unread = self._unread[count:]
        return count

    def _take_piece(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise self._disorder("nothing is left")
        if len(piece) < PIECE_HEADER.size:
            raise self._disorder("what came is none")
        magic, range_number, number, shard, shards, is_last, rows, code_bytes = PIECE_HEADER.unpack_from(piece)
        if (magic, shard, shards) != (MAGIC, self._shard, self._shards):
            raise self._disorder(f"what came is of shard {shard} of {shards}, or of another version of txfast")
        if (range_number, number) != (self._range, self._piece):
            raise self._disorder(f"piece {number} of range {range_number} came")
        self._piece += 1
        content = memoryview(piece).cast("B")[PIECE_HEADER.size :]
        add_codes(self.currencies, content[:code_bytes])
        self._unread = content[code_bytes:]
        self._at_end = is_last
        if is_last:
            self.rows = rows

    def _disorder(self, words: str) -> ClusterError:
        return ClusterError(
            f"shard {self._shard} of {self._shards}: where piece {self._piece} of range {self._range} is due, of "
            f"{self._ranges} ranges, {words}: the cluster lost, repeated or reordered something; nothing is put out"
        )
