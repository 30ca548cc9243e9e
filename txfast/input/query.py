"""Queries as inputs: the rows of a DuckDB query, in its order, as record batches of Arrow.

A query is one statement that gives rows. DuckDB runs it as the rows are asked for, within the memory that the run
leaves it, and from a thread that a signal can leave. Its text may hold a key, so no message shows it. This module must
not know what rows mean.
"""

import os
import re
import threading
from io import RawIOBase

from txfast.errors import InputError, SourceError, UsageError, reason_of, unreadable
from txfast.input.exact_csv import CSV_FUNCTION, rows_of
from txfast.input.library_errors import QueryErrors
from txfast.input.room import MIB
from txfast.input.source import QUERY, Source
from txfast.input.temporary_folder import default_folder
from txfast.interrupts import in_a_thread
from txfast.printable import PASSWORD_LENGTH_MIN, keep_secret

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    import duckdb
    import pyarrow as pa

    from txfast.input.ref import InputRef

    Returned = TypeVar("Returned")

# A longer text is no query that a person has written.
QUERY_BYTES_MAX = 1 << 20
# Rows of a record batch: as many as are converted at once, fewer where there are columns that are not read.
BATCH_ROWS = 1 << 17
PLAIN_COLUMNS = 8
WIDE_BATCH_ROWS = 1 << 14
# DuckDB sorts and joins in no less memory than this for each of its threads: it gets fewer under a low limit.
BYTES_PER_THREAD = 32 << 20
# How long `close` asks DuckDB to stop what it does.
PATIENCE_SECONDS = 1.0
POLL_SECONDS = 0.02
SETTINGS = (
    "SET python_enable_replacements = false",  # a name in the query must not find a variable of this program
    "SET enable_progress_bar = false",
    "SET preserve_insertion_order = true",
    "SET TimeZone = 'UTC'",  # or the same query gives other rows on a machine elsewhere
)
# What follows such a word in quotes is a secret; so is what stands before the @ of an address.
SECRETS = re.compile(
    r"(?:secret|password|passwd|token|access_?key|key_?id|api_?key)\w*['\"]?\s*(?::=|=>|[=:\s])\s*'([^']+)'", re.I
)
ADDRESSES = re.compile(r"\b\w+://([^\s'\"@]+)@")
# Statements of a dump, by which a database is filled again.
DUMP = re.compile(r"^\s*(?:CREATE\s+TABLE|INSERT\s+INTO|COPY\s.*\sFROM\s+stdin)\b", re.I | re.M)
OF_A_DUMP = "export the table of transactions as CSV, or cut its rows out of the dump"
ONE_QUERY = "give one query, which begins with SELECT, FROM, WITH or VALUES"


def open_query(ref: "InputRef") -> Source:
    """A source of the query's rows. DuckDB is asked for nothing yet. Raises SourceError, InputError and UsageError."""
    return Source(ref.display_name, RawIOBase(), None, QUERY, Query(ref.display_name, text_of(ref)))


def look_at_query(ref: "InputRef") -> None:
    """See that the query is one, without running it. Raises as `open_query`."""
    query = Query(ref.display_name, text_of(ref))
    try:
        query.look()
    finally:
        query.close()


def text_of(ref: "InputRef") -> str:
    """The text of the query, which is read once. Raises SourceError and InputError."""
    name = ref.display_name
    if ref.query is None:
        try:
            with open(ref.name, "rb") as file:
                content = file.read(QUERY_BYTES_MAX + 1)
        except (OSError, ValueError) as error:
            raise unreadable(name, error) from error
        if len(content) > QUERY_BYTES_MAX:
            raise InputError(f"{name}: is longer than {QUERY_BYTES_MAX // MIB} MiB, and so no query: {OF_A_DUMP}")
        ref.query = content.decode("utf-8-sig", "surrogateescape")
    keep_secrets_of_query(ref.query)
    if not ref.query.isascii():
        try:
            ref.query.encode()
        except UnicodeEncodeError:
            raise InputError(f"{name}: is no text in UTF-8: save it as UTF-8") from None
    return ref.query


def keep_secrets_of_query(text: str) -> None:
    """Let no message show the secrets in a query."""
    for secret in SECRETS.findall(text):
        if len(secret) >= PASSWORD_LENGTH_MIN:
            keep_secret(f":{secret}")
    for credentials in ADDRESSES.findall(text):
        keep_secret(credentials)


def need_duckdb(name: str) -> None:
    """Raise UsageError where DuckDB, which the input of this name needs, is not installed."""
    from importlib.util import find_spec

    if find_spec("duckdb") is None:
        raise UsageError(f"{name} needs DuckDB: pip install 'txfast[sql]'")


def make_folder(folder: str | None) -> str | None:
    """A new folder, private to its owner, in this one, or in the default one: None where that cannot be written to.

    Raises SourceError.
    """
    import tempfile

    try:
        if folder is not None:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        return tempfile.mkdtemp(prefix="txfast-", dir=folder or default_folder())
    except OSError as error:
        if folder is None:
            return None
        raise SourceError(
            f"{folder}: cannot hold what a query does not keep in memory: {reason_of(error)}; --spill-dir names "
            f"another folder",
            folder,
            error,
        ) from error


