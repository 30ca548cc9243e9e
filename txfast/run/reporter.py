"""Reporter: gives each applied batch to the rejects, the log and the progress of a run, once its outcomes are known.

This module must not know how rows are applied.
"""

from txfast.log.journal import WARN

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Protocol

    from txfast.batch.batch import TransactionBatch
    from txfast.log.journal import Journal
    from txfast.log.progress import Progress
    from txfast.run.books import Books
    from txfast.run.deferred import DeferredRows

    class Rejects(Protocol):
        """Takes the rejects of every batch, in order."""

        def add(self, file: str, batch: TransactionBatch) -> None: ...


class Reporter:
    """Tells `rejects`, the `journal` and `progress`, where there are any, of every applied batch, in order."""

    def __init__(
        self,
        journal: "Journal | None" = None,
        rejects: "Rejects | None" = None,
        progress: "Progress | None" = None,
    ) -> None:
        self._journal = journal
        self._rejects = rejects
        self._progress = progress
        self._logs_rejected_rows = journal is not None and journal.shows(WARN)
        self._deferred: DeferredRows | None = None
        self._warned_of_quotes = False
        self._warned_of_columns = False

    @property
    def tells_each_reject(self) -> bool:
        """Whether every reject is told of, so that the outcome of each row must be kept."""
        return self._rejects is not None or self._logs_rejected_rows

    def report(self, file: str, batch: "TransactionBatch", books: "Books") -> None:
        """Report an applied batch of a file, or keep it until rows that went to disk are settled."""
        deferred = bool(batch.unsettled_shards) and batch.header is not None and self.tells_each_reject
        if deferred:
            self._defer(file, batch, books)
        elif self._rejects is not None and batch.header is not None:
            self._rejects.add(file, batch)
        if self._journal is not None and not (deferred and self._logs_rejected_rows):
            self._journal.rows(file, batch)
        if self._progress is not None:
            self._progress.advance(batch.text_bytes, len(batch) + batch.malformed_rows)

    def settling(self, part: int, parts: int) -> None:
        """Report which part of the spilled rows is being settled, and how many parts there are."""
        if self._progress is not None:
            self._progress.settling(part, parts)

    def held_back(self, file: str, line: int, reason: str, *, in_quotes: bool, in_character: bool) -> None:
        """Report that the last row of a file is held back, since it may be a part of one."""
        if self._journal is not None:
            from txfast.input.last_line import held_back_warning

            self._journal.warning(held_back_warning(file, line, reason, in_quotes=in_quotes, in_character=in_character))

    @property
    def way_to_all_malformed(self) -> str:
        """How to see the malformed rows that were not logged, as the end of a failure's message; "" where all were."""
        return "" if self._journal is None else self._journal.way_to_all_malformed

    def row_in_quotes(self, file: str, line: int) -> None:
        """Warn, once in a run, that a line inside a quoted field looks like a row."""
        if self._journal is not None and not self._warned_of_quotes:
            self._warned_of_quotes = True
            self._journal.warning(row_in_quotes_warning(file, line))

    def ignored_columns(self, file: str, names: tuple[str, ...]) -> None:
        """Warn, once in a run, that these columns are ignored, though their names say that they may matter."""
        if self._journal is not None and not self._warned_of_columns:
            self._warned_of_columns = True
            self._journal.warning(ignored_columns_warning(file, names))

    def _defer(self, file: str, batch: "TransactionBatch", books: "Books") -> None:
        if self._deferred is None:
            from txfast.run.deferred import DeferredRows

            self._deferred = DeferredRows(books.spill_file, len(books.ledgers))
        self._deferred.add(file, batch)

    def report_deferred(self, books: "Books") -> None:
        """Report the batches that waited, once all is settled."""
        if self._progress is not None:
            self._progress.close()
        if self._deferred is None:
            return
        for file, batch in self._deferred.with_statuses(books.spills):
            if self._rejects is not None:
                self._rejects.add(file, batch)
            if self._journal is not None and self._logs_rejected_rows:
                self._journal.rows(file, batch)


def row_in_quotes_warning(name: str, line: int) -> str:
    """The warning about a line inside a quoted field that looks like a row."""
    return (
        f"{name}:{line}: this line looks like a row, but is part of a quoted field, so it is not applied; if it should "
        f"be a row, a quote before it is wrong"
    )


def ignored_columns_warning(name: str, columns: tuple[str, ...]) -> str:
    """The warning about columns that are ignored, though their names say that they may matter."""
    found = f"column {columns[0]!r} is" if len(columns) == 1 else f"columns {', '.join(map(repr, columns))} are"
    currency = next((column for column in columns if column.strip().lower() == "currency"), None)
    other = "" if currency is None else f"; for an account in each currency, add --columns currency={currency}"
    return (
        f"{name}: {found} ignored: rows are applied whatever it says there; if it matters, leave out the rows that "
        f"should not count, where the file is made{other}"
    )
