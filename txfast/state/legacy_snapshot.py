"""LegacySnapshot: a snapshot that an earlier version wrote, in formats 1 to 5. It is restored whole.

Its files are Arrow files with all accounts and entries (snapshot_layout.py). This module must not know when snapshots
are made, nor what the manifest says of inputs.
"""

import os

from txfast.errors import StateError
from txfast.state.arrow_columns import read_columns
from txfast.state.snapshot import Snapshot
from txfast.state.snapshot_layout import (
    ACCOUNTS,
    CURRENCY_BYTES,
    DETAILS,
    DISPUTES,
    EARLIER_ENTRIES,
    ENTRIES,
    OPENINGS,
    ROW_BYTES,
    SHARD,
    row_bytes_min,
    schemas,
)

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, Self

    from txfast.dialect.dialect import Dialect
    from txfast.state.restored_columns import Columns


class LegacySnapshot(Snapshot):
    """A snapshot in a format of earlier versions."""

    def __init__(self, folder: str, fields: "dict[str, Any]") -> None:
        super().__init__(folder, fields)
        self._saved_shards = self.fields.parts("shards") if "shards" in self.fields.names() else []
        self._in_files: tuple[int, int] = (self.accounts, self.entries)  # of all shards in the files
        # The name of each file and its kind (ACCOUNTS, ENTRIES, DISPUTES, DETAILS, OPENINGS), in the order in which
        # they are read.
        self._files = self._files_named(self.fields.part("files").names())
        if {name for name, _ in self._files} != set(self.fields.part("files").names()):
            raise StateError(f"{self.path}: is damaged: its files are not those of a snapshot")

    def _files_named(self, names: "Sequence[str]") -> list[tuple[str, str]]:
        """The names that the files must have, given how many there are, and the kind of each file."""
        if self._saved_shards:
            return self._files_of_shards(range(len(self._saved_shards)), names)
        more = [(kind, kind) for kind in (DISPUTES, DETAILS, OPENINGS) if kind in names]
        earlier = [EARLIER_ENTRIES.format(number + 1) for number in range(len(names) - 2 - len(more))]
        return [(ACCOUNTS, ACCOUNTS), *((name, ENTRIES) for name in (*earlier, ENTRIES)), *more]

    def _files_of_shards(self, saved: range, names: "Sequence[str]") -> list[tuple[str, str]]:
        kinds = (ACCOUNTS, ENTRIES, DETAILS, OPENINGS)
        files = [(f"{SHARD.format(number)}/{kind}", kind) for kind in kinds for number in saved]
        return [(name, kind) for name, kind in files if kind not in (DETAILS, OPENINGS) or name in names]

    @property
    def details(self) -> int:
        """About how many entries and accounts have details, by the size of their files."""
        return self._share_of(sum(self._rows_max(kind) for kind in (DETAILS, OPENINGS)))

    @property
    def text_bytes(self) -> int:
        """About how many bytes all ids take that are texts, by the size of their files."""
        if self.text_ids is None:
            return 0
        accounts, entries = self._in_files
        currency_bytes = 0 if self.text_ids.currencies is None else CURRENCY_BYTES
        client_bytes, *others = ROW_BYTES[ACCOUNTS]
        names = 0
        if self.text_ids.client:
            names = max(0, self._bytes_of(ACCOUNTS) - accounts * (currency_bytes + sum(others)))
            client_bytes = names // max(1, accounts)  # with each entry too
        if not self.text_ids.tx:
            return self._share_of(names)
        _, _, *others = ROW_BYTES[ENTRIES]
        row_bytes = client_bytes + currency_bytes + sum(others)
        return self._share_of(names + max(0, self._bytes_of(ENTRIES) - entries * row_bytes))

    def _share_of(self, count: int) -> int:
        """The share that is this shard's of something in all files that are read."""
        accounts, _ = self._in_files
        return -(-count * self.accounts // max(1, accounts))

    def _bytes_of(self, kind: str) -> int:
        """The size of all files of a kind."""
        files = self.fields.part("files")
        return sum(int(files.part(name).take("bytes", int)) for name, each in self._files if each == kind)

    def _rows_max(self, kind: str) -> int:
        """The most rows that the files of a kind have bytes for."""
        return self._bytes_of(kind) // row_bytes_min(kind, self.text_ids)

    def files(self) -> "Iterator[tuple[str, int, str]]":
        """As that of a Snapshot."""
        files = self.fields.part("files")
        for name, _ in self._files:
            said = files.part(name)
            yield os.path.join(self.folder, name), said.take("bytes", int), said.take("xxh3_128", str)

    def of_shard(self, shard: int, shard_count: int, dialect: "Dialect | None" = None) -> "Self":
        """As that of a Snapshot. `accounts` and `entries` are exact where clients are numbers and were saved in as many
        shards."""
        snapshot = super().of_shard(shard, shard_count, dialect)
        snapshot.accounts, snapshot.entries = self.accounts, self.entries
        saved, overlapping = 1, range(1)
        if self._saved_shards:
            # Shards are ranges of the clients' hashes, so that a shard of one division overlaps few of another. Hashes
            # of texts are others in each run.
            saved = len(self._saved_shards)
            overlapping = range(shard * saved // shard_count, -(-(shard + 1) * saved // shard_count))
            if self.text_ids is not None and self.text_ids.client:
                overlapping = range(saved)
            snapshot._files = self._files_of_shards(overlapping, self.fields.part("files").names())
            counted = [self._saved_shards[number] for number in overlapping]
            snapshot.accounts = sum(each.take("accounts", int) for each in counted)
            snapshot.entries = sum(each.take("entries", int) for each in counted)
        snapshot._in_files = (snapshot.accounts, snapshot.entries)
        # The share of the overlapping shards that is this one's, by the size of the ranges.
        snapshot.accounts = -(-snapshot.accounts * saved // (shard_count * len(overlapping)))
        snapshot.entries = -(-snapshot.entries * saved // (shard_count * len(overlapping)))
        return snapshot

    def batches(self, first: int, count: int, shards: int) -> "Iterator[tuple[str, str, int, Mapping[str, Columns]]]":  # noqa: ARG002
        """As those of a Snapshot: all that the files have, whatever shards are asked for."""
        known = schemas(text_ids=self.text_ids)
        for name, kind in self._files:
            path = os.path.join(self.folder, name)
            try:
                for rows, columns in read_columns(path, known[kind]):
                    yield path, kind, rows, dict(zip(known[kind].names, columns, strict=True))
            except ValueError as error:
                raise StateError(f"{path}: is damaged: {error}") from error

    def entries_max(self) -> int:
        """As that of a Snapshot."""
        return self._rows_max(ENTRIES)