class Query:
    """The rows of one query: iterate its one stream of record batches, and `close` it in the end, from any thread.

    `limit` says what DuckDB may take of the machine; it is called before the first row is asked for.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._errors = QueryErrors(name)
        self._threads = 1
        self._memory_bytes = 0
        self._folder: str | None = None
        self._own_folder: str | None = None  # made for what DuckDB cannot keep in memory
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._reader: pa.RecordBatchReader | None = None
        self._calling = threading.Lock()
        self._is_closed = False

    def limit(self, *, threads: int, memory_bytes: int, folder: str | None) -> None:
        """Let DuckDB use so many threads and bytes of memory. What does not fit goes to files in the folder, by default
        that of spill files."""
        self._threads = max(1, min(threads, memory_bytes // BYTES_PER_THREAD))
        self._memory_bytes = self._errors.memory_bytes = memory_bytes
        self._folder = folder

    def look(self) -> None:
        """See that the text is one statement that gives rows. Raises InputError and UsageError."""
        self._call(self._statement)

    def __iter__(self) -> "Iterator[QueryRows]":
        reader = self._call(self._start)
        yield QueryRows(reader.schema, self._batches(reader))

    def close(self) -> None:
        """Give back the connection. A call of another thread is told to stop, and gives it back itself if it does not
        do so at once. May be called more than once."""
        self._is_closed = True
        patience = PATIENCE_SECONDS
        while not self._calling.acquire(timeout=POLL_SECONDS):
            connection = self._connection
            if connection is not None:
                connection.interrupt()
            patience -= POLL_SECONDS
            if patience <= 0:
                return
        try:
            self._give_back()
        finally:
            self._calling.release()

    # ---- Calls of DuckDB -----------------------------------------------------------------------------

    def _call(self, call: "Callable[[], Returned]") -> "Returned":
        """Call DuckDB in a thread that a signal can leave. Raises as QueryErrors, and Interrupted."""
        return in_a_thread(self._locked, call)

    def _locked(self, call: "Callable[[], Returned]") -> "Returned":
        try:
            with self._calling, self._errors:
                if self._is_closed:
                    raise InputError(f"{self._name}: the query was stopped")
                return call()
        finally:
            if self._is_closed:
                self.close()

    def _statement(self) -> "duckdb.Statement":
        """Connect, and parse the text."""
        need_duckdb(self._name)
        import duckdb

        if not hasattr(duckdb.DuckDBPyRelation, "to_arrow_reader"):
            raise UsageError(f"{self._name} needs DuckDB 1.5 or newer: pip install -U 'txfast[sql]'")
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": self._threads,
            "autoinstall_known_extensions": False,
        }
        if self._memory_bytes:
            config["memory_limit"] = f"{self._memory_bytes // MIB}MiB"
        self._connection = connection = duckdb.connect(":memory:", config=config)
        if self._text.count(";") > 1 and DUMP.search(self._text):
            raise InputError(f"{self._name}: is a dump of a database, which fills tables, and no query: {OF_A_DUMP}")
        statements = connection.extract_statements(self._text)
        if not statements:
            raise InputError(f"{self._name}: there is no query in it: {ONE_QUERY}")
        if len(statements) > 1:
            raise InputError(f"{self._name}: there are {len(statements):,} statements in it: {ONE_QUERY}")
        [statement] = statements
        kind = statement.type.name
        if kind != "SELECT":
            raise InputError(f"{self._name}: it is no query, but of the kind {kind}: {ONE_QUERY}")
        return statement

    def _start(self) -> "pa.RecordBatchReader":
        """Run the query up to its first rows."""
        statement = self._statement()
        connection = self._connection
        assert connection is not None, "the statement was parsed by it"
        for setting in SETTINGS:
            connection.execute(setting)
        self._own_folder = make_folder(self._folder)
        connection.execute("SET temp_directory = ?", [self._own_folder or ""])
        calls_own = CSV_FUNCTION in self._text.lower()
        rows = connection.sql(statement) if calls_own else rows_of(connection, statement)
        count = BATCH_ROWS if len(rows.columns) <= PLAIN_COLUMNS else WIDE_BATCH_ROWS
        self._reader = rows.to_arrow_reader(count)
        return self._reader

    def _batches(self, reader: "pa.RecordBatchReader") -> "Iterator[pa.RecordBatch]":
        def next_batch() -> "pa.RecordBatch | None":
            return next(reader, None)

        while (batch := self._call(next_batch)) is not None:
            yield batch
            del batch  # before the next one is read

    def _give_back(self) -> None:
        """Close what is open, and remove the folder. Nothing is left for a second call."""
        reader, self._reader = self._reader, None
        connection, self._connection = self._connection, None
        folder, self._own_folder = self._own_folder, None
        if reader is not None and connection is not None:
            close_reader(reader, connection)
        if connection is not None:
            connection.close()
        if folder is not None:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)


def close_reader(reader: "pa.RecordBatchReader", connection: "duckdb.DuckDBPyConnection") -> None:
    """Close the stream of a query that may not be at its end. DuckDB runs ahead of its reader, and closing waits for
    that: so it is told to stop, again and again until it has."""
    is_closed = threading.Event()

    def interrupt() -> None:
        connection.interrupt()
        while not is_closed.wait(POLL_SECONDS):
            connection.interrupt()

    watcher = threading.Thread(target=interrupt, daemon=True)
    watcher.start()
    try:
        reader.close()
    finally:
        is_closed.set()
        watcher.join()


class QueryRows:
    """The stream of a query's rows: record batches of one `schema`. Iterate it."""

    def __init__(self, schema: "pa.Schema", batches: "Iterator[pa.RecordBatch]") -> None:
        self.schema = schema
        self._batches = batches

    def __iter__(self) -> "Iterator[pa.RecordBatch]":
        return self._batches
