"""txfast.Ledger: accounts in memory, fed as transactions come."""

import os
import threading
from decimal import Decimal

from txfast.api.inputs import check_inputs, sources
from txfast.api.process import make_journal
from txfast.api.results import Account, Accounts
from txfast.errors import StateError, TxfastError
from txfast.ledger.ledger import counts_of
from txfast.pipeline import Replay
from txfast.state.directory import StateDirectory
from txfast.write.stats import decimal_text

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator
    from typing import NoReturn, Self

    from txfast.api.inputs import Input
    from txfast.read.consumed import Place

CLIENT_MAX = 2**64 - 1


class Ledger:
    """Accounts and their transactions in memory: `apply` transactions as they come, look accounts up by client.

    `threads` is how many large inputs are applied with, by default the cores that the process may use. Malformed rows
    are logged to `logger`, by default `logging.getLogger("txfast")`.

    It may be used from several threads, whose calls wait for each other. It cannot be pickled: `save` it.

    >>> import pyarrow, txfast
    >>> ledger = txfast.Ledger()
    >>> rows = [{"type": "deposit", "client": 42, "tx": 1, "amount": "2.5"}]
    >>> ledger.apply(pyarrow.Table.from_pylist(rows))
    {'applied': 1}
    >>> ledger.apply(pyarrow.Table.from_pylist(rows))
    {'applied': 0, 'duplicate_transaction': 1}
    >>> ledger[42].available
    Decimal('2.5000')
    """

    def __init__(self, *, threads: int | None = None, logger: "logging.Logger | None" = None) -> None:
        self._journal = make_journal("error", logger)
        self._replay = Replay(self._journal, threads=threads)
        self._lock = threading.Lock()
        self._is_broken = False
        # The state directory and the snapshot in it that this ledger is known to go on from.
        self._origin: tuple[str, int] | None = None
        self._inputs: dict[str, Place] = {}

    def apply(self, transactions: "Input") -> dict[str, int]:
        """Apply an input, as `txfast.process` takes it: a table, a batch, an iterable of these, a file or a path.

        Returns how many of its rows were applied and, for each reason that occurred, how many were not.

        Raises TxfastError as `txfast.process` does. Where that comes after rows were applied, or the call is
        interrupted, the ledger holds a part of the input, which nobody can tell: all calls raise StateError from then
        on. An input that is refused before its first row leaves the ledger as it was.
        """
        check_inputs((transactions,))
        with self._lock:
            self._check()
            before = self._counts()
            rows_before = self._rows_seen()
            try:
                for source in sources((transactions,)):
                    # All inputs count as one: they may be many.
                    self._replay.read_source(source, goes_on=bool(self._replay.inputs))
            except BaseException as error:
                self._is_broken = not isinstance(error, TxfastError) or self._rows_seen() != rows_before
                raise
            counts = {status: count - before[status] for status, count in self._counts().items()}
            return {status: count for status, count in counts.items() if count or status == "applied"}

    def __getitem__(self, client: int) -> Account:
        """The client's account. Raises KeyError where it has none."""
        with self._lock:
            self._check()
            if isinstance(client, int) and 0 <= client <= CLIENT_MAX:
                for ledger in self._replay.ledgers:
                    found = ledger.account(client)
                    if found is not None:
                        available, held, locked = found
                        return Account(client, amount(available), amount(held), amount(available + held), locked)
        raise KeyError(client)

    def __contains__(self, client: object) -> bool:
        try:
            self[client]  # type: ignore[index]
        except KeyError:
            return False
        return True

    def __iter__(self) -> "Iterator[int]":
        """The clients, in ascending order."""
        return (account.client for account in self.accounts())

    def __len__(self) -> int:
        """How many accounts there are."""
        with self._lock:
            self._check()
            return sum(map(len, self._replay.ledgers))

    def accounts(self) -> Accounts:
        """All accounts as they are now: what is applied later does not show in them."""
        with self._lock:
            self._check()
            return Accounts(self._replay.collect())

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Save all of it to a state directory, as the command's `--state` keeps it: whole or not at all.

        The directory is made where it is missing. It must be new, or the one that this ledger was loaded from or last
        saved to, with nothing newer in it. Raises StateError where it holds something else, LockedError where a run
        is using it, SourceError (an OSError) where it cannot be written.
        """
        state = StateDirectory(os.fspath(path), self._journal.warning)
        with self._lock:
            self._check()
            try:
                state.open()
                place, newest = os.path.realpath(state.path), max(state.snapshots(), default=0)
                if newest and self._origin != (place, newest):
                    raise StateError(
                        f"{state.path}: holds a state that this ledger does not go on from: "
                        f"save it to a new directory, or load that one first"
                    )
                state.go_on(dict(self._inputs))
                save = state.saver(changed=True)
                assert save is not None, "it has changed"
                for ledger in self._replay.ledgers:
                    save(ledger)
                state.finish()
                state.publish()
                self._origin = (place, newest + 1)
            finally:
                state.discard()

    @classmethod
    def load(
        cls, path: "str | os.PathLike[str]", *, threads: int | None = None, logger: "logging.Logger | None" = None
    ) -> "Self":
        """The ledger that a state directory holds: what `save` has left there, or a run of the command.

        All that is loaded is checked. Raises StateError where nothing is there or it is damaged, LockedError where a
        run is using it, SourceError (an OSError) where it cannot be read.
        """
        ledger = cls(threads=threads, logger=logger)
        state = StateDirectory(os.fspath(path), ledger._journal.warning)
        try:
            state.open(make=False)
            state.load(ledger._replay.restore)
            if state.is_new:
                raise StateError(f"{state.path}: holds no state: nothing was ever saved there")
            ledger._origin = (os.path.realpath(state.path), max(state.snapshots()))
            ledger._inputs = dict(state.inputs)
        finally:
            state.discard()
        return ledger

    def _check(self) -> None:
        if self._is_broken:
            raise StateError(
                "this ledger holds a part of an input that could not be applied to its end: load or build it anew"
            )

    def _counts(self) -> dict[str, int]:
        """Rows by what became of them, so far."""
        replay = self._replay
        return {"applied": sum(replay.applied().values()), **replay.rejected(), **replay.malformed()}

    def _rows_seen(self) -> int:
        """How many rows the ledgers were given so far, whether that was reported or not."""
        return sum(sum(counts_of(ledger)) for ledger in self._replay.ledgers)

    def __repr__(self) -> str:
        return "<txfast ledger, broken>" if self._is_broken else f"<txfast ledger of {len(self)} accounts>"

    def __reduce__(self) -> "NoReturn":
        raise TypeError("a Ledger cannot be pickled: save it to a directory, and load that")


def amount(units: int) -> Decimal:
    """An amount in units of 0.0001, with its four decimals."""
    return Decimal(decimal_text(units))
