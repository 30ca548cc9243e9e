"""The arrow reader: pyarrow cuts a CSV file into lines, the row parser makes transactions of them.

pyarrow streams record batches of one binary column, the raw line: with a delimiter that no row has and no quoting,
every line arrives as it stands, whatever it holds. What pyarrow cannot carry (a row longer than its block, or with
that delimiter in it) stops the run with a clear error.
"""

from errno import EAGAIN

from txfast.batch import TransactionBatch
from txfast.errors import InputError, SourceError
from txfast.read.lines import hold_lines, parse_lines
from txfast.read.row import Header
from txfast.read.source import Source

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import RawIOBase

    import pyarrow as pa

BLOCK_BYTES = 4 << 20
DELIMITER = "\x01"


class ArrowCsvReader:
    """Reads one CSV file through pyarrow: `fill` a batch with the next block of lines, then `scan` it.

    `fill` is for one thread at a time, `scan` for any. Raises InputError and SourceError.
    """

    def __init__(self, source: Source, block_bytes: int = BLOCK_BYTES, *, threads: int = 1) -> None:
        self._name = source.name
        self._block_bytes = block_bytes
        self._header: Header | None = None
        self._file = open_for_pyarrow(source)
        self._record_batches = self._open(threads)

    @property
    def header(self) -> Header | None:
        """The file's header, as soon as `fill` has found it."""
        return self._header

    @property
    def bytes_read(self) -> int:
        """How much of the input was read: all of it, at its end."""
        return int(self._file.tell())

    def _open(self, threads: int) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa
        from pyarrow import csv

        try:
            yield from csv.open_csv(
                self._file,
                csv.ReadOptions(column_names=["line"], block_size=self._block_bytes, use_threads=threads > 1),
                csv.ParseOptions(
                    delimiter=DELIMITER, quote_char=False, escape_char=False, double_quote=False,
                    ignore_empty_lines=False,
                ),
                csv.ConvertOptions(
                    column_types={"line": pa.binary()}, check_utf8=False, strings_can_be_null=False
                ),
            )  # fmt: skip
        except pa.ArrowInvalid as error:
            raise InputError(explain(self._name, self._block_bytes, str(error))) from error
        except OSError as error:
            raise SourceError(f"{self._name}: cannot be read: {error.strerror or error}") from error

    def fill(self, batch: TransactionBatch) -> bool:
        """Put the next lines into the batch. False at the end of the file."""
        for record_batch in self._record_batches:
            column = record_batch.column(0)
            _, offsets, text = column.buffers()
            self._header = hold_lines(batch, self._header, offsets, text, column.offset, len(column), self._name)
            return True
        if self._header is None:
            raise InputError(f"{self._name}: not a transactions file: it has no header")
        return False

    def scan(self, batch: TransactionBatch) -> None:
        """Make rows of the lines that `fill` put into the batch."""
        if self._header is not None:
            parse_lines(batch, self._header)


class WholeReads:
    """A file for pyarrow whose reads are never short but at the end: it takes each for a block."""

    closed = False

    def __init__(self, file: "RawIOBase") -> None:
        self._file = file
        self._bytes_read = 0

    def tell(self) -> int:
        return self._bytes_read

    def read(self, count: int) -> bytearray:
        block = bytearray(count)
        filled = 0
        with memoryview(block) as view:
            while filled < count:
                more = self._file.readinto(view[filled:])
                if more is None:
                    raise BlockingIOError(EAGAIN, "it is non-blocking and has nothing to read yet")
                if not more:
                    break
                filled += more
        del block[filled:]
        self._bytes_read += filled
        return block


def open_for_pyarrow(source: Source) -> "pa.NativeFile | WholeReads":
    """The source as pyarrow reads it best.

    pyarrow reads ahead in a thread of its own. Where that thread runs Python code, a process that ends before it does
    can crash or hang, so a regular file is given to pyarrow by its descriptor.
    """
    import pyarrow as pa

    if source.size_bytes is None:
        return WholeReads(source.file)
    try:
        file = pa.OSFile(f"/dev/fd/{source.file.fileno()}")
    except OSError:
        # Not every system lets a descriptor be opened again.
        return WholeReads(source.file)
    file.seek(source.file.tell())
    return file


def explain(name: str, block_bytes: int, message: str) -> str:
    """What pyarrow's message means to the user. A row that it quotes may say anything, so only starts are compared."""
    import re

    if message.startswith("Empty CSV file"):
        return f"{name}: not a transactions file: it is empty"
    if message.startswith("straddling object straddles two block boundaries"):
        return (
            f"{name}: has a row longer than the arrow reader's block of {block_bytes} bytes; "
            f"read it with --reader native"
        )
    if re.match(r"CSV parse error: (Row #\d+: )?Expected 1 columns", message):
        return f"{name}: has a row with a byte 0x01, which the arrow reader cannot carry; read it with --reader native"
    return f"{name}: pyarrow cannot read it: {message}"
