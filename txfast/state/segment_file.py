"""SegmentFile: a file of a state that has a segment, and how it gets into the folder of the next snapshot.

This module must not know what is in a segment, nor which segments a state has.
"""

import os
import shutil
from errno import EMLINK, ENOTSUP, EOPNOTSUPP, EPERM

from txfast.errors import unreadable, unwritable
from txfast.writers.file import new_hash

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Any

    from txfast.store.segment import Segment

HASHED_BYTES = 1 << 20
# Errors of file systems without hard links, or with no more of them for a file.
NO_LINKS = (EPERM, ENOTSUP, EOPNOTSUPP, EMLINK)


class SegmentFile:
    """A segment of a state: its file's `name`, `summary` (bytes and hash, as in a manifest), and the `segment`."""

    __slots__ = ("description", "name", "segment", "summary")

    def __init__(self, name: str, summary: "dict[str, Any]", description: "dict[str, Any]", segment: "Segment") -> None:
        self.name = name
        self.summary = summary
        self.description = description
        self.segment = segment


def summary_of(path: str) -> "dict[str, Any]":
    """The size and the hash of a file, as a manifest has them. Raises SourceError."""
    hashed = new_hash()
    byte_count = 0
    try:
        with open(path, "rb", buffering=0) as file:
            while block := file.read(HASHED_BYTES):
                hashed.update(block)
                byte_count += len(block)
    except OSError as error:
        raise unreadable(path, error) from error
    return {"bytes": byte_count, "xxh3_128": hashed.hexdigest()}


def link_or_copy(source: str, path: str) -> None:
    """Give a file a second name, or copy it where the file system has no links. Raises SourceError."""
    try:
        try:
            os.link(source, path)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            copy_durably(source, path)
    except OSError as error:
        raise unwritable(path, error) from error


def copy_durably(source: str, path: str) -> None:
    """Copy a file whole or not at all: a commit that fails may be tried again."""
    with open(source, "rb") as file, open(path, "xb") as copy:
        try:
            shutil.copyfileobj(file, copy, HASHED_BYTES)
            copy.flush()
            os.fsync(copy.fileno())
        except BaseException:
            os.unlink(path)
            raise
