"""Store: the segments of a state, which a run looks up in, and those that it adds.

A segment is a file that never changes (store/segment.pyx). Segments stand in runs, each in the order of their keys:
runs of accounts, of entries, and of changes of earlier entries. A newer run shadows an older one. A snapshot is a
folder with all segments that it needs, and a manifest that says in which order; a segment that the next snapshot needs
too gets a second name (a hard link) there. So publishing costs what is new, and a folder has all that it needs.

This module must not know what a run does with its inputs, nor when a snapshot is taken.
"""

import os

from txfast.dialect.text_ids import KEY_BYTES as TEXT_KEY_BYTES
from txfast.errors import CapacityError, StateError, unwritable
from txfast.ledger.columns_in import LedgerRestorer
from txfast.ledger.ledger import Ledger
from txfast.state.compaction import Merge, compact
from txfast.state.folders import remove_others
from txfast.state.restored_columns import columns_as_taken, sums_of
from txfast.state.segment_file import SegmentFile, link_or_copy, summary_of
from txfast.store.active import ActiveAccounts
from txfast.store.columns_of_runs import ACCOUNTS, WORDS, AccountColumnsOfRuns
from txfast.store.runs import Runs
from txfast.store.segment import FILTER_BYTES_MAX, Segment, keep_filters
from txfast.store.segment_form import Form

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, Literal

    from txfast.dialect.text_ids import TextIds
    from txfast.state.manifest import Fields
    from txfast.store.runs import Run, Sealed

KEY_BYTES = 32
# The fields of a manifest that are secret.
KEYS = ("key", "text_key")
# The sorts of runs, and the columns that their segments have.
SORTS: "dict[str, Literal['accounts', 'entries']]" = {
    "accounts": "accounts", "entries": "entries", "changes": "entries"
}  # fmt: skip
SUFFIX = ".arrow"
SUMS = ("accounts", "entries", "balance_units")
# Bytes of a memory limit for each row that is sorted at once, which takes 32, and for each byte of filters.
LIMIT_BYTES_PER_ROW = 1 << 10
LIMIT_BYTES_PER_FILTER_BYTE = 32


