"""A state as runs of segments, without manifest and folders: ledgers look up in it, and are sealed into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

from tests.support.currencies import make_currency_batch
from tests.support.rows import Row, make_batch
from tests.support.segment_rows import rows_of_ledgers
from tests.support.text_ids import make_text_batch
from txfast.batch.batch import TransactionBatch
from txfast.batch.cursor import report
from txfast.dialect.dialect import Dialect
from txfast.ledger.columns_in import LedgerRestorer
from txfast.ledger.currency_column import CurrencyColumn
from txfast.ledger.disputes_in import restore_details
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.openings import restore_openings
from txfast.ledger.policy import Policy
from txfast.ledger.summaries import check_summaries
from txfast.ledger.text_columns import TextColumn
from txfast.store.active import ActiveAccounts
from txfast.store.columns_of_runs import AccountColumnsOfRuns, EntryColumnsOfRuns, SummaryColumnsOfRuns
from txfast.store.run_merge import merge
from txfast.store.runs import Runs, Sealed
from txfast.store.seal import seal
from txfast.store.segment import Segment
from txfast.store.segment_form import Form

KEY = bytes(range(32))
SORTS: dict[str, Literal["accounts", "entries"]] = {"accounts": "accounts", "entries": "entries", "changes": "entries"}
ROWS_AT_ONCE = 1000


class StoredState:
    """The runs of a state in a folder, and what it has in all. The ids of its accounts are those of the dialect."""

    def __init__(self, folder: Path, dialect: Dialect, policy: str = "") -> None:
        self.dialect = dialect
        self.policy = Policy(policy)
        self.forms = {sort: Form(kind, dialect.text_ids, KEY) for sort, kind in SORTS.items()}
        self.runs: dict[str, list[list[Segment]]] = {sort: [] for sort in SORTS}
        self.accounts = self.entries = self.balance_units = 0
        self._names = (str(folder / f"{number}.arrow") for number in count())

    def new_ledger(self) -> Ledger:
        return Ledger(self.policy, self.dialect.text_ids)

    @property
    def view(self) -> Runs:
        return Runs(**self.runs)

    def path_of(self, _kind: str, _number: int) -> str:
        return next(self._names)

    def take(self, sort: str, written: Iterable[tuple[str, dict[str, Any]]]) -> list[Segment]:
        return [Segment(path, description, self.forms[sort]) for path, description in written]

    def seal(self, actives: Sequence[ActiveAccounts], *, range_rows_max: int | None = None) -> Sealed:
        """Add what the ledgers have that is new or changed."""
        sealed = seal(actives, self.path_of, self.forms, range_rows_max=range_rows_max, durable=False)
        for sort, runs in self.runs.items():
            if run := self.take(sort, getattr(sealed, sort)):
                runs.append(run)
        self.accounts += sealed.new_accounts
        self.entries += sealed.new_entries
        self.balance_units += sealed.balance_units
        for active in actives:
            active.mark_sealed()
        return sealed

    def merge(self, sort: str, first: int, runs: int) -> None:
        """Merge some runs of a sort, from the number `first` on, into one."""
        merged = self.runs[sort][first : first + runs]
        written, next_word = merge(merged, self.path_of, self.forms[sort])
        assert next_word is None
        self.runs[sort][first : first + runs] = [self.take(sort, written)]

    def restored(self, shards: int = 1) -> list[Ledger]:
        """Ledgers with all that the state has, which are proven."""
        restorers = [LedgerRestorer(self.new_ledger(), shard, shards) for shard in range(shards)]
        for restorer in restorers:
            adders: dict[str, Callable[..., object]] = {
                "accounts": restorer.add_accounts,
                "openings": partial(restore_openings, restorer),
                "entries": restorer.add_entries,
                "details": partial(restore_details, restorer),
                "summaries": partial(check_summaries, restorer),
            }
            for kind, rows, columns in self.columns():
                given = {name: self._taken(rows, *buffers) for name, buffers in columns.items() if name != "currency"}
                codes = None
                if "currency" in columns:
                    assert self.dialect.currencies is not None
                    codes = CurrencyColumn(self.dialect.currencies, rows, *columns["currency"])
                adders[kind](rows, *given.values(), currencies=codes)
            restorer.finish()
        return [restorer.ledger for restorer in restorers]

    def columns(self) -> Iterator[tuple[str, int, dict[str, list[bytearray]]]]:
        yield from AccountColumnsOfRuns(self.runs["accounts"], rows_at_once=ROWS_AT_ONCE)
        yield from EntryColumnsOfRuns([*self.runs["entries"], *self.runs["changes"]], rows_at_once=ROWS_AT_ONCE)
        yield from SummaryColumnsOfRuns(self.runs["accounts"], rows_at_once=ROWS_AT_ONCE)

    def _taken(self, rows: int, values: bytearray, texts: bytearray | None = None) -> bytearray | TextColumn:
        if texts is None:
            return values
        assert self.dialect.text_ids is not None
        return TextColumn(self.dialect.text_ids, rows, values, texts)


def batch_of(rows: Sequence[Row], dialect: Dialect) -> TransactionBatch:
    """Rows as one batch of any dialect."""
    if dialect.text_ids is None:
        return make_batch([row.line() for row in rows])
    if dialect.text_ids.currencies is not None:
        return make_currency_batch(rows, dialect)
    return make_text_batch(rows, dialect)


def statuses_of(batch: TransactionBatch) -> list[str]:
    """The status of each row of a batch that was applied."""
    return [STATUSES[status] for _, _, status, _ in report(batch, applied=True)]


def accounts_in(ledgers: Sequence[Ledger], dialect: Dialect) -> list[tuple[Any, ...]]:
    """All accounts of ledgers with their opening balances, in order."""
    return [
        ((row["client"], row.get("currency")), row["available"], row["held"], row["flags"], row["opening"])
        for row in rows_of_ledgers(ledgers, dialect.text_ids).accounts
    ]


def entries_in(ledgers: Sequence[Ledger], dialect: Dialect) -> list[tuple[Any, ...]]:
    """All entries of ledgers with their states and details, in order."""
    found = []
    for row in rows_of_ledgers(ledgers, dialect.text_ids).entries:
        # Details that say no more than the amount are as good as none.
        says_no_more = not row["refunded"] and row["moved"] == row["amount"]
        names = ("tx", "kind", "amount", "state", "refunded")
        ids = (row["client"], row.get("currency"))
        found.append((*ids, *(row[name] for name in names), 0 if says_no_more else row["moved"]))
    return found
