"""The arrow reader: pyarrow cuts a CSV file into lines, the row parser makes transactions of them.

pyarrow streams record batches of one binary column, the raw line: with a delimiter that no row has and no quoting,
every line arrives as it stands, whatever it holds. What pyarrow cannot carry (a row longer than its block, or with
that delimiter in it) stops the run with a clear error.
"""

from collections.abc import Iterator
from io import FileIO
from typing import TYPE_CHECKING

from txfast.batch import TransactionBatch
from txfast.errors import InputError
from txfast.read.lines import find_header, parse_lines
from txfast.read.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 4 << 20
DELIMITER = "\x01"


def read_csv(source: Source, *, block_bytes: int = BLOCK_BYTES, threads: int = 1) -> Iterator[TransactionBatch]:
    """Yield the batches of a CSV file in order. Raises InputError and OSError.

    One batch is filled again and again: it is good until the next is asked for.
    """
    import pyarrow as pa
    from pyarrow import csv

    batch = TransactionBatch()
    header = None
    lines_before = 0
    try:
        reader = csv.open_csv(
            open_for_pyarrow(source),
            csv.ReadOptions(column_names=["line"], block_size=block_bytes, use_threads=threads > 1),
            csv.ParseOptions(
                delimiter=DELIMITER, quote_char=False, escape_char=False, double_quote=False,
                ignore_empty_lines=False,
            ),
            csv.ConvertOptions(column_types={"line": pa.binary()}, check_utf8=False, strings_can_be_null=False),
        )
        for record_batch in reader:
            column = record_batch.column(0)
            _, offsets, text = column.buffers()
            first, count = column.offset, len(column)
            if header is None:
                skipped, header = find_header(offsets, text, first, count, source.name)
                first, count, lines_before = first + skipped, count - skipped, lines_before + skipped
            if header is not None:
                parse_lines(batch, header, offsets, text, first, count, lines_before)
                lines_before = 0
                yield batch
    except pa.ArrowInvalid as error:
        raise InputError(explain(source.name, block_bytes, str(error))) from error
    if header is None:
        raise InputError(f"{source.name}: not a transactions file: it has no header")


def open_for_pyarrow(source: Source) -> "pa.NativeFile | FileIO":
    """The source as pyarrow reads it best.

    pyarrow reads ahead in a thread of its own. Where that thread runs Python code, a process that ends before it does
    can crash or hang, so a regular file is given to pyarrow by its descriptor.
    """
    import pyarrow as pa

    if source.size_bytes is None:
        return source.file
    file = pa.OSFile(f"/dev/fd/{source.file.fileno()}")
    file.seek(source.file.tell())
    return file


def explain(name: str, block_bytes: int, message: str) -> str:
    """What pyarrow's message means to the user."""
    if "Empty CSV file" in message:
        return f"{name}: not a transactions file: it is empty"
    if "straddling object" in message:
        return (
            f"{name}: has a row longer than the arrow reader's block of {block_bytes} bytes; "
            f"read it with --reader native"
        )
    if "columns, got" in message:
        return f"{name}: has a row with a byte 0x01, which the arrow reader cannot carry; read it with --reader native"
    return f"{name}: pyarrow cannot read it: {message}"
