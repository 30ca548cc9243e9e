"""The last row of an input with a state: whether it may be a part of a row, which a program is still writing.

A program writes a file in blocks that end anywhere. So the last line of a file that grows may lack its end, and a run
must neither apply nor consume it. This module must not know how rows are parsed: a reader says that a last row is open,
and asks what to do.
"""

import os
import stat
import time
from errno import EAGAIN

from txfast.errors import InputError
from txfast.input.source import AUTO, FAIL, HOLD

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import RawIOBase

    from txfast.input.source import Source

# Where the system does not say whether a file is open for writing, it may be growing if it was changed less than this
# ago.
RECENT_SECONDS = 60
HOLD_IS_GIVEN = "--last-line hold is given"
# File systems on which a program on another machine, or a server, may write without the kernel knowing of it; all of
# FUSE's are named "fuse" and more.
SHARED_FILE_SYSTEMS = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "gpfs", "lustre", "nfs", "nfs4", "ocfs2", "orangefs",
    "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs",
}  # fmt: skip


class LastRow:
    """Decides about the last row of one input. A reader calls `is_held_back` once, where the input ends in an open row.

    `reason` says then why the row is held back; it is empty where no row was. `in_quotes` says whether a quoted field
    of it is open, `in_character` whether the input ends inside a character.
    """

    __slots__ = ("_rule", "_source", "in_character", "in_quotes", "reason")

    def __init__(self, source: "Source", rule: str) -> None:
        self._source = source
        self._rule = rule
        self.in_quotes = False
        self.in_character = False
        self.reason = ""
        for file in files_of(source.file):
            if hasattr(file, "holds_end_back"):
                file.holds_end_back = self._holds_half_a_character

    def _holds_half_a_character(self) -> bool:
        """Whether the input, which ends inside a character of UTF-16, is held back from the start of this row on.

        There may be no more of the row than this half: then `is_held_back` is not called.
        """
        self.reason = self._reason_to_hold()
        self.in_character = self.reason != ""
        return self.in_character

    def is_held_back(self, in_quotes: bool = False) -> bool:
        """Whether the open row is neither applied nor consumed. Raises InputError where the rule is FAIL.

        A row `in_quotes` has a quoted field that is not closed. The file's position must be where the reader stopped
        reading.
        """
        self.in_quotes = in_quotes
        if self.in_character:
            return True
        if self._rule == FAIL:
            what = (
                "it ends inside a quoted field; close the quotes"
                if in_quotes
                else ("its last line has no line ending; end the line")
            )
            raise InputError(f"{self._source.name}: {what}, or say with --last-line whether to take or to hold it")
        self.reason = self._reason_to_hold()
        return self.reason != ""

    def _reason_to_hold(self) -> str:
        """Why the end of the input is held back, now that it is read; "" where it is not."""
        if self._rule == HOLD:
            return HOLD_IS_GIVEN
        return growth_of(self._source, is_read=True) if self._rule == AUTO else ""


def held_back_warning(name: str, line: int, reason: str, *, in_quotes: bool, in_character: bool = False) -> str:
    """The warning about a last row that is held back. `line` is its number."""
    if in_character:
        return f"{name}:{line}: the file ends inside a character, and {reason}: this line waits for the next run"
    what = "the last row has a quoted field that is not closed" if in_quotes else "the last line has no line ending"
    return (
        f"{name}:{line}: {what}, and {reason}: it is held back, and the next run reads it; "
        f"--last-line take applies it now"
    )


def growth_of(source: "Source", *, is_read: bool) -> str:
    """Why a file may be growing, in words; "" where it is complete, or no regular file on this machine.

    Where it `is_read` to its end, it must have no more bytes by now.
    """
    descriptor = descriptor_of(source)
    if descriptor is None:
        return ""
    is_open = None if is_shared(descriptor) else is_open_for_writing(descriptor)
    if is_open:
        return "a program has the file open for writing"
    # After that: a program may have written and closed it since the reader saw its end.
    found = os.fstat(descriptor)
    if is_read and found.st_size > os.lseek(descriptor, 0, os.SEEK_CUR):
        return "the file has grown meanwhile"
    if is_open is None and time.time() - found.st_mtime < RECENT_SECONDS:
        return "the file was changed less than a minute ago"
    return ""


def files_of(file: "RawIOBase") -> "Iterator[RawIOBase]":
    """The file of a source, and those below it: of each layer, and the regular file in the end."""
    each: RawIOBase | None = file
    while each is not None:
        yield each
        each = getattr(each, "file_below", None)


def descriptor_of(source: "Source") -> int | None:
    """The descriptor of the regular file that a source reads, compressed or not; None where there is none."""
    *_, file = files_of(source.file)
    try:
        descriptor = file.fileno()
        return descriptor if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError:  # it is at a location, or in memory
        return None


def is_open_for_writing(descriptor: int) -> bool | None:
    """Whether a process on this machine has the file open for writing; None where the system does not say.

    Linux refuses a read lease on such a file. It gives one to the owner of the file, and to a process that may do so
    for any file (CAP_LEASE).
    """
    try:
        from fcntl import F_RDLCK, F_SETLEASE, F_SETSIG, F_UNLCK, fcntl
        from signal import SIGURG
    except ImportError:
        return None
    try:
        # A program that opens the file while the lease is there sends a signal: one that is ignored by default.
        fcntl(descriptor, F_SETSIG, SIGURG)
        fcntl(descriptor, F_SETLEASE, F_RDLCK)
        fcntl(descriptor, F_SETLEASE, F_UNLCK)
    except OSError as error:
        return True if error.errno == EAGAIN else None
    return False


def is_shared(descriptor: int) -> bool:
    """Whether a file is on a file system that other machines may write to. False where that is not known."""
    device = os.fstat(descriptor).st_dev
    try:
        with open("/proc/self/mountinfo", errors="replace") as file:
            kind = file_system_of(device, file.read())
    except OSError:
        return False
    return kind in SHARED_FILE_SYSTEMS or kind.startswith("fuse")


def file_system_of(device: int, mounts: str) -> str:
    """The kind of the file system on a device, from the text of Linux's mountinfo; "" where it is not there."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.splitlines():
        mount, _, file_system = line.partition(" - ")
        if mount.split(" ")[2:3] == [number]:
            return file_system.partition(" ")[0]
    return ""
