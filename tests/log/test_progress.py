"""The progress of a run and the log above it, in a process that has a terminal of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from tests.support.project import PROJECT_ROOT
from txfast.log import progress as progress_module
from txfast.log.journal import DEBUG, ERROR, INFO, TRACE, WARN, Journal
from txfast.log.progress import Progress, clock_text, figure_texts

PATIENCE_SECONDS = 20
BAR = re.compile(r"\x1b\[K[━╸╺ ]*\d")

# A run of standard input. Its arguments: level, format, size of the input or 0 for unknown, and, for a run that fails,
# the number of bytes after which it does.
PROGRAM = """
import os, sys
imported_before = set(sys.modules)  # by tools that measure the tests
from txfast.input.ref import resolve
from txfast.log.journal import LEVELS, Journal
from txfast.log.progress import Progress
from txfast.run.replay import new_replay

level, format, total_bytes, *fails_after = sys.argv[1:]

class WatchedJournal(Journal):
    def rows(self, file, batch):
        super().rows(file, batch)
        progress.advance(batch.text_bytes, len(batch) + batch.malformed_rows)
        if fails_after and progress.bytes > int(fails_after[0]):
            raise ValueError("in.csv: corrupt")

journal = WatchedJournal(LEVELS.index(level), named=True, format=format)
try:
    with Progress(journal, int(total_bytes) or None) as progress:
        new_replay(journal, threads=1, block_bytes=4096).read(resolve("-"))
except Exception as error:
    journal.failure(str(error))
except KeyboardInterrupt:
    sys.exit(3)
print("imported:", *sorted({"rich", "logging", "threading"} & sys.modules.keys() - imported_before))
"""

HEADER = b"type,client,tx,amount\n"
BLOCK_ROWS = 300
BLOCK = b"deposit,1,1,1\n" * BLOCK_ROWS  # more than one read of the run takes


class Screen:
    """The lines that a terminal shows after this text was sent to it."""

    def __init__(self, sent: bytes) -> None:
        self.lines = [""]
        column = 0
        text = re.sub(r"\x1b\[[\d;]*m", "", sent.decode())
        assert "\x1b[?25l" not in text, "the cursor stays"
        for part in re.findall(r"\x1b\[K|\r|\n|[^\x1b\r\n]+", text):
            line = self.lines[-1]
            if part == "\x1b[K":
                self.lines[-1] = line[:column]
            elif part == "\r":
                column = 0
            elif part == "\n":
                self.lines.append("")
            else:
                self.lines[-1] = line[:column] + part + line[column + len(part) :]
                column += len(part)
        assert re.sub(r"\x1b\[K|[^\x1b]", "", text) == "", "an unknown escape sequence"


class Watched:
    """A run whose standard error is a terminal. A thread reads all that is sent to it."""

    def __init__(self, process: subprocess.Popen[bytes], controller: int) -> None:
        self.process = process
        self.sent = b""
        self._controller = controller
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while part := os.read(self._controller, 1 << 16):
                self.sent += part
        except OSError:
            pass  # Linux raises this when no process has the terminal open any more

    def feed(self, text: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def read_until(self, found: Callable[[bytes], bool]) -> None:
        patience_ends = time.monotonic() + PATIENCE_SECONDS
        while not found(self.sent):
            assert time.monotonic() < patience_ends, self.sent
            assert self._reader.is_alive(), self.sent
            time.sleep(0.02)

    def end(self) -> Screen:
        """Close its input, wait for its end, and return the screen."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.read_to_end()

    def read_to_end(self) -> Screen:
        self._reader.join(PATIENCE_SECONDS)
        self.process.wait(PATIENCE_SECONDS)
        return Screen(self.sent)

    @property
    def output(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read().decode()


@contextmanager
def watched(
    *arguments: str, columns: int = 100, term: str = "xterm-256color", program: str = PROGRAM
) -> Iterator[Watched]:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=terminal, env=os.environ | {"TERM": term}, bufsize=0,
        )  # fmt: skip
    finally:
        os.close(terminal)
    with process:
        run = Watched(process, controller)
        try:
            yield run
        finally:
            process.kill()
            run.read_to_end()
            os.close(controller)


def shows_bar(sent: bytes) -> bool:
    return BAR.search(re.sub(r"\x1b\[[\d;]*m", "", sent.decode(errors="replace"))) is not None


