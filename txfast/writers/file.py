"""FileWriter: writes a file from start to end, counts and hashes its bytes, and syncs it to the disk.

Outputs and snapshots use it. This module must not know the content, nor the final place of the file.
"""

import os

from txfast.errors import SourceError, unwritable
from txfast.interrupts import while_waiting

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Self

    from xxhash import xxh3_128

# With early write-back, the system is asked to start writing to the disk every 8 MiB.
WRITE_BACK_BYTES = 8 << 20


class FileWriter:
    """Writes to an open descriptor and owns it: `write` in order, then `finish`; `discard` in any case.

    `name` is shown in messages. With `hashed`, `summary` has a hash of the bytes written. With `early_write_back`, the
    system starts to write to the disk while more bytes come, so that `finish` waits less. `is_stream` is for pipes,
    terminals and devices: a write may wait for the reader, and a signal ends that wait.
    """

    __slots__ = ("_descriptor", "_early_write_back", "_hash", "_is_stream", "_unsent_bytes", "bytes_written", "name")

    def __init__(
        self,
        name: str,
        descriptor: int,
        *,
        hashed: bool = False,
        early_write_back: bool = False,
        is_stream: bool = False,
    ) -> None:
        self.name = name
        self.bytes_written = 0
        self._descriptor = descriptor
        self._early_write_back = early_write_back and hasattr(os, "posix_fadvise")
        self._is_stream = is_stream
        self._unsent_bytes = 0
        self._hash: xxh3_128 | None = new_hash() if hashed else None

    @classmethod
    def create(cls, path: str, *, hashed: bool = False) -> "Self":
        """Create a file that only its owner may read; none may be there. Raises SourceError."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(path, error) from error
        return cls(path, descriptor, hashed=hashed)

    def write(self, block: bytes | memoryview) -> None:
        """Write all of a block. Raises SourceError, Interrupted, and BrokenPipeError where a pipe has no reader."""
        view = memoryview(block).cast("B")
        if self._hash is not None:
            self._hash.update(view)
        self.bytes_written += view.nbytes
        try:
            while view:
                try:
                    written = self._write_some(view)
                except BlockingIOError:
                    wait_for_room(self._descriptor)
                    continue
                view = view[written:]
                self._unsent_bytes += written
            if self._early_write_back and self._unsent_bytes >= WRITE_BACK_BYTES:
                self._unsent_bytes = 0
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise unwritable(self.name, error) from error

    def _write_some(self, view: memoryview) -> int:
        if self._is_stream:
            return while_waiting(os.write, self._descriptor, view)
        return os.write(self._descriptor, view)

    def sync(self) -> None:
        """Wait until all that was written is on the disk. Raises SourceError."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise unwritable(self.name, error) from error

    def summary(self) -> "dict[str, object]":
        """The bytes written and their hash, as manifests have them: {"bytes": …, "xxh3_128": 32 hexadecimal digits}."""
        assert self._hash is not None, "not hashed"
        return {"bytes": self.bytes_written, "xxh3_128": self._hash.hexdigest()}

    def resume(self, byte_count: int, digest: str) -> None:
        """Go on after the first bytes of a file that an earlier process wrote, and cut off the others.

        Raises SourceError where the file is shorter than `byte_count` or its first bytes have another hash.
        """
        self._hash = new_hash()
        offset = 0
        try:
            while offset < byte_count:
                block = os.pread(self._descriptor, min(WRITE_BACK_BYTES, byte_count - offset), offset)
                if not block:
                    break
                self._hash.update(block)
                offset += len(block)
            if offset < byte_count or self._hash.hexdigest() != digest:
                raise SourceError(f"{self.name}: is not what was written to it", self.name)
            os.ftruncate(self._descriptor, byte_count)
            os.lseek(self._descriptor, byte_count, os.SEEK_SET)
        except SourceError:
            raise
        except OSError as error:
            raise unwritable(self.name, error) from error
        self.bytes_written = byte_count

    def finish(self, *, durable: bool) -> None:
        """Close the file. If `durable`, first wait until all of it is on the disk. Raises SourceError."""
        if durable:
            self.sync()
        try:
            self._close()
        except OSError as error:
            raise unwritable(self.name, error) from error

    def discard(self) -> None:
        """Close the file, whether it was finished or not; an error does not matter any more."""
        try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
            self._close()
        except OSError:
            pass

    def _close(self) -> None:
        if self._descriptor >= 0:
            # Given up first: even where closing fails, the number may belong to another file afterwards.
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def new_hash() -> "xxh3_128":
    from xxhash import xxh3_128

    return xxh3_128()


def wait_for_room(descriptor: int) -> None:
    """Wait until a pipe that does not block takes something."""
    import select

    while_waiting(select.select, [], [descriptor], [])


def sync_folder(path: str) -> None:
    """Wait until the names in a folder are on the disk, so that a rename survives a power cut. Raises SourceError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unwritable(path, error) from error
