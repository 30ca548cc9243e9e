"""A Replacement: the regular file that takes an output's place, in place of the file that was there, if any.

This module must not know the content.
"""

import os

from txfast.errors import SourceError
from txfast.writers.attributes import attributes_of
from txfast.writers.left_files import remove_left
from txfast.writers.temporary import EarlierFile, TemporaryFile, sync_folder_if_possible
from txfast.writers.temporary_names import OLD, PART, PROGRESS, is_beside

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.writers.attributes import Attributes


class Replacement:
    """A file for its final place: `create`, write to the descriptor, `take_attributes`, `publish`; always `discard`.

    All raise OSError.
    """

    __slots__ = ("_earlier", "_final_path", "_is_new", "_is_published", "_left", "_replaced", "_temporary")

    def __init__(self, path: str, *, is_new: bool) -> None:
        """Take the path of the final place, and whether no file is there.

        A link is followed. Where a file is there, a link that cannot be followed is an error: otherwise the link would
        be replaced.
        """
        self._final_path = os.path.realpath(path, strict=not is_new)
        self._temporary = TemporaryFile(self._final_path)
        self._replaced: Attributes | None = None if is_new else attributes_of(self._final_path)
        self._earlier: EarlierFile | None = None  # the file that was replaced, for `revoke`
        self._is_new = False  # published where no file was before
        self._is_published = False
        self._left: tuple[str, ...] = (OLD,)  # kinds of files that go once this one is published

    def create(self, *, with_progress: bool) -> int:
        """Create the file, and remove those that killed runs have left; return a descriptor, which the caller closes.

        If a file is to be replaced, only the owner can read the new one for now. `with_progress` also removes what
        checkpoints of other runs have kept, once the file is published.
        """
        remove_left(self._final_path, PART)
        if with_progress:
            self._left = (OLD, PROGRESS)
        return self._temporary.create(0o666 if self._replaced is None else 0o600)

    def reopen(self, temporary_path: str) -> int:
        """Instead of `create`: go on with the file of an earlier run; return a descriptor. Raises SourceError too."""
        if not is_beside(temporary_path, self._final_path, PART, PROGRESS):
            raise SourceError(f"{temporary_path}: is not what was written to it", temporary_path)
        return self._temporary.reopen(temporary_path)

    def name_for_later(self) -> str:
        """Give the file a name under which a later run can `reopen` it; return that."""
        return self._temporary.name_for_later()

    def forget(self) -> None:
        """Let `discard` leave the file under its name."""
        self._temporary.forget()

    def take_attributes(self) -> None:
        """Give the file the attributes of the one that it will replace."""
        replaced = attributes_of(self._final_path) or self._replaced
        if replaced is not None:
            replaced.give_to(self._temporary.descriptor)

    def publish(self, *, revocable: bool) -> None:
        """Put the file in its place; where it raises, nothing has changed there."""
        if revocable:
            self._keep_earlier()
        try:
            self._temporary.publish()
        except OSError:
            self._is_new = False
            raise
        self._is_published = True
        sync_folder_if_possible(os.path.dirname(self._final_path))

    def _keep_earlier(self) -> None:
        """Give the file to be replaced a second name, for `revoke`. Not every file system has second names."""
        try:
            self._earlier = EarlierFile(self._final_path)
        except OSError as error:
            self._is_new = isinstance(error, FileNotFoundError)

    def revoke(self) -> None:
        """Put back the file that `publish(revocable=True)` replaced, or remove a new one. Errors are ignored."""
        self._is_published = False
        try:
            if self._earlier is not None:
                self._earlier.put_back()
            elif self._is_new:
                os.unlink(self._final_path)
        except OSError:
            return  # the earlier file keeps its second name, so that it is not lost
        sync_folder_if_possible(os.path.dirname(self._final_path))

    def discard(self) -> None:
        """Remove all files but the published one. Errors are ignored."""
        self._temporary.discard()
        if self._earlier is not None:
            self._earlier.discard()
        if self._is_published:
            # After `_earlier` is closed: an .old name that a killed run has left may be a second name of the file that
            # this run replaced, and kept locked until here.
            self._is_published = False
            remove_left(self._final_path, *self._left)
