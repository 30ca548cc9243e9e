"""OpenState: a state directory that a program has open: it reads first, may write later, and publishes repeatedly.

It is read without the lock, so that a run may change the directory meanwhile. `begin_writing` takes the lock, unless
another run has published a snapshot since. After each `publish` it goes on from what it has published.

This module must not know what a program does with its ledgers.
"""

import shutil
from contextlib import contextmanager
from errno import ENOENT
from tempfile import mkdtemp

from txfast.errors import SourceError, StateError, unwritable
from txfast.state.dialects import check_dialect
from txfast.state.directory import StateDirectory
from txfast.state.policies import check_policy

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from txfast.dialect.dialect import Dialect
    from txfast.ledger.policy import Policy
    from txfast.state.snapshot import Snapshot


class OpenState(StateDirectory):
    """A StateDirectory in the order of calls `begin`, `begin_writing`, then `save`, `finish` and `publish` as often as
    wanted, and `discard`.

    With `any_policy` and `any_dialect` these are the state's, where it has a snapshot; otherwise a state of others is
    refused.
    """

    BEGAN_WITH_IT, BEGAN = "from which this ledger goes on", "this ledger was opened"
    BEGIN_WITH_REST = "open the state again"
    BEGIN_WITH_NEW = "open it again, and apply to what is there now"

    def __init__(
        self,
        path: str,
        warn: "Callable[[str], object]",
        policy: "Policy | None" = None,
        dialect: "Dialect | None" = None,
        *,
        any_policy: bool = False,
        any_dialect: bool = False,
    ) -> None:
        super().__init__(path, warn, policy, dialect)
        self._any_policy = any_policy
        self._any_dialect = any_dialect

    @property
    def is_writing(self) -> bool:
        """Whether it holds the lock."""
        return self._lock.is_held

    def begin(self, restore: "Callable[[Snapshot], object]", *, create: bool) -> None:
        """Read the last good snapshot, which `restore` takes. Where there is none, `is_new` says so; raises StateError
        then, unless `create`. Raises StateError, SourceError, and OtherPolicyError as the class says."""

        def take(snapshot: "Snapshot") -> None:
            if not self._any_policy:
                check_policy(self.path, snapshot.policy, self._policy)
            if not self._any_dialect:
                check_dialect(self.path, snapshot.dialect, self._dialect)
            restore(snapshot)
            self._policy, self._dialect = snapshot.policy, snapshot.dialect

        try:
            self.open_to_read()
        except SourceError as error:
            if error.errno != ENOENT:
                raise
        else:
            self.load(take)
        if self.is_new and not create:
            raise StateError(f"{self.path}: holds no state: check its name, or begin a new state with create=True")

    def begin_writing(self) -> None:
        """Take the lock, after making the directory where it is missing; it stays until `discard`. Raises LockedError
        where another run holds it, StateError where one has published a snapshot since `begin`, and SourceError."""
        if self.is_writing:
            return
        begun_with = self.newest
        self.open()
        if self.newest != begun_with:
            self.newest = begun_with
            self._lock.release()
            raise self._was_replaced()

    @contextmanager
    def scratch_folder(self) -> "Iterator[str]":
        """A folder for files that are lost with the `with` block, beside those of the next snapshot. Raises as
        `new_folder`."""
        folder = self.new_folder()
        try:
            scratch = mkdtemp(dir=folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def publish(self, *, revocable: bool = False) -> None:
        """As a StateDirectory does, and go on from the new snapshot."""
        final, store = self._final, self._store
        assert final is not None, "it is finished"
        assert store is not None, "it is finished"
        super().publish(revocable=revocable)
        store.moved_to(final)
        self._base, self._final = final, None
        self._is_finished = False
