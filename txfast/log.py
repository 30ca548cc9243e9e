"""The log: what happened to which row, and how the run went, on standard error.

The standard `logging` module does the writing; it is imported when the first line is logged, since a run that has
nothing to say starts faster without it.
"""

import sys

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging

    from txfast.batch import TransactionBatch

LEVELS = ("error", "warn", "info", "debug", "trace")
ERROR, WARN, INFO, DEBUG, TRACE = range(5)

# At the default level, so many malformed rows are logged one by one.
MALFORMED_LINES_MAX = 100
ROW_BYTES_SHOWN = 200

# Escaped in every line: control characters, and what a terminal takes for a line's end or a change of direction.
ESCAPES = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


class Journal:
    """Logs a run at one of the LEVELS, a number.

    `named` says that the user chose the level: then nothing is left out. `quiet` leaves only failures.
    """

    def __init__(self, level: int = ERROR, *, named: bool = False, quiet: bool = False) -> None:
        self.level = level
        self.quiet = quiet
        self._malformed_lines_left = None if named else MALFORMED_LINES_MAX
        self._lines_left_out = False
        self._logger: logging.Logger | None = None

    def shows(self, level: int) -> bool:
        return not self.quiet and level <= self.level

    def log(self, level: int, message: str) -> None:
        """Log one line, where the level shows it."""
        if self.shows(level):
            self._write(level, message)

    def failure(self, message: str) -> None:
        """Log why the run failed: the one line that is never left out."""
        self._write(ERROR, message)

    def rows(self, file: str, batch: "TransactionBatch") -> None:
        """Log a batch's rows that the level shows, in input order. The batch was applied, keeping statuses where
        rejected rows are shown."""
        from txfast.ledger.ledger import STATUSES
        from txfast.read.row import MALFORMED_REASONS

        if self.shows(TRACE):
            first = batch.first_line
            found = f"{len(batch)} well-formed rows, {batch.malformed_rows} malformed"
            self.log(TRACE, f"{file}:{first}: block of {batch.lines} lines, {batch.text_bytes} bytes: {found}")
        if not self.shows(ERROR) or not (self.shows(WARN) or batch.malformed_rows):
            return
        if self._malformed_lines_left == 0 and not self.shows(WARN):
            self._lines_left_out = True
            return
        for line, malformed, status, row in batch.report(rejected=self.shows(WARN), applied=self.shows(DEBUG)):
            if malformed:
                if self._malformed_lines_left == 0:
                    self._lines_left_out = True
                    continue
                if self._malformed_lines_left is not None:
                    self._malformed_lines_left -= 1
                self._write(ERROR, f"{file}:{line}: {MALFORMED_REASONS[malformed]}: {printable(row)}")
            else:
                level = WARN if status else DEBUG
                self._write(level, f"{file}:{line}: {STATUSES[status]}: {printable(row)}")

    def malformed_totals(self, counts: dict[str, int]) -> None:
        """Log how many rows were malformed for each reason, where not every one of them was logged."""
        if self._lines_left_out:
            for reason, count in counts.items():
                self.log(ERROR, f"{reason}: {count} malformed rows in all")

    def _write(self, level: int, message: str) -> None:
        if self._logger is None:
            self._logger = make_logger()
        self._logger.log(PYTHON_LEVELS[level], "%s", message.translate(ESCAPES))


# The numbers that the logging module gives these levels; it has none for trace.
PYTHON_LEVELS = (40, 30, 20, 10, 5)


def make_logger() -> "logging.Logger":
    """A logger of our own on standard error: `level: message`."""
    import logging

    for level, name in zip(PYTHON_LEVELS, LEVELS, strict=True):
        logging.addLevelName(level, name)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.Logger("txfast", level=1)
    logger.addHandler(handler)
    return logger


def printable(row: bytes) -> str:
    """A raw row as the log shows it: as text, cut."""
    text = row[:ROW_BYTES_SHOWN].decode("utf-8", "backslashreplace")
    return text + "…" if len(row) > ROW_BYTES_SHOWN else text
