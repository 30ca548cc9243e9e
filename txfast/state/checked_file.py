"""Files that must be there, with the size and the hash that a manifest has: otherwise StateError.

This module must not know the files' content.
"""

import os

from txfast.errors import StateError, unreadable

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from io import FileIO

# Size of a read while a file is hashed.
READ_BYTES = 1 << 20


def read_small(path: str, bytes_max: int) -> bytes:
    """The content of a file. Raises StateError where it is missing or longer than `bytes_max`, and SourceError."""
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > bytes_max:
                raise StateError(f"{path}: is damaged: it is too long")
            return file.readall()
    except FileNotFoundError as error:
        raise StateError(f"{path}: is damaged: it is missing") from error
    except OSError as error:
        raise unreadable(path, error) from error


def check_file(path: str, expected_bytes: int, expected_digest: str) -> None:
    """Hash a file. Raises StateError where size or hash differ, and SourceError."""
    from xxhash import xxh3_128

    digest = xxh3_128()
    buffer = bytearray(READ_BYTES)
    try:
        with open_of_size(path, expected_bytes) as file, memoryview(buffer) as view:
            while count := file.readinto(buffer):
                digest.update(view[:count])
    except OSError as error:
        raise unreadable(path, error) from error
    check_digest(path, digest.hexdigest(), expected_digest)


def open_of_size(path: str, expected_bytes: int) -> "FileIO":
    """Open a file. Raises StateError where it is missing or has another size, and SourceError."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (the caller closes it)
        found = os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise StateError(f"{path}: is damaged: it is missing") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if found != expected_bytes:
        file.close()
        raise StateError(f"{path}: is damaged: it has {found:,} bytes, where {expected_bytes:,} were written")
    return file


def check_digest(path: str, found: str, expected_digest: str) -> None:
    """Raise StateError where the hash found is not the expected one."""
    if found != expected_digest:
        raise StateError(f"{path}: is damaged: its bytes are not those that were written")
