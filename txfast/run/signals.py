"""Ctrl-C and its kin: an exception in the main thread, once, at a place where a run can be cleaned up.

This module must not know what there is to clean up.
"""

import os
import signal
import sys

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

# What a terminal sends on Ctrl-C, what a service manager sends, and what a terminal sends that is closed.
CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# After how long an Interrupted that was lost is raised again.
AGAIN_SECONDS = 0.01


class Interrupted(KeyboardInterrupt):
    """A signal arrived that ends the run, not only the one of Ctrl-C. `signal_name` says which."""

    def __init__(self, number: int) -> None:
        self.signal_name = signal.Signals(number).name
        super().__init__(self.signal_name)


class SignalWatch:
    """Raises Interrupted in the main thread when a signal arrives: wherever it is, and where that was lost, soon after.

    Only the first counts. What must not be interrupted, such as cleaning up, comes after `hold`.
    """

    __slots__ = ("_held", "_is_lost", "_show_unraisable", "_waits", "arrived")

    def __init__(self) -> None:
        self.arrived: int | None = None
        self._held = False
        self._waits = False
        self._is_lost = False
        self._show_unraisable: Callable[[Any], object] = sys.unraisablehook
        sys.unraisablehook = self._pass_over
        for number in CAUGHT:
            # Whoever started the process may have told it to ignore one, as nohup does.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: "FrameType | None") -> None:  # noqa: ARG002 (the protocol's arguments)
        if self.arrived is None:
            self.arrived = number
            self.check()
        elif self._waits:
            self.stop_waiting()  # whoever asks twice means at once

    def _pass_over(self, unraisable: "Any") -> None:
        """Say nothing of an Interrupted that was raised where Python lets nothing through; raise it again soon."""
        if unraisable.exc_type is not Interrupted:
            self._show_unraisable(unraisable)
            return
        # What comes next may be a wait that only a signal ends.
        self._is_lost = True
        signal.signal(signal.SIGALRM, self._raise_again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)

    def _raise_again(self, number: int, frame: "FrameType | None") -> None:  # noqa: ARG002 (the protocol's arguments)
        if self._is_lost:
            self.check()

    def check(self) -> None:
        """Raise Interrupted where a signal has arrived: an import of C code may have swallowed it."""
        if self.arrived is not None and not self._held and not self._waits:
            self._forget_alarm()
            raise Interrupted(self.arrived)

    def _forget_alarm(self) -> None:
        if self._is_lost:
            self._is_lost = False
            # One that came when Python ends would end the process.
            signal.setitimer(signal.ITIMER_REAL, 0)

    def wait(self) -> None:
        """Only note a first signal, as `arrived`, until `stop_waiting`: what is done now must come to a good place."""
        self._waits = True

    def stop_waiting(self) -> None:
        """Raise Interrupted as ever, and at once where a signal has arrived."""
        self._waits = False
        self.check()

    def release(self) -> None:
        """Let each signal end the process by itself again: there is nothing left to clean up."""
        for number in CAUGHT:
            if signal.getsignal(number) == self._note:
                signal.signal(number, signal.SIG_DFL)

    def hold(self) -> None:
        """From here on let nothing be interrupted."""
        self._held = True
        self._forget_alarm()


def end_by_signal(name: str) -> int:
    """End the process by this signal, as if it had not been caught, so that its parent sees which it was."""
    number = signal.Signals[name]
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # where the signal is blocked
