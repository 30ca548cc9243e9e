"""The log of a run: refused rows, warnings, the failure, and the run's figures.

It uses the standard `logging` module, and imports it with the first line: a run that logs nothing starts faster. The
command logs to standard error, through a logger that no other code sees. A program gives a logger of its own, such as
`logging.getLogger("txfast")`: there each event is a record, and the record of a row has the attributes `file`, `line`,
`reason` and `row`. The message of refused rows begins as in the command, `malformed: ` or `rejected: `, since a handler
may show no more than the message; that of any other event does not, since its record has a level.

This module must not know how the lines look.
"""

import os
import sys

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping
    from typing import Any

    from txfast.batch.batch import TransactionBatch
    from txfast.log.standard_error import StandardError

LEVELS = ("error", "warn", "info", "debug", "trace")
ERROR, WARN, INFO, DEBUG, TRACE = range(5)
LOG_FORMATS = ("text", "json")
PROGRESS_MODES = ("auto", "always", "never")
COLOR_MODES = ("auto", "always", "never")

# At the default level, this many malformed rows are logged one by one; the others are only counted.
MALFORMED_LINES_MAX = 100
# So many hints are made at most: a log of millions of rows must not wait for them.
HINTS_MAX = 100
# After an interrupt, a log whose reader has stalled must not keep the run from ending.
INTERRUPTED_PATIENCE_SECONDS = 0.5


