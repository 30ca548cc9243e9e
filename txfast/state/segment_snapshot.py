"""SegmentSnapshot: a snapshot whose files are segments (store.py). A run looks up in it; it can be restored whole too.

Opening it reads the manifest alone. What a run reads of its files is checked when it is read.

This module must not know when snapshots are made, nor what the manifest says of inputs.
"""

import os

from txfast.errors import StateError, unreadable
from txfast.state import manifest
from txfast.state.dialects import text_ids_of
from txfast.state.snapshot import Snapshot
from txfast.state.snapshot_layout import ACCOUNTS, DETAILS, ENTRIES, OPENINGS, SUMMARIES
from txfast.state.store import Store, text_key_of
from txfast.store.columns_of_runs import WORDS, AccountColumnsOfRuns, EntryColumnsOfRuns, SummaryColumnsOfRuns

# The kinds of columns of runs, as those of a Snapshot.
KINDS = {"accounts": ACCOUNTS, "openings": OPENINGS, "entries": ENTRIES, "details": DETAILS, "summaries": SUMMARIES}

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from txfast.dialect.dialect import Dialect
    from txfast.state.restored_columns import Columns


class SegmentSnapshot(Snapshot):
    """A Snapshot of segments. `store` has them."""

    def __init__(self, folder: str, fields: "dict[str, Any]") -> None:
        super().__init__(folder, fields)
        self._store: Store | None = None
        if self.dialect is not None and self.text_ids is not None:
            self.dialect.hash_by(text_key_of(self.fields))
            self.text_ids = text_ids_of(self.dialect)

    def use_dialect(self, dialect: "Dialect | None") -> None:
        """Use this dialect, which equals the saved one; it takes over the saved key of the hashes of ids."""
        if dialect is not None and self.text_ids is not None:
            dialect.hash_by(self.text_ids.key)
        super().use_dialect(dialect)
        self._store = None

    @property
    def store(self) -> Store:
        """The segments. Raises StateError."""
        if self._store is None:
            self._store = Store.opened(self.folder, self.fields, self.text_ids)
        return self._store

    def check_sizes(self) -> None:
        """Raise StateError where a file is missing or has another size."""
        for path, byte_count, _ in self.files():
            try:
                found = os.stat(path).st_size
            except FileNotFoundError as error:
                raise StateError(f"{path}: is missing") from error
            except OSError as error:
                raise unreadable(path, error) from error
            if found != byte_count:
                raise StateError(f"{path}: is damaged: it has {found:,} bytes, where {byte_count:,} were saved")

    def check_before_use(self) -> None:
        """Check that all files are there. A run checks what it reads of them; a file that is missing would otherwise
        fail it late."""
        self.check_sizes()

    def files(self) -> "Iterator[tuple[str, int, str]]":
        """As that of a Snapshot."""
        for each in self.store.files():
            summary = manifest.Fields(self.path, each.summary, f"{each.name}: ")
            yield os.path.join(self.folder, each.name), summary.take("bytes", int), summary.take("xxh3_128", str)

    @property
    def details(self) -> int:
        """As that of a Snapshot."""
        rows = (each.segment.rows for each in self.store.files() if each.segment.has_details)
        return self._share_of(sum(rows))

    @property
    def text_bytes(self) -> int:
        """As that of a Snapshot."""
        if self.text_ids is None or not (self.text_ids.client or self.text_ids.tx):
            return 0
        return self._share_of(sum(each.summary["bytes"] for each in self.store.files()))

    def _share_of(self, count: int) -> int:
        return -(-count // self._shard_count)

    def batches(self, first: int, count: int, shards: int) -> "Iterator[tuple[str, str, int, Mapping[str, Columns]]]":
        """As those of a Snapshot: exactly what these shards have."""
        view = self.store.view
        begin, end = first * WORDS // shards, (first + count) * WORDS // shards
        for found in (
            AccountColumnsOfRuns(view.accounts, begin, end),
            EntryColumnsOfRuns([*view.entries, *view.changes], begin, end),
            SummaryColumnsOfRuns(view.accounts, begin, end),
        ):
            for kind, rows, columns in found:
                yield self.folder, KINDS[kind], rows, columns

    def entries_max(self) -> int:
        """As that of a Snapshot."""
        return sum(each.segment.rows for run in self.store.runs["entries"] for each in run)
