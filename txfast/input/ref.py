"""An input's name, resolved once: the kind of its origin, its size, its first bytes.

The command line, the run's plan and the state all need to know something of an input before it is read. They take an
InputRef, so that the name is looked up in the file system once. A pipe is not opened here: a second `open` of a named
pipe would wait for a second writer.

This module must not know what the bytes mean beyond the format that they begin with. It holds nothing open.
"""

import os
import stat
import sys
from errno import EBADF, EISDIR
from io import FileIO

from txfast.errors import unreadable
from txfast.input.first_bytes import FIRST_BYTES, kind_of, layer_of
from txfast.input.source import QUERY, TEXT_KINDS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

# The origins of an input: what its name leads to. That of standard input is the name itself, that of a query QUERY.
STANDARD_INPUT = "-"
FILE = "file"  # a regular file, or a name that could not be looked up
PIPE = "pipe"  # a pipe, a device, a folder (which is a failure): anything else that has a path
LOCATION = "location"  # an address such as s3://bucket/key

# A file that ends so has a query. One that is given as a text has this name: a spreadsheet would run "--sql" in a file
# of rejects as a formula.
QUERY_SUFFIX = ".sql"
QUERY_NAME = "sql"


class InputRef:
    """An input that was looked up and is not open. Made by `resolve`.

    `size_bytes`, `first_bytes` (up to FIRST_BYTES) and `identity` (device and inode) are known of a regular file alone,
    also where it is standard input; otherwise they are None, b"" and None. Of a file with a query, the identity alone
    is known. `query` is the text of a query that is known already. `failure` is the error met while looking, None where
    there was none: `look_at` and `open_input` raise it.
    """

    __slots__ = (
        "_real_path", "display_name", "failure", "first_bytes", "identity", "name", "origin", "query", "size_bytes",
    )  # fmt: skip

    def __init__(self, name: str, shown_name: str, origin: str) -> None:
        self.name = name
        self.display_name = shown_name
        self.origin = origin
        self.size_bytes: int | None = None
        self.first_bytes = b""
        self.identity: tuple[int, int] | None = None
        self.query: str | None = None
        self.failure: OSError | ValueError | None = None
        self._real_path: str | None = None

    @property
    def given_name(self) -> str:
        """The input as the user gave it on the command line, without secrets: its name, or the option."""
        return "--sql" if self.query is not None else self.display_name

    @property
    def is_regular(self) -> bool:
        """Whether its bytes are those of a regular file, under a path or as standard input."""
        return self.identity is not None and self.origin != QUERY

    @property
    def can_be_read_again(self) -> bool:
        """Whether a later run can open this name from its start again, so that a state may note how far it was read."""
        return self.origin in (FILE, LOCATION)

    @property
    def layer(self) -> str | None:
        """The outer layer of the file, such as its compression; None where there is none, or it is no regular file."""
        return layer_of(self.first_bytes)

    @property
    def kind(self) -> str:
        """The format that the first bytes show: a kind of text or of table. QUERY for a query, CSV for whatever else is
        no regular file."""
        return QUERY if self.origin == QUERY else kind_of(self.first_bytes)

    @property
    def is_table(self) -> bool:
        """Whether it is a regular file that begins as Parquet or Arrow does, or a query."""
        return self.kind not in TEXT_KINDS

    def real_path(self) -> str:
        """The absolute path without links. Raises SourceError, also where the name could not be looked up."""
        if self.failure is not None:
            raise unreadable(self.display_name, self.failure) from self.failure
        if self._real_path is None:
            self._real_path = real_path(self.name)
        return self._real_path

    def key(self) -> str:
        """The name under which a state notes the input: its real path, or its location without secrets.

        Raises SourceError.
        """
        if self.origin != LOCATION:
            return self.real_path()
        from txfast.input.location import local_path, location_key

        path = local_path(self.name)
        return location_key(self.name) if path is None else real_path(path)


