"""Where results go: standard output, a device or pipe, or a file that appears whole or not at all.

An Output must not know what is written to it.
"""

import os
import stat

from txfast.errors import SourceError

STANDARD_OUTPUT = "-"


class Output:
    """A destination for bytes. `write` all of them, then `publish`; or `discard`, which leaves what was there.

    A regular file is written beside its final place and renamed into it, after its bytes are on the disk. What is no
    regular file (standard output, a device, a pipe) is written to as it is.
    """

    __slots__ = ("_descriptor", "_final_path", "_temporary_path", "name")

    def __init__(self, path: str) -> None:
        self.name = path
        self._final_path: str | None = None
        self._temporary_path: str | None = None
        if path == STANDARD_OUTPUT:
            self.name = "standard output"
            self._descriptor = 1
            return
        try:
            self._descriptor = self._open(os.path.realpath(path))
        except OSError as error:
            raise SourceError(f"{path}: cannot be written: {error.strerror or error}") from error

    def _open(self, path: str) -> int:
        mode = None
        try:
            there = os.stat(path)
        except FileNotFoundError:
            pass
        else:
            if not stat.S_ISREG(there.st_mode):
                return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            mode = stat.S_IMODE(there.st_mode)
        temporary_path = f"{path}.{os.getpid()}.part"
        descriptor = os.open(temporary_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._final_path, self._temporary_path = path, temporary_path
        if mode is not None:
            os.fchmod(descriptor, mode)
        return descriptor

    def write(self, block: bytes | memoryview) -> None:
        """Write all of a block. Raises BrokenPipeError where nobody reads any more, else SourceError."""
        view = memoryview(block)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be written: {error.strerror or error}") from error

    def publish(self) -> None:
        """Put what was written in its place. Raises SourceError, and has then discarded it."""
        if self._temporary_path is None or self._final_path is None:
            return
        try:
            os.fsync(self._descriptor)
            os.rename(self._temporary_path, self._final_path)
            self._temporary_path = None
            sync_folder(os.path.dirname(self._final_path))
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be written: {error.strerror or error}") from error
        finally:
            self.discard()

    def discard(self) -> None:
        """Close, and remove what was not published."""
        if self._descriptor > 2:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._temporary_path is not None:
            os.unlink(self._temporary_path)
            self._temporary_path = None


def sync_folder(path: str) -> None:
    """Make a rename in this folder survive a power cut."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
