"""txfast.open: the ledger of a state directory, of which only what is needed is in memory.

This module must not know files, nor how accounts are looked up in them.
"""

import os
import weakref

from txfast.api.arguments import taken
from txfast.api.ledger import Ledger
from txfast.api.profiles import takes_profile
from txfast.api.results import Accounts
from txfast.errors import StateError, UsageError
from txfast.interrupts import NotedInterrupts
from txfast.ledger.account_entries import entries_of
from txfast.ledger.figures import balances_of
from txfast.ledger.ledger import Ledger as KernelLedger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.run.conservation import added, check_sum
from txfast.run.stored import accounts_run
from txfast.state.open_state import OpenState
from txfast.state.snapshots import store_of
from txfast.store.client_loader import load_client
from txfast.store.runs import Runs

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import NoReturn, Self

    from txfast.api.lent_tables import LentTables
    from txfast.api.transactions import Entry
    from txfast.run.books import Books
    from txfast.run.stored import StoredLedgers
    from txfast.state.snapshot import Snapshot
    from txfast.store.runs import Run


@takes_profile
def open(  # noqa: A001 (as os.open is)
    path: "str | os.PathLike[str]",
    *,
    create: bool = False,
    profile: "str | os.PathLike[str] | None" = None,  # noqa: ARG001 (takes_profile reads it)
    policy: "str | Mapping[str, str] | None" = None,
    dialect: "Mapping[str, str | int] | None" = None,
    threads: int | None = None,
    logger: "logging.Logger | None" = None,
) -> "StateLedger":
    """Open the ledger in a state directory, which the command's `--state`, `txfast.process`, `Ledger.save` or this
    function has made. Nothing is read before it is needed, so that it costs what you ask for, whatever the state holds;
    but a state that an earlier version wrote is loaded whole.

    The arguments are those of `Ledger`. `policy` and `dialect` are those of the state where they are not given; a state
    of others is refused. With `create`, a directory without a state is a new one, which is empty.

    Use it in `with`, or `close` it. Nothing is kept without `commit`:

    >>> import io, tempfile, txfast
    >>> directory = tempfile.mkdtemp()
    >>> with txfast.open(directory, create=True) as ledger:
    ...     ledger.apply(io.BytesIO(b"type,client,tx,amount\\ndeposit,42,1,2.5\\n"))
    ...     ledger.commit()
    {'applied': 1}
    >>> txfast.open(directory)[42].total
    Decimal('2.5000')

    Raises StateError where the directory holds no state, or a damaged one, or one of another policy or dialect, and
    SourceError (an OSError) where it cannot be read.
    """
    return StateLedger(path, create=create, policy=policy, dialect=dialect, threads=threads, logger=logger)