def feed_until_bar(run: Watched) -> int:
    """Feed a run with rows until it shows a bar. Return their number."""
    run.feed(HEADER)
    rows = 0
    while not shows_bar(run.sent):
        assert rows < 20_000
        run.feed(BLOCK)
        rows += BLOCK_ROWS
        time.sleep(0.1)
    return rows


# ---- Settling ------------------------------------------------------------------------------------

# A run whose rows go to disk, where a part takes a while to settle.
SPILLED = """
import sys, time
from tests.support.small_memory import SmallLedger
from txfast.run import books, plan
from txfast.spill import spill
from txfast.command.main import main

settle_partition = spill.Spill.settle_partition
def settle_slowly(self, *arguments):
    time.sleep(0.05)
    settle_partition(self, *arguments)
spill.Spill.settle_partition = settle_slowly
make_books = books.Books.__init__
def make_small_books(self, *arguments, **options):
    make_books(self, *arguments, **options)
    self.ledger_bytes = 100
books.Books.__init__, books.Ledger = make_small_books, SmallLedger
plan.READ_BLOCK_BYTES = 1 << 14
sys.argv = ["txfast", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.mark.untraced
@pytest.mark.unmeasured
def test_a_spilled_run_shows_which_part_it_settles(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(HEADER + b"".join(b"deposit,%d,1,1\n" % client for client in range(10_000)))
    arguments = [str(path), "--threads", "1", "--memory-limit", "1GiB", "-o", str(tmp_path / "out.csv")]
    with watched(*arguments, program=SPILLED) as run:
        assert run.end().lines == [""]
        assert run.process.returncode == 0
        parts = [tuple(map(int, each)) for each in re.findall(rb"settling part (\d+) of (\d+)", run.sent)]
    assert len({of for _, of in parts}) == 1
    assert parts == sorted(parts)
    # As often as the rest: not for each part.
    assert 1 < len(parts) < parts[0][1] * 2
    # Not where there is no terminal.
    command = [sys.executable, "-c", SPILLED, *arguments, "--progress", "always"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "settling" not in ended.stderr


def test_what_is_settled_is_shown_again_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "on_terminal", True)
    shown: list[str | None] = []
    progress = Progress(Journal(), 100)
    monkeypatch.setattr(progress, "_show", lambda: shown.append(progress.figures()["stage"]))
    progress.close()
    monkeypatch.setattr(progress_module, "FIRST_SHOWN_SECONDS", 0.0)
    progress.settling(1, 1200)
    progress.settling(2, 1200)
    progress.close()
    assert shown == ["settling part 1 of 1,200", "settling part 2 of 1,200"]
    assert progress.figures()["stage"] is None
    monkeypatch.setattr(Journal, "on_terminal", False)
    progress.settling(3, 1200)
    assert len(shown) == 2


# ---- On a terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [100, 80, 40, 10])
@pytest.mark.parametrize("total_bytes", ["1000000", "0"])
def test_a_bar_comes_after_half_a_second_and_leaves_nothing(columns: int, total_bytes: str) -> None:
    with watched("error", "text", total_bytes, columns=columns) as run:
        feed_until_bar(run)
        shown = Screen(run.sent)
        assert len(shown.lines) == 1
        assert 0 < len(shown.lines[0]) < columns
        if columns >= 80:
            assert ("━" in shown.lines[0]) == (total_bytes != "0")
            assert ("of 1.0 MB" in shown.lines[0]) == (total_bytes != "0")
        assert run.end().lines == [""]


@pytest.mark.untraced
def test_a_shorter_run_has_no_bar_and_does_not_import_rich() -> None:
    with watched("error", "text", "0") as run:
        run.feed(HEADER + BLOCK * 20)
        assert run.end().lines == [""]
        assert run.sent == b""
        assert run.output == "imported:\n"


@pytest.mark.untraced
def test_log_lines_are_whole_above_the_bar() -> None:
    transactions = range(30_000, 90_000, 2)
    expected = [f"malformed: standard input:{tx}: bad_type: fee,1,{tx},1" for tx in transactions]
    with watched("error", "text", "1000000", columns=200) as run:
        rows = feed_until_bar(run)
        # Empty lines, so that each row comes on the line of its number.
        run.feed(b"\n" * (transactions[0] - rows - 2))
        for start in range(0, len(transactions), 1_000):
            some = transactions[start : start + 1_000]
            run.feed(b"".join(b"fee,1,%d,1\ndeposit,2,%d,1\n" % (tx, tx) for tx in some))
            time.sleep(0.02)
        assert run.end().lines == [*expected, ""]
    assert len(BAR.findall(re.sub(r"\x1b\[[\d;]*m", "", run.sent.decode()))) > 3


def test_the_bar_is_erased_before_a_failure_is_logged() -> None:
    with watched("error", "text", "0", "500000") as run:
        feed_until_bar(run)
        with suppress(BrokenPipeError):
            run.feed(BLOCK * 200)
        assert run.read_to_end().lines == ["txfast: in.csv: corrupt", ""]


@pytest.mark.untraced
def test_an_interrupt_erases_the_bar() -> None:
    with watched("error", "text", "0") as run:
        feed_until_bar(run)
        run.process.send_signal(signal.SIGINT)
        assert run.read_to_end().lines == [""]
        assert run.process.returncode == 3


def test_a_stalled_pipe_shows_as_waiting_and_not_as_a_rate() -> None:
    with watched("error", "text", "1000000") as run:
        feed_until_bar(run)
        assert "rows/s" in Screen(run.sent).lines[0]
        run.read_until(lambda sent: b"waiting for input" in sent)
        waiting = Screen(run.sent).lines[0]
        assert "rows/s" not in waiting
        assert "left" not in waiting
        run.feed(BLOCK)
        run.read_until(lambda sent: b"rows/s" in sent.rpartition(b"waiting for input")[2])
        assert run.end().lines == [""]


def test_json_lines_are_whole_above_the_bar() -> None:
    with watched("error", "json", "0", columns=80) as run:
        rows = feed_until_bar(run)
        run.feed(b"fee,1,1,1\n" * 2_000)
        lines = [line for line in run.end().lines if line]
    assert [json.loads(line)["line"] for line in lines] == list(range(rows + 2, rows + 2_002))


# ---- Elsewhere -----------------------------------------------------------------------------------


def feed_for_one_line(stream: IO[bytes]) -> None:
    """Feed a run for three seconds: long enough for one line of progress and too short for two."""
    stream.write(HEADER)
    for _ in range(12):
        stream.write(BLOCK)
        stream.flush()
        time.sleep(0.25)
    stream.close()


@pytest.mark.parametrize(("form", "total_bytes"), [("text", "0"), ("text", "1000000"), ("json", "1000000")])
def test_progress_without_a_terminal_is_a_line_every_two_seconds(form: str, total_bytes: str) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PROGRAM, "error", form, total_bytes]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as run:
        assert run.stdin is not None
        feed_for_one_line(run.stdin)
        assert run.stdout is not None
        assert run.stderr is not None
        [line] = run.stderr.read().decode().splitlines()
        assert b"rich" not in run.stdout.read()
    if form == "json":
        record = json.loads(line)
        assert record["level"] == "info"
        assert record["progress"]["rows"] > 600
        assert record["progress"]["total_bytes"] == 1_000_000
    elif total_bytes == "0":
        assert re.fullmatch(r"progress: 0\.0 MB, [\d,]+ rows, [\d,]+ rows/s, 0:0[23]", line)
    else:
        assert re.fullmatch(r"progress: 0\.0 of 1\.0 MB, [\d,]+ rows, [\d,]+ rows/s, [\d:]+ left", line)


def test_a_terminal_that_cannot_erase_gets_lines() -> None:
    with watched("error", "text", "0", term="dumb") as run:
        assert run.process.stdin is not None
        feed_for_one_line(run.process.stdin)
        lines = run.read_to_end().lines
    assert [line[:10] for line in lines] == ["progress: ", ""]
    assert b"\x1b" not in run.sent


# ---- When ----------------------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["terminal", "no terminal"])
def on_terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr("txfast.log.journal.is_terminal", lambda: request.param)
    return bool(request.param)


def test_progress_is_automatic_on_a_terminal(on_terminal: bool) -> None:
    for level in (ERROR, WARN, INFO):
        assert Journal(level).shows_progress("auto") == on_terminal
    for level in (DEBUG, TRACE):
        assert not Journal(level).shows_progress("auto")
        assert Journal(level).shows_progress("always")
    assert not Journal(format="json").shows_progress("auto")
    assert Journal(format="json").shows_progress("always")


@pytest.mark.usefixtures("on_terminal")
def test_never_and_quiet_show_no_progress() -> None:
    assert not Journal().shows_progress("never")
    for mode in ("auto", "always", "never"):
        assert not Journal(quiet=True).shows_progress(mode)


def test_a_closed_standard_error_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert not Journal().shows_progress("auto")


class Drawn:
    """A standard error that keeps the lines that are drawn."""

    def __init__(self) -> None:
        self.columns = 80
        self.lines: list[str] = []

    def draw(self, line: str) -> None:
        self.lines.append(line)

    def erase(self, _: float) -> None:
        """Erased lines are not of interest."""


def test_one_thread_at_a_time_draws_the_bar_and_none_after_it_closes() -> None:
    drawn = Drawn()
    bar = progress_module.Bar(Progress(Journal(quiet=True), 100), drawn)  # type: ignore[arg-type]
    bar.redraw()
    with bar._drawing:
        before = len(drawn.lines)
        bar.redraw()
        assert len(drawn.lines) == before >= 1
    bar._closing.set()
    bar._thread.join()
    before = len(drawn.lines)
    bar.redraw()
    assert len(drawn.lines) == before
    bar.close()


# ---- Figures -------------------------------------------------------------------------------------


class Clock:
    """A clock that moves when a test sets it forward."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock_in_hand(monkeypatch: pytest.MonkeyPatch) -> Clock:
    hand = Clock()
    monkeypatch.setattr(progress_module, "time", hand)
    return hand


