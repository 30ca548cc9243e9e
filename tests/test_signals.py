"""A signal that ends a run is an exception in it, once, until nothing must interrupt it any more."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from txfast.signals import CAUGHT, Interrupted, SignalWatch


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The tests' own way with signals, put back after each, and SIGHUP ignored, as under nohup."""
    before = {number: signal.getsignal(number) for number in CAUGHT}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
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


def test_nothing_is_interrupted_from_the_hold_on() -> None:
    watch = SignalWatch()
    watch.hold()
    signal.raise_signal(signal.SIGTERM)
    watch.check()


def test_a_signal_that_was_ignored_still_is() -> None:
    watch = SignalWatch()
    signal.raise_signal(signal.SIGHUP)
    watch.check()
