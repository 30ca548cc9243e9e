"""Destinations of results: files that appear whole or not at all, standard output, devices and pipes.

Also the order in which the results of a run are published. An Output must not know the content that is written to it.
"""

import os
import stat
import sys
from errno import EBADF

from txfast.errors import SourceError, TxfastError, unwritable
from txfast.interrupts import check
from txfast.writers.file import FileWriter

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from txfast.writers.compression import Compressor
    from txfast.writers.replacement import Replacement

    class Publishable(Protocol):
        """One result of a run: `open`, write to it, `finish`, `publish`; `discard` in any case.

        `finish` does all that takes long or may fail, so that `publish` is little more than a rename. `open`,
        `finish` and `publish` raise SourceError; `finish` may also raise BrokenPipeError, and for a state StateError.
        """

        def open(self) -> None: ...
        def finish(self) -> None: ...
        def publish(self, *, revocable: bool = False) -> None:
            """Put the finished result in its place; where it raises, nothing has changed."""

        def revoke(self) -> None:
            """Undo `publish(revocable=True)`. Errors are ignored."""

        def discard(self) -> None:
            """Close, and remove the result where it was not published. May be called at any time, and repeatedly."""


STANDARD_OUTPUT = "-"
# No descriptor has more digits.
DESCRIPTOR_DIGITS_MAX = 9


class Output:
    """A destination for bytes, Publishable.

    A regular file is written beside its final place and renamed into it, after its bytes are on the disk. Standard
    output, a device and a pipe are written to directly: `publish` has nothing to do then, and nothing can be revoked.
    """

    __slots__ = ("_compression", "_compressor", "_file", "_is_followed", "_path", "_replacement", "name")

    def __init__(self, path: str, compression: str | None = None) -> None:
        """Take a path, and the compression of the file, one of those in compression.py."""
        self.name = "standard output" if path == STANDARD_OUTPUT else path
        self._path = path
        self._compression = compression
        self._compressor: Compressor | None = None
        self._file: FileWriter | None = None
        self._replacement: Replacement | None = None  # the file, if it is a regular one
        self._is_followed = False

    def open(self) -> None:
        """Open the destination. Raises SourceError."""
        if self._compression is not None:
            from txfast.writers.compression import Compressor

            self._compressor = Compressor(self._compression)
        try:
            descriptor = named_descriptor(self._path)
            if descriptor is not None:
                if is_closed(descriptor):
                    raise OSError(EBADF, "it is closed")
                self._file = FileWriter(self.name, os.dup(descriptor), is_stream=True)
                return
            try:
                there = os.stat(self._path)
            except FileNotFoundError:
                self._open_temporary(is_new=True)
                return
            if stat.S_ISREG(there.st_mode):
                self._open_temporary(is_new=False)
            else:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
                self._file = FileWriter(self.name, descriptor, is_stream=True)
        except ValueError as error:  # a NUL in the name
            raise unwritable(repr(self.name), error) from error
        except OSError as error:
            raise unwritable(self.name, error) from error

    def _open_temporary(self, *, is_new: bool) -> None:
        """Create a file beside the final place."""
        from txfast.writers.replacement import Replacement

        self._replacement = Replacement(self._path, is_new=is_new)
        descriptor = self._replacement.create(with_progress=self._is_followed)
        self._file = FileWriter(self.name, descriptor, hashed=self._is_followed, early_write_back=True)

    def follow(self) -> None:
        """Before `open`: hash all that will be written, for `progress`. Not for compressed outputs."""
        assert self._compression is None, "a compressed file cannot be continued"
        self._is_followed = True

    def progress(self) -> "dict[str, object]":
        """Sync the temporary file; return what `reopen` needs: its path, bytes and hash. Raises SourceError."""
        assert self._file is not None, "not open"
        assert self._replacement is not None, "not a regular file"
        self._file.sync()
        try:
            path = self._replacement.name_for_later()
        except OSError as error:
            raise unwritable(self.name, error) from error
        return {"path": path, **self._file.summary()}

    def reopen(self, temporary_path: str, byte_count: int, digest: str) -> None:
        """Instead of `open`: go on after the bytes that an earlier run has written to its temporary file.

        Raises SourceError where that file is missing or does not begin with these bytes.
        """
        from txfast.writers.replacement import Replacement

        replacement = Replacement(self._path, is_new=True)
        file: FileWriter | None = None
        try:
            file = FileWriter(temporary_path, replacement.reopen(temporary_path), early_write_back=True)
            file.resume(byte_count, digest)
        except BaseException as error:
            if file is not None:
                file.discard()
            replacement.forget()
            replacement.discard()
            if isinstance(error, OSError) and not isinstance(error, SourceError):
                raise unwritable(temporary_path, error) from error
            raise
        file.name = self.name
        self._file = file
        self._replacement = replacement

    def keep_temporary(self) -> None:
        """Let `discard` leave the temporary file, for a later run to `reopen`."""
        if self._replacement is not None:
            self._replacement.forget()

    def write(self, block: bytes | memoryview) -> None:
        """Write all of a block. Raises BrokenPipeError where a pipe has no reader any more, else SourceError."""
        check()
        assert self._file is not None, "not open"
        self._file.write(block if self._compressor is None else self._compressor.compress(block))

    def finish(self) -> None:
        """Close; a regular file is on the disk then. Raises as `write`. Called again, it does nothing."""
        if self._file is None:
            return
        if self._compressor is not None:
            self._file.write(self._compressor.finish())
            self._compressor = None
        if self._replacement is not None:
            try:
                self._replacement.take_attributes()
            except OSError as error:
                raise unwritable(self.name, error) from error
        self._file.finish(durable=self._replacement is not None)
        self._file = None

    def publish(self, *, revocable: bool = False) -> None:
        """Put the finished file in its place. Raises SourceError, and has then changed nothing."""
        if self._replacement is None:
            return
        try:
            self._replacement.publish(revocable=revocable)
        except OSError as error:
            raise unwritable(self.name, error) from error

    def revoke(self) -> None:
        """Put back the file that `publish(revocable=True)` replaced, or remove a new one. Errors are ignored."""
        if self._replacement is not None:
            self._replacement.revoke()

    def discard(self) -> None:
        """Close, and remove all files but the published one.

        Errors are ignored: the results are published already, or the run has failed for another reason.
        """
        file, self._file = self._file, None
        if file is not None:
            file.discard()
        if self._replacement is not None:
            self._replacement.discard()


def publication_order(
    *,
    rejects: "Publishable | None" = None,
    differences: "Publishable | None" = None,
    stats: "Publishable | None" = None,
    accounts: "Publishable | None" = None,
    state: "Publishable | None" = None,
) -> "list[Publishable]":
    """The results that a run has, in the order in which they are finished and published.

    The accounts come after the files that explain them, since accounts on standard output cannot be revoked. The state
    comes last: the next run may build on it only when all other results are in their places.
    """
    return [output for output in (rejects, differences, stats, accounts, state) if output is not None]


def publish_all(outputs: "Sequence[Publishable]") -> None:
    """Publish finished outputs in this order; where one fails, revoke those before it, the last one first.

    Raises SourceError.
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
    """The descriptor of this process that a path such as `-`, /dev/stdout or /dev/fd/3 names; None for other paths.

    It is used as it is: opening the path again would begin at the start of a file that others are writing to.
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
    """Open the null device in place of each standard stream that was closed when the process began.

    Otherwise the next file that is opened gets the stream's number, and text for standard output goes into that file.
    """
    for descriptor in range(3):
        if is_closed(descriptor):
            os.open(os.devnull, os.O_RDWR)
