"""A program for `python -c`: the command, which ends itself, or sends itself a signal, at a checkpoint or a batch."""

from __future__ import annotations

import sys

from tests.support.command import Folder, Run

# Inputs are read in small blocks, of which two at a time are looked up in a state. TAKES is the number of the
# checkpoint, BATCHES that of the batch, of all inputs or of the one in INPUT. SIGNAL is the name of the signal.
DRIVER = """
import os, signal
from txfast.readers import table
from txfast.run import checkpoint, plan, stored
from txfast.run.replay import Replay
plan.READ_BLOCK_BYTES, plan.THREADED_BYTES_MIN, table.BATCH_ROWS = 2048, 0, 100
stored.TOGETHER_BYTES = 4096
takes, batches = int(os.environ.get("TAKES", 0)), int(os.environ.get("BATCHES", 0))
take, report = checkpoint.Checkpoints.take, Replay._report
def take_and_die(self, *arguments):
    global takes
    take(self, *arguments)
    takes -= 1
    if takes == 0:
        os._exit(9)
def report_and_signal(self, intake, *arguments):
    global batches
    report(self, intake, *arguments)
    batches -= os.environ.get("INPUT", intake.name) == intake.name
    if batches == -3 and "ENDS" in os.environ:
        os._exit(77)
    if batches == 0:
        for _ in range(int(os.environ.get("SIGNALS", 1))):
            os.kill(os.getpid(), getattr(signal, os.environ["SIGNAL"]))
checkpoint.Checkpoints.take, Replay._report = take_and_die, report_and_signal
from txfast.__main__ import entry
entry()
"""


def run_to_the_end(folder: Folder, *arguments: str, takes: tuple[int, ...]) -> Run:
    """Run a command again and again: each run ends itself at one of these checkpoints, and the last one ends well."""
    command = (sys.executable, "-c", DRIVER)
    for number in takes:
        ended = folder.run(*arguments, command=command, variables={"TAKES": str(number)})
        assert ended.exit_code == 9, ended.errors
    ended = folder.run(*arguments, command=command)
    assert (ended.exit_code, ended.errors) == (0, "")
    return ended
