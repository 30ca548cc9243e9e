"""The file that an output is written to until it is published, beside its final place.

Where the file system can do that, it has no name (O_TMPFILE), so that a killed run leaves nothing. Elsewhere, and for
the moment in which another file is replaced, it has one of the names in temporary_names.py and is locked; left_files.py
removes the files that no process has locked any more. This module must not know the content.
"""

import os

from txfast.errors import SourceError
from txfast.writers.file import sync_folder
from txfast.writers.temporary_names import OLD, PART, PROGRESS, path_beside

# How often a new name is tried where another run removes the file before it is locked.
TRIES = 3


class TemporaryFile:
    """A file that gets its final name when it is published: `create`, write, `publish`; `discard` in any case.

    It keeps a descriptor of its own open: when the last one is closed, a file without a name is gone, and one with a
    name is unlocked.
    """

    __slots__ = ("_descriptor", "_final_path", "path")

    def __init__(self, final_path: str) -> None:
        self._final_path = final_path
        self._descriptor = -1
        self.path: str | None = None  # its name for now

    def create(self, permissions: int) -> int:
        """Create the file; return a descriptor for writing, which the caller closes. Raises OSError."""
        self._descriptor = self._create_unnamed(permissions)
        if self._descriptor < 0:
            self._descriptor = self._create_named(permissions)
        return os.dup(self._descriptor)

    def _create_unnamed(self, permissions: int) -> int:
        """A descriptor; -1 where the file system has no files without a name, or they could not be named later."""
        if not (hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")):
            return -1
        try:
            return os.open(os.path.dirname(self._final_path), os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, permissions)
        except OSError:
            return -1  # if a file with a name cannot be created either, that error is reported

    def _create_named(self, permissions: int) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        for tries_left in reversed(range(TRIES)):
            # Noted before it is created, so that an exception at any moment leaves no file behind.
            self.path = path_beside(self._final_path, PART)
            descriptor = os.open(self.path, flags, permissions)
            lock(descriptor)
            if not tries_left or os.path.lexists(self.path):
                break
            # Gone, or the file system could not say.
            remove(self.path)
            os.close(descriptor)
        return descriptor

    def reopen(self, path: str) -> int:
        """Instead of `create`: go on with a file of an earlier run, which has this name. Raises OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        lock(self._descriptor)
        self.path = path
        return os.dup(self._descriptor)

    @property
    def descriptor(self) -> int:
        """A descriptor of the file, which `publish` and `discard` close."""
        return self._descriptor

    def name_for_later(self) -> str:
        """Give the file a name under which a later run finds it; return that. Raises OSError."""
        if self.path is None:
            self._give_name(PROGRESS)
        elif self.path.endswith(PART):
            path = path_beside(self._final_path, PROGRESS)
            os.rename(self.path, path)
            self.path = path
        else:
            return self.path
        assert self.path is not None, "just named"
        sync_folder_if_possible(os.path.dirname(self.path))
        return self.path

    def _give_name(self, kind: str) -> None:
        lock(self._descriptor)
        self.path = path_beside(self._final_path, kind)
        link_descriptor(self._descriptor, self.path)

    def publish(self) -> None:
        """Give the file its final name, in place of the file that is there. Raises OSError, and has then changed
        nothing there."""
        if self.path is None:
            try:
                link_descriptor(self._descriptor, self._final_path)
            except FileExistsError:
                self._give_name(PART)
        if self.path is not None:
            os.rename(self.path, self._final_path)
        self.forget()
        self.discard()

    def forget(self) -> None:
        """Let `discard` leave the file under its name."""
        self.path = None

    def discard(self) -> None:
        """Close, and remove a file that was not published. Errors are ignored."""
        descriptor, self._descriptor = self._descriptor, -1
        path, self.path = self.path, None
        if path is not None:
            remove(path)
        close(descriptor)


class EarlierFile:
    """The file at an output's place before it is replaced, under a second name, so that it can be put back."""

    __slots__ = ("_descriptor", "_final_path", "_path")

    def __init__(self, final_path: str) -> None:
        """Give it the second name, locked against removal.

        Raises FileNotFoundError where there is none, and OSError, also on file systems that have no second names.
        """
        self._final_path = final_path
        self._path: str | None = path_beside(final_path, OLD)
        self._descriptor = -1
        try:
            self._descriptor = os.open(final_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError:
            pass  # not readable for us: only its owner's runs remove it
        else:
            lock(self._descriptor, shared=True)
        try:
            os.link(final_path, self._path)
        except OSError:
            close(self._descriptor)
            raise

    def put_back(self) -> None:
        """Put it back to its place. Raises OSError: then it keeps its second name, so that it is not lost."""
        path, self._path = self._path, None
        assert path is not None, "put back already"
        os.rename(path, self._final_path)

    def discard(self) -> None:
        """Remove the second name. Errors are ignored."""
        path, self._path = self._path, None
        if path is not None:
            remove(path)
        descriptor, self._descriptor = self._descriptor, -1
        close(descriptor)


# ---- Links and locks -------------------------------------------------------------------------------


def link_descriptor(descriptor: int, path: str) -> None:
    """Give an open file a name. Raises OSError."""
    # With a folder's descriptor, Python calls the function that follows the link to the open file.
    folder = os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(str(descriptor), path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed, where the file system has locks; whether it is locked by us."""
    import fcntl

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# ---- Errors that do not matter ---------------------------------------------------------------------


def remove(path: str) -> None:
    """Remove a file, if it can be removed."""
    try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
        os.unlink(path)
    except OSError:
        pass  # renamed a moment ago, or never created, or cannot be removed


def close(descriptor: int) -> None:
    """Close a descriptor, if there is one."""
    if descriptor >= 0:
        try:  # noqa: SIM105 (as above)
            os.close(descriptor)
        except OSError:
            pass  # all that was written is on the disk, or is no longer needed


def sync_folder_if_possible(path: str) -> None:
    """Make a new name in this folder survive a power cut, on file systems that can."""
    try:  # noqa: SIM105 (as above)
        sync_folder(path)
    except SourceError:
        pass
