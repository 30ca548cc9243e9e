"""One run of the command, watched by the shim from its first line on: `python -I -S driver.py ARGUMENT …`.

campaign.py starts it, with the shim preloaded and its variables set. Two more are for this program:

    FAULTS_PATH      where Python finds modules: its usual places are passed over, since looking there takes time
    FAULTS_SABOTAGE  the name of a defect to build in, to see whether it is noticed
    FAULTS_SPILL     1 where ledgers go to disk at once, as if the memory limit were that small
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from types import FrameType

sys.path[:0] = os.environ["FAULTS_PATH"].split(os.pathsep)

PACKAGE = os.environ["FAULTS_PACKAGE"]


def import_extension_modules() -> None:
    """The shim looks for them once, before the run."""
    import importlib

    for folder, _, names in os.walk(PACKAGE):
        room = os.path.relpath(folder, os.path.dirname(PACKAGE)).replace(os.sep, ".")
        for name in names:
            if name.endswith(".so"):
                importlib.import_module(f"{room}.{name.partition('.')[0]}")


def note_lines(shim: ctypes.CDLL) -> None:
    """Have each call that is watched be logged with the line of txfast that it came from."""
    import threading

    faults_at = shim.faults_at
    places: dict[str, str] = {}  # of each source that was met, in the package; empty where it is elsewhere

    def note(frame: FrameType, event: str, called: object) -> None:  # noqa: ARG001 (the protocol's arguments)
        if event != "c_call":
            return
        caller: FrameType | None = frame
        while caller is not None:
            file = caller.f_code.co_filename
            place = places.get(file)
            if place is None:
                place = places[file] = os.path.relpath(file, PACKAGE) if file.startswith(PACKAGE) else ""
            if place:
                faults_at(f"{place}:{caller.f_lineno}".encode())
                return
            caller = caller.f_back

    threading.setprofile(note)
    sys.setprofile(note)


def ignore_write_errors() -> None:
    from txfast.writers.file import FileWriter

    def write(self: FileWriter, block: bytes | memoryview) -> None:
        with suppress(OSError):
            os.write(self._descriptor, block)

    FileWriter.write = write  # type: ignore[method-assign]


def leave_temporary_files() -> None:
    from txfast.writers.output import Output

    def discard(self: Output) -> None:
        """Forget to."""

    Output.discard = discard  # type: ignore[method-assign]


def publish_at_once() -> None:
    from txfast.writers.file import FileWriter
    from txfast.writers.output import Output

    def open_in_place(self: Output, mode: int | None) -> None:  # noqa: ARG001 (as the method that it replaces)
        self._file = FileWriter(self.name, os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))

    Output._open_temporary = open_in_place  # type: ignore[method-assign]


def spill_at_once() -> None:
    from txfast.run import plan as plan_module
    from txfast.run.plan import Plan
    from txfast.spill import spill

    spill.PARTITIONS = 4
    divide = plan_module.divide_memory

    def divide_without_room(plan: Plan, room: int) -> None:
        divide(plan, room)
        plan.ledger_bytes = 0

    plan_module.divide_memory = divide_without_room


SABOTAGES = {
    "ignored write errors": ignore_write_errors,
    "temporary files left": leave_temporary_files,
    "published at once": publish_at_once,
}


def main() -> None:
    import txfast.command.main  # noqa: F401
    from txfast import __main__

    import_extension_modules()
    if sabotage := os.environ.get("FAULTS_SABOTAGE"):
        SABOTAGES[sabotage]()
    if os.environ.get("FAULTS_SPILL") == "1":
        spill_at_once()
    shim = ctypes.CDLL(None)
    if not os.environ["FAULTS_FUNCTION"]:
        note_lines(shim)
    shim.faults_arm()
    __main__.entry()


if __name__ == "__main__":
    main()
