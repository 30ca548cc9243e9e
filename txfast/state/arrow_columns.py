"""Columns of numbers and texts in the Arrow files of earlier versions: record batches of buffers, read one by one.

A record batch has at most BATCH_ROWS rows, or TEXT_BATCH_ROWS where there are texts, so that reading takes bounded
memory. A record batch that is read must fit the schema and have no nulls and no offsets, so that its buffers can be
used directly. This module must not know the meaning of the numbers and the texts.
"""

from txfast.errors import unreadable

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
else:
    from txfast.late import pa

BATCH_ROWS = 1 << 17
# Two ids of 255 bytes take 8 MiB then.
TEXT_BATCH_ROWS = 1 << 14


def rows_at_once(schema: "pa.Schema") -> int:
    """The most rows of a record batch of this schema."""
    return TEXT_BATCH_ROWS if pa.binary() in schema.types else BATCH_ROWS


def read_columns(path: str, schema: "pa.Schema") -> "Iterator[tuple[int, list[list[memoryview]]]]":
    """Iterate the record batches of an Arrow file: the rows, and the buffers of each column. One of numbers has one;
    one of texts has two: where each text begins, and the bytes of all.

    Raises ValueError where it is no Arrow file of this schema, SourceError where it cannot be read, MemoryError.
    """
    try:
        with pa.OSFile(path) as file:
            reader = pa.ipc.open_file(file)
            if reader.schema != schema:
                raise ValueError("its columns are not those of a snapshot")
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                if batch.num_rows > rows_at_once(schema):
                    raise ValueError(f"it has a record batch of {batch.num_rows} rows")
                if batch.num_rows:
                    yield batch.num_rows, [buffers_of(column) for column in batch.columns]
    except MemoryError:
        raise
    except OSError as error:
        if error.errno is None:  # pyarrow raises an OSError without a number for content that it cannot read
            raise ValueError(f"it is no Arrow file ({error})") from error
        raise unreadable(path, error) from error
    except pa.ArrowException as error:
        raise ValueError(f"it is no Arrow file ({error})") from error


def buffers_of(column: "pa.Array") -> list[memoryview]:
    """The buffers of a column without nulls that starts at the start of its buffers. Raises ValueError for others."""
    if column.null_count or column.offset:
        raise ValueError("it has nulls, or a column that begins elsewhere")
    _, *buffers = column.buffers()
    if any(buffer is None for buffer in buffers):
        raise ValueError("it has a column without values")
    return [memoryview(buffer).cast("B") for buffer in buffers]
