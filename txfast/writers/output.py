"""Where results go: standard output, a device or pipe, or a file that appears whole or not at all.

An Output must not know what is written to it.
"""

import os
import stat
import sys
from errno import EBADF

from txfast.errors import SourceError, TxfastError
from txfast.interrupts import check, while_waiting

STANDARD_OUTPUT = "-"
# How much of a file is written before the disk is told of it.
WRITE_BACK_BYTES = 8 << 20
# A descriptor has no more.
DESCRIPTOR_DIGITS_MAX = 9


TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    import pyarrow as pa
    from xxhash import xxh3_128

    class Publishable(Protocol):
        """What is put in its place, and may be taken back."""

        def publish(self, *, revocable: bool = False) -> None: ...
        def revoke(self) -> None: ...


class Output:
    """A destination for bytes: `open`, `write` all of them, `finish`, then `publish`, which may be taken back by
    `revoke`; in the end `discard`, which leaves what was there where nothing was published.

    A regular file is written beside its final place and renamed into it, after its bytes are on the disk. What is no
    regular file (standard output, a device, a pipe) is written to as it is.
    """

    __slots__ = (
        "_bytes_written", "_descriptor", "_earlier_path", "_final_path", "_hash", "_is_new", "_path", "_temporary_path",
        "_unsynced_bytes", "name",
    )  # fmt: skip

    def __init__(self, path: str) -> None:
        self.name = "standard output" if path == STANDARD_OUTPUT else path
        self._path = path
        self._descriptor = -1
        self._final_path: str | None = None
        self._temporary_path: str | None = None
        self._earlier_path: str | None = None  # a second name of what was there, for `revoke`
        self._is_new = False  # it was published where nothing was
        self._unsynced_bytes = 0
        self._bytes_written = 0
        self._hash: xxh3_128 | None = None  # of what was written, for those who follow it

    def open(self) -> None:
        """Open the destination. Raises SourceError."""
        try:
            descriptor = named_descriptor(self._path)
            if descriptor is not None:
                if is_closed(descriptor):
                    raise OSError(EBADF, "it is closed")
                self._descriptor = os.dup(descriptor)
                return
            try:
                there = os.stat(self._path)
            except FileNotFoundError:
                self._open_temporary(None)
                return
            if stat.S_ISREG(there.st_mode):
                self._open_temporary(stat.S_IMODE(there.st_mode))
            else:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except ValueError as error:  # a name that no file can have
            raise SourceError(f"{self.name!r}: cannot be written: {error}") from error
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be written: {error.strerror or error}") from error

    def _open_temporary(self, mode: int | None) -> None:
        # Where a file is there, a link on the way that cannot be followed is an error: else the link would be replaced.
        self._final_path = os.path.realpath(self._path, strict=mode is not None)
        # Noted first, so that it is removed whatever happens from here on.
        self._temporary_path = path_beside(self._final_path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._temporary_path, flags, 0o666 if mode is None else 0o600)
        if mode is not None:
            os.fchmod(self._descriptor, mode)

    def follow(self) -> None:
        """From the start on, hash what is written, for `progress`."""
        from xxhash import xxh3_128

        self._hash = xxh3_128()

    def progress(self) -> "dict[str, object]":
        """Have all that was written reach the disk: where it is, how many bytes, and their hash. Raises SourceError."""
        assert self._hash is not None, "not followed"
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be written: {error.strerror or error}") from error
        return {"path": self._temporary_path, "bytes": self._bytes_written, "xxh3_128": self._hash.hexdigest()}

    def reopen(self, temporary_path: str, byte_count: int, digest: str) -> None:
        """Go on, instead of `open`, behind so many bytes that an earlier run has written to a temporary file.

        Raises SourceError where that is not there any more, or has other content.
        """
        final_path = os.path.realpath(self._path)
        try:
            descriptor = os.open(temporary_path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise SourceError(f"{temporary_path}: cannot be written: {error.strerror or error}") from error
        try:
            self.follow()
            if not self._hash_written(descriptor, byte_count, digest) or not is_part_of(temporary_path, final_path):
                raise SourceError(f"{temporary_path}: is not what was written to it")
            os.ftruncate(descriptor, byte_count)
            os.lseek(descriptor, byte_count, os.SEEK_SET)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, SourceError):
                raise
            raise SourceError(f"{temporary_path}: cannot be written: {error.strerror or error}") from error
        self._descriptor = descriptor
        self._final_path = final_path
        self._temporary_path = temporary_path
        self._bytes_written = byte_count

    def _hash_written(self, descriptor: int, byte_count: int, digest: str) -> bool:
        """Hash the first bytes of a file; whether there are so many, of this hash."""
        assert self._hash is not None, "not followed"
        offset = 0
        while offset < byte_count:
            block = os.pread(descriptor, min(WRITE_BACK_BYTES, byte_count - offset), offset)
            if not block:
                return False
            self._hash.update(block)
            offset += len(block)
        return bool(self._hash.hexdigest() == digest)

    def keep_temporary(self) -> None:
        """Have `discard` leave the temporary file, which a later run `reopen`s."""
        self._temporary_path = None

    def write(self, block: bytes | memoryview) -> None:
        """Write all of a block. Raises BrokenPipeError where nobody reads any more, else SourceError."""
        check()
        view = memoryview(block)
        if self._hash is not None:
            self._hash.update(view)
        self._bytes_written += view.nbytes
        try:
            while view:
                try:
                    written = self._write_some(view)
                except BlockingIOError:
                    wait_for_room(self._descriptor)
                    continue
                view = view[written:]
                self._unsynced_bytes += written
            if self._unsynced_bytes >= WRITE_BACK_BYTES and self._temporary_path is not None:
                self._write_back()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be written: {error.strerror or error}") from error

    def _write_some(self, view: memoryview) -> int:
        """Write a part of a view. A pipe or a terminal may wait for its reader, and a signal ends that."""
        if self._temporary_path is None:
            return while_waiting(os.write, self._descriptor, view)
        return os.write(self._descriptor, view)

    def _write_back(self) -> None:
        """Have what was written begin its way to the disk now, so that `finish` has little to wait for."""
        self._unsynced_bytes = 0
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def finish(self) -> None:
        """Have all that was written reach the disk, and close: little is left to go wrong then. Raises SourceError."""
        try:
            if self._temporary_path is not None:
                os.fsync(self._descriptor)
            self._close()
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be written: {error.strerror or error}") from error

    def _close(self) -> None:
        if self._descriptor >= 0:
            # Given up first: whatever closing says, the number may be another file's afterwards.
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def publish(self, *, revocable: bool = False) -> None:
        """Put what was written, and finished, in its place. Raises SourceError, and has then changed nothing."""
        if self._temporary_path is None or self._final_path is None:
            return
        if revocable:
            self._keep_earlier(self._final_path)
        try:
            os.rename(self._temporary_path, self._final_path)
        except OSError as error:
            self._is_new = False
            raise SourceError(f"{self.name}: cannot be written: {error.strerror or error}") from error
        self._temporary_path = None
        sync_folder(os.path.dirname(self._final_path))

    def _keep_earlier(self, final_path: str) -> None:
        """Note what `revoke` needs. Where the file system has no second names, there is no way back."""
        self._earlier_path = path_beside(final_path)
        try:
            os.link(final_path, self._earlier_path)
        except OSError as error:
            self._earlier_path = None
            self._is_new = isinstance(error, FileNotFoundError)

    def revoke(self) -> None:
        """Have what was there before `publish(revocable=True)` be there again, as far as the system lets it."""
        if self._final_path is None:
            return
        earlier_path, self._earlier_path = self._earlier_path, None
        try:
            if earlier_path is not None:
                os.rename(earlier_path, self._final_path)
            elif self._is_new:
                os.unlink(self._final_path)
        except OSError:
            return  # what was there keeps its second name, so that it is not lost
        sync_folder(os.path.dirname(self._final_path))

    def discard(self) -> None:
        """Close, and remove all but what is in its place, as far as the system lets it: why a run failed is what
        counts."""
        try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
            self._close()
        except OSError:
            pass  # nobody wants what was written
        for path in (self._temporary_path, self._earlier_path):
            if path is not None:
                try:  # noqa: SIM105
                    os.unlink(path)
                except OSError:
                    pass  # renamed at the very moment, or never made, or not to be removed
        self._temporary_path = self._earlier_path = None


