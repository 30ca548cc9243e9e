"""The watch for signals: one that arrives where Python lets no exception through is neither lost nor told of."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os
import signal
import sys

from txfast.signals import Interrupted, SignalWatch


class Closing:
    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()


watch = SignalWatch()
Closing({act})
try:
    watch.check()
except Interrupted as interruption:
    print(interruption.signal_name)
watch.hold()
watch.check()
"""


def run(act: str) -> tuple[str, str]:
    """Do something in a finalizer, with a watch set up: what was printed, and what was said on standard error."""
    program = PROGRAM.replace("{act}", act)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return ended.stdout, ended.stderr


def test_a_signal_inside_a_finalizer_is_raised_at_the_next_check_and_not_told_of() -> None:
    act = "lambda: os.kill(os.getpid(), signal.SIGTERM)"
    assert run(act) == ("SIGTERM\n", "")


def test_another_error_inside_a_finalizer_is_told_of_as_ever() -> None:
    printed, said = run("lambda: 1 / 0")
    assert printed == ""
    assert "ZeroDivisionError" in said
