"""The inputs that a program may give: paths, binary files and tables; each becomes a Source.

A table is an object that exports the Arrow C stream or array interface (pyarrow, Polars, DuckDB, pandas), or an
iterable of such objects, such as a generator of record batches. This module must not know what rows mean.
"""

import os
from io import RawIOBase, TextIOBase
from typing import cast

from txfast.errors import UsageError
from txfast.input.library_errors import mark_as_callers
from txfast.input.open import look_at, open_input, source_of
from txfast.input.ref import InputRef, may_have_tables, resolve, total_size
from txfast.input.source import TABLE, Source
from txfast.readers.table_rows import VALUES_BYTES

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import IO, Any, Protocol, TypeAlias

    import pyarrow as pa
    from typing_extensions import Buffer as WriteableBuffer

    class ArrowStream(Protocol):
        """A table, or a stream of record batches."""

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

    class ArrowArray(Protocol):
        """A record batch."""

        def __arrow_c_array__(self, requested_schema: Any = None) -> Any: ...

    Table: TypeAlias = ArrowStream | ArrowArray
    Tables: TypeAlias = Table | Iterable[Table]
    Input: TypeAlias = str | os.PathLike[str] | IO[bytes] | RawIOBase | Tables
else:
    from txfast.late import pa

HOW_TO_READ = "it is a path, a binary file, or a table that exports Arrow (__arrow_c_stream__)"


class Inputs:
    """The inputs of one call, checked before anything is read; each path is looked up once.

    Raises UsageError where there is no input, or an object that cannot be one.
    """

    def __init__(self, inputs: "tuple[Input, ...]") -> None:
        check_inputs(inputs)
        self._inputs = [resolve(os.fspath(each)) if isinstance(each, (str, os.PathLike)) else each for each in inputs]
        self._refs = [each for each in self._inputs if isinstance(each, InputRef)]

    def sources(self, copy_folder: str | None = None) -> "Iterator[Source]":
        """Look at all inputs, then open them one after the other; each is closed when the next is asked for.

        The caller's own files stay open. A zip archive in one of them is copied to `copy_folder`. Raises UsageError,
        SourceError and InputError.
        """
        look_at(self._refs, open_all=len(self._inputs) > 1)
        for index, each in enumerate(self._inputs):
            number = f" {index + 1}" if len(self._inputs) > 1 else ""
            if isinstance(each, InputRef):
                source = open_input(each, copy_folder)
            else:
                source = source_of_object(each, number, copy_folder)
            try:
                yield source
            finally:
                source.close()

    @property
    def may_have_tables(self) -> bool:
        """Whether an input is a table, as far as can be seen before it is read."""
        return len(self._refs) < len(self._inputs) or may_have_tables(self._refs)

    @property
    def total_bytes(self) -> int | None:
        """Bytes to read in all inputs, for a progress bar; None unless all are plain CSV files."""
        return total_size(self._refs) if len(self._refs) == len(self._inputs) else None


def check_inputs(inputs: "tuple[Input, ...]") -> None:
    """Raise UsageError where there is no input, or an object that cannot be one."""
    if not inputs:
        raise UsageError(f"no input: {HOW_TO_READ}")
    for given in inputs:
        is_path = isinstance(given, (str, os.PathLike))
        if not (is_path or is_file(given) or is_table(given) or hasattr(given, "__iter__")):
            raise UsageError(f"an input of type {type_name(given)} cannot be read: {HOW_TO_READ}")
        if isinstance(given, (bytes, bytearray, memoryview)):
            raise UsageError("bytes are no input: wrap a content in io.BytesIO(), and decode a path by os.fsdecode()")
        if is_path and isinstance(os.fspath(given), bytes):  # type: ignore[arg-type]
            raise UsageError("a path of bytes is no input: decode it by os.fsdecode()")
        if not is_path and getattr(given, "closed", False) is True:
            raise UsageError(f"a file that is closed cannot be read: {type_name(given)}")
        if isinstance(given, TextIOBase):
            raise UsageError("a file that is open as text cannot be read: open it as binary, with mode 'rb'")


def source_of_object(given: "IO[bytes] | RawIOBase | Tables", number: str, copy_folder: str | None = None) -> Source:
    """The source of a file object or a table; `number` tells several tables apart in messages."""
    if is_file(given):
        name = getattr(given, "name", None)
        name = os.fsdecode(name) if isinstance(name, (str, bytes)) else type_name(given) + number
        return source_of(name, BorrowedFile(given), None, copy_folder)
    rows = row_count(given)
    size_bytes = None if rows is None else rows * VALUES_BYTES
    return Source(type_name(given) + number, RawIOBase(), size_bytes, TABLE, tables(cast("Tables", given)))


def is_file(given: object) -> bool:
    return hasattr(given, "read") and not is_table(given)


def is_table(given: object) -> bool:
    return hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__")


def row_count(given: object) -> int | None:
    """The rows of a table, where it knows them without counting."""
    for name in ("num_rows", "height"):  # of pyarrow's, of Polars'
        count = getattr(given, name, None)
        if is_table(given) and isinstance(count, int):
            return count
    return len(given.index) if type_name(given) == "pandas.DataFrame" else None  # type: ignore[attr-defined]


def type_name(given: object) -> str:
    """The name of an object without one, in messages and rejects: its type, after the package that it comes from."""
    kind = type(given)
    package = kind.__module__.partition(".")[0].lstrip("_")
    return kind.__qualname__ if package == "builtins" else f"{package}.{kind.__qualname__}"


def tables(given: "Tables") -> "Iterator[pa.RecordBatchReader]":
    """Iterate a reader of record batches for a table, or for each table of an iterable. Raises UsageError."""
    if hasattr(given, "__arrow_c_stream__"):
        yield pa.RecordBatchReader.from_stream(given)
    elif hasattr(given, "__arrow_c_array__"):
        batch = pa.record_batch(given)
        yield pa.RecordBatchReader.from_batches(batch.schema, [batch])
    else:
        for each in elements(cast("Iterable[Table]", given)):
            if not is_table(each):
                raise UsageError(f"an iterable of {type_name(each)} cannot be read: its elements must be tables")
            yield from tables(each)


def elements(given: "Iterable[Table]") -> "Iterator[Table]":
    """Iterate the caller's iterable; what it raises is the caller's."""
    try:
        yield from given
    except Exception as error:
        mark_as_callers(error)
        raise


class BorrowedFile(RawIOBase):
    """A file of the caller's: it is read from its present position to its end, and left open."""

    def __init__(self, file: "Any") -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        """As a raw file does it. Raises UsageError where the file gives text, and what the file raises."""
        try:
            return self._read_into(buffer)
        except Exception as error:
            mark_as_callers(error)
            raise

    def _read_into(self, buffer: "WriteableBuffer") -> int | None:
        if hasattr(self._file, "readinto"):
            count: int | None = self._file.readinto(buffer)
            return count
        view = memoryview(buffer).cast("B")
        block = self._file.read(len(view))
        if not isinstance(block, bytes):
            raise UsageError(f"{type_name(self._file)}: reads {type_name(block)}, and must read bytes")
        view[: len(block)] = block
        return len(block)