def resolve(name: str) -> InputRef:
    """Look a name up: one `stat`, and one `open` for the first bytes of a regular file. Never raises.

    A location is not asked for anything: that takes some round trips.
    """
    is_query = name.lower().endswith(QUERY_SUFFIX)
    if is_location(name):
        ref = InputRef(name, display_name(name), LOCATION)
        if is_query:
            ref.failure = ValueError("a query is read from a file here alone: copy it to this machine")
        return ref
    ref = InputRef(name, display_name(name), STANDARD_INPUT if name == STANDARD_INPUT else QUERY if is_query else FILE)
    try:
        path = standard_input_descriptor() if name == STANDARD_INPUT else name
        found = os.stat(path)
        if stat.S_ISREG(found.st_mode):
            ref.identity = found.st_dev, found.st_ino
            if not is_query:
                ref.first_bytes = peek_first_bytes(path)
                ref.size_bytes = found.st_size
        elif name != STANDARD_INPUT:
            if not is_query:
                ref.origin = PIPE
            if stat.S_ISDIR(found.st_mode):
                ref.failure = IsADirectoryError(EISDIR, os.strerror(EISDIR))
    except (OSError, ValueError) as error:
        ref.failure = error.with_traceback(None)  # which would keep the frames above alive as long as the ref
    return ref


def resolve_query(text: str) -> InputRef:
    """An input of a query's text, or of the name of a file with one. Never raises."""
    if text.strip().lower().endswith(QUERY_SUFFIX):
        return resolve(text.strip())
    ref = InputRef(QUERY_NAME, QUERY_NAME, QUERY)
    ref.query = text
    return ref


def peek_first_bytes(path: str | int) -> bytes:
    """The first bytes of a regular file; of a descriptor, from its position on, which stays. Raises OSError."""
    file = FileIO(path, closefd=isinstance(path, str))
    try:
        return os.pread(file.fileno(), FIRST_BYTES, file.tell())
    finally:
        try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
            file.close()
        except OSError:
            pass  # the bytes were read


def total_size(refs: "Iterable[InputRef]") -> int | None:
    """Bytes to read in all inputs, for a progress bar.

    None unless all of them are regular, uncompressed files of text: of others the size does not say how much is left.
    """
    total = 0
    for ref in refs:
        if ref.size_bytes is None or ref.is_table or ref.layer is not None:
            return None
        total += ref.size_bytes
    return total


def have_queries(refs: "Iterable[InputRef]") -> bool:
    """Whether an input is a query, which takes memory for DuckDB too."""
    return any(ref.origin == QUERY for ref in refs)


def may_have_tables(refs: "Iterable[InputRef]") -> bool:
    """Whether an input is a table or a query, or may be one since it is at a location; pipes, and files with layers,
    are taken for text.

    A run that reads tables needs memory for pyarrow.
    """
    return any(ref.is_table or ref.origin == LOCATION for ref in refs)


def are_decompressed_by_pyarrow(refs: "Iterable[InputRef]") -> bool:
    """Whether an input is a regular file that pyarrow decompresses, which takes memory too."""
    return any(ref.layer in ("zstd", "lz4") for ref in refs)


def is_location(name: str) -> bool:
    """Whether a name is an address such as s3://bucket/key, and not the path of an existing file.

    One slash is enough: pathlib makes s3:/bucket/key of it.
    """
    scheme, separator, _ = name.partition(":/")
    return separator != "" and scheme.isalnum() and len(scheme) > 1 and not os.path.exists(name)


def display_name(name: str) -> str:
    """An input's name as messages show it: a location without user, secret and options."""
    if is_location(name):
        from txfast.input.location import display_location

        return display_location(name)
    if "@" in name and ":" in name and not os.path.exists(name):
        from txfast.input.location import keep_secrets_of_mistyped
        from txfast.printable import without_secrets

        keep_secrets_of_mistyped(name)
        return without_secrets(name)
    return "standard input" if name == STANDARD_INPUT else name


def standard_input_descriptor() -> int:
    """The descriptor of standard input. Raises OSError where that was closed when the process began."""
    if sys.stdin is None:
        raise OSError(EBADF, "it is closed")
    return sys.stdin.fileno()


def real_path(path: str) -> str:
    """The absolute path without links of a file that is there. Raises SourceError."""
    try:
        return os.path.realpath(path, strict=True)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise unreadable(path, error) from error
