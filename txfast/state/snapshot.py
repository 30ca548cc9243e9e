"""A snapshot: all that some ledgers hold, as a folder of Arrow files and a manifest.

    accounts.arrow   client uint64, available int64, held int64, locked bool
    entries.arrow    client uint64, tx uint64, amount int64, kind uint8, state uint8

Amounts are in units of 0.0001; kinds are 0 deposit, 1 withdrawal, whose amount is 0 since the ledger does not keep it;
states 0 undisputed, 1 in dispute, 2 over. Record batches have at most BATCH_ROWS rows, so reading is bounded.

Snapshots that one run takes on its way share what does not change, so that each costs what is new since the last one:

    entries-N.arrow  the entries that an earlier one has written, N from 1 on in their order: a second name of its file
    disputes.arrow   client uint64, tx uint64, state uint8: all deposits that were ever disputed, in any of them

The states of the entries themselves are all 0 then.

One that several processes write at once has the first two files for each of its shards:

    shard-N/         N from 0 on, in the order of the parts of what clients hash to (ledger/shard.pxd)

A snapshot is trusted in nothing: it is used when its hashes are right, and even then the ledger looks at every number.
This module must not know when snapshots are made, nor what the manifest says of inputs.
"""

import os
import shutil
from contextlib import suppress

from txfast.errors import CapacityError, MemoryLimitError, SourceError, StateError
from txfast.ledger.columns_in import LedgerRestorer
from txfast.ledger.columns_out import DISPUTABLE_KINDS, DISPUTE_STATES, ENTRY_KINDS, SavedLedger
from txfast.ledger.ledger import Ledger
from txfast.state import manifest
from txfast.writers.output import fsync_folder

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from io import FileIO
    from typing import Any

    import pyarrow as pa

    Columns = list[bytearray]

BATCH_ROWS = 1 << 17
ACCOUNTS = "accounts.arrow"
ENTRIES = "entries.arrow"
DISPUTES = "disputes.arrow"
EARLIER_ENTRIES = "entries-{}.arrow"
SHARD = "shard-{}"
# More of them than a client's hash has bits for are not told apart.
SHARDS_MAX = 1 << 31
# So many files of entries at most, before they are written as one again.
SEGMENTS_MAX = 64
# Of one row, by column; 0 where it is a bit.
ACCOUNT_BYTES = (8, 8, 8, 0)
ENTRY_BYTES = (8, 8, 8, 1, 1)
DISPUTE_BYTES = (8, 8, 1)
HASHED_BYTES = 1 << 20


def schemas() -> "dict[str, pa.Schema]":
    """The schema of each file."""
    import pyarrow as pa

    columns = {
        ACCOUNTS: [("client", pa.uint64()), ("available", pa.int64()), ("held", pa.int64()), ("locked", pa.bool_())],
        ENTRIES: [
            ("client", pa.uint64()), ("tx", pa.uint64()), ("amount", pa.int64()), ("kind", pa.uint8()),
            ("state", pa.uint8()),
        ],
        DISPUTES: [("client", pa.uint64()), ("tx", pa.uint64()), ("state", pa.uint8())],
    }  # fmt: skip
    notes = {
        "amounts": "units of 0.0001",
        "kind": codes(ENTRY_KINDS),
        "state": codes(DISPUTE_STATES),
    }
    return {
        name: pa.schema([pa.field(field, kind, nullable=False) for field, kind in fields], metadata=notes)
        for name, fields in columns.items()
    }


def codes(names: "Sequence[str]") -> str:
    """What the numbers in a column stand for."""
    return ", ".join(f"{code} {name}" for code, name in enumerate(names))


