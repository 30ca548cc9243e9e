"""Records of `logging`, one for each event, and their lines of text or JSON.

The record of a row has all that a record has. But time, thread and process are looked up once a batch, and its rows
share them: that makes a log of millions of rows five times as fast.

This module must not know which events a level shows.
"""

import time

from txfast.printable import printable

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from txfast.log.standard_error import StandardError

    Failure = tuple[type[BaseException], BaseException, TracebackType | None]

# The logging module's numbers for our levels. It has no trace.
TRACE_NUMBER = 5
PYTHON_LEVELS = (40, 30, 20, 10, TRACE_NUMBER)
LEVEL_NAMES = {40: "error", 30: "warn", 20: "info", 10: "debug", TRACE_NUMBER: "trace"}

# Attributes that a record may have beside its message. JSON shows them in this order.
FIELDS = ("file", "line", "reason", "row", "count", "difference", "progress", "stats", "outcome")
# What a line begins with if it is about rows, by the level: only a malformed row is logged at error.
ROW_PREFIXES = {40: "malformed", 30: "rejected"}

# ANSI codes: bold red, red, yellow.
PREFIX_COLORS = {"txfast": "1;31", "malformed": "31", "rejected": "33", "difference": "31", "warn": "33"}

ROW_BYTES_SHOWN = 200


def row_text(row: bytes) -> str:
    """Return a raw row as the log shows it: as text, cut at ROW_BYTES_SHOWN."""
    if len(row) <= ROW_BYTES_SHOWN:
        return row.decode("utf-8", "backslashreplace")
    return row[:ROW_BYTES_SHOWN].decode("utf-8", "backslashreplace") + "…"


# ---- Records -------------------------------------------------------------------------------------


def make_record(
    logger: "logging.Logger", level: int, message: str, fields: "Mapping[str, object]", failure: "Failure | None" = None
) -> "logging.LogRecord":
    """Make the record of an event. `level` is an index into LEVELS; `fields` are some of the FIELDS."""
    number = PYTHON_LEVELS[level]
    record = logger.makeRecord(logger.name, number, "(unknown file)", 0, printable(message), (), failure, extra=fields)
    if number == TRACE_NUMBER:
        record.levelname = "TRACE"
    return record


def row_logger(
    logger: "logging.Logger", file: str, *, has_prefixes: bool
) -> "Callable[[int, int, str, bytes, str], None]":
    """Make a function that logs a row of this file, given its level, line, reason, raw bytes, and a hint or "".

    With `has_prefixes` the messages of refused rows begin with one of ROW_PREFIXES.
    """
    starts = [file if not has_prefixes else prefixed(level, file) for level in range(len(PYTHON_LEVELS))]
    samples = [make_record(logger, level, "", {}) for level in range(len(PYTHON_LEVELS))]
    record_type = type(samples[0])
    shared = [sample.__dict__ for sample in samples]
    new, handle = record_type.__new__, logger.handle

    def log_row(level: int, line: int, reason: str, row: bytes, hint: str) -> None:
        text = row_text(row)
        place = starts[level]
        message = printable(
            f"{place}:{line}: {reason}: {text} ({hint})" if hint else f"{place}:{line}: {reason}: {text}"
        )
        record = new(record_type)
        record.__dict__ = {
            **shared[level], "msg": message, "file": file, "line": line, "reason": reason, "row": text,
        }  # fmt: skip
        handle(record)

    return log_row


def prefixed(level: int, message: str) -> str:
    """The message of refused rows at this index into LEVELS, behind one of ROW_PREFIXES."""
    prefix = ROW_PREFIXES.get(PYTHON_LEVELS[level])
    return message if prefix is None else f"{prefix}: {message}"


# ---- Lines ---------------------------------------------------------------------------------------


