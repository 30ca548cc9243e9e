"""Files of balances: the accounts that a run begins with, and those that it should end with.

This module must not know what a user calls such a file, nor where differences go.
"""

from txfast.errors import CapacityError, InputError, MemoryLimitError, SourceError, unreadable
from txfast.input.first_bytes import ReplayedFile, take_first_bytes
from txfast.input.open import open_input
from txfast.input.ref import InputRef
from txfast.input.room import in_mib
from txfast.input.source import CSV, JSON_LINES
from txfast.interrupts import check, while_waiting
from txfast.printable import shown_account

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from txfast.dialect.dialect import Dialect
    from txfast.input.room import Room
    from txfast.input.source import Lent, Source
    from txfast.readers.allowance import Allowance
    from txfast.readers.balance_columns import Contents
    from txfast.readers.balance_form import BalanceForm
    from txfast.readers.balance_rows import BalanceRows
    from txfast.report.expected import ExpectedAccounts
    from txfast.run.books import Books

    # Whose account it is: a client, and the code of a currency where accounts have one.
    Owner = tuple[int | bytes, bytes | None]

# Two accounts of one client are looked for among this many of its rows.
PLACES_MAX = 2


class BalanceFile:
    """A file or a table of balances, which may be read several times if it is a file: iterate `blocks`.

    `dialect` is that of the run, None for the default one. `table_allowance` says what a table may take of memory; a
    table that comes as a stream is copied to `copy_folder`.
    """

    def __init__(
        self,
        given: "InputRef | Lent",
        contents: "Contents",
        *,
        dialect: "Dialect | None" = None,
        threads: int = 1,
        copy_folder: str | None = None,
        room: "Room | None" = None,
        table_allowance: "Callable[[Source], Allowance] | None" = None,
    ) -> None:
        self.given = given
        self.name = given.display_name if isinstance(given, InputRef) else given.name
        self._contents = contents
        self._dialect = dialect
        self._threads = threads
        self._copy_folder = copy_folder
        self._room = room
        self._table_allowance = table_allowance

    def no_rows(self) -> "BalanceRows":
        """The rows of a file that has none."""
        from txfast.readers.balance_rows import BalanceRows

        if self._dialect is None:
            return BalanceRows(())
        return BalanceRows((), has_names=self._dialect.has_text("client"), currencies=self._dialect.currencies)

    def blocks(self) -> "Iterator[BalanceRows]":
        """Iterate the rows block by block, always in the same BalanceRows, which keep all rows unless they are cleared.

        Raises InputError for a row that is wrong, SourceError, MemoryLimitError, CapacityError for too many currencies,
        and Interrupted.
        """
        given = self.given
        if isinstance(given, InputRef):
            source = while_waiting(open_input, given, self._copy_folder, self._room)
        else:
            source = while_waiting(given.open, self._copy_folder, self._room)
        try:
            self.name = source.name
            yield from self._blocks_of(source)
        except CapacityError as error:
            raise CapacityError(f"{self.name}: {error}") from error
        finally:
            source.close()

    def _blocks_of(self, source: "Source") -> "Iterator[BalanceRows]":
        if source.kind == CSV:
            from txfast.readers.balance_csv import BalanceCsvReader

            source, form = while_waiting(csv_form, source, self._dialect)
            reader = BalanceCsvReader(source.file, source.name, self._contents, form)
            while while_waiting(reader.fill):
                assert reader.rows is not None, "it was filled"
                yield reader.rows
                check()
            return
        if source.kind == JSON_LINES:
            raise self._contents.wrong(self.name, "JSON lines are no balances: make CSV or Parquet of them")
        from txfast.readers.balance_table import BalanceTableReader

        allowance = None if self._table_allowance is None else self._table_allowance(source)
        table = BalanceTableReader(
            source, self._contents, self._dialect, threads=self._threads, copy_folder=self._copy_folder,
            allowance=allowance,
        )  # fmt: skip
        while while_waiting(table.fill_rows):
            yield table.rows
            check()


