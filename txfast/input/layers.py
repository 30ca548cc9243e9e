"""Layers of an input: what stands around the bytes that have rows is undone, layer by layer, while they are read.

A file may be gzip of UTF-16, or a zip archive whose member is a Parquet file. After each layer the first bytes tell
what comes next. This module must not know what the bytes mean beyond that.
"""

from io import RawIOBase

from txfast.errors import InputError, SourceError, unreadable
from txfast.input.compression import DecompressedFile
from txfast.input.first_bytes import (
    UTF_16_BE,
    UTF_16_LE,
    ZIP,
    Layer,
    ReplayedFile,
    kind_of,
    layer_of,
    refuse,
)
from txfast.input.source import Source

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.input.room import Room

# More layers than any honest file has.
LAYERS_MAX = 4


def open_layers(
    name: str,
    file: RawIOBase,
    first_bytes: bytes,
    archive: RawIOBase | None,
    copy_folder: str | None,
    room: "Room | None" = None,
) -> Source:
    """A Source over an open file with layers, which begins with `first_bytes`. `name` is the file's in messages.

    `archive` is the same file for reads at any offset, None where it is a stream: a zip archive is then copied to
    `copy_folder`, by default the system's for temporary files. Memory for decompressing is taken from the `room`.
    Raises InputError, SourceError and MemoryLimitError, after closing the file.
    """
    found = layer_of(first_bytes)
    try:
        for _ in range(LAYERS_MAX):
            if found is None:
                break
            file = layer = open_layer(name, file, found, archive, copy_folder, first_bytes, room)
            archive = None
            first_bytes = layer.take_first_bytes()
            file = ReplayedFile(first_bytes, layer)
            found = layer_of(first_bytes)
        else:
            raise InputError(f"{name}: compressed {LAYERS_MAX} times and more: decompress it first")
        refuse(name, first_bytes)
    except BaseException as error:
        file.close()
        if isinstance(error, OSError) and not isinstance(error, SourceError):
            raise unreadable(name, error) from error
        raise
    return Source(name, file, None, kind_of(first_bytes))


def open_layer(
    name: str,
    file: RawIOBase,
    layer: str,
    archive: RawIOBase | None,
    copy_folder: str | None,
    first_bytes: bytes,
    room: "Room | None",
) -> Layer:
    """Undo one layer. Raises InputError, SourceError and MemoryLimitError."""
    if layer in (UTF_16_LE, UTF_16_BE):
        from txfast.input.utf16 import Utf16File

        return Utf16File(name, file, layer)
    if layer != ZIP:
        return DecompressedFile(name, file, layer, room, first_bytes)
    from txfast.input.zip_member import ZipMember

    return ZipMember(name, file, archive or copied(name, file, copy_folder), room)


def copied(name: str, file: RawIOBase, folder: str | None) -> RawIOBase:
    """A temporary copy of a zip archive that comes as a stream."""
    from txfast.input.position import read_into
    from txfast.input.temporary_copy import temporary_copy

    source = Source(name, file, None)
    return temporary_copy(name, "zip archive", folder, lambda view: read_into(source, view))
