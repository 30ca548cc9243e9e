"""Opens inputs: each becomes a Source, decompressed where its first bytes say so.

The format is detected from the content, not the name; pipes work too. This module must not know what rows mean.
"""

import os
import stat
from io import FileIO, RawIOBase

from txfast.errors import unreadable
from txfast.input.first_bytes import MAGIC_BYTES, ReplayedFile, compression_of, kind_of, take_first_bytes
from txfast.input.ref import LOCATION, STANDARD_INPUT, InputRef, is_location, resolve, standard_input_descriptor
from txfast.input.source import Source


def open_source(name: str) -> Source:
    """Open a path, standard input for `-`, or a location. Raises SourceError."""
    return open_input(resolve(name))


def open_input(ref: InputRef) -> Source:
    """Open an input that was resolved. Raises SourceError, with the failure of `resolve` where there was one.

    Size and format are those of the file that is opened now: it may have grown, or been replaced, while the inputs
    before it were read.
    """
    if ref.failure is not None:
        raise unreadable(ref.display_name, ref.failure) from ref.failure
    if ref.origin == LOCATION:
        from txfast.input.location import open_location

        return open_location(ref.name)
    try:
        is_standard_input = ref.origin == STANDARD_INPUT
        path = standard_input_descriptor() if is_standard_input else ref.name
        file = FileIO(path, closefd=not is_standard_input)
        found = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        raise unreadable(ref.display_name, error) from error
    return source_of(ref.display_name, file, found.st_size if stat.S_ISREG(found.st_mode) else None)


def source_of(name: str, file: RawIOBase, size_bytes: int | None) -> Source:
    """A Source over an open file, decompressed where its first bytes say so. `name` is the file's in messages.

    `size_bytes` is that of a regular file, whose first bytes are read without moving its position; None for any other
    file, whose first bytes are taken and given back. Raises SourceError, after closing the file.
    """
    try:
        raw: RawIOBase = file
        if size_bytes is None:
            first_bytes = take_first_bytes(file)
            raw = ReplayedFile(first_bytes, file)
        else:
            first_bytes = os.pread(file.fileno(), MAGIC_BYTES, file.tell())
        compression = compression_of(first_bytes)
        if compression is not None:
            from txfast.input.compression import DecompressedFile

            return Source(name, DecompressedFile(name, raw, compression), None)
    except OSError as error:
        file.close()
        raise unreadable(name, error) from error
    return Source(name, raw, size_bytes, kind_of(first_bytes))


def bytes_source(name: str) -> Source:
    """Open a path or a location for its bytes, as they are. Raises SourceError."""
    if is_location(name):
        return open_source(name)
    try:
        file = FileIO(name)
        return Source(name, file, os.fstat(file.fileno()).st_size)
    except (OSError, ValueError) as error:
        raise unreadable(name, error) from error
