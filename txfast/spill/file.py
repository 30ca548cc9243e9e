"""The file for everything that does not fit in memory, and streams of bytes inside it.

This module must not know the content of the bytes.
"""

import os
import threading
import weakref
from array import array
from contextlib import suppress

from txfast.errors import SpillError, reason_of, unreadable
from txfast.input.temporary_folder import default_folder

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap


class SpillFile:
    """A temporary file that has no name, is readable by this user only, and disappears with the process.

    It is created by the first `append`. Raises SpillError where the system cannot write or read it.
    """

    def __init__(self, folder: str | None) -> None:
        self.folder = folder or default_folder()
        self._descriptor = -1
        self._is_closed = False
        # Closes the descriptor once the last reference to this file is gone: a thread may still be writing.
        self._finalizer: weakref.finalize[[int], SpillFile] | None = None
        self._lock = threading.Lock()
        self.bytes_written = 0

    def append(self, view: "bytes | bytearray | memoryview") -> int:
        """Write all of a view; return its offset in the file. Any thread may call this."""
        count = len(view)
        with self._lock:
            if self._is_closed:
                raise SpillError(f"{self.folder}: what was spilled is given back already", self.folder)
            if self._descriptor < 0:
                self._descriptor = self._open()
                self._finalizer = weakref.finalize(self, os.close, self._descriptor)
            start = self.bytes_written
            self.bytes_written += count
        written = 0
        rest = memoryview(view)
        try:
            while written < count:
                written += os.pwrite(self._descriptor, rest[written:], start + written)
        except OSError as error:
            raise self._cannot_hold(f"{reason_of(error)}, after {start >> 20} MiB", error) from error
        return start

    def read_into(self, view: memoryview, offset: int) -> int:
        """Fill a view from this offset; return its length. All of these bytes must have been written."""
        count, wanted = 0, len(view)
        try:
            while count < wanted:
                taken = os.preadv(self._descriptor, [view[count:]], offset + count)
                if not taken:
                    raise SpillError(f"{self.folder}: what was spilled is no longer there", self.folder)
                count += taken
        except OSError as error:
            if isinstance(error, SpillError):
                raise
            raise SpillError(str(unreadable(self.folder, error)), self.folder, error) from error
        return count

    def mapped(self) -> "mmap":
        """All bytes, mapped to memory; at least one was written. They stay when the file is closed."""
        from mmap import PROT_READ, mmap

        try:
            return mmap(self._descriptor, self.bytes_written, prot=PROT_READ)
        except (OSError, ValueError) as error:
            raise SpillError(str(unreadable(self.folder, error)), self.folder) from error

    def expect(self, byte_count: int) -> None:
        """Check that the disk has about this much free space, before anything is written. Raises SpillError."""
        folder = os.path.abspath(self.folder)
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        try:
            found = os.statvfs(folder)
        except OSError:
            return  # this file system does not tell its free space
        free = found.f_bavail * found.f_frsize
        if free < byte_count:
            raise self._cannot_hold(f"it takes about {byte_count >> 20} MiB, and {free >> 20} MiB are free")

    def _open(self) -> int:
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            if hasattr(os, "O_TMPFILE"):
                with suppress(OSError):  # some file systems have no files without a name
                    return os.open(self.folder, os.O_TMPFILE | os.O_RDWR | os.O_EXCL | os.O_CLOEXEC, 0o600)
            path = os.path.join(self.folder, f"txfast-{os.urandom(8).hex()}.spill")
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.unlink(path)
            except OSError:
                os.close(descriptor)
                raise
        except OSError as error:
            raise self._cannot_hold(reason_of(error), error) from error
        return descriptor

    def _cannot_hold(self, reason: str, error: OSError | None = None) -> SpillError:
        return SpillError(
            f"{self.folder}: cannot hold what does not fit in the memory limit: {reason}; --spill-dir names another "
            f"folder",
            self.folder,
            error,
        )

    def close(self) -> None:
        """Free the disk space."""
        with self._lock:
            self._is_closed = True
            self._descriptor = -1
            finalizer, self._finalizer = self._finalizer, None
        if finalizer is not None:
            with suppress(OSError):  # the bytes are no longer needed
                finalizer()


class Stream:
    """A sequence of bytes inside a spill file: written piece by piece, and later read from the start.

    Any number of streams share a file. One stream is for one thread at a time. `len()` is the number of bytes.
    """

    __slots__ = ("_ends", "_file", "_starts")

    def __init__(self, file: SpillFile) -> None:
        self._file = file
        self._starts, self._ends = array("Q"), array("Q")  # offsets of each piece in the file

    def __len__(self) -> int:
        return sum(self._ends) - sum(self._starts)

    def write(self, view: "bytes | bytearray | memoryview") -> None:
        """Append all of a view."""
        if not len(view):
            return
        start = self._file.append(view)
        if self._ends and self._ends[-1] == start:
            self._ends[-1] += len(view)
        else:
            self._starts.append(start)
            self._ends.append(start + len(view))

    def reader(self) -> "Callable[[memoryview], int]":
        """A function that fills a view with the next bytes and returns their number, which is less only at the end."""
        extents = zip(self._starts, self._ends, strict=True)
        offset = end = 0

        def read_into(view: memoryview) -> int:
            nonlocal offset, end
            view = memoryview(view)
            filled = 0
            while filled < len(view):
                if offset == end:
                    offset, end = next(extents, (0, 0))
                    if offset == end:
                        break
                taken = self._file.read_into(view[filled : filled + end - offset], offset)
                offset += taken
                filled += taken
            return filled

        return read_into
