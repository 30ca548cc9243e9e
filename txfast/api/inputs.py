"""The inputs that a program may give: paths, binary files and tables; each becomes a Source.

A table is an object that exports the Arrow C stream or array interface (pyarrow, Polars, DuckDB, pandas), or an
iterable of such objects, such as a generator of record batches. This module must not know what rows mean.
"""

import os
from collections.abc import Mapping, Sequence, Set
from io import IOBase, RawIOBase, TextIOBase
from types import GeneratorType
from typing import cast

from txfast.api.arguments import type_name
from txfast.api.lent_tables import LentTables, is_file, is_table, refusal_of_element
from txfast.errors import UsageError
from txfast.input.library_errors import mark_as_callers
from txfast.input.open import look_at, open_input, source_of
from txfast.input.ref import InputRef, resolve, resolve_query
from txfast.input.source import TABLE, Source
from txfast.readers.table_rows import VALUES_BYTES

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import IO, Any, TypeAlias

    from typing_extensions import Buffer as WriteableBuffer

    from txfast.api.lent_tables import Tables
    from txfast.input.room import Room

    Input: TypeAlias = str | os.PathLike[str] | IO[bytes] | RawIOBase | Tables

HOW_TO_READ = "it is a path, a binary file, or a table that exports Arrow (__arrow_c_stream__)"
# What makes a table of an object that is none: a dataset or a scanner of pyarrow, a frame of Spark, of Dask, and a lazy
# frame of Polars. By the name of the method, in this order: Spark's `collect` gives no table.
TABLES_TO_MAKE = {name: f"{name}()" for name in ("to_table", "toArrow", "compute", "collect")}


class Inputs:
    """The `inputs` of one call, checked before anything is read; each path is looked up once, and is among the `refs`.
    The rows of a query, `sql`, come last.

    With `whole_tables`, each table of an iterable is read to its end before its first row is given. Raises UsageError
    where there is no input, or an object that cannot be one.
    """

    def __init__(self, inputs: "tuple[Input, ...]", *, whole_tables: bool = False, sql: str | None = None) -> None:
        if inputs or sql is None:
            check_inputs(inputs)
        self.inputs: list[InputRef | LentInput] = []
        for number, given in enumerate(inputs, 1):
            if isinstance(given, (str, os.PathLike)):
                self.inputs.append(resolve(os.fspath(given)))
            else:
                ordinal = f" {number}" if len(inputs) > 1 else ""
                self.inputs.append(LentInput(given, ordinal, whole_tables=whole_tables))
        if sql is not None:
            self.inputs.append(resolve_query(sql))
        self.refs = [each for each in self.inputs if isinstance(each, InputRef)]

    def sources(self, copy_folder: str | None = None) -> "Generator[Source, None, None]":
        """Look at all inputs at once; then iterate them, open: each is closed when the next is asked for, and when
        the generator is closed.

        The caller's own files stay open. A zip archive in one of them is copied to `copy_folder`. Raises UsageError,
        SourceError and InputError.
        """
        look_at(self.refs, open_all=len(self.inputs) > 1)
        return self._opened(copy_folder)

    def _opened(self, copy_folder: str | None) -> "Generator[Source, None, None]":
        for each in self.inputs:
            source = open_input(each, copy_folder) if isinstance(each, InputRef) else each.open(copy_folder)
            try:
                yield source
            finally:
                source.close()


class LentInput:
    """A binary file or a table that a program gives: `name` is its type, and `ordinal` tells several tables apart.

    With `whole_tables`, each table of an iterable, and each record batch of a table alone, is read to its end before
    its first row is given.
    """

    def __init__(
        self, given: "IO[bytes] | RawIOBase | Tables", ordinal: str = "", *, whole_tables: bool = False
    ) -> None:
        self.name = type_name(given)
        self._given = given
        self._ordinal = ordinal
        self._whole_tables = whole_tables

    def open(self, copy_folder: str | None = None, room: "Room | None" = None) -> Source:
        """Its source. A zip archive in a file is copied to `copy_folder`; memory for decompressing it is taken from
        the `room`. Raises UsageError, SourceError, InputError and MemoryLimitError."""
        given = self._given
        if is_file(given):
            name = getattr(given, "name", None)
            name = os.fsdecode(name) if isinstance(name, (str, bytes)) else self.name + self._ordinal
            return source_of(name, BorrowedFile(given), None, copy_folder, room)
        rows = row_count(given)
        size_bytes = None if rows is None else rows * VALUES_BYTES
        tables = LentTables(cast("Tables", given), whole=self._whole_tables)
        return Source(self.name + self._ordinal, RawIOBase(), size_bytes, TABLE, tables)


def balance_input(name: str, given: "Input") -> "InputRef | LentInput":
    """The argument of this name, which is a file or a table of balances. Raises UsageError for an object that is
    none."""
    refusal = refusal_of(given)
    if refusal is not None:
        raise UsageError(f"{name}: {refusal}")
    [found] = Inputs((given,)).inputs
    return found


def check_inputs(inputs: "tuple[Input, ...]") -> None:
    """Raise UsageError where there is no input, or an object that cannot be one."""
    if not inputs:
        raise UsageError(f"no input: {HOW_TO_READ}")
    for given in inputs:
        refusal = refusal_of(given)
        if refusal is not None:
            raise UsageError(refusal)


def refusal_of(given: object) -> str | None:
    """Why an object cannot be an input, and what to do; None where it may be one."""
    if isinstance(given, (str, os.PathLike)):
        is_bytes = isinstance(os.fspath(given), bytes)
        return "a path of bytes is no input: decode it by os.fsdecode()" if is_bytes else None
    if isinstance(given, (bytes, bytearray, memoryview)):
        return "bytes are no input: wrap a content in io.BytesIO(), and decode a path by os.fsdecode()"
    if getattr(given, "closed", False) is True:
        return f"a file that is closed cannot be read: {type_name(given)}"
    if isinstance(given, IOBase) and not given.readable():
        return f"a file that is open for writing alone cannot be read: {type_name(given)}: open it with mode 'rb'"
    if isinstance(given, GeneratorType) and given.gi_frame is None:
        return "a generator that has ended has no tables left: make it anew"
    if isinstance(given, TextIOBase):
        return "a file that is open as text cannot be read: open it as binary, with mode 'rb'"
    if is_file(given) or is_table(given):
        return None
    call = next((call for name, call in TABLES_TO_MAKE.items() if hasattr(given, name)), None)
    if call is not None:
        return f"an input of type {type_name(given)} is no table yet: give what its {call} returns"
    if isinstance(given, Mapping):
        return f"an input of type {type_name(given)} is no table: make one of it, as pyarrow.table() does"
    if isinstance(given, (Sequence, Set)):
        if not given:
            return f"no input: the {type_name(given)} is empty"
        return next(filter(None, (refusal_of_element(given, each) for each in given)), None)
    if not hasattr(given, "__iter__"):
        return f"an input of type {type_name(given)} cannot be read: {HOW_TO_READ}"
    return None


def row_count(given: object) -> int | None:
    """The rows of a table, where it knows them without counting."""
    for name in ("num_rows", "height"):  # of pyarrow's, of Polars'
        count = getattr(given, name, None)
        if is_table(given) and isinstance(count, int):
            return count
    return len(given.index) if type_name(given) == "pandas.DataFrame" else None  # type: ignore[attr-defined]


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
