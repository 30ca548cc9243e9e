"""Intake: one input of a run, read block by block. MalformedRows: how many malformed rows a run has met and allows.

This module must not know ledgers.
"""

from txfast.batch.batch import MALFORMED_REASONS, malformed_by_reason
from txfast.errors import HeaderError, InputError, MemoryLimitError, TooManyMalformedError, UsageError
from txfast.input.source import JSON_LINES, QUERY, TEXT_KINDS
from txfast.readers.csv import CsvReader
from txfast.run.machine import (
    ARROW_MEMORY_BYTES,
    ARROW_MEMORY_LIMIT_MIN,
    DUCKDB_MEMORY_BYTES,
    QUERY_MEMORY_LIMIT_MIN,
    default_memory_limit,
)
from txfast.run.plan import BYTES_PER_TABLE_BYTE

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Protocol

    from txfast.batch.batch import TransactionBatch
    from txfast.batch.header import Header
    from txfast.dialect.dialect import Dialect
    from txfast.input.last_line import LastRow
    from txfast.input.position import Consumption, Position
    from txfast.input.room import Room
    from txfast.input.source import Source
    from txfast.readers.allowance import Allowance
    from txfast.run.plan import Plan

    class Reader(Protocol):
        """Makes batches of one input: `fill` in order, by one thread at a time, then `scan` by any."""

        @property
        def bytes_read(self) -> int: ...
        @property
        def held_bytes(self) -> int: ...  # at the end: of a last row that is held back
        @property
        def header(self) -> Header | None: ...  # from the first block on
        def fill(self, batch: TransactionBatch) -> bool: ...
        def scan(self, batch: TransactionBatch) -> None: ...


# What has become of a run that malformed rows have stopped.
NO_ACCOUNTS = "; no accounts written"


class InputFigures:
    """The size of one input, or of the part read so far: bytes, rows, malformed ones included, and rows that its
    dialect ignores."""

    __slots__ = ("bytes", "ignored_rows", "name", "rows")

    def __init__(self, name: str, byte_count: int = 0, rows: int = 0, ignored_rows: int = 0) -> None:
        self.name = name
        self.bytes = byte_count
        self.rows = rows
        self.ignored_rows = ignored_rows


class MalformedRows:
    """Malformed rows of all inputs of a run, counted by reason. More than `allowed` stop the run; None allows all.

    `outcome` says in the message of that what has become of the run.
    """

    __slots__ = ("_admitted", "_outcome", "allowed", "counts")

    def __init__(self, allowed: int | None = None, *, outcome: str = NO_ACCOUNTS) -> None:
        self.allowed = allowed
        self._outcome = outcome
        self.counts = [0] * len(MALFORMED_REASONS)  # by code, of batches that were applied
        self._admitted = 0  # of batches that are to be applied

    def go_on(self, counts: list[int]) -> None:
        """Begin with the malformed rows of an earlier part of the run."""
        self.counts = counts
        self._admitted = sum(counts)

    def admit(self, batch: "TransactionBatch") -> bool:
        """Admit the next scanned batch, in the order of the input; False after the row that stops the run.

        The batch with that row is cut after it.
        """
        if self.allowed is None:
            return True
        before = self._admitted
        if before > self.allowed:
            return False
        self._admitted += batch.malformed_rows
        if self._admitted > self.allowed:
            batch.cut(self.allowed - before + 1)
        return True

    def add(self, file: str, batch: "TransactionBatch") -> None:
        """Count the malformed rows of an applied batch. Raises TooManyMalformedError after the row that stops the
        run."""
        if batch.malformed_rows:
            batch.count_malformed(self.counts)
        if batch.is_cut:
            from txfast.batch.cursor import report

            *_, (line, reason, _, _) = report(batch, rejected=False)
            raise TooManyMalformedError(
                f"{file}:{line}: stopped at malformed row {sum(self.counts):,} (limit {self.allowed:,})"
                f"{self._outcome}: correct the rows, or allow more of them",
                file,
                line,
                MALFORMED_REASONS[reason],
            )

    def by_reason(self) -> dict[str, int]:
        """Malformed rows by the name of the reason."""
        return malformed_by_reason(self.counts)


