"""One run of the command that the shim watches from the first line on: `python -I -S driver.py ARGUMENT …`.

campaign.py starts it, with the shim preloaded and the shim's variables set. Four more variables are for this program:

    FAULTS_PATH      Python's module path; the usual places are skipped, because searching them takes time
    FAULTS_SABOTAGE  the name of a defect to plant, which the campaign must report
    FAULTS_NAMED     1 to give each temporary file a name, as on file systems without O_TMPFILE
    FAULTS_SPILL     1 to move ledgers to disk at once, as under a very small memory limit
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
    """Load them before the run: the shim looks for them when it is armed.

    A module has a stub beside it. Without one, it is left from an earlier build, and its source is gone.
    """
    import importlib

    for folder, _, names in os.walk(PACKAGE):
        package = os.path.relpath(folder, os.path.dirname(PACKAGE)).replace(os.sep, ".")
        for name in names:
            module = name.partition(".")[0]
            if name.endswith(".so") and f"{module}.pyi" in names:
                importlib.import_module(f"{package}.{module}")


def note_lines(shim: ctypes.CDLL) -> None:
    """Tell the shim which line of txfast each watched call comes from, for its log."""
    import threading

    faults_at = shim.faults_at
    paths: dict[str, str] = {}  # by source file: its path in the package, or empty

    def note(frame: FrameType, event: str, called: object) -> None:  # noqa: ARG001 (the protocol's arguments)
        if event != "c_call":
            return
        caller: FrameType | None = frame
        while caller is not None:
            file = caller.f_code.co_filename
            path = paths.get(file)
            if path is None:
                path = paths[file] = os.path.relpath(file, PACKAGE) if file.startswith(PACKAGE) else ""
            if path:
                faults_at(f"{path}:{caller.f_lineno}".encode())
                return
            caller = caller.f_back

    threading.setprofile(note)
    sys.setprofile(note)


def name_unnamed_files(shim: ctypes.CDLL) -> None:
    """Tell the shim the final name of each file that has none, for its log."""
    from txfast.writers.temporary import TemporaryFile

    create = TemporaryFile._create_unnamed

    def create_and_tell(self: TemporaryFile, permissions: int) -> int:
        descriptor = create(self, permissions)
        if descriptor >= 0:
            shim.faults_name(descriptor, os.fsencode(os.path.basename(self._final_path)))
        return descriptor

    TemporaryFile._create_unnamed = create_and_tell  # type: ignore[method-assign]


def use_names() -> None:
    if hasattr(os, "O_TMPFILE"):
        del os.O_TMPFILE


def ignore_write_errors() -> None:
    from txfast.writers.file import FileWriter

    def write(self: FileWriter, block: bytes | memoryview) -> None:
        with suppress(OSError):
            os.write(self._descriptor, block)

    FileWriter.write = write  # type: ignore[method-assign]


def leave_temporary_files() -> None:
    from txfast.writers.output import Output

    use_names()

    def discard(self: Output) -> None:
        """The planted defect: do nothing."""

    Output.discard = discard  # type: ignore[method-assign]


def publish_at_once() -> None:
    from txfast.writers.file import FileWriter
    from txfast.writers.output import Output

    def open_in_place(self: Output, *, is_new: bool) -> None:  # noqa: ARG001 (as the method that it replaces)
        self._file = FileWriter(self.name, os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))

    Output._open_temporary = open_in_place  # type: ignore[method-assign]


def spill_at_once() -> None:
    from txfast.run import plan as plan_module
    from txfast.run.plan import Plan
    from txfast.spill import spill

    spill.PARTITIONS = 4
    divide = plan_module.divide_memory

    def divide_without_room(plan: Plan, room: int, *, reads_tables: bool = False) -> None:
        divide(plan, room, reads_tables=reads_tables)
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
    if os.environ.get("FAULTS_NAMED") == "1":
        use_names()
    name_unnamed_files(shim)
    if not os.environ["FAULTS_FUNCTION"]:
        note_lines(shim)
    shim.faults_arm()
    __main__.entry()


if __name__ == "__main__":
    main()
