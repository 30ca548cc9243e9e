"""A signal that ends a run is an exception in it, once, until nothing must interrupt it any more."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from txfast.run.signals import CAUGHT, Interrupted, SignalWatch


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The tests' own way with signals, put back after each, and SIGHUP ignored, as under nohup."""
    before = {number: signal.getsignal(number) for number in CAUGHT}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    told_of = sys.unraisablehook
    yield
    sys.unraisablehook = told_of
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts_and_says_which_it_was(number: signal.Signals) -> None:
    watch = SignalWatch()
    watch.check()
    with pytest.raises(Interrupted) as interruption:
        signal.raise_signal(number)
    assert interruption.value.signal_name == number.name
    assert isinstance(interruption.value, KeyboardInterrupt)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)


def test_an_interruption_that_was_lost_is_raised_again_where_one_looks() -> None:
    watch = SignalWatch()
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"):
        watch.check()


def test_a_signal_waits_for_whoever_asked_it_to_and_a_second_one_does_not() -> None:
    watch = SignalWatch()
    watch.wait()
    signal.raise_signal(signal.SIGTERM)
    assert watch.arrived == signal.SIGTERM
    with pytest.raises(Interrupted, match="SIGTERM"):
        signal.raise_signal(signal.SIGINT)


def test_nothing_is_interrupted_from_the_hold_on() -> None:
    watch = SignalWatch()
    watch.hold()
    signal.raise_signal(signal.SIGTERM)
    watch.check()


def test_a_signal_that_was_ignored_still_is() -> None:
    watch = SignalWatch()
    signal.raise_signal(signal.SIGHUP)
    watch.check()


def test_what_is_released_ends_the_process_by_itself_again() -> None:
    watch = SignalWatch()
    watch.release()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


# ---- Where Python lets no exception through --------------------------------------------------------

PROGRAM = """
import os
import signal
import sys

from txfast.run.signals import Interrupted, SignalWatch


class Closing:
    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()


watch = SignalWatch()
Closing({act})
try:
    {wait}
except Interrupted as interruption:
    print(interruption.signal_name)
watch.hold()
watch.check()
"""


def run_program(act: str, wait: str = "watch.check()") -> tuple[str, str]:
    """Do something in a finalizer, with a watch set up, and then something else: what was printed, and what was said on
    standard error."""
    program = PROGRAM.replace("{act}", act).replace("{wait}", wait)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout, ended.stderr


def test_a_signal_inside_a_finalizer_is_raised_at_the_next_check_and_not_told_of() -> None:
    act = "lambda: os.kill(os.getpid(), signal.SIGTERM)"
    assert run_program(act) == ("SIGTERM\n", "")


def test_a_signal_inside_a_finalizer_ends_a_wait_behind_it() -> None:
    """Where nothing looks, and nothing but a signal ends the wait."""
    act = "lambda: os.kill(os.getpid(), signal.SIGTERM)"
    assert run_program(act, "signal.pause()") == ("SIGTERM\n", "")


def test_another_error_inside_a_finalizer_is_told_of_as_ever() -> None:
    printed, said = run_program("lambda: 1 / 0")
    assert printed == ""
    assert "ZeroDivisionError" in said