class Store:
    """The segments of a state whose ids have these `text_ids`, in their `runs`, by sort, the oldest first.

    `accounts`, `entries` and `balance_units` are those of the whole state. The first `account_runs_before` runs of
    accounts are from earlier runs of the command.
    """

    def __init__(self, text_ids: "TextIds | None", key: bytes | None = None) -> None:
        self.key = key or os.urandom(KEY_BYTES)
        self.set_text_ids(text_ids)
        self.runs: dict[str, list[list[SegmentFile]]] = {sort: [] for sort in SORTS}
        self.merges: dict[str, Merge] = {}  # of each sort, one that is not done
        self.accounts = self.entries = self.balance_units = 0
        self.account_runs_before = 0  # of earlier runs
        self._rows_at_once: int | None = None  # the most that are sorted at once, where memory is limited
        self._rows_added = dict.fromkeys(SORTS, 0)  # since the last compaction
        self._folder = ""  # has all files
        self._next = 1  # the number of the next file
        self._note_opened()

    def limit_memory(self, memory_limit: int | None) -> None:
        """Sort fewer rows at once, and keep fewer bytes of filters, where a run has this memory limit, in bytes."""
        self._rows_at_once = None if memory_limit is None else memory_limit // LIMIT_BYTES_PER_ROW
        most = FILTER_BYTES_MAX if memory_limit is None else memory_limit // LIMIT_BYTES_PER_FILTER_BYTE
        keep_filters(min(FILTER_BYTES_MAX, most))

    def set_text_ids(self, text_ids: "TextIds | None") -> None:
        """Set which ids are texts in new segments."""
        self.text_ids = text_ids
        self.forms = {sort: Form(columns, text_ids, self.key) for sort, columns in SORTS.items()}

    # ---- Opening -------------------------------------------------------------------------------------

    @classmethod
    def opened(cls, folder: str, fields: "Fields", text_ids: "TextIds | None") -> "Store":
        """The store of a snapshot with this manifest. Raises StateError, and SourceError where a file is missing."""
        store = cls(text_ids, bytes_in(fields, "key", KEY_BYTES))
        store._folder = folder
        files = fields.part("files")
        unused = set(files.names())
        for each in fields.parts("runs"):
            sort = each.choice("sort", tuple(SORTS))
            run = []
            for said in each.parts("segments"):
                name = said.choice("file", tuple(unused))
                unused.remove(name)
                path = os.path.join(folder, name)
                run.append(store._segment_file(path, files.part(name).without(), said.without("file"), sort))
            store.runs[sort].append(run)
        if unused:
            raise fields.error("runs")
        merges = fields.part("merges")
        store.merges = {
            sort: Merge.of_fields(merges.part(sort), len(store.runs[sort])) for sort in SORTS if merges.has(sort)
        }
        store.accounts, store.entries = fields.take("accounts", int), fields.take("entries", int)
        store.balance_units = fields.whole("balance_units")
        store._next = fields.take("next_segment", int)
        store._note_opened()
        return store

    def _note_opened(self) -> None:
        """Note what is there when the run begins."""
        self._runs_before = {sort: len(runs) for sort, runs in self.runs.items()}
        self.account_runs_before = len(self.runs["accounts"])
        self._sums_before = {name: getattr(self, name) for name in SUMS}

    def _segment_file(
        self, path: str, summary: "dict[str, Any]", description: "dict[str, Any]", sort: str
    ) -> SegmentFile:
        segment = Segment(path, description, self.forms[sort])
        return SegmentFile(os.path.basename(path), summary, description, segment)

    @property
    def view(self) -> Runs:
        """The runs as look-ups take them."""
        return Runs(**{sort: [[each.segment for each in run] for run in runs] for sort, runs in self.runs.items()})

    def files(self) -> "Iterator[SegmentFile]":
        """Iterate all segments."""
        for runs in self.runs.values():
            for run in runs:
                yield from run

    def open_files(self, sorts: "Iterable[str]" = tuple(SORTS)) -> None:
        """Open all files of these sorts now. Without the lock, the second next commit removes their folder; an open
        file can be read then too. Raises StateError, and SourceError where the folder is gone already."""
        for sort in sorts:
            for run in self.runs[sort]:
                for each in run:
                    each.segment.open()

    # ---- Accounts ------------------------------------------------------------------------------------

    def account_ledger(self, from_word: int, to_word: int) -> Ledger:
        """The accounts of a range of words, without entries. Raises as `ledger_of`."""
        return self.ledger_of(self.view.accounts, from_word, to_word)

    def ledger_of(self, runs: "Sequence[Run]", from_word: int = 0, to_word: int = WORDS) -> Ledger:
        """The accounts in these runs, the oldest first, of a range of words, without entries. Raises StateError,
        MemoryError and CapacityError."""
        ledger = Ledger(text_ids=self.text_ids)
        restorer = LedgerRestorer(ledger)
        try:
            for kind, rows, columns in AccountColumnsOfRuns(runs, from_word, to_word):
                if kind == ACCOUNTS:  # opening balances prove an account; they are not printed
                    given, currencies = columns_as_taken(rows, columns, self.text_ids)
                    restorer.add_accounts(rows, *given, currencies=currencies)
        except (CapacityError, StateError):
            raise
        except ValueError as error:
            raise StateError(f"{self._folder}: is damaged: {error}") from error
        return ledger

    def account_sums(self) -> "Iterator[tuple[bytes | None, int, int, int]]":
        """Iterate the sums of all accounts, part by part: the code of their currency, None where they have none, the
        available and the held units, and how many are locked. Raises StateError."""
        for kind, _, columns in AccountColumnsOfRuns(self.view.accounts):
            if kind == ACCOUNTS:
                yield from sums_of(columns)

    @property
    def account_text_bytes(self) -> int:
        """About how many bytes the names of all clients take that are texts."""
        if self.text_ids is None or not self.text_ids.client:
            return 0
        return sum(int(each.summary["bytes"]) for run in self.runs["accounts"] for each in run)

    # ---- Adding --------------------------------------------------------------------------------------

    def seal(self, actives: "Sequence[ActiveAccounts]", folder: str) -> "Sealed":
        """Write what these ledgers have that the state has not, or has otherwise, into files in `folder`, and add them.

        Raises SourceError, StateError and MemoryError.
        """
        from txfast.store.seal import ROWS_AT_ONCE, seal

        sealed = seal(
            actives, lambda sort, _: os.path.join(folder, self.new_name(sort)), self.forms,
            range_rows_max=min(ROWS_AT_ONCE, self._rows_at_once or ROWS_AT_ONCE),
        )  # fmt: skip
        self.add(sealed)
        return sealed

    def add_parts(self, parts: "Iterable[tuple[int, Ledger]]", folder: str) -> None:
        """Write what an earlier version saved, a part of all clients after the other, into files in `folder`. It counts
        as there before the run. Raises as `seal`, and what the parts raise; nothing is left in `folder` then."""
        try:
            for _, ledger in parts:
                self.seal([ActiveAccounts(ledger)], folder)
                ledger.clear()
        except BaseException:
            remove_others(folder, set())
            raise
        self.account_runs_before = len(self.runs["accounts"])

    def add(self, sealed: "Sealed") -> None:
        """Add the segments that were sealed."""
        for sort, found in (("accounts", sealed.accounts), ("entries", sealed.entries), ("changes", sealed.changes)):
            if found:
                self.runs[sort].append([self.new_file(path, description, sort) for path, description in found])
                self._rows_added[sort] += sum(description["rows"] for _, description in found)
        self.accounts += sealed.new_accounts
        self.entries += sealed.new_entries
        self.balance_units += sealed.balance_units

    def compact(self, folder: str, *, keeps_changed: bool = False) -> None:
        """Merge runs into files in `folder`, as much as a commit may. With `keeps_changed`, runs of accounts that this
        run has added stay apart from earlier ones. Raises as `compact`."""
        compact(self, folder, self._rows_added, {"accounts": self.account_runs_before} if keeps_changed else {})
        self._rows_added = dict.fromkeys(SORTS, 0)

    def changed_accounts(self) -> Ledger:
        """The accounts that this run has changed, without entries. Raises as `ledger_of`."""
        return self.ledger_of(self.view.accounts[self.account_runs_before :])

    def new_name(self, sort: str) -> str:
        name = f"{sort}-{self._next}{SUFFIX}"
        self._next += 1
        return name

    def new_file(self, path: str, description: "dict[str, Any]", sort: str) -> SegmentFile:
        file = self._segment_file(path, summary_of(path), description, sort)
        file.segment.open()  # before its folder gets another name
        return file

    # ---- Saving --------------------------------------------------------------------------------------

    def link_into(self, folder: str) -> None:
        """Give all segments that are not in `folder` yet a name there, which has all of them then. Raises SourceError.

        Where the file system has no hard links, they are copied.
        """
        for each in self.files():
            path = os.path.join(folder, each.name)
            if not os.path.exists(path):
                link_or_copy(each.segment.path, path)

    def moved_to(self, folder: str) -> None:
        """Note the folder that has all files from now on: that of before may be removed."""
        self._folder = folder
        for each in self.files():
            each.segment.moved_to(os.path.join(folder, each.name))

    def fields(self) -> "dict[str, Any]":
        """What a manifest has of the store."""
        return {
            "files": {each.name: each.summary for each in self.files()},
            "accounts": self.accounts,
            "entries": self.entries,
            "balance_units": self.balance_units,
            "key": self.key.hex(),
            **({} if self.text_ids is None else {"text_key": self.text_ids.key.hex()}),
            "next_segment": self._next,
            "merges": {sort: each.fields() for sort, each in self.merges.items()},
            "runs": [
                {"sort": sort, "segments": [{"file": each.name, **each.description} for each in run]}
                for sort, runs in self.runs.items()
                for run in runs
            ],
        }

    def added(self) -> "dict[str, Any]":
        """What was added since it was opened, for `join`: the new runs of each sort, the files of their segments, and
        how much each sum has grown."""
        new = {sort: runs[self._runs_before[sort] :] for sort, runs in self.runs.items()}
        files = [each for runs in new.values() for run in runs for each in run]
        return {
            "files": {each.name: each.summary for each in files},
            "runs": {
                sort: [[(each.name, each.description) for each in run] for run in runs] for sort, runs in new.items()
            },
            "sums": {name: getattr(self, name) - before for name, before in self._sums_before.items()},
        }

    def join(self, folder: str, shards: "Sequence[dict[str, Any]]") -> None:
        """Add what other processes have added, one for each shard in their order, each in a folder inside this one: the
        name in `folder`, and what `added` gave. Raises SourceError.

        Shards are ranges of the clients' hashes, so that the segments of all shards make one run.
        """
        for sort, runs in self.runs.items():
            for number in range(max((len(shard["runs"][sort]) for shard in shards), default=0)):
                runs.append(
                    [
                        self._moved(
                            os.path.join(folder, shard["folder"], name), folder, shard["files"][name], said, sort
                        )
                        for shard in shards
                        for segments in shard["runs"][sort][number : number + 1]
                        for name, said in segments
                    ]
                )
        for shard in shards:
            for name in SUMS:
                setattr(self, name, getattr(self, name) + shard["sums"][name])

    def _moved(
        self, path: str, folder: str, summary: "dict[str, Any]", description: "dict[str, Any]", sort: str
    ) -> SegmentFile:
        moved = os.path.join(folder, self.new_name(sort))
        try:
            os.rename(path, moved)
        except OSError as error:
            raise unwritable(path, error) from error
        return self._segment_file(moved, summary, description, sort)

    def close(self) -> None:
        """Close all files."""
        for each in self.files():
            each.segment.close()


def text_key_of(fields: "Fields") -> bytes:
    """The key of the hashes of ids that are texts, from the manifest. Raises StateError."""
    return bytes_in(fields, "text_key", TEXT_KEY_BYTES)


def bytes_in(fields: "Fields", name: str, count: int) -> bytes:
    """So many bytes in a field, as hexadecimal digits. Raises StateError."""
    try:
        found = bytes.fromhex(fields.take(name, str))
    except ValueError as error:
        raise fields.error(name) from error
    if len(found) != count:
        raise fields.error(name)
    return found
