"""The journal: its levels, its two formats, and a logger of the caller's."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import replays
from tests.support.reference import HEADER
from txfast.log.journal import COLOR_MODES, DEBUG, ERROR, INFO, LEVELS, TRACE, WARN, Journal, write_bare_line
from txfast.log.lines import utc_time

PATIENCE_SECONDS = 60

ROWS = b"deposit,1,1,5\nwithdrawal,1,2,9.5\nfee,1,3,1\n"
TEXT = """\
debug: in.csv:2: applied: deposit,1,1,5
rejected: in.csv:3: insufficient_funds: withdrawal,1,2,9.5
malformed: in.csv:4: bad_type: fee,1,3,1
"""


def replay(journal: Journal, rows: bytes = ROWS, *, name: str = "in.csv") -> None:
    replays.new_replay(journal, "native", None, 1).read_source(replays.open_bytes(name, HEADER + rows))


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines on standard error, parsed as JSON objects."""
    text = capsys.readouterr().err
    assert text.isascii()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def without_time(record: dict[str, Any]) -> dict[str, Any]:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
    return {name: field for name, field in record.items() if name != "time"}


# ---- Text ----------------------------------------------------------------------------------------


def test_rows_are_lines_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    replay(Journal(DEBUG))
    assert capsys.readouterr().err == TEXT


