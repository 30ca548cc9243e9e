"""Inputs at a location: s3://, gs://, hdfs:// and whatever else pyarrow's file systems reach, as Sources.

Messages show a location without user name, secret and options. This module must not know what the bytes mean.
"""

from io import RawIOBase, UnsupportedOperation

from txfast.errors import SourceError, unreadable
from txfast.input.first_bytes import FIRST_BYTES, kind_of, layer_of, refuse
from txfast.input.library_errors import LocationErrors
from txfast.input.source import Source
from txfast.interrupts import in_a_thread
from txfast.printable import LEFT_OUT, keep_secret

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from _typeshed import WriteableBuffer

    from txfast.input.room import Room
else:
    from txfast.late import pa

# Schemes of the file systems that pyarrow has.
SCHEMES = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss", "file")
# Schemes with two names.
SAME_SCHEMES = {"gcs": "gs", "abfss": "abfs"}
AZURE_SCHEMES = ("abfs", "abfss")
TRIED_CONTAINERS: set[str] = set()
# The program that tries a location. It reads the location from standard input: other users may see its arguments.
TRY_AZURE = """
import json, sys
sys.path[:], address = json.load(sys.stdin)
from pyarrow.fs import FileSystem
try:
    file_system, path = FileSystem.from_uri(address)
    file_system.open_input_file(path).close()
except Exception:
    pass
"""
# Locations that are looked at together: most of the time is waiting for answers.
LOOKING_THREADS = 16
# Size of a read: each one costs a round trip.
READ_AHEAD_BYTES = 8 << 20