class Sink:
    """An output as pyarrow writes to it. What is written to an abandoned one goes nowhere: pyarrow's writer puts an
    end to its file whenever it is let go."""

    closed = False

    def __init__(self, output: Output) -> None:
        self._output = output
        self._bytes_written = 0
        self.abandoned = False

    def write(self, block: "pa.Buffer | bytes") -> int:
        length = memoryview(block).nbytes
        if not self.abandoned:
            self._output.write(block)
        self._bytes_written += length
        return length

    def tell(self) -> int:
        return self._bytes_written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The output is closed by whoever opened it."""


def publish_all(outputs: "Sequence[Publishable]") -> None:
    """Put finished outputs in their places, in this order; where one fails, those before it are taken back.

    Raises SourceError, and StateError where one is a state.
    """
    published: list[Publishable] = []
    try:
        for output in outputs:
            output.publish(revocable=output is not outputs[-1])
            published.append(output)
    except TxfastError:
        for output in reversed(published):
            output.revoke()
        raise


def named_descriptor(path: str) -> int | None:
    """The descriptor of this process that a path names; None where it names none.

    Opening such a path again would begin at the start of a file that others are writing to.
    """
    if path in (STANDARD_OUTPUT, "/dev/stdout"):
        return 1
    if path == "/dev/stderr":
        return 2
    folder, _, number = path.rpartition("/")
    is_number = number.isdecimal() and len(number) <= DESCRIPTOR_DIGITS_MAX
    return int(number) if folder in ("/dev/fd", "/proc/self/fd") and is_number else None


def is_closed(descriptor: int) -> bool:
    """Whether this is one of the standard streams, and was closed when the process began."""
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    return descriptor < len(streams) and streams[descriptor] is None


def occupy_closed_descriptors() -> None:
    """Have no file that is opened from here on take the number of a standard stream that was closed.

    What is meant for standard output would go into that file.
    """
    for descriptor in range(3):
        if is_closed(descriptor):
            os.open(os.devnull, os.O_RDWR)


def wait_for_room(descriptor: int) -> None:
    """Wait until a pipe that does not block takes something."""
    import select

    select.select([], [descriptor], [])


def path_beside(path: str) -> str:
    """A path in the same folder that no other run has."""
    return f"{path}.{os.urandom(6).hex()}.part"


def is_part_of(path: str, final_path: str) -> bool:
    """Whether `path_beside` can have made the one of the other."""
    import re

    return path.startswith(final_path) and bool(re.fullmatch(r"\.[0-9a-f]{12}\.part", path[len(final_path) :]))


def sync_folder(path: str) -> None:
    """Make a rename in this folder survive a power cut, where the folder may be opened for that."""
    try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
        fsync_folder(path)
    except OSError:
        pass  # not every file system can


def fsync_folder(path: str) -> None:
    """Have the names in a folder reach the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
