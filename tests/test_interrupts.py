"""A signal that ends a run is noted, and raised only where the run is ready for it, until nothing may interrupt it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from txfast.interrupts import LISTENER, NAMES, Interrupted, NotedInterrupts, while_waiting


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The tests' own handlers, put back after each test; SIGHUP is ignored, as under nohup."""
    before = {number: signal.getsignal(number) for number in NAMES}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    LISTENER.stop_listening()
    LISTENER.arrived = None
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_raised_at_the_next_check(number: signal.Signals) -> None:
    LISTENER.listen()
    LISTENER.check()
    signal.raise_signal(number)
    with pytest.raises(Interrupted) as interruption:
        LISTENER.check()
    assert interruption.value.signal_name == number.name
    assert isinstance(interruption.value, KeyboardInterrupt)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_call_that_waits(number: signal.Signals) -> None:
    LISTENER.listen()
    with pytest.raises(Interrupted, match=number.name):
        while_waiting(signal.raise_signal, number)
    # Outside of such calls a signal is only noted.
    signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_came_before_a_call_ends_it_before_it_begins() -> None:
    LISTENER.listen()
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"):
        while_waiting(pytest.fail, "it was called")


def test_the_first_signal_counts() -> None:
    LISTENER.listen()
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(Interrupted, match="SIGTERM"):
        LISTENER.check()


def test_an_interruption_that_was_lost_is_raised_again_at_the_next_check() -> None:
    LISTENER.listen()
    with pytest.raises(Interrupted):
        while_waiting(signal.raise_signal, signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"):
        LISTENER.check()


def test_a_signal_that_is_deferred_waits_and_a_second_one_does_not() -> None:
    LISTENER.listen()
    LISTENER.defer()
    signal.raise_signal(signal.SIGTERM)
    LISTENER.check()
    assert LISTENER.arrived == signal.SIGTERM
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(Interrupted, match="SIGTERM"):
        LISTENER.check()


def test_a_deferred_signal_is_raised_when_deferring_ends() -> None:
    LISTENER.listen()
    LISTENER.defer()
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"):
        LISTENER.stop_deferring()


def test_nothing_is_interrupted_from_the_hold_on() -> None:
    LISTENER.listen()
    LISTENER.hold()
    signal.raise_signal(signal.SIGTERM)
    LISTENER.check()
    while_waiting(signal.raise_signal, signal.SIGINT)


def test_a_signal_that_was_ignored_still_is() -> None:
    LISTENER.listen()
    signal.raise_signal(signal.SIGHUP)
    LISTENER.check()


def test_other_threads_are_not_interrupted() -> None:
    LISTENER.listen()
    signal.raise_signal(signal.SIGTERM)
    raised: list[BaseException] = []

    def check() -> None:
        try:
            LISTENER.check()
            while_waiting(len, ())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=check)
    thread.start()
    thread.join()
    assert raised == []


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in NAMES]
    LISTENER.listen()
    LISTENER.stop_listening()
    assert [signal.getsignal(number) for number in NAMES] == before


# ---- Programs that call the library ----------------------------------------------------------------


def test_a_program_gets_its_interrupt_when_the_run_is_ready_for_it() -> None:
    with pytest.raises(KeyboardInterrupt), NotedInterrupts():
        while_waiting(signal.raise_signal, signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_came_too_late_for_the_run_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), NotedInterrupts():
        signal.raise_signal(signal.SIGINT)


def test_a_program_with_a_handler_of_its_own_keeps_it() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    with NotedInterrupts():
        signal.raise_signal(signal.SIGINT)
    assert heard == [signal.SIGINT]


def test_calls_from_another_thread_change_nothing() -> None:
    def call() -> None:
        with NotedInterrupts():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


# ---- Where Python lets no exception through --------------------------------------------------------

PROGRAM = """
import os
import signal

from txfast.interrupts import LISTENER, Interrupted, while_waiting


class Closing:
    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()


LISTENER.listen()
Closing({act})
try:
    {wait}
except Interrupted as interruption:
    print(interruption.signal_name)
LISTENER.hold()
LISTENER.check()
"""


def run_program(act: str, wait: str = "LISTENER.check()") -> tuple[str, str]:
    """Do something in a finalizer while signals are noted, and then something else: standard output and error."""
    program = PROGRAM.replace("{act}", act).replace("{wait}", wait)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout, ended.stderr


def test_a_signal_inside_a_finalizer_is_raised_at_the_next_check_and_not_told_of() -> None:
    act = "lambda: os.kill(os.getpid(), signal.SIGTERM)"
    assert run_program(act) == ("SIGTERM\n", "")


def test_a_signal_inside_a_finalizer_ends_a_wait_after_it() -> None:
    act = "lambda: os.kill(os.getpid(), signal.SIGTERM)"
    assert run_program(act, "while_waiting(signal.pause)") == ("SIGTERM\n", "")


def test_another_error_inside_a_finalizer_is_told_of_as_ever() -> None:
    printed, said = run_program("lambda: 1 / 0")
    assert printed == ""
    assert "ZeroDivisionError" in said
