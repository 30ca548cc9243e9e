"""txfast.Ledger: accounts in memory, to which a program applies one input after the other."""

import os
import threading
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import Literal, SupportsIndex, overload

from txfast.api.account_rows import Account, CurrencyAccount, account_key, account_of
from txfast.api.arguments import taken
from txfast.api.inputs import Inputs
from txfast.api.profiles import takes_profile
from txfast.api.results import Accounts
from txfast.api.row_statuses import RowStatuses
from txfast.api.transactions import Transaction, transactions_of
from txfast.errors import CapacityError, LockedError, StateError
from txfast.interrupts import NotedInterrupts
from txfast.ledger.account_entries import entries_of
from txfast.ledger.figures import counts_of
from txfast.log.journal import program_journal
from txfast.run.intake import InputFigures
from txfast.run.replay import new_replay
from txfast.state.directory import StateDirectory
from txfast.state.store import Store
from txfast.store.active import ActiveAccounts
from txfast.text.words import counted

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator, Mapping
    from typing import NoReturn, Self, TypeVar

    import pyarrow as pa

    from txfast.api.inputs import Input
    from txfast.api.lent_tables import LentTables
    from txfast.api.transactions import Entry
    from txfast.input.position import Position

    Default = TypeVar("Default")


# The identities of the ledgers that apply an input in this thread, or in the one that this thread works for: there a
# generator of the caller's runs.
IN_USE: ContextVar[frozenset[int]] = ContextVar("ledgers in use", default=frozenset())