class HashedFile:
    """A file that is written once and hashed on the way, as pyarrow and others write to it. Raises SourceError."""

    closed = False

    def __init__(self, path: str) -> None:
        from xxhash import xxh3_128

        self.path = path
        self._hash = xxh3_128()
        self.bytes_written = 0
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(path, error) from error

    def write(self, block: "pa.Buffer | bytes") -> int:
        view = memoryview(block).cast("B")
        length = view.nbytes
        self._hash.update(view)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise unwritable(self.path, error) from error
        self.bytes_written += length
        return length

    def tell(self) -> int:
        return self.bytes_written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """pyarrow's own end; whoever made the file closes it by `finish` or `discard`."""

    def finish(self, *, durable: bool) -> "dict[str, object]":
        """Have it reach the disk, where `durable`, and close it; what the manifest says of it."""
        try:
            if durable:
                os.fsync(self._descriptor)
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
        except OSError as error:
            raise unwritable(self.path, error) from error
        return {"bytes": self.bytes_written, "xxh3_128": self._hash.hexdigest()}

    def discard(self) -> None:
        """Close it, finished or not."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with suppress(OSError):  # nobody wants what was written
                os.close(descriptor)


def unwritable(path: str, error: OSError) -> SourceError:
    return SourceError(f"{path}: cannot be written: {error.strerror or error}")


def unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(f"{path}: cannot be read: {error.strerror or error}")


class TooLargeError(Exception):
    """What is restored into one ledger takes more memory than it may."""


class Segments:
    """The entries that a run has on the disk by now: files in their order, each as a manifest has it, in one folder;
    and how many of each ledger's deposits and withdrawals are in them."""

    def __init__(self) -> None:
        self.folder = ""
        self.files: list[dict[str, object]] = []
        self.written: list[tuple[int, ...]] = []  # for each ledger of the run

    def name(self, number: int) -> str:
        """What the file of this number, from 0 on, is called in the folder."""
        return ENTRIES if number == len(self.files) - 1 else EARLIER_ENTRIES.format(number + 1)

    def link_into(self, folder: str) -> "dict[str, dict[str, object]]":
        """Give the files second names in another folder, for entries that come after them. Raises OSError."""
        named = {EARLIER_ENTRIES.format(number + 1): said for number, said in enumerate(self.files)}
        for number, name in enumerate(named):
            os.link(os.path.join(self.folder, self.name(number)), os.path.join(folder, name))
        return named


