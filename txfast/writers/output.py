"""Destinations of results: files that appear whole or not at all, standard output, devices and pipes.

Also the order in which the results of a run are published. An Output must not know the content that is written to it.
"""

import os
import stat
import sys
from errno import EBADF

from txfast.errors import SourceError, TxfastError, unwritable
from txfast.interrupts import check
from txfast.writers.file import FileWriter, sync_folder

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

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

    __slots__ = (
        "_earlier_path", "_file", "_final_path", "_is_followed", "_is_new", "_path", "_temporary_path", "name",
    )  # fmt: skip

    def __init__(self, path: str) -> None:
        self.name = "standard output" if path == STANDARD_OUTPUT else path
        self._path = path
        self._file: FileWriter | None = None
        self._is_followed = False
        self._final_path: str | None = None
        self._temporary_path: str | None = None
        self._earlier_path: str | None = None  # a second name of the file that was replaced, for `revoke`
        self._is_new = False  # published where no file was before

    def open(self) -> None:
        """Open the destination. Raises SourceError."""
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
                self._open_temporary(None)
                return
            if stat.S_ISREG(there.st_mode):
                self._open_temporary(stat.S_IMODE(there.st_mode))
            else:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
                self._file = FileWriter(self.name, descriptor, is_stream=True)
        except ValueError as error:  # a NUL in the name
            raise unwritable(repr(self.name), error) from error
        except OSError as error:
            raise unwritable(self.name, error) from error

    def _open_temporary(self, mode: int | None) -> None:
        """Create a file beside the final place; `mode` has the permissions of the file that is there, if any."""
        # Where a file is there, a link that cannot be followed is an error: otherwise the link would be replaced.
        self._final_path = os.path.realpath(self._path, strict=mode is not None)
        # Noted before it is created, so that an exception at any moment leaves no file behind.
        self._temporary_path = path_beside(self._final_path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self._temporary_path, flags, 0o666 if mode is None else 0o600)
        self._file = FileWriter(self.name, descriptor, hashed=self._is_followed, early_write_back=True)
        if mode is not None:
            os.fchmod(descriptor, mode)

    def follow(self) -> None:
        """Before `open`: hash all that will be written, for `progress`."""
        self._is_followed = True

    def progress(self) -> "dict[str, object]":
        """Sync the temporary file; return what `reopen` needs: its path, bytes and hash. Raises SourceError."""
        assert self._file is not None, "not open"
        self._file.sync()
        return {"path": self._temporary_path, **self._file.summary()}

    def reopen(self, temporary_path: str, byte_count: int, digest: str) -> None:
        """Instead of `open`: go on after the bytes that an earlier run has written to its temporary file.

        Raises SourceError where that file is missing or does not begin with these bytes.
        """
        final_path = os.path.realpath(self._path)
        try:
            descriptor = os.open(temporary_path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise unwritable(temporary_path, error) from error
        file = FileWriter(temporary_path, descriptor, early_write_back=True)
        try:
            if not is_part_of(temporary_path, final_path):
                raise SourceError(f"{temporary_path}: is not what was written to it")
            file.resume(byte_count, digest)
        except BaseException:
            file.discard()
            raise
        file.name = self.name
        self._file = file
        self._final_path = final_path
        self._temporary_path = temporary_path

    def keep_temporary(self) -> None:
        """Let `discard` leave the temporary file, for a later run to `reopen`."""
        self._temporary_path = None

    def write(self, block: bytes | memoryview) -> None:
        """Write all of a block. Raises BrokenPipeError where a pipe has no reader any more, else SourceError."""
        check()
        assert self._file is not None, "not open"
        self._file.write(block)

    def finish(self) -> None:
        """Close; a regular file is on the disk then. Raises SourceError. Called again, it does nothing."""
        if self._file is not None:
            self._file.finish(durable=self._temporary_path is not None)
            self._file = None

    def publish(self, *, revocable: bool = False) -> None:
        """Put the finished file in its place. Raises SourceError, and has then changed nothing."""
        if self._temporary_path is None or self._final_path is None:
            return
        if revocable:
            self._keep_earlier(self._final_path)
        try:
            os.rename(self._temporary_path, self._final_path)
        except OSError as error:
            self._is_new = False
            raise unwritable(self.name, error) from error
        self._temporary_path = None
        sync_folder_if_possible(os.path.dirname(self._final_path))

    def _keep_earlier(self, final_path: str) -> None:
        """Give the file to be replaced a second name, for `revoke`. Not every file system has second names."""
        self._earlier_path = path_beside(final_path)
        try:
            os.link(final_path, self._earlier_path)
        except OSError as error:
            self._earlier_path = None
            self._is_new = isinstance(error, FileNotFoundError)

    def revoke(self) -> None:
        """Put back the file that `publish(revocable=True)` replaced, or remove a new one. Errors are ignored."""
        if self._final_path is None:
            return
        earlier_path, self._earlier_path = self._earlier_path, None
        try:
            if earlier_path is not None:
                os.rename(earlier_path, self._final_path)
            elif self._is_new:
                os.unlink(self._final_path)
        except OSError:
            return  # the earlier file keeps its second name, so that it is not lost
        sync_folder_if_possible(os.path.dirname(self._final_path))

    def discard(self) -> None:
        """Close, and remove all files but the published one.

        Errors are ignored: the results are published already, or the run has failed for another reason.
        """
        file, self._file = self._file, None
        if file is not None:
            file.discard()
        for path in (self._temporary_path, self._earlier_path):
            if path is not None:
                try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
                    os.unlink(path)
                except OSError:
                    pass  # renamed a moment ago, or never created, or cannot be removed
        self._temporary_path = self._earlier_path = None


def publication_order(
    *,
    rejects: "Publishable | None" = None,
    stats: "Publishable | None" = None,
    accounts: "Publishable | None" = None,
    state: "Publishable | None" = None,
) -> "list[Publishable]":
    """The results that a run has, in the order in which they are finished and published.

    The accounts come after the files that explain them, since accounts on standard output cannot be revoked. The state
    comes last: the next run may build on it only when all other results are in their places.
    """
    return [output for output in (rejects, stats, accounts, state) if output is not None]


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


def path_beside(path: str) -> str:
    """A path in the same folder that no other run has."""
    return f"{path}.{os.urandom(6).hex()}.part"


def is_part_of(path: str, final_path: str) -> bool:
    """Whether `path_beside(final_path)` can have given this path."""
    import re

    return path.startswith(final_path) and bool(re.fullmatch(r"\.[0-9a-f]{12}\.part", path[len(final_path) :]))


def sync_folder_if_possible(path: str) -> None:
    """Make a rename in this folder survive a power cut, on file systems that can."""
    try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
        sync_folder(path)
    except SourceError:
        pass
