"""How much memory a Parquet file takes while it is read, from its metadata alone: nothing is decoded before.

Row groups are read in runs: each has as many as are needed for `rows_max` rows, the last one what is left. Of each run
the pages are looked at first: what pyarrow holds of them at once must fit the allowance, if need be by decoding fewer
rows at once. This module must not know what values mean.
"""

from bisect import bisect_right
from itertools import accumulate

from txfast.readers.parquet_footer import (
    DELTA_BYTE_ARRAY,
    DICTIONARY_PAGE,
    PLAIN_DICTIONARY,
    RLE_DICTIONARY,
    longest_text,
    pages_of,
)

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from txfast.readers.allowance import Allowance
    from txfast.readers.arrow_messages import ReadAt
    from txfast.readers.parquet_footer import Chunk, Leaf, Page, RowGroup
else:
    from txfast.late import pa

# pyarrow's names of the codecs in which a dictionary can be read here. The old LZ4 is framed in more than one way.
UNCOMPRESSED = 0
CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
# A footer as pyarrow's objects takes so many times its bytes.
FOOTER_COPIES = 8
# Decoded values are in memory up to so many times: pyarrow's builders double, and some types are converted.
VALUE_COPIES = 2
# A dictionary: its page, and its values.
DICTIONARY_COPIES = 2
# A smaller dictionary is not worth a look at its texts.
DICTIONARY_BYTES_MIN = 64
# Small pages are counted together, up to so many bytes.
LUMP_BYTES = 1 << 16
WAY_OUT = "write the file with smaller pages"


class ColumnMemory:
    """What the pages of a column take, in some row groups.

    `page_bytes` is the most that one page takes beside its values, `dictionary_bytes` the most that a dictionary takes,
    `longest` the most that a value takes which is not written out in its page. All other bytes are in lumps: pages in
    their order, the small ones together.
    """

    def __init__(self) -> None:
        self.page_bytes = 0
        self.dictionary_bytes = 0
        self.longest = 0
        self._rows: list[int] = []  # by lump
        self._bytes: list[int] = []

    @property
    def held_bytes(self) -> int:
        """The most that is in memory beside the values."""
        return self.page_bytes + self.dictionary_bytes

    def add(self, page: "Page", codec: int) -> None:
        """Count a page beside its values."""
        copies = 1 if codec == UNCOMPRESSED else 2
        self.page_bytes = max(self.page_bytes, copies * max(page.compressed_bytes, page.uncompressed_bytes))
        if page.kind == DICTIONARY_PAGE:
            self.dictionary_bytes = max(self.dictionary_bytes, DICTIONARY_COPIES * page.uncompressed_bytes)
            # Rows of several row groups that are decoded together have the dictionaries of all.
            self.add_lump(0, DICTIONARY_COPIES * page.uncompressed_bytes)

    def add_lump(self, rows: int, count: int) -> None:
        """Count so many bytes of the values of these rows."""
        if self._bytes and self._bytes[-1] + count <= LUMP_BYTES:
            self._rows[-1] += rows
            self._bytes[-1] += count
        else:
            self._rows.append(rows)
            self._bytes.append(count)

    def most_bytes(self, rows: int) -> int:
        """The most bytes that the values of so many rows take, wherever they begin."""
        starts = [0, *accumulate(self._rows)]
        bytes_before = [0, *accumulate(self._bytes)]
        in_lumps = 0
        for index, start in enumerate(starts[1:]):
            # Rows that begin with the last one of this lump.
            last = min(len(self._rows), bisect_right(starts, start + rows - 2))
            in_lumps = max(in_lumps, bytes_before[last] - bytes_before[index])
        return in_lumps + rows * self.longest


class ParquetMemory:
    """Looks at the pages of a file: `runs` says which row groups to read together, and how many rows to decode at once.

    `name` is the file's in messages. Raises MemoryLimitError where a page needs more than the allowance, and ValueError
    where the metadata is damaged.
    """

    def __init__(
        self, name: str, read_at: "ReadAt", size: int, read_bytes: int, allowance: "Allowance", rows_max: int
    ) -> None:
        self._name = name
        self._read_at = read_at
        self._size = size
        self._read_bytes = read_bytes
        self._allowance = allowance
        self._rows_max = rows_max

    def runs(self, leaves: "Sequence[Leaf]", groups: "Sequence[RowGroup]") -> "Iterator[tuple[list[int], int]]":
        """Iterate (numbers of row groups, rows at once), for all row groups."""
        numbers: list[int] = []
        rows = 0
        for number, group in enumerate(groups):
            numbers.append(number)
            rows += group.rows
            if rows >= self._rows_max or number == len(groups) - 1:
                yield numbers, self._rows_at_once(leaves, [groups[each] for each in numbers], numbers[0])
                numbers, rows = [], 0

    def _rows_at_once(self, leaves: "Sequence[Leaf]", groups: "Sequence[RowGroup]", first: int) -> int:
        """How many rows of these groups can be decoded at once."""
        columns = [ColumnMemory() for _ in leaves]
        for number, group in enumerate(groups, first):
            for leaf, chunk, column in zip(leaves, group.chunks, columns, strict=True):
                self._add_pages(leaf, chunk, column, number)
        held_bytes = sum(column.held_bytes for column in columns)
        rows = self._rows_max
        while True:
            needed = held_bytes + VALUE_COPIES * sum(column.most_bytes(rows) for column in columns)
            if needed <= self._allowance.size or rows == 1:
                break
            rows //= 2
        if needed > self._allowance.size:
            largest = max(zip(columns, leaves, strict=True), key=lambda each: each[0].held_bytes)[1]
            part = f"row group {first + 1}, most of all column {largest.name!r},"
            self._allowance.check(needed, self._name, part, WAY_OUT)
        return rows

    def _add_pages(self, leaf: "Leaf", chunk: "Chunk", column: ColumnMemory, number: int) -> None:
        """Count the pages of a chunk of the row group of this number."""
        longest = 0
        for page in pages_of(chunk, self._read_at, self._size, self._read_bytes):
            column.add(page, chunk.codec)
            if not leaf.is_text:
                column.longest = leaf.value_bytes
            elif page.kind == DICTIONARY_PAGE:
                part = f"the dictionary of column {leaf.name!r} in row group {number + 1}"
                self._allowance.check(column.held_bytes, self._name, part, WAY_OUT)
                longest = self._longest(page, chunk.codec)
            elif page.encoding in (PLAIN_DICTIONARY, RLE_DICTIONARY):
                column.longest = max(column.longest, longest)
            elif page.encoding == DELTA_BYTE_ARRAY:  # a value may repeat all of the one before
                column.longest = max(column.longest, page.uncompressed_bytes)
            else:
                column.add_lump(page.values, page.uncompressed_bytes)

    def _longest(self, page: "Page", codec: int) -> int:
        """The bytes of the longest text in a dictionary page, or a number that is not smaller."""
        size = page.uncompressed_bytes
        if size <= DICTIONARY_BYTES_MIN or (codec != UNCOMPRESSED and codec not in CODECS):
            return size
        content = self._read_at(page.start, page.compressed_bytes)
        if codec != UNCOMPRESSED:
            content = pa.decompress(content, decompressed_size=size, codec=CODECS[codec], asbytes=True)
        return longest_text(content[:size])
