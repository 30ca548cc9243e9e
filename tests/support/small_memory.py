"""Runs whose memory limit is reached after a few accounts, so that their ledgers go to disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import replays
from txfast.batch.batch import TransactionBatch
from txfast.dialect.text_ids import TextIds
from txfast.ledger import openings
from txfast.ledger.figures import has_one_client
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.log.journal import Journal
from txfast.run import books, plan, session, stored_accounts
from txfast.run import replay as replay_module
from txfast.run.books import Books
from txfast.run.plan import Plan
from txfast.run.replay import Replay
from txfast.run.stored import StoredLedgers
from txfast.run.values import policy as parse_policy
from txfast.spill import settle, slices, spill
from txfast.state import snapshot
from txfast.state.snapshot import Snapshot
from txfast.state.store import Store

# All accounts are read once for each part.
PARTS_MAX = 5


class SmallLedger(Ledger):
    """A ledger that reports one byte for each account after the first, unless all are of one client, and so exceeds any
    small limit."""

    def bytes_with(self, rows: int, text_bytes: int | None = None) -> int:  # noqa: ARG002
        return 0 if has_one_client(self) else max(0, len(self) - 1)

    def bytes_with_batch(self, batch: TransactionBatch, *, shard: int = 0) -> int:  # noqa: ARG002
        return 0 if has_one_client(self) else max(0, len(self) - 1)

    @staticmethod
    def bytes_for(
        accounts: int,  # noqa: ARG004
        transactions: int,  # noqa: ARG004
        policy: Policy | None = None,  # noqa: ARG004
        *,
        details: int = 0,  # noqa: ARG004
        text_ids: TextIds | None = None,  # noqa: ARG004
        text_bytes: int = 0,  # noqa: ARG004
    ) -> int:
        return 0


@contextmanager
def small_limits(limit: int, parts: int | None = None) -> Iterator[None]:
    """Move the ledgers of every run to disk when they exceed this number of accounts; spill rows in small batches.

    A run with a state restores what an earlier version saved, and puts out all accounts, in this many `parts`; by
    default in as many as the limit demands.
    """
    with pytest.MonkeyPatch.context() as patched:

        def new_replay(
            journal: Journal, reader: str, block_bytes: int | None, threads: int, *, policy: str = ""
        ) -> Replay:
            replay = replay_module.new_replay(
                journal,
                reader=reader,
                block_bytes=block_bytes,
                threads=threads,
                memory_limit=1 << 30,
                refuses_malformed=False,
                policy=parse_policy(policy),
            )
            replay.books.ledger_bytes = limit
            replay.books.settling_bytes = limit + settle.SETTLING_BYTES
            return replay

        def parts_for(store: Store, limit_bytes: int) -> int:
            return parts or (min(PARTS_MAX, 1 + store.accounts // (limit + 1)) if limit_bytes else 1)

        patched.setattr(stored_accounts, "parts_for", parts_for)
        if parts is not None:
            patched.setattr(Books, "parts_that_fit", lambda *_: parts)
            # A part may be larger than the limit.
            all_parts = Snapshot.parts
            patched.setattr(Snapshot, "parts", lambda snapshot, count, _: all_parts(snapshot, count, 0))
        patched.setattr(StoredLedgers, "bytes_beside", lambda *_: 0)
        patched.setattr(books, "Ledger", SmallLedger)
        patched.setattr(books, "LEDGER_BYTES_MIN", 1)
        patched.setattr(plan, "LEDGER_BYTES_MIN", 1)
        patched.setattr(spill, "Ledger", SmallLedger)
        patched.setattr(spill, "PARTITIONS", 3)
        patched.setattr(spill, "BUFFER_BYTES_MIN", 0)
        patched.setattr(spill, "LIMIT_BYTES_PER_BUFFER_BYTE", 1 << 60)
        patched.setattr(slices, "ROWS_AT_ONCE", 4)
        patched.setattr(replays, "new_replay", new_replay)
        yield


@contextmanager
def small_runs(limit: int, parts: int | None = None) -> Iterator[None]:
    """The same for every run of the command and of programs in this process."""
    with small_limits(limit, parts), pytest.MonkeyPatch.context() as patched:

        def new_replay(*arguments: Any, **options: Any) -> Replay:
            replay = replay_module.new_replay(*arguments, **options)
            replay.books.ledger_bytes = limit
            replay.books.settling_bytes = limit + settle.SETTLING_BYTES
            return replay

        patched.setattr(session, "new_replay", new_replay)
        patched.setattr(snapshot, "Ledger", SmallLedger)
        patched.setattr(openings, "bytes_with_openings", lambda ledger, *_: ledger.bytes_with(0))
        yield


@contextmanager
def small_reducers(limit: int, parts: int | None = None) -> Iterator[None]:
    """The same as `small_limits`, for reduce tasks too."""
    with small_limits(limit, parts), pytest.MonkeyPatch.context() as patched:
        patched.setattr("txfast.cluster.reduce.Books", small_books(limit))
        yield


@contextmanager
def small_reducers_of_parts(limit: int, parts: int) -> Iterator[None]:
    """The same as `small_runs`, for reduce tasks that restore a state in this many parts."""
    with small_runs(limit), small_reducers(limit, parts), pytest.MonkeyPatch.context() as patched:
        patched.setattr(Books, "_restoring_bytes", limit)
        yield


def small_books(ledger_bytes: int) -> Callable[..., Books]:
    """A stand-in for the class Books: its ledgers go to disk when they exceed this number of accounts."""

    def make(plan: Plan, **options: Any) -> Books:
        plan.ledger_bytes, plan.settling_bytes = ledger_bytes, 3 + settle.SETTLING_BYTES
        return Books(plan, **options)

    return make
