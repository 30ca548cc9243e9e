"""Ranges: the parts of the inputs that map tasks read, each by itself.

This module must not know how inputs are cut, what becomes of rows, nor an engine.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from txfast.cluster.sent_dialect import dialect_in
from txfast.input.compression import DecompressedFile
from txfast.input.decoded import decoded_source
from txfast.input.location import location_version
from txfast.input.open import open_source
from txfast.input.position import Position
from txfast.input.ref import is_location
from txfast.input.source import TAKE, TEXT_KINDS, Source

# The default size of a range of a plain file of text.
RANGE_BYTES = 64 << 20
# Several per core balance stragglers; each task costs an engine a few milliseconds.
TASKS_PER_CORE = 4


@dataclass(frozen=True)
class Range:
    """Part of an input: the rows that begin from byte `start` up to `end`, without it. If `end` is None, the whole
    input, since it cannot be cut. A row that goes on beyond `end` is read whole.

    `number` counts all ranges in the order of the inputs; `input` counts inputs. Messages show the input's `name`;
    `path` is absolute. A file that changes gets another `version`, as far as its system says.

    Ranges of a cut input have its `size_bytes` and its `header` line, or JSON_HEADER. Its first range has
    `lines_before`, the lines in front of the range, header included. `bytes_skipped` have been read by earlier runs.
    `rows_begin` is the offset of the first row that is read in this run. `dialect` is the run's, as `dialect_text`
    of sent_dialect.py makes it.

    With a state, `key` is the name of the input in it. `position` is where the first range of a cut input begins, or
    where an earlier run stopped reading an input that is one range. `is_over` says that there is nothing to read: the
    input was named before. `last_line` says what becomes of a last line without an ending: HOLD or TAKE, so that each
    task that reads it decides the same.
    """

    number: int
    input: int
    name: str
    path: str
    start: int = 0
    end: int | None = None
    size_bytes: int | None = None
    header: bytes | None = None
    lines_before: int = 0
    version: str = ""
    bytes_skipped: int = 0
    key: str = ""
    position: Position | None = None
    is_over: bool = False
    last_line: str = TAKE
    dialect: str = ""
    rows_begin: int = 0

    @property
    def begins_input(self) -> bool:
        """Whether it is the first range of a cut input: a row begins where it does."""
        return self.start == self.rows_begin


def group_in_tasks(ranges: Sequence[Range], cores: int) -> list[list[Range]]:
    """Group ranges, in order, into enough tasks for this number of cores; a large range ends its task."""
    # The size of an input that cannot be cut is not known.
    sizes = [RANGE_BYTES if part.end is None else part.end - part.start for part in ranges]
    task_bytes = min(RANGE_BYTES, max(1, sum(sizes) // (TASKS_PER_CORE * cores)))
    tasks: list[list[Range]] = []
    filled_bytes = task_bytes
    for part, size in zip(ranges, sizes, strict=True):
        if filled_bytes >= task_bytes:
            tasks.append([])
            filled_bytes = 0
        tasks[-1].append(part)
        filled_bytes += size
    return tasks


def open_range_input(part: Range) -> Source:
    """Open the input of a range, under the name that the user gave it, in the encoding of the dialect. Raises
    SourceError."""
    source = open_source(part.path)
    source.name = part.name
    dialect = dialect_in(part.dialect)
    return source if dialect is None else decoded_source(source, dialect.encoding)


def is_cuttable(source: Source) -> bool:
    """Whether an input can be read from any row on: text in UTF-8, in a file that is not compressed."""
    return source.kind in TEXT_KINDS and source.size_bytes is not None and not isinstance(source.file, DecompressedFile)


def version_of(path: str) -> str:
    """Size and time of a file's last change, or what its location has instead; empty if they are not known."""
    if is_location(path):
        return location_version(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"