def advance_for(progress: Progress, hand: Clock, seconds: int, bytes_per_second: int) -> None:
    for _ in range(seconds * 10):
        hand.now += 0.1
        progress.advance(bytes_per_second // 10, bytes_per_second // 100)
        progress.figures()


def test_the_rate_is_that_of_the_last_seconds(clock_in_hand: Clock) -> None:
    progress = Progress(Journal(quiet=True), 100_000)
    progress._due = float("inf")
    advance_for(progress, clock_in_hand, 10, 1_000)
    assert progress.figures()["rows_per_second"] == pytest.approx(100, abs=5)
    assert progress.figures()["seconds_left"] == pytest.approx(90, abs=5)
    advance_for(progress, clock_in_hand, 6, 5_000)
    assert progress.figures()["rows_per_second"] == pytest.approx(500, abs=10)
    assert progress.figures()["seconds_left"] == pytest.approx(12, abs=1)
    assert progress.figures()["stage"] is None
    clock_in_hand.now += 2.5
    assert progress.figures()["stage"] == "waiting for input"
    clock_in_hand.now += 10
    assert progress.figures()["rows_per_second"] == 0
    assert progress.figures()["seconds_left"] is None
    assert len(progress._samples) < 100


def test_the_end_of_the_input_is_shown(clock_in_hand: Clock) -> None:
    progress = Progress(Journal(quiet=True), 1_000)
    progress._due = float("inf")
    advance_for(progress, clock_in_hand, 1, 1_000)
    clock_in_hand.now += 100
    assert figure_texts(progress.figures()) == ("0.0 of 0.0 MB", "100 rows", "all input read", "1:41")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (0.6, "0:01"), (59.6, "1:00"), (3_599, "59:59"), (3_600, "1:00:00")]
)
def test_a_duration_is_shown_in_minutes_and_hours(seconds: float, shown: str) -> None:
    assert clock_text(seconds) == shown


# ---- The summary on a terminal ---------------------------------------------------------------------


def test_the_summary_is_a_table_on_a_terminal() -> None:
    controller, terminal = pty.openpty()
    sample = PROJECT_ROOT / "samples" / "sample.csv"
    command = [str(Path(sys.executable).with_name("txfast")), str(sample), "info"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=terminal, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(terminal)
        screen = Watched(process, controller).read_to_end()
    os.close(controller)
    table_lines = [line for line in screen.lines if line.startswith(("rows ", "accounts "))]
    assert len(table_lines) == 2
    assert not any("info: " in line for line in screen.lines)
