"""Inputs elsewhere: s3://, gs://, hdfs:// and what else pyarrow's file systems reach, as Sources.

This module must not know what the bytes mean.
"""

from io import RawIOBase, UnsupportedOperation

from txfast.errors import SourceError
from txfast.input.compression import MAGIC_BYTES, DecompressedFile, compression_of
from txfast.input.source import Source, is_location, kind_of

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa
    from _typeshed import WriteableBuffer

# Schemes that lead to the very same places as others.
SAME_SCHEMES = {"gcs": "gs", "abfss": "abfs"}
# What is asked for at once: each time costs a round trip.
READ_AHEAD_BYTES = 8 << 20


class RemoteFile(RawIOBase):
    """A file elsewhere, read from its start on. `native` is the same file, to be read anywhere."""

    def __init__(self, native: "pa.NativeFile") -> None:
        import pyarrow as pa

        self.native = native
        self._stream = pa.BufferedInputStream(native, READ_AHEAD_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As a raw file does it. Raises OSError."""
        count: int = self._stream.readinto(buffer)
        return count

    def fileno(self) -> int:
        """There is no descriptor of it."""
        raise UnsupportedOperation("it is not on this machine")

    def close(self) -> None:
        """Close the file there too."""
        if not self.closed:
            self._stream.close()
        super().close()


def open_location(uri: str) -> Source:
    """Open a location. Raises SourceError."""
    import pyarrow as pa

    scheme, place = cut(uri)
    name = display_location(uri)
    try:
        file_system, path = resolved(uri)
        native = file_system.open_input_file(path)
        first_bytes = native.read_at(min(MAGIC_BYTES, native.size()), 0)
        native.seek(0)  # what a local file needs before it is read on
        file = RemoteFile(native)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split()).replace(f"{scheme}://{place}", name)
        raise SourceError(f"{name}: cannot be read: {reason}") from error
    compression = compression_of(first_bytes)
    if compression is not None:
        return Source(name, DecompressedFile(name, file, compression), None)
    return Source(name, file, native.size(), kind_of(first_bytes))


def local_path(name: str) -> str | None:
    """The path of a file on this machine, by its own name or as a file:// location; None of what is elsewhere."""
    if not is_location(name):
        return name
    if cut(name)[0] != "file":
        return None
    try:
        return resolved(name)[1]
    except ValueError as error:  # as pyarrow's own are
        raise SourceError(f"{display_location(name)}: cannot be read: {error}") from error


def location_key(uri: str) -> str:
    """What tells a location from others, without a user's name and secret; of options, which may hold one, a hash."""
    from urllib.parse import unquote

    from xxhash import xxh3_64_hexdigest

    scheme, place = cut(uri)
    place, _, options = place.partition("?")
    authority, slash, path = place.partition("/")
    if not has_container(scheme, authority):
        authority = authority.rpartition("@")[2]
    key = f"{SAME_SCHEMES.get(scheme, scheme)}://{authority}{slash}{unquote(path)}"
    return f"{key}?{xxh3_64_hexdigest(options.encode(errors='surrogateescape'))}" if options else key


def has_container(scheme: str, authority: str) -> bool:
    """Whether what stands before an `@` is the name of a container, as Azure has it, and not a user's."""
    return scheme in ("abfs", "abfss") and ":" not in authority


def location_version(uri: str) -> str:
    """What changes when what is at a location does, as far as its system says; nothing where it cannot be asked."""
    import pyarrow as pa

    try:
        file_system, path = resolved(uri)
        found = file_system.get_file_info(path)
    except (OSError, ValueError, pa.ArrowException):
        return ""  # it is told of when it is opened
    return f"{found.size} {found.mtime_ns}"


def resolved(uri: str) -> "tuple[pa.fs.FileSystem, str]":
    """The file system that a location is on, and the path there. Raises what pyarrow does."""
    from pyarrow import fs

    scheme, place = cut(uri)
    file_system, path = fs.FileSystem.from_uri(f"{scheme}://{place}")
    return file_system, path


def cut(uri: str) -> tuple[str, str]:
    """The scheme of a location, and what stands behind `://`."""
    scheme, _, place = uri.partition(":/")
    return scheme, place.removeprefix("/")


def display_location(uri: str) -> str:
    """A location without what is nobody's business: a user's name and secret, in which there may be any sign, and
    options."""
    scheme, place = cut(uri)
    place = place.partition("?")[0]
    first = place.partition("/")[0]
    if (":" in first or "@" in first) and not has_container(scheme, first):
        place = place.rpartition("@")[2]
    return f"{scheme}://{place}"
