"""Tables of texts, written as Parquet, Arrow file and Arrow stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

NAMES = ("type", "client", "tx", "amount")

Field = str | None

# Applied, rejected and malformed rows; one text with a quote, a comma and a line ending in it.
ROWS: list[Sequence[Field]] = [
    ["deposit", "1", "1", "5.0000"], ["withdrawal", "1", "2", "7.5"], ["fee", "1", "3", "1"],
    ["deposit", "2", "4", None], ["dispute", "1", "1", None], ['de"po,sit\n', "1", "5", "=1"],
]  # fmt: skip


def reads_of(content: bytes) -> Callable[[int, int], bytes]:
    """A function that reads up to a number of bytes at an offset of this content, for the readers of metadata."""

    def read_at(offset: int, count: int) -> bytes:
        return content[offset : offset + count]

    return read_at


def of_texts(rows: Sequence[Sequence[Field]], kind: pa.DataType) -> pa.Table:
    """A table of texts. All columns have this type."""
    columns = [[row[index] for row in rows] for index in range(len(NAMES))]
    arrays = [pa.array(column, pa.string()).cast(kind) for column in columns]
    return pa.table(arrays, names=list(NAMES))


def write_table(path: Path, table: pa.Table, rows_at_once: int = 1000, **options: Any) -> Path:
    """Write a table in the format of the path's suffix, in row groups or record batches of `rows_at_once` rows."""
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=max(rows_at_once, 1), **options)
        return path
    new = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
    with new(str(path), table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=rows_at_once)
    return path
