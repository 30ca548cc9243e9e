"""Opens inputs: each becomes a Source, without its layers, which its first bytes show.

The format is detected from the content, not the name; pipes work too. A format that is not read is refused, and the
message says which one it is. This module must not know what rows mean.
"""

import os
import stat
from errno import EACCES
from io import FileIO, RawIOBase

from txfast.errors import InputError, SourceError, unreadable
from txfast.input.first_bytes import FIRST_BYTES, ReplayedFile, kind_of, layer_of, refuse, take_first_bytes
from txfast.input.ref import (
    FILE,
    LOCATION,
    PIPE,
    STANDARD_INPUT,
    InputRef,
    is_location,
    resolve,
    standard_input_descriptor,
)
from txfast.input.source import QUERY, Source

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    from txfast.input.room import Room


def open_source(name: str) -> Source:
    """Open a path, standard input for `-`, or a location. Raises SourceError and InputError."""
    return open_input(resolve(name))


def open_input(ref: InputRef, copy_folder: str | None = None, room: "Room | None" = None) -> Source:
    """Open an input that was resolved. Raises SourceError, with the failure of `resolve` where there was one, and
    InputError where its format is not read.

    A zip archive that comes as a stream is copied to `copy_folder`, by default the system's for temporary files. What
    decompressing takes is taken from the `room`, else MemoryLimitError is raised.

    Size and format are those of the file that is opened now: it may have grown, or been replaced, while the inputs
    before it were read.
    """
    if ref.failure is not None:
        raise unreadable(ref.display_name, ref.failure) from ref.failure
    if ref.origin == LOCATION:
        from txfast.input.location import open_location

        return open_location(ref.name, copy_folder, room)
    if ref.origin == QUERY:
        from txfast.input.query import open_query

        return open_query(ref)
    try:
        is_standard_input = ref.origin == STANDARD_INPUT
        path = standard_input_descriptor() if is_standard_input else ref.name
        file = FileIO(path, closefd=not is_standard_input)
        found = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise unreadable(ref.display_name, error) from error
    size_bytes = found.st_size if stat.S_ISREG(found.st_mode) else None
    return source_of(ref.display_name, file, size_bytes, copy_folder, room)


def source_of(
    name: str, file: RawIOBase, size_bytes: int | None, copy_folder: str | None = None, room: "Room | None" = None
) -> Source:
    """A Source over an open file, without its layers. `name` is the file's in messages.

    `size_bytes` is that of a regular file, whose first bytes are read without moving its position; None for any other
    file, whose first bytes are taken and given back. Raises as `open_input`, after closing the file.
    """
    try:
        raw: RawIOBase = file
        if size_bytes is None:
            first_bytes = take_first_bytes(file)
            raw = ReplayedFile(first_bytes, file)
        else:
            first_bytes = os.pread(file.fileno(), FIRST_BYTES, file.tell())
    except OSError as error:
        file.close()
        raise error if isinstance(error, SourceError) else unreadable(name, error) from error
    if layer_of(first_bytes) is not None:
        from txfast.input.layers import open_layers

        return open_layers(name, raw, first_bytes, None if size_bytes is None else file, copy_folder, room)
    try:
        refuse(name, first_bytes)
    except InputError:
        file.close()
        raise
    return Source(name, raw, size_bytes, kind_of(first_bytes))


def bytes_source(name: str) -> Source:
    """Open a path for its bytes as they are, layers too, or a location that has no layers. Raises SourceError, and
    InputError for a location whose format is not read."""
    if is_location(name):
        return open_source(name)
    try:
        file = FileIO(name)
        return Source(name, file, os.fstat(file.fileno()).st_size)
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from error


def look_at(refs: "Sequence[InputRef]", *, open_all: bool, room: "Room | None" = None) -> None:
    """See that each input can be read, before the first row is applied. Raises SourceError, and InputError where one is
    of a format that is not read.

    With `open_all`, files with layers and locations are opened and closed again: a location takes some round trips. A
    run over one input opens that at once anyway. Queries are read and parsed, not run. Pipes and standard input are not
    opened: they can be read only once.
    """
    locations = []
    for ref in refs:
        if ref.failure is not None:
            raise unreadable(ref.display_name, ref.failure) from ref.failure
        if ref.origin == LOCATION:
            locations.append(ref.name)
        elif ref.origin == QUERY:
            if open_all:
                from txfast.input.query import look_at_query

                look_at_query(ref)
        elif ref.origin == PIPE and not os.access(ref.name, os.R_OK):
            raise unreadable(ref.display_name, PermissionError(EACCES, os.strerror(EACCES)))
        elif ref.layer is None:
            refuse(ref.display_name, ref.first_bytes)
        elif open_all and ref.origin == FILE:
            open_input(ref, None, room).close()
    if open_all and locations:
        from txfast.input.location import look_at_locations

        look_at_locations(locations)
