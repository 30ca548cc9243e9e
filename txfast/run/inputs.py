"""Begins a run and reads its inputs, with a state or without: the same for the command and for programs.

A run with a state begins with what is saved there, and reads of each input what it does not know yet. This module must
not know outputs, nor how a user says what to run.
"""

import time

from txfast.input.open import look_at
from txfast.interrupts import while_waiting

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from txfast.input.ref import InputRef
    from txfast.ledger.ledger import Ledger
    from txfast.run.checkpoint import Checkpoints
    from txfast.run.replay import Replay
    from txfast.state.directory import StateDirectory


def begin_run(
    replay: "Replay",
    inputs: "Sequence[InputRef]",
    state: "StateDirectory | None",
    checkpoints: "Checkpoints | None",
    open_files: "Callable[[], object]",
) -> None:
    """Look at the inputs that are left to read, and open the outputs by `open_files`; begin with a checkpoint of the
    same command, or with the last snapshot of the state, which is open.

    Raises SourceError, InputError and StateError.
    """
    goes_on = checkpoints is not None and checkpoints.find(replay)
    left = inputs if checkpoints is None else inputs[checkpoints.first_input :]
    while_waiting(look_at, left, open_all=len(left) > 1)
    open_files()
    if state is None or goes_on:
        return
    started = time.perf_counter()
    state.load(replay.books.restore)
    replay.spend("load", time.perf_counter() - started)


def read_followed_input(
    replay: "Replay", state: "StateDirectory", checkpoints: "Checkpoints", ref: "InputRef", copy_folder: str | None
) -> None:
    """Replay the part of an input that the state does not know yet."""
    opened = checkpoints.take_opened()
    figures = None if opened is None else replay.inputs[-1]
    source, consumption = opened or while_waiting(state.open_input, ref, copy_folder)
    try:
        replay.read_source(source, consumption, figures)
    finally:
        source.close()
    state.note(ref, consumption)


def make_saver(
    replay: "Replay", state: "StateDirectory | None", checkpoints: "Checkpoints | None"
) -> "Callable[[Ledger], object] | None":
    """The function that saves ledgers to the state; None where the state does not change. Raises SourceError."""
    if state is None:
        return None
    segments = None
    # Spilled ledgers come back divided differently, so the checkpoint's files do not match them.
    if checkpoints is not None and not replay.books.is_spilled:
        segments = checkpoints.segments
    return state.saver(changed=replay.rows > 0, segments=segments)