class RemoteFile(RawIOBase):
    """A file at a location, read in order from its start. `native` is the same file, for reads at any offset."""

    def __init__(self, native: "pa.NativeFile", errors: LocationErrors) -> None:
        self.native = native
        self._errors = errors
        self._stream = pa.BufferedInputStream(native, READ_AHEAD_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises SourceError."""
        with self._errors:
            return int(self._stream.readinto(buffer))

    def fileno(self) -> int:
        """Raises UnsupportedOperation: the file has no descriptor."""
        raise UnsupportedOperation("it is not on this machine")

    def close(self) -> None:
        """Close the file at its location too."""
        if not self.closed:
            self._stream.close()
        super().close()


def open_location(uri: str, copy_folder: str | None = None, room: "Room | None" = None) -> Source:
    """Open a location. Raises SourceError, InputError where its format is not read, and MemoryLimitError where the
    `room` is too small to decompress it.

    A compressed zip archive is copied to `copy_folder`, by default the system's for temporary files.
    """
    errors = errors_of(uri)
    name = errors.name
    with errors:
        # Google's library asks again for many minutes where there is no network, whatever signal arrives.
        native, first_bytes = in_a_thread(open_native, uri)
        file = RemoteFile(native, errors)
    if layer_of(first_bytes) is not None:
        from txfast.input.layers import open_layers

        return open_layers(name, file, first_bytes, native, copy_folder, room)
    refuse(name, first_bytes)
    return Source(name, file, native.size(), kind_of(first_bytes))


def open_native(uri: str) -> "tuple[pa.NativeFile, bytes]":
    """The file at a location, at its start, and its first bytes. Raises as `file_system_of`."""
    file_system, path = file_system_of(uri)
    native = file_system.open_input_file(path)
    first_bytes = native.read_at(min(FIRST_BYTES, native.size()), 0)
    native.seek(0)  # `read_at` moves the position of a file:// location
    return native, first_bytes


def look_at_locations(uris: "Sequence[str]") -> None:
    """Open several locations, some at once, and close them again. Raises as `open_location`, for the first that cannot
    be read."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(LOOKING_THREADS, len(uris)))
    try:
        for source in pool.map(open_location, uris):
            source.close()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def local_path(uri: str) -> str | None:
    """The path of a file:// location; None for any other. Raises SourceError."""
    if split_location(uri)[0] != "file":
        return None
    with errors_of(uri):
        return file_system_of(uri)[1]


def location_key(uri: str) -> str:
    """A name for a location that is the same from run to run, without user name and secret.

    Options tell locations apart but may hold a secret, so the key has a hash of them. A user or a secret with
    characters that no URI allows cannot be cut off: then the key is the scheme and a hash of all that follows it.
    """
    from urllib.parse import unquote

    from xxhash import xxh3_64_hexdigest

    scheme, address = split_location(uri)
    place, _, options = address.partition("?")
    authority, slash, path = place.partition("/")
    if has_credentials(scheme, authority):
        _, at, authority = authority.rpartition("@")
        if not at:
            authority = slash = path = ""
            options = address
    key = f"{SAME_SCHEMES.get(scheme, scheme)}://{authority}{slash}{unquote(path)}"
    return f"{key}?{xxh3_64_hexdigest(options.encode(errors='surrogateescape'))}" if options else key


def location_version(uri: str) -> str:
    """Size and time of the file at a location, which change when it does; "" where its system does not say."""
    try:
        with errors_of(uri):
            file_system, path = file_system_of(uri)
            found = in_a_thread(file_system.get_file_info, path)
    except SourceError:
        return ""  # opening it will raise the error
    return f"{found.size} {found.mtime_ns}"


def errors_of(uri: str) -> LocationErrors:
    """The block for calls of pyarrow about a location."""
    return LocationErrors(display_location(uri), "://".join(split_location(uri)))


def file_system_of(uri: str) -> "tuple[pa.fs.FileSystem, str]":
    """The file system of a location, and the path on it. Raises SourceError, and pyarrow's errors: call it in a block
    of `errors_of`."""
    scheme, address = split_location(uri)
    refuse_scheme(uri, scheme)
    if scheme in AZURE_SCHEMES:
        try_azure(uri, f"{scheme}://{address}")
    file_system, path = pa.fs.FileSystem.from_uri(f"{scheme}://{address}")
    return file_system, path


def refuse_scheme(uri: str, scheme: str) -> None:
    """Raise SourceError for a scheme that no file system has, with what to do."""
    if scheme in SCHEMES:
        return
    if scheme.lower() in SCHEMES:
        way_out = f"write its scheme in small letters, {scheme.lower()}://"
    elif scheme.lower() in ("http", "https", "ftp"):
        way_out = "download it, and read the file: curl -sSf ADDRESS | txfast"
    else:
        way_out = f"copy it to this machine; locations begin with {', '.join(f'{each}://' for each in SCHEMES)}"
    raise unreadable(display_location(uri), f"no file system is called {scheme}: {way_out}")


def try_azure(uri: str, address: str) -> None:
    """Open an Azure location in a process of its own, once for each container. Raises SourceError if that process dies.

    Without credentials, Azure's library ends the process that uses it. A failure that is raised there is raised here
    too, later.
    """
    import json
    import subprocess
    import sys

    container = address.split("/", 3)[2]
    if container in TRIED_CONTAINERS or not sys.executable:
        return
    given = json.dumps([sys.path, address])
    ended = subprocess.run(
        [sys.executable, "-c", TRY_AZURE], input=given, capture_output=True, text=True, check=False, errors="replace"
    )
    if ended.returncode:
        raise unreadable(
            display_location(uri),
            "Azure gives no access to it, or there are no credentials: set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
            "AZURE_CLIENT_SECRET, or sign in by az login",
        )
    TRIED_CONTAINERS.add(container)


class Location:
    """The parts of a location: `scheme`, `credentials`, `place` and `options`.

    The credentials are user and secret, which may contain any character; the place is what messages may show. Where the
    two cannot be told apart, all but the scheme counts both as credentials and as options, and the place is empty.
    """

    __slots__ = ("credentials", "options", "place", "scheme")

    def __init__(self, uri: str) -> None:
        from urllib.parse import unquote

        self.scheme, address = split_location(uri)
        self.credentials = ""
        self.place, _, self.options = address.partition("?")
        first = self.place.partition("/")[0]
        is_cut = first == self.place and "@" in self.options  # s3://user?secret@bucket/key
        if has_credentials(self.scheme, unquote(first)) and not has_credentials(self.scheme, first):
            # Its @ is encoded: nothing in it is a place.
            self.credentials, self.place = unquote(first).rpartition("@")[0] or unquote(first), ""
            keep_secret(first, self.options)
            return
        if not is_cut and not has_credentials(self.scheme, first):
            return
        if "@" not in self.options:
            self.credentials, at, self.place = self.place.rpartition("@")
        elif "@" not in self.place:  # the ? is a character of the secret
            self.credentials, at, self.place = address.rpartition("@")
            self.place, _, self.options = self.place.partition("?")
        else:
            at = ""
        if not at:
            self.credentials, self.place, self.options = address, "", address


def has_credentials(scheme: str, authority: str) -> bool:
    """Whether the part before the first slash has a user or a secret: more than a host and its port.

    In Azure's addresses the part before `@` is a container.
    """
    host, colon, port = authority.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        authority = host
    if authority.startswith("[") or (scheme in AZURE_SCHEMES and ":" not in authority):
        return "@" in authority and scheme not in AZURE_SCHEMES
    return ":" in authority or "@" in authority


def split_location(uri: str) -> tuple[str, str]:
    """The scheme of a location, and the address after `://`. pathlib leaves only one of the slashes."""
    scheme, _, address = uri.partition(":/")
    return scheme, address.removeprefix("/")


def display_location(uri: str) -> str:
    """A location as messages show it: without user, secret and options, which no message will show from now on."""
    location = Location(uri)
    keep_secret(location.credentials, location.options)
    return f"{location.scheme}://{location.place or LEFT_OUT}"


def keep_secrets_of_mistyped(name: str) -> None:
    """Let no message show the secrets in a name that is no location, but looks as if it should be one: it has a blank
    before it, or no slashes."""
    scheme, colon, rest = name.partition(":")
    credentials, at, _ = rest.lstrip("/").rpartition("@")
    if colon and at and scheme.strip().isalnum():
        keep_secret(credentials)


def keep_secrets_of(argument: str) -> None:
    """Let no message show the secrets of a location that stands at the end of an argument, such as `--state=s3://…`."""
    before, separator, _ = argument.partition(":/")
    scheme_start = len(before)
    while scheme_start and before[scheme_start - 1].isalnum():
        scheme_start -= 1
    if separator:
        display_location(argument[scheme_start:])