class Intake:
    """One input of a run: `fill` and `scan` batches of it, `admit` each in order, and `note` it once it is applied;
    `finish` at the end of the input.

    `fill` is for one thread at a time, `scan` for any. With a `consumption`, reading begins at its position in the
    input, and it follows the bytes that are read. With `keep_positions` each batch carries the position after its last
    byte.
    """

    def __init__(
        self,
        source: "Source",
        reader: "Reader",
        malformed: MalformedRows,
        figures: InputFigures,
        consumption: "Consumption | None" = None,
        *,
        keep_positions: bool = False,
    ) -> None:
        self.name = source.name
        self.is_table = source.kind not in TEXT_KINDS
        self.size_bytes = source.size_bytes
        self.figures = figures
        self._file = source.file
        self._reader = reader
        self._malformed = malformed
        self._consumption = consumption
        self._keep_positions = keep_positions
        self._next_line = 1 if consumption is None else consumption.lines + 1
        self._bytes_before = figures.bytes
        self._offset_before = figures.bytes - (0 if consumption is None else consumption.offset_bytes)

    @property
    def next_line(self) -> int:
        """The number of the line after those that were noted."""
        return self._next_line

    @property
    def header(self) -> "Header | None":
        """The input's header, from the first block on."""
        return self._reader.header

    def fill(self, batch: "TransactionBatch") -> bool:
        """Read the next block into a batch; False at the end of the input. Raises InputError and SourceError."""
        try:
            more = self._reader.fill(batch)
        except HeaderError as error:
            from txfast.input.encoding import tell_encoding

            tell_encoding(error, self._file)
            raise
        batch.input_bytes_read = self._reader.bytes_read
        if self._keep_positions and self._consumption is not None:
            batch.consumed = self._consumption.position(0, b"")
        return more

    def scan(self, batch: "TransactionBatch") -> None:
        """Parse the block that `fill` has put into the batch into rows."""
        self._reader.scan(batch)

    def admit(self, batch: "TransactionBatch") -> bool:
        """Admit the next scanned batch, in the order of the input; False after the row that stops the run."""
        return self._malformed.admit(batch)

    def note(self, batch: "TransactionBatch") -> None:
        """Count an applied batch, and number its lines."""
        self._next_line = batch.number_lines(self._next_line)
        self.figures.rows += len(batch) + batch.malformed_rows
        self.figures.ignored_rows += batch.ignored_rows
        self.figures.bytes = self._bytes_before + batch.input_bytes_read

    def position_after(self, batch: "TransactionBatch") -> "Position":
        """The position in the input after a batch that was applied and noted.

        A run that resumes there reads the later blocks again, so the figures are set back to this position.
        """
        position: Position = batch.consumed  # type: ignore[assignment]
        assert self.header is not None
        position.lines, position.header = self._next_line - 1, self.header.line
        self.figures.bytes = self._offset_before + position.offset_bytes
        return position

    def finish(self) -> None:
        """End the input: count its bytes, without those of a last row that is held back, and store its header and its
        number of lines in the consumption."""
        self.figures.bytes = self._bytes_before + self._reader.bytes_read - self._reader.held_bytes
        if self._consumption is not None:
            self._consumption.header = None if self.header is None else self.header.line
            self._consumption.lines = self._next_line - 1 - self._consumption.finish()


def check_reader(reader: str | None, dialect: "Dialect | None") -> None:
    """Raise UsageError where the reader of CSV cannot cut lines in this dialect."""
    if reader == "arrow" and dialect is not None and dialect.line_parts:
        raise UsageError(
            f"the reader arrow knows no dialect with {', '.join(dialect.line_parts)}: leave it out, or the reader"
        )


def make_reader(
    source: "Source",
    plan: "Plan",
    consumption: "Consumption | None" = None,
    *,
    keep_text: bool = True,
    copy_folder: str | None = None,
    last_row: "LastRow | None" = None,
    room: "Room | None" = None,
    dialect: "Dialect | None" = None,
) -> "Reader":
    """The reader for an open input, which is read in a `dialect`, None for the default one. Without `keep_text` only
    malformed rows of a table can be reported; a table that comes as a stream is copied to `copy_folder`. `last_row`
    decides about a last row that has no line ending. A table takes its memory from the `room`, where the plan keeps
    none for it.

    Raises SpillError, MemoryLimitError where the limit is too small for a table, and InputError where the arrow reader
    is asked for JSON lines.
    """
    if dialect is not None and consumption is None:
        from txfast.input.decoded import decoded_source

        source = decoded_source(source, dialect.encoding)
    if source.kind not in TEXT_KINDS:
        from txfast.readers import table

        return table.TableReader(
            source, consumption, keep_text=keep_text, threads=plan.threads, copy_folder=copy_folder,
            allowance=table_allowance(source, plan, room), dialect=dialect,
        )  # fmt: skip
    block_bytes = plan.block_bytes(source.size_bytes)
    if source.kind == JSON_LINES:
        from txfast.readers.json_lines import JsonLinesReader

        if plan.reader == "arrow":
            raise InputError(f"{source.name}: JSON lines, which are no CSV for the arrow reader: use --reader native")
        return JsonLinesReader(source.file, source.name, block_bytes, consumption, last_row, dialect=dialect)
    if plan.reader == "arrow":
        from txfast.readers import arrow_csv

        return arrow_csv.ArrowCsvReader(
            source, block_bytes, threads=plan.threads, consumption=consumption, last_row=last_row, dialect=dialect
        )
    return CsvReader(source.file, source.name, block_bytes, consumption, last_row, dialect=dialect)


def table_allowance(source: "Source", plan: "Plan", room: "Room | None") -> "Allowance":
    """The memory that this table may take while it is read; pyarrow's comes from the room. Raises SpillError, and
    MemoryLimitError where the limit is too small for a table."""
    from txfast.readers.table import TABLE_NAMES

    is_query = source.kind == QUERY
    least = QUERY_MEMORY_LIMIT_MIN if is_query else ARROW_MEMORY_LIMIT_MIN
    if plan.memory_limit is not None and plan.memory_limit < least:
        raise MemoryLimitError(
            f"{source.name}: is a {TABLE_NAMES[source.kind]}, for which the least memory limit is {least >> 20}MiB"
        )
    if room is not None:
        libraries = ARROW_MEMORY_BYTES + (DUCKDB_MEMORY_BYTES if is_query else 0)
        room.load_pyarrow(libraries + plan.bytes_for_tables)
    return allowance_of(plan)


def allowance_of(plan: "Plan") -> "Allowance":
    """The memory that a table may take while it is read."""
    from txfast.readers.allowance import Allowance

    if plan.table_bytes is None:
        return Allowance(default_memory_limit() // BYTES_PER_TABLE_BYTE)
    return Allowance(plan.table_bytes, plan.memory_limit, plan.limit_for_table)