def make_logger(
    standard_error: "StandardError",
    format: str,  # noqa: A002 (the option's name)
    *,
    has_colors: bool = False,
) -> "logging.Logger":
    """Make a logger that is in no hierarchy and shows all levels. Its lines wait in `standard_error` for a flush."""
    import logging

    text_line_of = colored_line if has_colors else text_line
    line_of = text_line_of if format == "text" else JsonLines().line

    class LineHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            standard_error.write(line_of(record))

    logger = logging.Logger("txfast", level=1)
    logger.addHandler(LineHandler())
    return logger


def text_line(record: "logging.LogRecord") -> str:
    """Return the line `prefix: message`, and below it the traceback of a failure, if there is one."""
    line = f"{prefix_of(record)}: {record.msg}\n"
    return line + traceback_of(record) if record.exc_info else line


def colored_line(record: "logging.LogRecord") -> str:
    """Return the same for a terminal, with a colour for what the line begins with."""
    prefix = prefix_of(record)
    line = text_line(record)
    if prefix not in PREFIX_COLORS:
        return line
    return f"\x1b[{PREFIX_COLORS[prefix]}m{prefix}:\x1b[0m{line[len(prefix) + 1 :]}"


def prefix_of(record: "logging.LogRecord") -> str:
    """What a line begins with: `malformed` or `rejected` if it is about refused rows, `txfast` if the run has failed,
    `difference` if it is about one, `rows` or `progress` if it has these figures; else the level, also if it is about
    an applied row."""
    fields = record.__dict__
    if "reason" in fields:
        return ROW_PREFIXES.get(record.levelno) or LEVEL_NAMES[record.levelno]
    if "difference" in fields:
        return "difference"
    if "progress" in fields:
        return "progress"
    if "outcome" in fields:
        return "rows"
    return "txfast" if record.levelno == PYTHON_LEVELS[0] else LEVEL_NAMES[record.levelno]


class JsonLines:
    """Writes each record as a JSON object on one line, in ASCII."""

    def __init__(self) -> None:
        from json.encoder import encode_basestring_ascii

        self._quote: Callable[[str], str] = encode_basestring_ascii
        self._created = 0.0
        self._time = ""

    def line(self, record: "logging.LogRecord") -> str:
        """Return a record's line."""
        if record.created != self._created:
            self._created = record.created
            self._time = utc_time(record.created)
        level, message = LEVEL_NAMES[record.levelno], self.text(record.msg)
        start = f'{{"time": "{self._time}", "level": "{level}", "message": {message}'
        fields = record.__dict__
        if "row" in fields:
            file, line, reason = self.text(fields["file"]), fields["line"], fields["reason"]
            row = self.text(fields["row"])
            return f'{start}, "file": {file}, "line": {line}, "reason": "{reason}", "row": {row}}}\n'
        more = {name: fields[name] for name in FIELDS if name in fields}
        if record.exc_info:
            more["traceback"] = traceback_of(record)
        return start + "".join(f', "{name}": {self.value(field)}' for name, field in more.items()) + "}\n"

    def text(self, text: str) -> str:
        """Return a JSON string. Bytes of a file name that are not UTF-8 are escaped, as in a line of text."""
        return self._quote(text if text.isascii() else text.encode("utf-8", "backslashreplace").decode())

    def value(self, value: object) -> str:
        """Return the JSON text of a string, a mapping, a sequence or a plain value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self.text(name)}: {self.value(member)}" for name, member in value.items()) + "}"
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(self.value, value)) + "]"
        import json

        return json.dumps(value)


def utc_time(seconds: float) -> str:
    """Return the ISO 8601 text, in UTC, of a time in seconds since the epoch."""
    milliseconds = int(seconds * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{whole}.{milliseconds % 1000:03d}Z"


def traceback_of(record: "logging.LogRecord") -> str:
    """Return the lines of a failure's traceback, printable."""
    import traceback

    assert record.exc_info is not None
    lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
    return "".join(f"{printable(line)}\n" for line in lines)
