"""The log: its two formats, its order, and that nothing that becomes of it touches a run."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import replays
from tests.support.command import unmeasured
from tests.support.reference import HEADER
from txfast.log import standard_error
from txfast.log.journal import DEBUG, ERROR, INFO, LEVELS, TRACE, WARN, Journal, write_bare_line
from txfast.log.lines import ESCAPES, escaped, utc_time
from txfast.log.standard_error import StandardError

COMMAND = str(Path(sys.executable).with_name("txfast"))
PATIENCE_SECONDS = 60

ROWS = b"deposit,1,1,5\nwithdrawal,1,2,9.5\nfee,1,3,1\n"
TEXT = """\
debug: in.csv:2: applied: deposit,1,1,5
warn: in.csv:3: insufficient_funds: withdrawal,1,2,9.5
error: in.csv:4: bad_type: fee,1,3,1
"""


def replay(journal: Journal, rows: bytes = ROWS, *, name: str = "in.csv") -> None:
    replays.new_replay(journal, "native", None, 1).read_source(replays.open_bytes(name, HEADER + rows))


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What stands on standard error, as JSON objects."""
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


def test_what_is_escaped_is_what_a_terminal_might_obey() -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1)]
    assert [text for text in every if escaped(text) != text.translate(ESCAPES)] == []