@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_a_level_shows_its_lines_and_those_of_graver_levels(level: int, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(level)
    for other, name in enumerate(LEVELS):
        journal.log(other, f"this is {name}")
    shown = [f"{name}: this is {name}" for name in LEVELS[: level + 1]]
    shown[0] = "txfast: this is error"
    assert capsys.readouterr().err.splitlines() == shown


def test_a_quiet_journal_logs_failures_alone(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(TRACE, named=True, quiet=True)
    replay(journal)
    journal.log(ERROR, "an error")
    journal.summary(STATS)
    journal.failure("in.csv: a failure", ValueError())
    assert capsys.readouterr().err == "txfast: in.csv: a failure\n"


def test_a_percent_sign_is_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(WARN)
    journal.log(WARN, "100 %s %d %")
    replay(journal, b"%s,%d,%(x)s,1\n", name="%s")
    assert capsys.readouterr().err == "warn: 100 %s %d %\nmalformed: %s:2: bad_type: %s,%d,%(x)s,1\n"


@pytest.mark.parametrize("level", [INFO, DEBUG])
def test_a_failure_has_its_traceback_at_debug(level: int, capsys: pytest.CaptureFixture[str]) -> None:
    Journal(level).failure("in.csv: broken", ValueError("a\nb\x1b[31m"))
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "txfast: in.csv: broken"
    assert others == (["ValueError: a", r"b\x1b[31m"] if level == DEBUG else [])


# ---- JSON ----------------------------------------------------------------------------------------


def test_a_row_in_json_has_its_line_of_text_as_message(capsys: pytest.CaptureFixture[str]) -> None:
    replay(Journal(DEBUG, format="json"))
    records = [without_time(record) for record in logged(capsys)]
    prefixes = {"error": "malformed", "warn": "rejected", "debug": "debug"}
    assert "".join(f"{prefixes[record['level']]}: {record['message']}\n" for record in records) == TEXT
    assert records[1] == {
        "level": "warn",
        "message": "in.csv:3: insufficient_funds: withdrawal,1,2,9.5",
        "file": "in.csv",
        "line": 3,
        "reason": "insufficient_funds",
        "row": "withdrawal,1,2,9.5",
    }
    assert {tuple(record) for record in records} == {tuple(records[1])}


@pytest.mark.parametrize(
    ("row", "shown", "message"),
    [
        (b'fee,\x1b[31m,"\x00",\\', 'fee,\x1b[31m,"\x00",\\', r'fee,\x1b[31m,"\x00",\ '.rstrip()),
        ("fee,é,\u20ac,\U0001f600\u2028".encode(), "fee,é,\u20ac,\U0001f600\u2028", "fee,é,\u20ac,\U0001f600\\u2028"),
        (b"fee,caf\xe9,\xed", r"fee,caf\xe9,\xed", r"fee,caf\xe9,\xed"),
        (b"fee,1,1," + b"x" * 193, "fee,1,1," + "x" * 192 + "…", "fee,1,1," + "x" * 192 + "…"),
    ],
    ids=["controls", "unicode", "not UTF-8", "long"],
)
def test_a_row_in_json_is_text_and_is_cut(
    row: bytes, shown: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(Journal(format="json"), row + b"\n")
    [record] = logged(capsys)
    assert record["row"] == shown
    assert record["message"] == f"in.csv:2: bad_type: {message}"


def test_a_file_name_that_is_not_utf_8_is_text_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(TRACE, format="json")
    name = os.fsdecode(b'caf\xe9\n".csv')
    replay(journal, name=name)
    journal.summary(STATS | {"inputs": [{"file": name, "bytes": 1, "rows": 1}]})
    *records, summary = logged(capsys)
    assert [record["file"] for record in records] == ['caf\\udce9\n".csv'] * 4
    assert summary["stats"]["inputs"][0]["file"] == 'caf\\udce9\n".csv'


@pytest.mark.parametrize("failure", [MemoryError(), ImportError("select: cannot be mapped"), OSError("no descriptors")])
def test_a_failure_is_one_line_if_the_log_cannot_be_loaded(
    failure: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr("txfast.log.lines.make_logger", fail)
    Journal().failure("in\x1b.csv: corrupt")
    assert capsys.readouterr().err == "txfast: in\\x1b.csv: corrupt\n"


def test_failures_totals_and_blocks_are_objects_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(format="json")
    replay(journal, b"deposit,x,1,1\n" * 102)
    journal.malformed_totals({"bad_client": 102})
    journal.failure("in.csv: corrupt")
    *rows, total, failure = [without_time(record) for record in logged(capsys)]
    assert len(rows) == 100
    assert total == {
        "level": "error", "message": "bad_client: 102 rows in all", "reason": "bad_client", "count": 102,
    }  # fmt: skip
    assert failure == {"level": "error", "message": "in.csv: corrupt"}
    replay(Journal(TRACE, format="json"), b"deposit,1,1,1\n")
    block = without_time(logged(capsys)[0])
    assert (block["level"], block["file"], block["line"]) == ("trace", "in.csv", 2)
    assert block["message"].startswith("in.csv:2: block of 1 line, ")


def test_a_traceback_stays_inside_its_object(capsys: pytest.CaptureFixture[str]) -> None:
    Journal(DEBUG, format="json").failure("in.csv: broken", ValueError("why"))
    [record] = logged(capsys)
    assert record["traceback"] == "ValueError: why\n"


def test_a_time_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert utc_time(0.9996) == "1970-01-01T00:00:00.999Z"
        assert utc_time(1_700_000_000) == "2023-11-14T22:13:20.000Z"
    finally:
        monkeypatch.undo()
        time.tzset()


# ---- The summary ---------------------------------------------------------------------------------

STATS = {
    "version": "1.2",
    "inputs": [{"file": "in.csv", "bytes": 1_500_000, "rows": 1_003}],
    "rows": 1_003,
    "applied": {"deposit": 1_000, "withdrawal": 0},
    "malformed": {"bad_type": 1},
    "rejected": {"insufficient_funds": 2},
    "accounts": 7,
    "locked_accounts": 1,
    "available": "5.0000",
    "held": "1.0000",
    "total": "6.0000",
    "conserved": True,
    "seconds": {"total": 0.5, "read": 0.1},
    "rows_per_second": 2_006.0,
    "peak_memory_bytes": 61_000_000,
    "spilled_bytes": 0,
    "threads": 2,
    "reader": "native",
}


def test_the_summary_is_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Journal(WARN).summary(STATS)
    Journal(INFO).summary(STATS)
    assert capsys.readouterr().err.splitlines() == [
        "info: 1,003 rows in 0.500 s (2,006 rows/s): read 0.100 s",
        "info: 7 accounts, 1 locked",
        "info: applied 1,000: deposit 1,000",
        "info: rejected 2: insufficient_funds 2",
        "info: malformed 1: bad_type 1",
        "info: available 5.0000, held 1.0000, total 6.0000: conserved",
        "info: peak memory 61.0 MB",
        "info: txfast 1.2, reader native, threads 2",
    ]


def test_the_summary_says_if_money_is_not_conserved(capsys: pytest.CaptureFixture[str]) -> None:
    Journal(INFO).summary(STATS | {"conserved": False})
    assert "total 6.0000: NOT conserved\n" in capsys.readouterr().err


def test_the_summary_is_one_object_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    Journal(INFO, format="json").summary(STATS)
    [record] = logged(capsys)
    assert record["stats"] == STATS
    assert record["message"] == "1,003 rows in 0.500 s (2,006 rows/s): read 0.100 s"


# ---- A logger of the caller's ----------------------------------------------------------------------


class KeptRecords(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def handler() -> Iterator[KeptRecords]:
    """A handler of the logger "txfast", which takes all levels."""
    logger, kept = logging.getLogger("txfast"), KeptRecords()
    logger.addHandler(kept)
    logger.setLevel(1)
    yield kept
    logger.removeHandler(kept)
    logger.setLevel(logging.NOTSET)


def test_a_row_is_a_record_of_the_callers_logger(handler: KeptRecords, capsys: pytest.CaptureFixture[str]) -> None:
    replay(Journal(TRACE, logger=logging.getLogger("txfast")))
    block, applied, rejected, malformed = handler.records
    assert [record.levelname for record in handler.records] == ["TRACE", "DEBUG", "WARNING", "ERROR"]
    assert [record.levelno for record in handler.records] == [5, logging.DEBUG, logging.WARNING, logging.ERROR]
    assert rejected.getMessage() == "rejected: in.csv:3: insufficient_funds: withdrawal,1,2,9.5"
    assert malformed.__dict__["row"] == "fee,1,3,1"
    form = logging.Formatter("%(asctime)s %(name)s %(file)s|%(line)d|%(reason)s|%(row)s %(threadName)s %(filename)s")
    assert "txfast in.csv|2|applied|deposit,1,1,5 MainThread" in form.format(applied)
    assert abs(block.created - time.time()) < PATIENCE_SECONDS
    assert capsys.readouterr().err == ""


def test_the_level_of_the_callers_logger_applies_too(handler: KeptRecords) -> None:
    logger = logging.getLogger("txfast")
    logger.setLevel(logging.ERROR)
    journal = Journal(TRACE, named=True, logger=logger)
    assert [journal.shows(level) for level in range(len(LEVELS))] == [True, False, False, False, False]
    replay(journal)
    assert [record.getMessage() for record in handler.records] == ["malformed: in.csv:4: bad_type: fee,1,3,1"]


def test_warnings_and_outcomes_obey_the_level_of_the_callers_logger(handler: KeptRecords) -> None:
    logger = logging.getLogger("txfast")
    logger.setLevel(logging.ERROR)
    journal = Journal(logger=logger)
    journal.warning("a new state")
    journal.outcome(1, 2, 0)
    journal.difference("differs", 1, None, "held", "1", "2")
    assert [record.getMessage() for record in handler.records] == ["differs"]
    logger.setLevel(logging.CRITICAL)
    journal.difference("differs", 1, None, "held", "1", "2")
    assert len(handler.records) == 1


def test_records_are_of_the_type_that_the_program_chose(handler: KeptRecords) -> None:
    class OwnRecord(logging.LogRecord):
        pass

    standard = logging.getLogRecordFactory()
    logging.setLogRecordFactory(OwnRecord)
    try:
        replay(Journal(DEBUG, logger=logging.getLogger("txfast")))
    finally:
        logging.setLogRecordFactory(standard)
    assert [type(record) for record in handler.records] == [OwnRecord] * 3


def test_the_callers_logger_gets_figures_and_failures(handler: KeptRecords) -> None:
    journal = Journal(INFO, logger=logging.getLogger("txfast"))
    journal.summary(STATS)
    journal.progress("half", {"rows": 1})
    journal.failure("broken")
    summary, progress, failure = handler.records
    assert summary.__dict__["stats"] == STATS
    assert progress.__dict__["progress"] == {"rows": 1}
    assert (failure.levelname, failure.getMessage()) == ("ERROR", "broken")


def test_the_programs_logging_is_left_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    replay(Journal(TRACE))
    assert [logging.getLevelName(number) for number in (40, 30, 20, 10)] == ["ERROR", "WARNING", "INFO", "DEBUG"]
    assert logging.getLogger().handlers == before
    assert capsys.readouterr().err.endswith(TEXT)


def test_a_memory_error_of_the_callers_logger_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    logger = logging.Logger("a caller's")
    monkeypatch.setattr(logger, "handle", fail)
    with pytest.raises(MemoryError):
        Journal(logger=logger).failure("it failed")


# ---- Standard error, and an interrupt ---------------------------------------------------------------


def test_lines_to_a_replaced_standard_error_come_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(WARN)
    print("before", file=sys.stderr)
    replay(journal)
    print("between", file=sys.stderr)
    journal.log(WARN, "after")
    assert capsys.readouterr().err.splitlines() == ["before", *TEXT.splitlines()[1:], "between", "warn: after"]


def test_an_interrupt_amid_rows_flushes_the_lines_before_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows = Journal._write_rows

    def write_and_be_interrupted(journal: Journal, *arguments: Any) -> None:
        write_rows(journal, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "_write_rows", write_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        replay(Journal(WARN))
    assert capsys.readouterr().err.splitlines() == TEXT.splitlines()[1:]


def test_a_bare_line_that_standard_error_refuses_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.TextIOBase):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    for stream in (Full(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        write_bare_line("txfast: lost")


# ---- Colours -------------------------------------------------------------------------------------


def test_colours_are_for_terminals_unless_they_are_asked_for_or_off(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for on_terminal, variable, expected in ((True, "", True), (True, "1", False), (False, "", False)):
        monkeypatch.setenv("NO_COLOR", variable)
        monkeypatch.setattr(Journal, "on_terminal", on_terminal)
        assert [Journal(color=mode).has_colors for mode in COLOR_MODES] == [expected, True, False]
    Journal(INFO, color="always").log(INFO, "plain")
    Journal(INFO, color="always").warning("coloured")
    Journal(color="always").failure("in.csv: broken")
    Journal(color="always", format="json").warning("plain")
    text = capsys.readouterr().err
    assert text.startswith("info: plain\n\x1b[33mwarn:\x1b[0m coloured\n\x1b[1;31mtxfast:\x1b[0m in.csv: broken\n{")