class Ledger:
    """Accounts and their transactions in memory: `apply` transactions as they come, look accounts up by client.

    Rows mean what `policy` says and inputs are read in a `dialect`, as for `txfast.process`, which both may be in a
    `profile`. Large inputs are applied with `threads`, by default one for each core that the process may use. Malformed
    rows are logged to `logger`, by default `logging.getLogger("txfast")`.

    It may be used from several threads: calls are serialised. It cannot be pickled: `save` it.

    >>> import pyarrow, txfast
    >>> ledger = txfast.Ledger()
    >>> rows = [{"type": "deposit", "client": 42, "tx": 1, "amount": "2.5"}]
    >>> ledger.apply(pyarrow.Table.from_pylist(rows))
    {'applied': 1}
    >>> ledger.apply(pyarrow.Table.from_pylist(rows))
    {'applied': 0, 'duplicate_transaction': 1}
    >>> ledger.apply(pyarrow.Table.from_pylist(rows), statuses=True).to_pylist()
    ['duplicate_transaction']
    >>> ledger[42].available, ledger.get(43), list(ledger)
    (Decimal('2.5000'), None, [42])
    """

    _way_out = "load or build it anew"  # where it is broken

    @takes_profile
    def __init__(
        self,
        *,
        profile: "str | os.PathLike[str] | None" = None,  # noqa: ARG002 (takes_profile reads it)
        policy: "str | Mapping[str, str] | None" = None,
        dialect: "Mapping[str, str | int] | None" = None,
        threads: int | None = None,
        logger: "logging.Logger | None" = None,
    ) -> None:
        self._journal = program_journal("error", taken("logger", logger))
        self._replay = new_replay(
            self._journal,
            policy=taken("policy", policy), dialect=taken("dialect", dialect), threads=taken("threads", threads),
            refuses_malformed=False,
        )  # fmt: skip
        self._books = self._replay.books
        self._figures = InputFigures("")  # of all inputs as one: they may be many
        self._lock = threading.Lock()
        self._is_broken = False
        # By state directory and the identity of its last snapshot, when this ledger was loaded from it or saved to it:
        # the number of the snapshot that the ledger went on from.
        self._origins: dict[tuple[str, str], int] = {}
        self._inputs: dict[str, Position] = {}

    @overload
    def apply(self, transactions: "Input", *, statuses: Literal[False] = ...) -> dict[str, int]: ...
    @overload
    def apply(self, transactions: "Input", *, statuses: Literal[True]) -> "pa.DictionaryArray": ...
    @overload
    def apply(self, transactions: "Input", *, statuses: bool) -> "dict[str, int] | pa.DictionaryArray": ...
    def apply(self, transactions: "Input", *, statuses: bool = False) -> "dict[str, int] | pa.DictionaryArray":
        """Apply an input, as `txfast.process` takes it: a table, a batch, an iterable of these, a file or a path.

        Returns how many of its rows were applied and, for each reason that occurred, how many were not. With
        `statuses`, returns what became of each row instead, in the order of the input: an Arrow array (a dictionary of
        strings) of `applied`, or the reason why it was not.

        The record batches of a table or a stream, or the tables of an iterable, are applied one after the other, each
        in whole or not at all: where one of them, or the stream or iterable itself, fails, those before it stay
        applied, and the ledger can be used further. So each is read to its end before its first row is applied. A
        stream or a generator that was read before has no rows left: it applies none, without an error.

        Raises TxfastError as `txfast.process` does. If it does so after rows of a file were applied, or if the call is
        interrupted, or memory or a ledger is full, the ledger is left partly updated, and all later calls raise
        StateError. An input that fails before its first row leaves the ledger as it was.

        A generator or a file given here must not use this ledger: that raises LockedError.
        """
        kept = RowStatuses() if taken("statuses", statuses) else None
        given = Inputs((transactions,), whole_tables=True)
        with self._alone():
            self._begin_apply()
            before, rows_before = self._counts(), self._rows()
            tables: LentTables | None = None
            used = IN_USE.set(IN_USE.get() | {id(self)})
            # Until all of it is applied and counted.
            self._is_broken = True
            try:
                with NotedInterrupts(), closing(given.sources()) as sources:
                    for source in sources:
                        tables = source.tables  # type: ignore[assignment]
                        self._replay.read_source(
                            source, figures=self._figures, watch=None if kept is None else kept.add
                        )
            except (CapacityError, MemoryError):
                raise  # some ledgers may have applied a batch that others have not, or may be applying it yet
            except Exception:
                self._is_broken = not self._is_whole(rows_before, tables)
                raise
            finally:
                IN_USE.reset(used)
            counts = {status: count - before[status] for status, count in self._counts().items()}
            counts = {status: count for status, count in counts.items() if count or status == "applied"}
            self._is_broken = False
        return counts if kept is None else kept.array()

    def _begin_apply(self) -> None:
        """Do what must be done before rows are applied. It may raise: nothing has been applied then."""

    def _is_whole(self, before: tuple[int, int, int], tables: "LentTables | None") -> bool:
        """Whether a call that failed has applied nothing, or only tables and record batches in whole.

        A batch is noted when all ledgers have applied it. So if as many rows were applied as noted, no ledger has
        applied a batch that another has not.
        """
        ledgers, malformed, noted = (now - then for now, then in zip(self._rows(), before, strict=True))
        if not ledgers:
            return True
        return tables is not None and ledgers + malformed == noted == tables.rows_before

    @overload
    def __getitem__(self, client: SupportsIndex | str) -> Account: ...
    @overload
    def __getitem__(self, client: tuple[SupportsIndex | str, str]) -> CurrencyAccount: ...
    def __getitem__(self, client: SupportsIndex | str | tuple[SupportsIndex | str, str]) -> Account | CurrencyAccount:
        """The client's account; where accounts have a currency, that of a pair: client and code. Raises KeyError where
        there is none."""
        with self._alone():
            key = self._key(client)
            found = None if key is None else self._find(*key)
            if key is not None and found is not None:
                return account_of(key[0], *found, self._books.decimals, key[1])
        raise KeyError(client)

    def _key(self, client: object) -> tuple[int | bytes, bytes | None] | None:
        """The client and the currency of an account, as `account_key`."""
        has_currencies = self._books.currencies is not None
        return account_key(client, has_names=self._books.has_text_clients, has_currencies=has_currencies)

    def _find(self, client: int | bytes, code: bytes | None) -> tuple[int, int, bool] | None:
        """What is available in an account and what is held, and whether it is locked; None where there is none."""
        number = self._currency(code)
        if number is None:
            return None
        accounts = (ledger.account(client, number) for ledger in self._books.ledgers)
        return next((found for found in accounts if found is not None), None)

    def _currency(self, code: bytes | None) -> int | None:
        """The number of a currency, 0 where accounts have none; None for one that no row has had yet."""
        return 0 if code is None or self._books.currencies is None else self._books.currencies.find(code)

    @overload
    def get(self, client: SupportsIndex | str, default: None = None) -> Account | None: ...
    @overload
    def get(self, client: SupportsIndex | str, default: "Default") -> "Account | Default": ...
    @overload
    def get(self, client: tuple[SupportsIndex | str, str], default: None = None) -> CurrencyAccount | None: ...
    @overload
    def get(self, client: tuple[SupportsIndex | str, str], default: "Default") -> "CurrencyAccount | Default": ...
    def get(self, client: SupportsIndex | str | tuple[SupportsIndex | str, str], default: object = None) -> object:
        """The account, as `ledger[client]`; `default` where there is none."""
        try:
            return self[client]
        except KeyError:
            return default

    def transactions(self, client: SupportsIndex | str | tuple[SupportsIndex | str, str]) -> list[Transaction]:
        """The applied deposits and withdrawals of a client's account, in ascending order of tx; where accounts have a
        currency, those of a pair: client and code. Withdrawals are not among them where the policy has
        `withdrawal-ids=ignored`. Raises KeyError where there is no account.

        >>> import io, txfast
        >>> ledger = txfast.Ledger()
        >>> ledger.apply(io.BytesIO(b"type,client,tx,amount\\ndeposit,42,1,2.5\\ndispute,42,1,\\n"))
        {'applied': 2}
        >>> [(each.tx, each.state, each.disputed) for each in ledger.transactions(42)]
        [(1, 'in dispute', Decimal('2.5000'))]
        """
        with self._alone():
            key = self._key(client)
            entries = None if key is None else self._entries(*key)
            if entries is not None:
                return transactions_of(entries, self._books.decimals)
        raise KeyError(client)

    def _entries(self, client: int | bytes, code: bytes | None) -> "Iterable[Entry] | None":
        """The entries of an account, in any order; None where there is no account."""
        number = self._currency(code)
        if number is None or self._find(client, code) is None:
            return None
        return [entry for ledger in self._books.ledgers for entry in entries_of(ledger, client, number)]

    def __contains__(self, client: object) -> bool:
        """Whether there is this account. Raises TypeError as `ledger[client]`."""
        try:
            self[client]  # type: ignore[call-overload]
        except KeyError:
            return False
        return True

    def __iter__(self) -> "Iterator[int | str | tuple[int | str, str]]":
        """The clients, in ascending order; where accounts have a currency, pairs of client and code."""
        return (
            (account.client, account.currency) if isinstance(account, CurrencyAccount) else account.client
            for account in self.accounts()
        )

    def __len__(self) -> int:
        """How many accounts there are."""
        with self._alone():
            return sum(map(len, self._books.ledgers))

    def accounts(self) -> Accounts:
        """All accounts as they are now: rows that are applied later do not change them."""
        with self._alone():
            return Accounts(self._books.collect(), self._books.dialect)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Save all of it to a state directory, as the command's `--state` keeps it: whole or not at all.

        The directory is made where it is missing. It must be new, or the one that this ledger was loaded from or last
        saved to, with nothing newer in it. Raises StateError where it holds something else, LockedError where a run
        is using it, SourceError (an OSError) where it cannot be written.
        """
        state = StateDirectory(taken("path", path), self._journal.warning, self._books.policy, self._books.dialect)
        with self._alone():
            try:
                state.open()
                path, newest = os.path.realpath(state.path), max(state.snapshots(), default=0)
                origin = (path, state.identity(newest))
                if newest and origin not in self._origins:
                    raise StateError(
                        f"{state.path}: holds a state that this ledger does not go on from: "
                        f"save it to a new directory, or load that one first"
                    )
                base = self._origins[origin] if newest else 0
                state.go_on(dict(self._inputs), base)
                store = Store(self._books.text_ids)
                store.seal([ActiveAccounts(ledger) for ledger in self._books.ledgers], state.new_folder())
                state.save(store)
                state.finish()
                # Noted before it is published: even if the call is interrupted in between, the ledger knows it.
                earlier = {origin: base} if newest else {}
                self._origins = earlier | {(path, state.finished_identity): newest + 1}
                state.publish()
            finally:
                state.discard()

    @classmethod
    def load(
        cls, path: "str | os.PathLike[str]", *, threads: int | None = None, logger: "logging.Logger | None" = None
    ) -> "Self":
        """The ledger in a state directory: saved there by `save`, or by a run of the command.

        Everything loaded is checked. Policy and dialect are the state's. A run that is using the directory is not
        waited for: the state is the one before that run. Raises StateError where the directory holds no state or is
        damaged, SourceError (an OSError) where it cannot be read.
        """
        ledger = cls(threads=threads, logger=logger)
        state = StateDirectory(taken("path", path), ledger._journal.warning)
        try:
            state.open_to_read()
            state.load(ledger._books.restore)
            if state.is_new:
                raise StateError(f"{state.path}: holds no state: nothing was ever saved there")
            # Where the last one is damaged, it goes on from the one before.
            ledger._origins[os.path.realpath(state.path), state.newest[1]] = state.base_number
            ledger._inputs = dict(state.inputs)
        finally:
            state.discard()
        return ledger

    @contextmanager
    def _alone(self, *, checks: bool = True) -> "Iterator[None]":
        """Use the ledger when no other call does. Raises LockedError where the present call of this thread does, and
        StateError where the ledger is broken, unless `checks` is False."""
        if id(self) in IN_USE.get():
            raise LockedError(
                "this ledger is applying the input that this call comes from: read what is needed of it before, or "
                "after it was applied"
            )
        with self._lock:
            if checks:
                self._check()
            yield

    def _check(self) -> None:
        if self._is_broken:
            raise StateError(
                f"this ledger holds a part of an input that could not be applied to its end: {self._way_out}"
            )

    def _counts(self) -> dict[str, int]:
        """Rows so far by outcome: applied, each reason of rejected rows, each reason of malformed rows."""
        figures = self._replay.figures()
        return {"applied": sum(figures.applied().values()), **figures.rejected(), **figures.malformed()}

    def _rows(self) -> tuple[int, int, int]:
        """Rows so far: those that the ledgers were given, by their own counts; malformed ones; all that were noted."""
        given = sum(sum(counts_of(ledger)) for ledger in self._books.ledgers)
        return given, sum(self._replay.malformed_rows.counts), self._figures.rows

    def __repr__(self) -> str:
        return "<txfast ledger, broken>" if self._is_broken else f"<txfast ledger of {counted(len(self), 'account')}>"

    def __reduce__(self) -> "NoReturn":
        raise TypeError("a Ledger cannot be pickled: save it to a directory, and load that")
