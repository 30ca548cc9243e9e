"""The lock of a state directory, which one run at a time holds, also where the file of the lock is removed meanwhile.

The folder itself is locked, and a file in it: the file may be removed by mistake, and some file systems (NFS) lock
files alone. This module must not know what else is in the directory.
"""

import os
from contextlib import suppress

NAME = "lock"
# Each further try means that the file was removed between two system calls.
TRIES_MAX = 100


class DirectoryLock:
    """`take` it, and `release` it; it ends with the process too. A process that is forked meanwhile shares it."""

    def __init__(self) -> None:
        self._descriptors: list[int] = []

    @property
    def is_held(self) -> bool:
        return bool(self._descriptors)

    def take(self, folder: str) -> None:
        """Lock a folder. Raises BlockingIOError where another process has locked it, and OSError."""
        try:
            for _ in range(TRIES_MAX):
                self._lock_folder(folder)
                self._lock_file(os.path.join(folder, NAME))
                if self._is_in_place(folder):
                    return
                self.release()
        except BaseException:
            self.release()
            raise
        raise BlockingIOError(f"{NAME} is removed again and again")

    def _lock_folder(self, folder: str) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        try:
            lock(descriptor)
        except BlockingIOError:
            raise
        except OSError:
            pass  # this file system locks files alone

    def _lock_file(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._descriptors.append(descriptor)
        lock(descriptor)

    def _is_in_place(self, folder: str) -> bool:
        """Whether what was locked still has its name: another process may have removed it just before it was locked."""
        paths = (folder, os.path.join(folder, NAME))
        try:
            return all(
                os.path.samestat(os.fstat(descriptor), os.stat(path))
                for descriptor, path in zip(self._descriptors, paths, strict=True)
            )
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Release what is locked, if anything is."""
        descriptors, self._descriptors = self._descriptors, []
        for descriptor in descriptors:
            with suppress(OSError):  # it is released all the same
                os.close(descriptor)


def lock(descriptor: int) -> None:
    """Lock an open file for this process alone. Raises BlockingIOError where another has locked it, and OSError."""
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
