"""The rejects file: every row that was not applied, malformed or rejected, in input order.

This module must not know why a row is a reject, nor where batches come from. pyarrow is imported for Parquet alone.
"""

import os
import stat

from txfast.writers.formats import CSV, PARQUET, compression_of, format_of
from txfast.writers.output import STANDARD_OUTPUT, Output, named_descriptor
from txfast.writers.reject_text import RejectRows, RejectText

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Protocol

    import pyarrow as pa

    from txfast.batch.batch import TransactionBatch

    class Writer(Protocol):
        """Puts rejects into an output, in one format."""

        def add(self, file: str, batch: TransactionBatch) -> None: ...
        def add_made(self, made: bytes) -> None: ...
        def add_rows(self, rejects: pa.RecordBatch) -> None: ...
        def finish(self) -> None: ...
        def abandon(self) -> None: ...


class Rejects:
    """A rejects file: `open`, `add` every applied batch in order, `finish`, `publish`; `discard` in the end.

    The suffix of the path says the format, unless one is `chosen`. The file appears whole or not at all, as any Output;
    `revoke` takes a publication back. Memory is bounded for any number of rejects. Raises UsageError for a path with
    another suffix.
    """

    def __init__(self, path: str, chosen: str | None = None) -> None:
        self._format = rejects_format(path) if chosen is None else format_of("rejects", path, chosen=chosen)
        self._output = Output(path, compression_of(path))
        self._writer: Writer | None = None
        self._is_open = False

    def open(self) -> None:
        """Open the destination. Raises SourceError."""
        if self._is_open:
            return
        self._output.open()
        if self._format == PARQUET:
            from txfast.writers.reject_tables import ParquetWriter

            self._writer = ParquetWriter(self._output)
        else:
            self._writer = TextWriter(self._output, self._format)
        self._is_open = True

    def follow(self) -> None:
        """Before `open`: prepare for `progress`. Not for Parquet and compressed text, whose files cannot be
        continued."""
        self._output.follow()

    def progress(self) -> "dict[str, object]":
        """Write the rejects so far to the disk; return the fields that `reopen` takes. Raises as `add` does."""
        assert isinstance(self._writer, TextWriter), "not text"
        self._writer.flush()
        return self._output.progress()

    def reopen(self, temporary_path: str, byte_count: int, digest: str) -> None:
        """Instead of `open`: continue where `progress` was. A later `open` does nothing. Raises SourceError."""
        self._output.reopen(temporary_path, byte_count, digest)
        self._writer = TextWriter(self._output, self._format, is_new=False)
        self._is_open = True

    def keep_temporary(self) -> None:
        """Make `discard` leave the temporary file, for a later run to `reopen`."""
        self._output.keep_temporary()

    def add(self, file: str, batch: "TransactionBatch") -> None:
        """Add the rejects of an applied batch of this file.

        Raises SourceError, MemoryError, and BrokenPipeError where the reader of a pipe is gone.
        """
        assert self._writer is not None, "not open"
        self._writer.add(file, batch)

    @property
    def made_format(self) -> str:
        """The format that `add_made` takes: csv or jsonl (without a header), or arrow (streams of reject_schema)."""
        return "arrow" if self._format == PARQUET else self._format

    def add_made(self, made: bytes) -> None:
        """Add rejects that another process has put into `made_format`. Raises as `add` does."""
        assert self._writer is not None, "not open"
        self._writer.add_made(made)

    def add_rows(self, rejects: "pa.RecordBatch") -> None:
        """Add rejects that are a record batch of reject_schema. Raises as `add` does."""
        assert self._writer is not None, "not open"
        self._writer.add_rows(rejects)

    def finish(self) -> None:
        """Write the rest, to the disk. A second call does nothing. Raises as `add` does."""
        if self._writer is not None:
            self._writer.finish()
            self._output.finish()
            self._writer = None

    def publish(self, *, revocable: bool = False) -> None:
        """Put the finished file in its place. Raises SourceError; then nothing has changed."""
        self._output.publish(revocable=revocable)

    def revoke(self) -> None:
        """Put back the file that was there before `publish(revocable=True)`, as far as the system allows."""
        self._output.revoke()

    def discard(self) -> None:
        """Close, and remove an unpublished file. May be called at any time, and more than once."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        self._output.discard()


def rejects_format(path: str) -> str:
    """The format that the path's suffix names: csv, jsonl or parquet. Raises UsageError.

    A device or a pipe without a suffix (/dev/stderr, /dev/fd/63) gets CSV.
    """
    is_nameless = not os.path.splitext(path)[1] and (path == STANDARD_OUTPUT or is_device_or_pipe(path))
    return format_of("rejects", path, chosen=CSV if is_nameless else None)


def can_be_continued(path: str) -> bool:
    """Whether a rejects file at this path is a regular file of lines, which can be cut back to an earlier size."""
    is_text = rejects_format(path) != PARQUET and compression_of(path) is None
    return path != STANDARD_OUTPUT and is_text and not is_device_or_pipe(path)


def is_device_or_pipe(path: str) -> bool:
    """Whether a path leads to a device or a pipe, or names a descriptor of this process."""
    if named_descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


class TextWriter:
    """Rejects as CSV or JSON lines."""

    def __init__(self, output: Output, text_format: str, *, is_new: bool = True) -> None:
        self._output = output
        self._text = RejectText(text_format)
        if not is_new:
            self._text.rest()  # the header is there already

    def add(self, file: str, batch: "TransactionBatch") -> None:
        for block in self._text.blocks(os.fsencode(file), batch):
            self._output.write(block)

    def add_made(self, made: bytes) -> None:
        self.flush()
        self._output.write(made)

    def add_rows(self, rejects: "pa.RecordBatch") -> None:
        columns = []
        for column in rejects.columns:
            buffers = column.buffers()[1:]  # no value is null
            columns.append((column.offset, *buffers) if len(buffers) > 1 else (column.offset, None, *buffers))
        for block in self._text.column_blocks(RejectRows(rejects.num_rows, columns)):
            self._output.write(block)

    def finish(self) -> None:
        self.flush()

    def flush(self) -> None:
        self._output.write(self._text.rest())

    def abandon(self) -> None:
        """Nothing to release."""