class SnapshotWriter:
    """Writes a snapshot into a new folder: `add` ledgers, then `finish`; in any case `close`.

    With `segments` it writes only the entries behind those, of the same ledgers in the same order, and `segments_in`
    says then what there is for the next one. `durable` has it on the disk when `finish` returns: without, only
    measurements are to be taken. Raises SourceError.
    """

    def __init__(self, folder: str, *, durable: bool = True, segments: Segments | None = None) -> None:
        self.folder = folder
        self._durable = durable
        import pyarrow as pa

        self._accounts = self._entries = self._balance = 0
        self._linked: dict[str, dict[str, object]] = {}  # as the manifest has them, and
        self._said: dict[str, dict[str, object]] = {}  # so what is written anew
        self._written: list[tuple[int, ...]] = []
        self._segments = segments
        self._files: dict[str, HashedFile] = {}
        self._writers: dict[str, pa.ipc.RecordBatchFileWriter] = {}
        self._schemas = schemas()
        try:
            os.mkdir(folder, 0o700)
        except OSError as error:
            raise unwritable(folder, error) from error
        if segments is not None:
            self._link(segments)
        for name, schema in self._schemas.items():
            if name == DISPUTES and segments is None:
                continue
            self._files[name] = HashedFile(os.path.join(folder, name))
            self._writers[name] = pa.ipc.new_file(pa.PythonFile(self._files[name], mode="w"), schema)

    def _link(self, segments: Segments) -> None:
        """Have what was written before in this folder too; where the system does not let it, all is written anew."""
        if len(segments.files) >= SEGMENTS_MAX:
            return
        try:
            self._linked = segments.link_into(self.folder)
        except OSError:
            for number in range(len(segments.files)):
                with suppress(OSError):  # it was not made
                    os.unlink(os.path.join(self.folder, EARLIER_ENTRIES.format(number + 1)))

    def add(self, ledger: Ledger) -> None:
        """Write a ledger's accounts and entries."""
        saved = SavedLedger(ledger)
        for first, rows in pieces(0, len(ledger)):
            columns = make_columns(ACCOUNT_BYTES, rows)
            saved.copy_accounts(first, rows, *columns)
            self._write(ACCOUNTS, rows, columns)
        counts = tuple(saved.entries(kind) for kind in range(len(ENTRY_KINDS)))
        starts = (0,) * len(counts)
        if self._segments is not None and self._linked:
            starts = self._segments.written[len(self._written)]
        for kind, start in enumerate(starts):
            for first, rows in pieces(start, counts[kind]):
                columns = make_columns(ENTRY_BYTES, rows)
                saved.copy_entries(kind, first, rows, *columns)
                if self._segments is not None:
                    columns[-1] = bytearray(rows)
                self._write(ENTRIES, rows, columns)
        if self._segments is not None:
            self._write_disputes(saved)
        self._written.append(counts)
        self._accounts += len(ledger)
        self._entries += ledger.entries
        self._balance += saved.total_units

    def _write_disputes(self, saved: SavedLedger) -> None:
        for kind in DISPUTABLE_KINDS:
            place, end = 0, saved.entries(kind)
            while place < end:
                columns = make_columns(DISPUTE_BYTES, BATCH_ROWS)
                rows, place = saved.copy_disputes(kind, place, end, BATCH_ROWS, *columns)
                if rows:
                    self._write(DISPUTES, rows, columns)

    def _write(self, name: str, rows: int, columns: "Columns") -> None:
        import pyarrow as pa

        schema = self._schemas[name]
        arrays = [
            pa.Array.from_buffers(field.type, rows, [None, pa.py_buffer(column)], 0)
            for field, column in zip(schema, columns, strict=True)
        ]
        self._writers[name].write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))

    def finish(self, fields: "dict[str, Any]", least_format: int = manifest.FORMAT) -> "dict[str, Any]":
        """Close the files and write the manifest last, with these fields too, which need this format; return all of
        them."""
        own_format = manifest.FORMAT if self._segments is None else manifest.SHARED_FORMAT
        written = self.finish_files() | fields
        return write_manifest(self.folder, max(own_format, least_format), written, durable=self._durable)

    def finish_files(self) -> "dict[str, Any]":
        """Close the files, and have them reach the disk; what a manifest says of them."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
        self._said = {name: file.finish(durable=self._durable) for name, file in self._files.items()}
        if self._durable:
            sync_folder(self.folder)
        return {
            "files": self._said | self._linked,
            "accounts": self._accounts,
            "entries": self._entries,
            "balance_units": self._balance,
        }

    def segments_in(self, folder: str) -> Segments:
        """What was written by now, once it is finished, for the next one: in this folder, if it was renamed."""
        segments = Segments()
        segments.folder = folder
        segments.files = [*self._linked.values(), self._said[ENTRIES]]
        segments.written = self._written
        return segments

    def close(self) -> None:
        """Close what is open. The folder stays, for whoever named it to rename or to remove."""
        for file in self._files.values():
            file.discard()


def write_manifest(
    folder: str, format_number: int, fields: "dict[str, Any]", *, durable: bool = True
) -> "dict[str, Any]":
    """Write the manifest of a snapshot, the last of its files; return all that it says. Raises SourceError, and
    StateError where nobody would read it, since it is too long."""
    import time

    from txfast import __version__

    named = {
        "format": format_number,
        "txfast": __version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **fields,
    }
    path = os.path.join(folder, manifest.NAME)
    text = manifest.text_of(named)
    if len(text) > manifest.BYTES_MAX:
        raise StateError(
            f"{path}: would take {len(text)} bytes, and {manifest.BYTES_MAX} is the most: these are too many inputs "
            f"for one state, or too many parts of them, which are fewer where ranges are larger"
        )
    file = HashedFile(path)
    try:
        file.write(text)
        file.finish(durable=durable)
    finally:
        file.discard()
    if durable:
        sync_folder(folder)
    return named


def join_shards(folder: str, shards: "Sequence[dict[str, Any]]", fields: "dict[str, Any]") -> set[str]:
    """Make one snapshot of shards, each written into a folder of its own in this one; return the names of all in it.

    Of each, in their order, it is given what `finish_files` has returned, and the `folder`. Raises SourceError.
    """
    files: dict[str, dict[str, object]] = {}
    for number, shard in enumerate(shards):
        name = SHARD.format(number)
        try:
            os.rename(os.path.join(folder, shard["folder"]), os.path.join(folder, name))
        except OSError as error:
            raise unwritable(os.path.join(folder, name), error) from error
        files |= {f"{name}/{file}": said for file, said in shard["files"].items()}
    counts = [{"accounts": shard["accounts"], "entries": shard["entries"]} for shard in shards]
    sums = {name: sum(shard[name] for shard in shards) for name in ("accounts", "entries", "balance_units")}
    write_manifest(folder, manifest.SHARDED_FORMAT, {"files": files, "shards": counts, **sums, **fields})
    return {manifest.NAME, *(SHARD.format(number) for number in range(len(shards)))}


def remove_others(folder: str, kept: "set[str]") -> None:
    """Remove all folders in a folder but these, as far as the system lets it."""
    with suppress(OSError):
        for name in os.listdir(folder):
            if name not in kept:
                shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def pieces(start: int, end: int) -> "Iterator[tuple[int, int]]":
    """Where each record batch of the rows from one to another begins, and its rows."""
    for first in range(start, end, BATCH_ROWS):
        yield first, min(BATCH_ROWS, end - first)


def make_columns(row_bytes: "Sequence[int]", rows: int) -> "Columns":
    """Columns for so many rows."""
    return [bytearray(rows * each if each else (rows + 7) // 8) for each in row_bytes]


def sync_folder(path: str) -> None:
    """Have the names in a folder reach the disk. Raises SourceError."""
    try:
        fsync_folder(path)
    except OSError as error:
        raise unwritable(path, error) from error


class Snapshot:
    """A snapshot that was found whole: by `open`, which reads all of it once, or by whoever looks at its `files`
    elsewhere. `fields` are its manifest's.

    What is asked of one shard alone, by `of_shard`, says in the end what it `restored`: accounts, entries and units of
    0.0001 that are those saved, once all shards are added up.
    """

    def __init__(self, folder: str, fields: "dict[str, Any]") -> None:
        path = os.path.join(folder, manifest.NAME)
        self.folder = folder
        self.fields = manifest.Fields(path, fields)
        self.accounts: int = self.fields.take("accounts", int)
        self.entries: int = self.fields.take("entries", int)
        self.balance_units = self.fields.whole("balance_units")
        self.created: str = self.fields.take("created", str)
        self._saved_shards = self.fields.parts("shards") if "shards" in self.fields.names() else []
        self._shard, self._shard_count = 0, 1
        self.restored = (0, 0, 0)
        # The names of files, and what is in them, in the order in which they are read.
        self._files = self._files_named(self.fields.part("files").names())
        if {name for name, _ in self._files} != set(self.fields.part("files").names()):
            raise StateError(f"{path}: is damaged: its files are not those of a snapshot")

    def _files_named(self, names: "Sequence[str]") -> list[tuple[str, str]]:
        if self._saved_shards:
            return self._files_of_shards(range(len(self._saved_shards)))
        disputes = [(DISPUTES, DISPUTES)] if DISPUTES in names else []
        earlier = [EARLIER_ENTRIES.format(number + 1) for number in range(len(names) - 2 - len(disputes))]
        return [(ACCOUNTS, ACCOUNTS), *((name, ENTRIES) for name in (*earlier, ENTRIES)), *disputes]

    def _files_of_shards(self, saved: range) -> list[tuple[str, str]]:
        return [(f"{SHARD.format(number)}/{kind}", kind) for kind in (ACCOUNTS, ENTRIES) for number in saved]

    @classmethod
    def open(cls, folder: str) -> "Snapshot":
        """Raises StateError where the folder is no snapshot of a format known here, or any byte of it was changed."""
        snapshot = cls.open_unchecked(folder)
        for path, byte_count, digest in snapshot.files():
            check_file(path, byte_count, digest)
        return snapshot

    @classmethod
    def open_unchecked(cls, folder: str) -> "Snapshot":
        """The same by its manifest alone."""
        path = os.path.join(folder, manifest.NAME)
        return cls(folder, manifest.parse(path, read_small(path, manifest.BYTES_MAX)))

    def files(self) -> "Iterator[tuple[str, int, str]]":
        """Iterate its files: the path, how many bytes and which hash it has to have. Raises StateError."""
        files = self.fields.part("files")
        for name, _ in self._files:
            said = files.part(name)
            yield os.path.join(self.folder, name), said.take("bytes", int), said.take("xxh3_128", str)

    def of_shard(self, shard: int, shard_count: int) -> "Snapshot":
        """The same, as if it had only the clients of one of so many shards, which need not be as many as were saved."""
        import copy

        snapshot = copy.copy(self)
        snapshot._shard, snapshot._shard_count = shard, shard_count
        saved, overlapping = 1, range(1)
        if self._saved_shards:
            # Shards are parts, in order, of what clients hash to.
            saved = len(self._saved_shards)
            overlapping = range(shard * saved // shard_count, -(-(shard + 1) * saved // shard_count))
            snapshot._files = self._files_of_shards(overlapping)
            counted = [self._saved_shards[number] for number in overlapping]
            snapshot.accounts = sum(each.take("accounts", int) for each in counted)
            snapshot.entries = sum(each.take("entries", int) for each in counted)
        # Of the shards that it comes from, its share by size; exactly what there is of it where as many were saved.
        snapshot.accounts = -(-snapshot.accounts * saved // (shard_count * len(overlapping)))
        snapshot.entries = -(-snapshot.entries * saved // (shard_count * len(overlapping)))
        return snapshot

    def restore(self, ledgers: "Sequence[Ledger]") -> None:
        """Have empty ledgers hold what was saved, each its shard. Raises StateError, CapacityError and MemoryError."""
        self._restore([self._restorer(ledger, place, len(ledgers)) for place, ledger in enumerate(ledgers)])
        self._check_sums(
            sum(map(len, ledgers)), sum(ledger.entries for ledger in ledgers),
            sum(ledger.balance_units for ledger in ledgers),
        )  # fmt: skip

    def _restorer(self, ledger: Ledger, place: int, count: int) -> LedgerRestorer:
        """What fills a ledger, one of so many for the shard."""
        return LedgerRestorer(ledger, self._shard * count + place, self._shard_count * count)

    def parts(self, count: int, limit_bytes: int) -> "Iterator[tuple[int, Ledger]]":
        """Iterate ledgers with what was saved, for whoever has no room for all of them: the number of the shard, of so
        many, and one ledger for it, or several with a part of its clients each, where it takes more than so many bytes.

        All is read as often. Raises as `restore`, and MemoryLimitError where one client takes more.
        """
        accounts = entries = balance = 0
        for place in range(count):
            for ledger in self._pieces(place, count, limit_bytes):
                accounts += len(ledger)
                entries += ledger.entries
                balance += ledger.balance_units
                yield place, ledger
        self._check_sums(accounts, entries, balance)

    def _pieces(self, place: int, count: int, limit_bytes: int) -> "Iterator[Ledger]":
        """Iterate ledgers for one of so many shards: one, or where it is too large those of its halves."""
        ledger = Ledger()
        ledger.limit_memory(limit_bytes)

        def check_size() -> None:
            if limit_bytes and ledger.bytes_with(0) > limit_bytes:
                raise TooLargeError

        try:
            self._restore([self._restorer(ledger, place, count)], check_size)
        except TooLargeError as error:
            if len(ledger) <= 1 or self._shard_count * count > SHARDS_MAX:
                raise MemoryLimitError(
                    f"{self.folder}: has a client that is too large for the memory limit: name one that is higher"
                ) from error
            ledger.clear()
            for half in (2 * place, 2 * place + 1):
                yield from self._pieces(half, 2 * count, limit_bytes)
            return
        yield ledger

    def _restore(
        self, restorers: "Sequence[LedgerRestorer]", check: "Callable[[], None]" = lambda: None
    ) -> None:
        """Read all that is there, and have each take what is its; `check` on the way."""
        # What the manifest says of entries is bounded by what there is of them.
        files = self.fields.part("files")
        entry_bytes = sum(files.part(name).take("bytes", int) for name, kind in self._files if kind == ENTRIES)
        for restorer in restorers:
            restorer.expect(min(self.entries, entry_bytes // sum(ENTRY_BYTES)) * self._shard_count)
        place = self.folder
        known = schemas()
        try:
            for name, kind in self._files:
                adders = [adder(restorer, kind) for restorer in restorers]
                place = os.path.join(self.folder, name)
                for rows, columns in read_columns(place, known[kind]):
                    for add in adders:
                        add(rows, *columns)
                    check()
            place = self.folder
            for restorer in restorers:
                restorer.finish()
        except CapacityError:
            raise
        except ValueError as error:
            raise StateError(f"{place}: is damaged: {error}") from error

    def _check_sums(self, accounts: int, entries: int, balance: int) -> None:
        self.restored = (accounts, entries, balance)
        if self._shard_count == 1:
            self.check_restored(*self.restored)

    def check_restored(self, accounts: int, entries: int, balance: int) -> None:
        """See that so much was saved. Raises StateError."""
        if (accounts, entries) != (self.accounts, self.entries):
            raise StateError(
                f"{self.folder}: is damaged: it has {accounts} accounts and {entries} transactions, where "
                f"{self.accounts} and {self.entries} were saved"
            )
        if balance != self.balance_units:
            raise StateError(
                f"{self.folder}: is damaged: its accounts have {balance} units of 0.0001, where {self.balance_units} "
                f"were saved"
            )


def adder(restorer: LedgerRestorer, kind: str) -> "Callable[..., object]":
    """What takes the columns of a file."""
    adders: dict[str, Callable[..., object]]
    adders = {ACCOUNTS: restorer.add_accounts, ENTRIES: restorer.add_entries, DISPUTES: restorer.add_disputes}
    return adders[kind]


def read_small(path: str, bytes_max: int) -> bytes:
    """A file of at most so many bytes. Raises StateError and SourceError."""
    try:
        with open(path, "rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > bytes_max:
                raise StateError(f"{path}: is damaged: it is too long")
            return file.readall()
    except FileNotFoundError as error:
        raise StateError(f"{path}: is damaged: it is missing") from error
    except OSError as error:
        raise unreadable(path, error) from error


def check_file(path: str, bytes_said: int, digest_said: str) -> None:
    """See that a file is what its manifest says. Raises StateError and SourceError."""
    from xxhash import xxh3_128

    digest = xxh3_128()
    buffer = bytearray(HASHED_BYTES)
    try:
        with open_of_size(path, bytes_said) as file, memoryview(buffer) as view:
            while count := file.readinto(buffer):
                digest.update(view[:count])
    except OSError as error:
        raise unreadable(path, error) from error
    check_digest(path, digest.hexdigest(), digest_said)


def open_of_size(path: str, bytes_said: int) -> "FileIO":
    """Open a file that has to be there, and to have so many bytes. Raises StateError and SourceError."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 (whoever asked closes it)
        found = os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise StateError(f"{path}: is damaged: it is missing") from error
    except OSError as error:
        raise unreadable(path, error) from error
    if found != bytes_said:
        file.close()
        raise StateError(f"{path}: is damaged: it has {found} bytes, where {bytes_said} were written")
    return file


