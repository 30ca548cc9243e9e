"""Files that killed runs have left beside an output's final place: the next run to that place removes them.

A run locks its files, so a file that no process has locked was left behind. This module must not know the content.
"""

import os
import stat

from txfast.writers.temporary import close, lock
from txfast.writers.temporary_names import is_beside, path_start


def remove_left(final_path: str, *kinds: str) -> None:
    """Remove the files of these kinds that killed runs to this place have left. Errors are ignored.

    A file that a process has locked, or that has another owner than this process and the file that is replaced, stays.
    """
    folder, start = os.path.split(path_start(final_path))
    try:
        names = [name for name in os.listdir(folder) if name.startswith(start) and name.endswith(kinds)]
    except OSError:
        return
    for path in (os.path.join(folder, name) for name in names):
        if is_beside(path, final_path, *kinds):
            remove_if_left(path, final_path)


def remove_if_left(path: str, final_path: str) -> None:
    """Remove a regular file of one of the `owners` if no process has locked it. Errors are ignored."""
    descriptor = -1
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in owners(final_path):
            return
        flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(path, os.O_RDWR | flags)  # NFS locks only what can be written
        except PermissionError:
            descriptor = os.open(path, os.O_RDONLY | flags)
        if os.path.samestat(found, os.fstat(descriptor)) and lock(descriptor):
            os.unlink(path)
    except OSError:
        pass  # it went away a moment ago, or is not for us to open
    finally:
        close(descriptor)


def owners(final_path: str) -> set[int]:
    """The users whose files a run to this place may have left: itself, and the owner of the file that is replaced."""
    try:
        return {os.geteuid(), os.stat(final_path).st_uid}
    except OSError:
        return {os.geteuid()}  # there is no file to replace