@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_a_level_shows_itself_and_what_is_graver(level: int, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(level)
    for other, name in enumerate(LEVELS):
        journal.log(other, f"this is {name}")
    shown = [f"{name}: this is {name}" for name in LEVELS[: level + 1]]
    assert capsys.readouterr().err.splitlines() == shown


def test_a_quiet_journal_has_only_failures(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(TRACE, named=True, quiet=True)
    replay(journal)
    journal.log(ERROR, "an error")
    journal.summary(STATS)
    journal.failure("in.csv: a failure", ValueError())
    assert capsys.readouterr().err == "error: in.csv: a failure\n"


def test_a_percent_sign_is_no_format(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(WARN)
    journal.log(WARN, "100 %s %d %")
    replay(journal, b"%s,%d,%(x)s,1\n", name="%s")
    assert capsys.readouterr().err == "warn: 100 %s %d %\nerror: %s:2: bad_type: %s,%d,%(x)s,1\n"


@pytest.mark.parametrize("level", [INFO, DEBUG])
def test_a_failure_has_its_traceback_at_debug(level: int, capsys: pytest.CaptureFixture[str]) -> None:
    Journal(level).failure("in.csv: broken", ValueError("a\nb\x1b[31m"))
    first, *others = capsys.readouterr().err.splitlines()
    assert first == "error: in.csv: broken"
    assert others == (["ValueError: a", r"b\x1b[31m"] if level == DEBUG else [])


# ---- JSON ----------------------------------------------------------------------------------------


def test_rows_are_objects_whose_messages_are_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    replay(Journal(DEBUG, format="json"))
    records = [without_time(record) for record in logged(capsys)]
    assert "".join(f"{record['level']}: {record['message']}\n" for record in records) == TEXT
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
def test_a_row_of_json_is_its_text_cut(
    row: bytes, shown: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(Journal(format="json"), row + b"\n")
    [record] = logged(capsys)
    assert record["row"] == shown
    assert record["message"] == f"in.csv:2: bad_type: {message}"


def test_a_file_name_of_json_is_text_whatever_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(TRACE, format="json")
    name = os.fsdecode(b'caf\xe9\n".csv')
    replay(journal, name=name)
    journal.summary(STATS | {"inputs": [{"file": name, "bytes": 1, "rows": 1}]})
    *records, summary = logged(capsys)
    assert [record["file"] for record in records] == ['caf\\udce9\n".csv'] * 4
    assert summary["stats"]["inputs"][0]["file"] == 'caf\\udce9\n".csv'


@pytest.mark.parametrize("failure", [MemoryError(), ImportError("select: cannot be mapped"), OSError("no descriptors")])
def test_a_failure_is_one_line_where_the_log_cannot_be_loaded(
    failure: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("txfast.log.lines.make_logger", fail)
    Journal().failure("in\x1b.csv: corrupt")
    assert capsys.readouterr().err == "error: in\\x1b.csv: corrupt\n"


def test_failures_totals_and_blocks_are_objects(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(format="json")
    replay(journal, b"deposit,x,1,1\n" * 102)
    journal.malformed_totals({"bad_client": 102})
    journal.failure("in.csv: corrupt")
    *rows, total, failure = [without_time(record) for record in logged(capsys)]
    assert len(rows) == 100
    assert total == {
        "level": "error", "message": "bad_client: 102 malformed rows in all", "reason": "bad_client", "count": 102,
    }  # fmt: skip
    assert failure == {"level": "error", "message": "in.csv: corrupt"}
    replay(Journal(TRACE, format="json"), b"deposit,1,1,1\n")
    block = without_time(logged(capsys)[0])
    assert (block["level"], block["file"], block["line"]) == ("trace", "in.csv", 2)
    assert block["message"].startswith("in.csv:2: block of 1 lines, ")


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


def test_money_that_is_not_conserved_is_said_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    Journal(INFO).summary(STATS | {"conserved": False})
    assert "total 6.0000: NOT conserved\n" in capsys.readouterr().err


def test_the_summary_is_one_object_of_json(capsys: pytest.CaptureFixture[str]) -> None:
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
    """What hears the logger "txfast", which hears everything."""
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
    assert rejected.getMessage() == "in.csv:3: insufficient_funds: withdrawal,1,2,9.5"
    assert malformed.__dict__["row"] == "fee,1,3,1"
    form = logging.Formatter("%(asctime)s %(name)s %(file)s|%(line)d|%(reason)s|%(row)s %(threadName)s %(filename)s")
    assert "txfast in.csv|2|applied|deposit,1,1,5 MainThread" in form.format(applied)
    assert abs(block.created - time.time()) < PATIENCE_SECONDS
    assert capsys.readouterr().err == ""


def test_the_callers_logger_has_a_level_of_its_own(handler: KeptRecords) -> None:
    logger = logging.getLogger("txfast")
    logger.setLevel(logging.ERROR)
    journal = Journal(TRACE, named=True, logger=logger)
    assert [journal.shows(level) for level in range(len(LEVELS))] == [True, False, False, False, False]
    replay(journal)
    assert [record.getMessage() for record in handler.records] == ["in.csv:4: bad_type: fee,1,3,1"]


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


def test_logging_stays_as_the_program_had_it(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    replay(Journal(TRACE))
    assert [logging.getLevelName(number) for number in (40, 30, 20, 10)] == ["ERROR", "WARNING", "INFO", "DEBUG"]
    assert logging.getLogger().handlers == before
    assert capsys.readouterr().err.endswith(TEXT)


# ---- Standard error as it may be -------------------------------------------------------------------


@pytest.fixture(scope="module")
def many_rejected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose log is many times what a pipe holds: line n holds transaction n."""
    path = tmp_path_factory.mktemp("log") / "many.csv"
    path.write_bytes(HEADER + b"".join(b"withdrawal,1,%d,1\n" % line for line in range(2, 60_002)))
    return path


def lines_of_many(path: Path, count: int) -> str:
    return "".join(
        f"warn: {path}:{line}: insufficient_funds: withdrawal,1,{line},1\n" for line in range(2, count + 2)
    )


@pytest.mark.parametrize(
    "errors", ["2>&-", "2>/dev/full", "2>/dev/null", "2> >(head -c 100 > /dev/null)"],
    ids=["closed", "full", "null", "reader that leaves"],
)  # fmt: skip
@pytest.mark.parametrize("level", ["error", "debug"])
def test_accounts_do_not_depend_on_who_reads_the_log(many_rejected: Path, errors: str, level: str) -> None:
    ended = subprocess.run(
        ["bash", "-c", f"'{COMMAND}' '{many_rejected}' {level} {errors}"],
        capture_output=True, timeout=PATIENCE_SECONDS, check=True,
    )  # fmt: skip
    assert ended.stdout == b"client,available,held,total,locked\n1,0.0000,0.0000,0.0000,false\n"
    assert ended.stderr == b""


def test_a_failure_without_standard_error_is_still_one() -> None:
    for errors in ("2>&-", "2>/dev/full"):
        script = f"'{COMMAND}' missing.csv debug {errors}"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


def read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_a_pipe_that_blocks_nobody_gets_the_whole_log(many_rejected: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen([COMMAND, many_rejected, "warn"], stdout=subprocess.DEVNULL, stderr=writing) as process:
        os.close(writing)
        time.sleep(0.3)
        log = read_all(reading).decode()
    os.close(reading)
    assert process.returncode == 0
    assert log == lines_of_many(many_rejected, 60_000)


def start_unmeasured(*arguments: str | Path, **pipes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [COMMAND, *arguments], env=unmeasured(os.environ), stdout=subprocess.DEVNULL, **pipes
    )


@pytest.mark.untraced
def test_an_interrupt_cuts_no_line_and_repeats_none(many_rejected: Path) -> None:
    with start_unmeasured(many_rejected, "warn", stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        log = os.read(process.stderr.fileno(), 10_000)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        log += read_all(process.stderr.fileno())
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGINT
    assert log.count(b"\n") < 60_000
    assert log.decode() == lines_of_many(many_rejected, log.count(b"\n"))


@pytest.mark.untraced
def test_an_interrupt_does_not_wait_for_a_reader_that_has_stalled(many_rejected: Path) -> None:
    with start_unmeasured(many_rejected, "warn", stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        select.select([process.stderr], [], [])
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == -signal.SIGINT


@pytest.mark.untraced
def test_rows_are_logged_while_the_run_waits_for_more() -> None:
    pipe = subprocess.PIPE
    with start_unmeasured("-", stdin=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(HEADER + b"fee,1,1,1\n" + b"deposit,1,1,1\n" * 200_000)
        process.stdin.flush()
        line = b"error: standard input:2: bad_type: fee,1,1,1\n"
        assert os.read(process.stderr.fileno(), 10_000) == line
        assert process.poll() is None
        process.kill()


def test_a_line_written_in_its_place_comes_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(WARN)
    print("before", file=sys.stderr)
    replay(journal)
    print("between", file=sys.stderr)
    journal.log(WARN, "after")
    assert capsys.readouterr().err.splitlines() == ["before", *TEXT.splitlines()[1:], "between", "warn: after"]


def test_an_interrupt_amid_rows_has_what_was_written_come_out(
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


def test_a_bare_line_is_lost_where_standard_error_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.TextIOBase):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    for stream in (Full(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        write_bare_line("error: lost")


def test_standard_error_takes_no_text_once_it_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        standard_error = StandardError()
    standard_error.write("lost\n")
    standard_error.flush()
    assert not Journal().on_terminal


def test_what_is_no_terminal_is_as_wide_as_most() -> None:
    program = "from txfast.log.standard_error import StandardError; s = StandardError(); s.erase(); print(s.columns)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"80\n", b"")


# ---- A standard error that takes nothing -----------------------------------------------------------


def test_a_standard_error_without_room_is_given_up_after_the_patience_and_not_drawn_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[bytes] = []

    def take(_: int, piece: bytes) -> int:
        taken.append(piece)
        return len(piece)

    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    monkeypatch.setattr(os, "write", take)
    monkeypatch.setattr(standard_error, "has_room", lambda _: False)
    stalled = StandardError()
    stalled.write("a line\n")
    stalled.flush(0.01)
    stalled.draw("how far it is")
    assert taken == []
    monkeypatch.setattr(standard_error, "has_room", lambda _: True)
    stalled.draw("further")
    stalled.write("another line\n")
    stalled.flush(0.01)
    assert b"".join(taken) == b"\r\x1b[Kfurther\r\x1b[Kanother line\nfurther"


def test_a_logger_of_the_callers_own_that_finds_no_memory_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    logger = logging.Logger("a caller's")
    monkeypatch.setattr(logger, "handle", fail)
    with pytest.raises(MemoryError):
        Journal(logger=logger).failure("it failed")