def csv_form(source: "Source", dialect: "Dialect | None") -> "tuple[Source, BalanceForm]":
    """A CSV file of balances as UTF-8, and how it is read in a run of this dialect. Raises SourceError."""
    from txfast.readers.balance_form import given_form, is_printed_file, printed_form

    try:
        first_bytes = take_first_bytes(source.file)
    except OSError as error:
        raise error if isinstance(error, SourceError) else unreadable(source.name, error) from error
    source.file = ReplayedFile(first_bytes, source.file)
    if is_printed_file(first_bytes, dialect):
        return source, printed_form(dialect)
    form = given_form(dialect)
    if form.dialect.encoding is not None:
        from txfast.input.decoded import decoded_source

        source = decoded_source(source, form.dialect.encoding)
    return source, form


def read_expected(file: BalanceFile, books: "Books | None" = None) -> "ExpectedAccounts":
    """Read a whole file of expected accounts. Its memory is taken from the books, where they have a limit.

    Raises InputError also where a client is there twice, MemoryLimitError, and as `BalanceFile.blocks`.
    """
    from txfast.report.expected import SORTED_BYTES, SORTING_BYTES, ExpectedAccounts

    rows = file.no_rows()
    for rows in file.blocks():
        if books is not None:
            refuse_large(file.name, rows.memory_bytes, books)
    if books is not None:
        refuse_large(file.name, rows.memory_bytes + len(rows) * SORTING_BYTES, books)
    expected = ExpectedAccounts(rows)
    if expected.twice >= 0:
        raise is_there_twice(file.name, rows.line_of(expected.twice), rows.owner_of(expected.twice))
    if books is not None:
        books.make_room(rows.memory_bytes + len(rows) * SORTED_BYTES, at_once=False)
    return expected


def refuse_large(name: str, needed: int, books: "Books") -> None:
    """Raise MemoryLimitError where expected accounts take more than half of what the ledgers have."""
    missing = books.missing_for(2 * needed)
    if missing:
        raise MemoryLimitError(
            f"{name}: expected accounts are kept in memory, and these need {in_mib(missing)} more than the memory "
            f"limit leaves: raise the limit by that"
        )


def open_accounts(file: BalanceFile, books: "Books", state: str | None) -> None:
    """Open an account for each row of a file of opening balances. `state` is the path of the state that the books were
    restored from.

    Raises InputError for a row that is wrong, and where a client is there twice or has an account already.
    """
    books.openings.begin()
    for rows in file.blocks():
        if not len(rows):
            continue
        refused = books.openings.open_accounts(rows)
        if refused is not None:
            row, is_known = refused
            line, owner = rows.line_of(row), rows.owner_of(row)
            raise (
                is_known_already(file.name, line, owner, state) if is_known else is_there_twice(file.name, line, owner)
            )
        rows.clear()
    books.openings.end()


def account_twice(file: BalanceFile, owner: "Owner", state: str | None) -> InputError:
    """The error for an account that was found to be opened twice after it had gone to disk: in the file, or in the
    state too."""
    lines: list[int] = []
    if isinstance(file.given, InputRef) and file.given.can_be_read_again:
        for rows in file.blocks():
            lines += [rows.line_of(row) for row in range(len(rows)) if rows.owner_of(row) == owner]
            rows.clear()
            if len(lines) >= PLACES_MAX:
                return is_there_twice(file.name, lines[1], owner)
    if lines or state is not None:
        return is_known_already(file.name, lines[0] if lines else None, owner, state)
    return is_there_twice(file.name, None, owner)


def is_there_twice(name: str, line: int | None, owner: "Owner") -> InputError:
    return InputError(f"{place(name, line)}: {shown_account(*owner)} is there twice: leave one of its rows out")


def is_known_already(name: str, line: int | None, owner: "Owner", state: str | None) -> InputError:
    return InputError(
        f"{place(name, line)}: {shown_account(*owner)} has an account in {state} already: the state keeps opening "
        f"balances, so give them in the first run alone, and later only those of new accounts"
    )


def place(name: str, line: int | None) -> str:
    return name if line is None else f"{name}:{line}"