class Journal:
    """Logs a run at a level, an index into LEVELS, in one of the LOG_FORMATS and of the COLOR_MODES.

    `named` says that the user chose the level: then every line is logged. `verbose` logs the run's figures at any
    level, and no row unless the level is named. `quiet` logs failures alone. If the caller gives a `logger`, its level
    applies too, its handlers get the records, and nothing goes to standard error.
    """

    def __init__(
        self,
        level: int = ERROR,
        *,
        named: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        format: str = "text",  # noqa: A002 (the option's name)
        color: str = "auto",
        logger: "logging.Logger | None" = None,
    ) -> None:
        self.level = level
        self.quiet = quiet
        self.format = format
        self._color = color
        self._verbose = verbose
        self._shows_rows = named or not verbose
        self._malformed_lines_left = None if named else MALFORMED_LINES_MAX
        self._hints_left = HINTS_MAX
        self._hints_given: set[tuple[str, str]] = set()
        self._lines_left_out = False
        self._given_logger = logger
        self._logger = logger
        self._standard_error: StandardError | None = None

    def shows(self, level: int) -> bool:
        """Whether lines of this level are logged."""
        if self.quiet or level > self.level:
            return False
        if self._given_logger is None:
            return True
        from txfast.log.lines import PYTHON_LEVELS

        return self._given_logger.isEnabledFor(PYTHON_LEVELS[level])

    @property
    def shows_figures(self) -> bool:
        """Whether the figures of the run are logged in the end."""
        return self.shows(INFO) or (self._verbose and not self.quiet)

    def shows_progress(self, mode: str) -> bool:
        """Whether the run shows its progress in this one of the PROGRESS_MODES.

        `auto` means on a terminal, but not at `debug` and `trace`, whose lines show the progress themselves, nor with
        JSON, which programs read.
        """
        if self.quiet or mode == "never":
            return False
        if mode == "always":
            return True
        return self.level < DEBUG and self.format == "text" and self.on_terminal

    @property
    def on_terminal(self) -> bool:
        """Whether lines go to a terminal."""
        if self._given_logger is not None or sys.stderr is None:
            return False
        return is_terminal()

    @property
    def has_colors(self) -> bool:
        """Whether text has colours. `auto` means on a terminal, unless NO_COLOR is set (no-color.org)."""
        if self._color == "auto":
            return self.on_terminal and not os.environ.get("NO_COLOR")
        return self._color == "always"

    @property
    def standard_error(self) -> "StandardError":
        """Where lines go. The progress bar is drawn there too."""
        if self._standard_error is None:
            from txfast.log.standard_error import StandardError

            self._standard_error = StandardError()
        return self._standard_error

    def log(self, level: int, message: str, **fields: object) -> None:
        """Log one line, if its level is shown. `fields` give its content to programs."""
        if self.shows(level):
            self._write(level, message, **fields)

    def warning(self, message: str) -> None:
        """Log a warning at every level, unless the journal is quiet. The run goes on."""
        if not self.quiet:
            self._write(WARN, message)

    def difference(
        self, message: str, client: int | str, currency: str | None, column: str, expected: str, found: str
    ) -> None:
        """Log a value of an account that is not what was expected, at every level, unless the journal is quiet. The
        `currency` is None where accounts have none."""
        if not self.quiet:
            owner = {"client": client} if currency is None else {"client": client, "currency": currency}
            difference = {**owner, "column": column, "expected": expected, "found": found}
            self._write(ERROR, message, difference=difference)

    def failure(self, message: str, error: BaseException | None = None) -> None:
        """Log why the run failed, even if the journal is quiet. At `debug` and `trace` the traceback follows.

        If the log itself cannot be loaded, for lack of memory or descriptors, the bare line goes to standard error.
        """
        try:
            self._write_failure(message, error)
        except (MemoryError, ImportError, OSError):
            if self._given_logger is not None:
                raise
            write_bare_line(f"txfast: {message}")

    def _write_failure(self, message: str, error: BaseException | None) -> None:
        from txfast.log.lines import make_record

        traced = None
        if error is not None and self.shows(DEBUG):
            traced = (type(error), error, error.__traceback__)
        logger = self._open_logger()
        logger.handle(make_record(logger, ERROR, message, {}, traced))
        self._flush()

    def rows(self, file: str, batch: "TransactionBatch") -> None:
        """Log the rows of an applied batch that the level shows, in input order. `file` is the input's display name."""
        if self.shows(TRACE):
            from txfast.text.words import counted

            first = batch.first_line
            found = f"{counted(len(batch), 'well-formed row')}, {batch.malformed_rows:,} malformed"
            block = f"{counted(batch.lines, 'line')}, {counted(batch.text_bytes, 'byte')}"
            message = f"{file}:{first}: block of {block}: {found}"
            self._write(TRACE, message, file=file, line=first)
        if not self._shows_rows or not self.shows(ERROR) or not (self.shows(WARN) or batch.malformed_rows):
            return
        if self._malformed_lines_left == 0 and not self.shows(WARN):
            self._lines_left_out = True
            return
        try:
            self._write_rows(file, batch)
        except BaseException:
            # An interrupt too: without this, the log could end within a line.
            self._flush(INTERRUPTED_PATIENCE_SECONDS)
            raise
        self._flush()

    def _write_rows(self, file: str, batch: "TransactionBatch") -> None:
        from txfast.batch.batch import MALFORMED_REASONS
        from txfast.batch.cursor import report
        from txfast.ledger.ledger import STATUSES
        from txfast.log.lines import row_logger

        log_row = row_logger(self._open_logger(), file, has_prefixes=self._given_logger is not None)
        for line, malformed, status, row in report(batch, rejected=self.shows(WARN), applied=self.shows(DEBUG)):
            if not malformed:
                log_row(WARN if status else DEBUG, line, STATUSES[status], row, "")
            elif self._malformed_lines_left == 0:
                self._lines_left_out = True
            else:
                if self._malformed_lines_left is not None:
                    self._malformed_lines_left -= 1
                reason = MALFORMED_REASONS[malformed]
                log_row(ERROR, line, reason, row, self._hint(file, reason, row, batch))

    def _hint(self, file: str, reason: str, row: bytes, batch: "TransactionBatch") -> str:
        """The hint for a malformed row: each is given once a file."""
        if not self._hints_left or batch.header is None:
            return ""
        from txfast.log.hints import hint_of

        self._hints_left -= 1
        hint = hint_of(reason, row, batch.header)
        if (file, hint) in self._hints_given:
            return ""
        self._hints_given.add((file, hint))
        return hint

    def malformed_totals(self, counts: dict[str, int], *, always: bool = False) -> None:
        """Log the malformed rows by reason: if some of them were not logged one by one, or `always`."""
        if always or self._lines_left_out:
            from txfast.text.words import counted

            for reason, count in counts.items():
                if count:
                    self.log(ERROR, f"{reason}: {counted(count, 'row')} in all", reason=reason, count=count)

    def outcome(
        self, applied: int, rejected: int, malformed: int, *, ignored: int = 0, rejects: str | None = None
    ) -> None:
        """Log the counts of a run in which rows were refused, or all were ignored, at every level unless the journal is
        quiet. Any other run logs none. `rejects` is the path of the file that has the refused rows."""
        if self.quiet or not (rejected or malformed or (ignored and not applied)):
            return
        message = f"{applied:,} applied, {rejected:,} rejected, {malformed:,} malformed"
        if ignored:
            message += f", {ignored:,} ignored by the dialect"
        if not (rejected or malformed):
            message += "; are its words of types, and those to keep, the ones in the file?"
        elif rejects is not None:
            message += "; see standard output" if rejects == "-" else f"; see {rejects}"
        elif not self._shows_rows or self._lines_left_out or (rejected and self.level < WARN):
            message += "; to see which, add --rejects FILE.csv, or warn as last argument"
        if self._logger is None and self._standard_error is None and self.format == "text":
            write_bare_line(f"rows: {message}")  # the logging module takes longer to import than a small file to replay
            return
        self._write(
            INFO,
            message,
            outcome={
                "applied": applied,
                "rejected": rejected,
                "malformed": malformed,
                **({"ignored": ignored} if ignored else {}),
            },
        )

    @property
    def way_to_all_malformed(self) -> str:
        """How to see the malformed rows that were not logged, as the end of a failure's message; "" where all were."""
        if self.quiet or self._given_logger is not None or not (self._lines_left_out or not self._shows_rows):
            return ""
        return "; to see every row, add --log-level error"

    def summary(self, stats: "Mapping[str, Any]") -> None:
        """Log a run's figures: as a table on a terminal, as one record for programs, else as lines."""
        if not self.shows_figures:
            return
        from txfast.report.text import summary_lines, summary_table

        lines = summary_lines(stats)
        if self._given_logger is not None or self.format == "json":
            self._write(INFO, lines[0], stats=dict(stats))
        elif self.on_terminal:
            self.standard_error.write(summary_table(stats, self.standard_error.columns, has_colors=self.has_colors))
            self._flush()
        else:
            for line in lines:
                self._write(INFO, line)

    def progress(self, message: str, figures: "Mapping[str, Any]") -> None:
        """Log how far the run is, at every level: the user asked for progress, and there is no terminal for a bar."""
        self._write(INFO, message, progress=dict(figures))

    def _write(self, level: int, message: str, **fields: object) -> None:
        from txfast.log.lines import PYTHON_LEVELS, make_record, prefixed

        logger = self._open_logger()
        if self._given_logger is not None:
            if not logger.isEnabledFor(PYTHON_LEVELS[level]):
                return
            if "reason" in fields:
                message = prefixed(level, message)
        logger.handle(make_record(logger, level, message, fields))
        self._flush()

    def _open_logger(self) -> "logging.Logger":
        if self._logger is None:
            from txfast.log.lines import make_logger

            self._logger = make_logger(self.standard_error, self.format, has_colors=self.has_colors)
        return self._logger

    def _flush(self, patience_seconds: float | None = None) -> None:
        if self._standard_error is not None:
            self._standard_error.flush(patience_seconds)


def write_bare_line(line: str) -> None:
    """Write a line to standard error, also where nothing can be imported any more."""
    try:
        from txfast.printable import printable

        line = printable(line)
    except (MemoryError, ImportError, OSError):
        line = ascii(line)[1:-1]
    if sys.stderr is not None:
        try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
            print(line, file=sys.stderr, flush=True)
        except OSError:
            pass  # dropped, as StandardError drops lines


def is_terminal() -> bool:
    """Whether standard error is a terminal on which a line can be erased."""
    if os.environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        return False
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:
        return False  # the stream is closed


def program_journal(log_level: str, logger: "logging.Logger | None") -> Journal:
    """Make the journal of a run that a program starts, at one of LEVELS. Above "error", the default of programs, every
    line is logged.

    The default of `logger` is `logging.getLogger("txfast")`.
    """
    import logging

    level = LEVELS.index(log_level)
    return Journal(level, named=level > ERROR, logger=logger or logging.getLogger("txfast"))