def check_digest(path: str, found: str, digest_said: str) -> None:
    """See that a file has this hash. Raises StateError."""
    if found != digest_said:
        raise StateError(f"{path}: is damaged: its bytes are not those that were written")


def read_columns(path: str, schema: "pa.Schema") -> "Iterator[tuple[int, list[memoryview]]]":
    """Each record batch of an Arrow file of this schema: its rows, and its columns' buffers. Raises ValueError."""
    import pyarrow as pa

    try:
        with pa.OSFile(path) as file:
            reader = pa.ipc.open_file(file)
            if reader.schema != schema:
                raise ValueError("its columns are not those of a snapshot")
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                if batch.num_rows > BATCH_ROWS:
                    raise ValueError(f"it has a record batch of {batch.num_rows} rows")
                if batch.num_rows:
                    yield batch.num_rows, [buffer_of(column) for column in batch.columns]
    except MemoryError:
        raise
    except OSError as error:
        if error.errno is None:  # it is pyarrow's word for what it cannot make sense of
            raise ValueError(f"it is no Arrow file ({error})") from error
        raise unreadable(path, error) from error
    except pa.ArrowException as error:
        raise ValueError(f"it is no Arrow file ({error})") from error


def buffer_of(column: "pa.Array") -> memoryview:
    """The values of a column that has no nulls and begins where its buffer does. Raises ValueError."""
    if column.null_count or column.offset:
        raise ValueError("it has nulls, or a column that begins elsewhere")
    _, values = column.buffers()
    if values is None:
        raise ValueError("it has a column without values")
    return memoryview(values).cast("B")
