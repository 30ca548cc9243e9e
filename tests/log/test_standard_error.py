"""Standard error in all its states: a pipe that is full, closed or abandoned, and a terminal that is stopped."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command import COMMAND, unmeasured
from tests.support.reference import HEADER
from txfast.log import standard_error
from txfast.log.journal import Journal
from txfast.log.standard_error import PIECE_BYTES, StandardError

PATIENCE_SECONDS = 60


# ---- The log of a process ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many_rejected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose log is many times larger than a pipe. Line n has transaction n."""
    path = tmp_path_factory.mktemp("log") / "many.csv"
    path.write_bytes(HEADER + b"".join(b"withdrawal,1,%d,1\n" % line for line in range(2, 60_002)))
    return path


def lines_of_many(path: Path, count: int) -> str:
    lines = (f"rejected: {path}:{line}: insufficient_funds: withdrawal,1,{line},1\n" for line in range(2, count + 2))
    return "".join(lines)


@pytest.mark.parametrize(
    "errors", ["2>&-", "2>/dev/full", "2>/dev/null", "2> >(head -c 100 > /dev/null)"],
    ids=["closed", "full", "null", "reader that leaves"],
)  # fmt: skip
@pytest.mark.parametrize("level", ["error", "debug"])
def test_accounts_do_not_depend_on_the_reader_of_the_log(many_rejected: Path, errors: str, level: str) -> None:
    ended = subprocess.run(
        ["bash", "-c", f"'{COMMAND}' '{many_rejected}' {level} {errors}"],
        capture_output=True, timeout=PATIENCE_SECONDS, check=True,
    )  # fmt: skip
    assert ended.stdout == b"client,available,held,total,locked\n1,0.0000,0.0000,0.0000,false\n"
    assert ended.stderr == b""


def test_a_failure_without_standard_error_has_its_exit_code() -> None:
    for errors in ("2>&-", "2>/dev/full"):
        script = f"'{COMMAND}' missing.csv debug {errors}"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
        assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


def read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_a_non_blocking_pipe_gets_the_whole_log(many_rejected: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen([COMMAND, many_rejected, "warn"], stdout=subprocess.DEVNULL, stderr=writing) as process:
        os.close(writing)
        time.sleep(0.3)
        log = read_all(reading).decode()
    os.close(reading)
    assert process.returncode == 0
    assert log == lines_of_many(many_rejected, 60_000) + "rows: 0 applied, 60,000 rejected, 0 malformed\n"


def start_unmeasured(*arguments: str | Path, **pipes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [COMMAND, *arguments], env=unmeasured(os.environ), stdout=subprocess.DEVNULL, **pipes
    )


@pytest.mark.untraced
def test_an_interrupt_of_a_blocked_write_cuts_no_line_and_repeats_none(many_rejected: Path) -> None:
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
def test_rows_are_logged_while_the_run_waits_for_input() -> None:
    pipe = subprocess.PIPE
    with start_unmeasured("-", stdin=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(HEADER + b"fee,1,1,1\n" + b"deposit,1,1,1\n" * 200_000)
        process.stdin.flush()
        line = b"malformed: standard input:2: bad_type: fee,1,1,1\n"
        assert os.read(process.stderr.fileno(), 10_000) == line
        assert process.poll() is None
        process.kill()


def test_lines_to_a_closed_standard_error_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        standard_error = StandardError()
    standard_error.write("lost\n")
    standard_error.flush()
    assert not Journal().on_terminal


def test_without_a_terminal_standard_error_is_80_columns_wide() -> None:
    program = "from txfast.log.standard_error import StandardError; s = StandardError(); s.erase(); print(s.columns)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"80\n", b"")


# ---- A standard error that takes nothing -----------------------------------------------------------


def test_a_standard_error_without_room_is_given_up_and_not_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_flush_after_an_interrupt_writes_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    interrupts = [1, 3]  # by the number of the write

    def take_or_be_interrupted(_: int, piece: bytes) -> int:
        taken.append(bytes(piece))
        if len(taken) in interrupts:
            raise KeyboardInterrupt
        return len(piece)

    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    monkeypatch.setattr(os, "write", take_or_be_interrupted)
    lines = "".join(f"line {number}\n" for number in range(2_000))
    interrupted = StandardError()
    interrupted.write(lines)
    for _ in interrupts:
        with pytest.raises(KeyboardInterrupt):
            interrupted.flush()
    interrupted.write("the last line\n")
    interrupted.flush()
    # The write that was interrupted comes again, and nothing else does.
    assert [taken[0], taken[2]] == [taken[1], taken[3]]
    assert {len(piece) for piece in taken[:-2]} == {PIECE_BYTES}
    assert b"".join(taken[1:2] + taken[3:]).decode() == lines + "the last line\n"