class StateLedger(Ledger):
    """The ledger in a state directory, as `txfast.open` gives it: a Ledger of which only the accounts and transactions
    that were needed are in memory.

    It is read as it was when it was opened, and any number of programs may read it, also beside one that writes. The
    first `apply` locks the directory until the ledger is closed: it raises LockedError where another run is using it,
    and StateError where one has saved its state since the ledger was opened. `commit` publishes what was applied, whole
    or not at all. A ledger that is closed without that, or a `with` block that ends so, leaves the state as it was.
    """

    _way_out = "open the state again, which is as it was committed last"

    def __init__(
        self,
        path: "str | os.PathLike[str]",
        *,
        create: bool = False,
        policy: "str | Mapping[str, str] | None" = None,
        dialect: "Mapping[str, str | int] | None" = None,
        threads: int | None = None,
        logger: "logging.Logger | None" = None,
    ) -> None:
        found, creates = os.path.abspath(taken("path", path)), taken("create", create)
        super().__init__(policy=policy, dialect=dialect, threads=threads, logger=logger)
        books = self._books
        self._state = OpenState(
            found, self._journal.warning, books.policy, books.dialect, any_policy=policy is None,
            any_dialect=dialect is None,
        )  # fmt: skip
        self._given_rows = 0  # when it was committed last
        # Accounts that were changed since, and sealed by commits that then failed.
        self._sealed: list[Run] = []
        # What an earlier version saved, until it is about to be changed.
        self._old: Snapshot | None = None
        # Also where nobody closes it; but not in a process that was forked.
        self._close = weakref.finalize(self, give_up, books, self._state, os.getpid())
        try:
            self._state.begin(self._restore, create=creates)
            if self._state.is_new:
                books.begin_with(None, self._state.new_folder)
        except BaseException:
            self._close()
            raise

    def _restore(self, snapshot: "Snapshot") -> None:
        """Begin with a snapshot. What an earlier version saved is all in memory, as in a Ledger, until rows come."""
        self._old = None if store_of(snapshot) is not None else snapshot
        if self._old is not None:
            self._books.restore(snapshot)
            return
        self._books.begin_with(snapshot, self._state.new_folder)
        self._stored.store.open_files()

    @property
    def _stored(self) -> "StoredLedgers":
        assert self._books.stored is not None, "the state is not of an earlier version"
        return self._books.stored

    # ---- Looking up ----------------------------------------------------------------------------------

    def _find(self, client: int | bytes, code: bytes | None) -> tuple[int, int, bool] | None:
        found = super()._find(client, code)
        if found is None and self._old is None:
            looked_up = self._look_up(client, Runs(self._stored.store.view.accounts))
            number = self._currency(code)
            found = None if number is None else looked_up.account(client, number)
        return found

    def _entries(self, client: int | bytes, code: bytes | None) -> "Iterable[Entry] | None":
        own = super()._entries(client, code)
        if own is None or self._old is not None:
            return own
        looked_up = self._look_up(client, self._stored.store.view)
        # The ledgers have some of the state's, as rows have left them.
        saved = entries_of(looked_up, client, self._currency(code) or 0)
        return {entry[0]: entry for entry in (*saved, *own)}.values()

    def _look_up(self, client: int | bytes, runs: Runs) -> KernelLedger:
        """What runs of the state have of a client: accounts in all currencies, and their entries."""
        ledger = KernelLedger(self._books.policy, self._books.text_ids)
        if runs.accounts:
            load_client(ledger, runs, client)
        return ledger

    def __len__(self) -> int:
        """How many accounts there are."""
        with self._alone():
            books = self._books
            return sum(map(len, books.ledgers)) if self._old else self._stored.count_accounts(books.ledgers)

    def accounts(self, *, changed: bool = False) -> Accounts:
        """All accounts as they are now: rows that are applied later do not change them. With `changed`, those that were
        changed since the ledger was opened, or was committed last.

        All accounts are read for that, and are then in memory. Raises StateError where one is damaged, and SourceError.
        """
        takes_changed = taken("changed", changed)
        with self._alone():
            columns = self._changed_accounts() if takes_changed else self._all_accounts()
            return Accounts(columns, self._books.dialect)

    def _changed_accounts(self) -> AccountColumns:
        if self._old is not None:
            return AccountColumns([KernelLedger(text_ids=self._books.text_ids)])
        return AccountColumns([self._stored.store.ledger_of([*self._sealed, *self._new_runs()])])

    def _all_accounts(self) -> AccountColumns:
        books = self._books
        if self._old is not None:
            return AccountColumns(books.ledgers)
        columns = AccountColumns([self._stored.store.ledger_of([*self._stored.store.view.accounts, *self._new_runs()])])
        check_sum(columns.available_units + columns.held_units, self._stored.units(self._balances()), books.decimals)
        return columns

    def _new_runs(self) -> "list[Run]":
        """A run of the accounts that rows have changed since they were sealed, where there may be some."""
        if not self._has_new_rows():
            return []
        stored = self._stored
        with self._state.scratch_folder() as folder:
            return [accounts_run(stored.actives(self._books.ledgers), stored.store.forms["accounts"], folder)]

    def _balances(self) -> list[int]:
        return added(*map(balances_of, self._books.ledgers))

    def _has_new_rows(self) -> bool:
        """Whether ledgers were given rows since the last commit."""
        return self._rows()[0] > self._given_rows

    # ---- Applying and committing ---------------------------------------------------------------------

    def _begin_apply(self) -> None:
        self._state.begin_writing()
        if self._old is not None:
            # It becomes segments now, in the folder of the next snapshot.
            self._is_broken = True
            self._books.begin_with(self._old, self._state.new_folder)
            self._old = None
            self._is_broken = False

    def _is_whole(self, before: tuple[int, int, int], tables: "LentTables | None") -> bool:
        return not self._stored.has_failed and super()._is_whole(before, tables)

    def commit(self) -> None:
        """Publish a snapshot of all that was applied: whole, or not at all. It is on the disk then, and whoever opens
        the state from now on sees it. The ledger goes on from there. Where nothing was applied, it does nothing.

        Raises StateError where another run has saved its state meanwhile, LockedError where one is using the state,
        SourceError (an OSError) where the disk is full, say: what was applied stays in the ledger then, and `commit`
        may be called again. Ctrl-C is raised once the commit has ended.
        """
        with self._alone():
            if not (self._state.is_new or self._has_new_rows()):
                return
            self._state.begin_writing()
            self._is_broken = True  # a handler of signals may raise anything anywhere
            try:
                with NotedInterrupts():
                    self._publish()
                    self._is_broken = False
            except Exception:
                self._is_broken = False
                raise

    def _publish(self) -> None:
        stored, books = self._stored, self._books
        runs_before = len(stored.store.runs["accounts"])
        stored.seal(books.ledgers)
        self._sealed += stored.store.view.accounts[runs_before:]
        stored.check(self._balances(), books.decimals)
        self._state.save(stored.store)
        self._state.finish()
        self._state.publish()
        stored.take_view()
        self._sealed = []
        self._given_rows = self._rows()[0]

    def save(self, path: "str | os.PathLike[str]") -> "NoReturn":
        """Raises UsageError: `commit` saves it in its own directory, which may be copied."""
        taken("path", path)
        raise UsageError("the ledger of a state directory is saved by commit(); for a second state, copy the directory")

    @classmethod
    def load(
        cls, path: "str | os.PathLike[str]", *, threads: int | None = None, logger: "logging.Logger | None" = None
    ) -> "Self":
        """The same as `txfast.open`: nothing is loaded before it is needed."""
        return cls(path, threads=threads, logger=logger)

    # ---- Ending --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Forget what was not committed, and unlock the directory. All later calls but this raise StateError."""
        with self._alone(checks=False):
            if self._close.alive:
                self._close()
                self._books.begin()  # gives memory back

    def __enter__(self) -> "Self":
        with self._alone():
            return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        self.close()

    def _check(self) -> None:
        if not self._close.alive:
            raise StateError(f"{self._state.path}: this ledger is closed: open it again by txfast.open")
        super()._check()

    def __repr__(self) -> str:
        if not self._close.alive:
            return f"<txfast ledger in {self._state.path}, closed>"
        return super().__repr__()

    def __reduce__(self) -> "NoReturn":
        raise TypeError("the ledger of a state directory cannot be pickled: open the directory where it is needed")


def give_up(books: "Books", state: OpenState, process: int) -> None:
    """Close the files of a state, unlock it, and remove what was not published: that is for the process that opened it,
    not for one that was forked."""
    if books.stored is not None:
        books.stored.store.close()
    if os.getpid() == process:
        state.discard()
