"""Replays inputs under a dialect, through `txfast.process` and through the reference, and compares the two.

This module does not say which outcome is right: the tests and the reference do.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

import txfast
from tests.support import reference_dialect_run
from tests.support.legacy_states import make_legacy_state
from tests.support.reference_dialect import DecodedRow, Ignored, Malformed, read_rows
from tests.support.reference_rows import NotTransactions
from tests.support.replays import ARROW_BLOCK_BYTES_MIN, READERS, occurred, though_all_malformed
from tests.support.small_memory import small_runs
from txfast.errors import InputError, UsageError
from txfast.run import plan, stored

if TYPE_CHECKING:
    from txfast.api.arguments import Reader

Settings = Mapping[str, str]

# One thread for all work, one scanner beside one applier, and several of both.
THREADS = (1, 2, 4)
# What the arrow reader says of files that it cannot carry: rows of several lines, rows longer than a block, a 0x01.
ARROW_CANNOT = "--reader native"
# It may refuse settings that change what a line is, instead of reading them.
ARROW_MAY_REFUSE = ("quote", "header", "skip", "comment")

SILENT = logging.getLogger("tests.dialect")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False


class Reject(NamedTuple):
    """A row that was not applied, with its four texts."""

    line: int
    status: str
    reason: str
    texts: tuple[str, str, str, str]
    row: bytes


class Outcome(NamedTuple):
    """Everything that must not depend on reader, block size or threads. Accounts are (client, balances, locked)."""

    accounts: list[tuple[object, ...]]
    rejects: list[Reject]
    rows: int
    ignored: int
    applied: dict[str, int]
    malformed: dict[str, int]
    rejected: dict[str, int]


def run(
    inputs: Sequence[bytes],
    settings: Settings,
    *,
    reader: str = READERS[0],
    threads: int = 1,
    block_bytes: int | None = None,
    policy: str = "",
) -> Outcome:
    """Replay inputs through the package. Raises TxfastError."""
    with blocks_of(block_bytes, threads), though_all_malformed():
        result = txfast.process(
            *map(io.BytesIO, inputs),
            dialect=dict(settings),
            rejects=True,
            reader=cast("Reader", reader),
            threads=threads,
            policy=policy,
            logger=SILENT,
        )
    stats = result.stats
    return Outcome(
        accounts=[tuple(account) for account in result.accounts],
        rejects=[
            Reject(each.line, each.status, each.reason, (each.type, each.client, each.tx, each.amount), each.row)
            for each in result.rejects
        ],
        rows=stats["rows"],
        ignored=stats["ignored"],
        applied=occurred(stats["applied"]),
        malformed=occurred(stats["malformed"]),
        rejected=occurred(stats["rejected"]),
    )


@contextmanager
def blocks_of(block_bytes: int | None, threads: int) -> Iterator[None]:
    """Inside, inputs are read in blocks of this size, of which three at a time are looked up in a state, with threads
    for small inputs too."""
    with pytest.MonkeyPatch.context() as patch:
        if block_bytes is not None:
            patch.setattr(plan.Plan, "block_bytes", lambda *_: block_bytes)
            patch.setattr(stored, "TOGETHER_BYTES", 3 * block_bytes)
        patch.setattr(plan.Plan, "is_threaded", lambda *_: threads > 1)
        yield


def run_days(
    folder: Path, days: Iterable[tuple[str, bytes]], settings: Settings, *, policy: str, threads: int, limit: int,
    parts: int, legacy_days: int = 0,
) -> tuple[list[tuple[Any, ...]], list[str]]:  # fmt: skip
    """Runs with one state, one for each day: the name of a file, and what it has by then.

    Ledgers of more than `limit` accounts go to disk, and all accounts are read in this many parts. The first
    `legacy_days` leave a state of an earlier version, which is restored in as many parts. Returns the accounts after
    the last day, and the reasons of all rejects.
    """
    reasons: list[str] = []
    with small_runs(limit, parts):
        for number, (name, content) in enumerate(days):
            if 0 < number <= legacy_days:
                make_legacy_state(folder / "state")
            (folder / name).write_bytes(content)
            with blocks_of(200, threads):
                result = txfast.process(
                    folder / name, state=folder / "state", dialect=dict(settings), policy=policy, threads=threads,
                    rejects=True, last_line="take",
                )  # fmt: skip
            reasons += [reject.reason for reject in result.rejects]
        accounts = list(map(tuple, result.accounts))
    assert list(map(tuple, txfast.Ledger.load(folder / "state").accounts())) == accounts
    return accounts, reasons


def run_reference(inputs: Sequence[bytes], settings: Settings, policy: str = "") -> Outcome:
    """The same by the reference. Raises NotTransactions."""
    replay = reference_dialect_run.Replay(settings, policy)
    for number, content in enumerate(inputs):
        replay.read(f"{number}.csv", content)
    return Outcome(
        accounts=[tuple(account) for account in replay.accounts()],
        rejects=[Reject(each.line, each.status, each.reason, shown_texts(each), each.row) for each in replay.rejects],
        rows=replay.rows,
        ignored=replay.ignored,
        applied=dict(replay.applied),
        malformed=dict(replay.malformed),
        rejected=dict(replay.rejected),
    )


def shown_texts(reject: reference_dialect_run.Reject) -> tuple[str, str, str, str]:
    """The four texts as a table of rejects has them. An amount that the rules do not name is `...`."""
    type_, client, tx = (text.decode(errors="backslashreplace") for text in (reject.type, reject.client, reject.tx))
    amount = "..." if reject.amount is None else reject.amount.decode(errors="backslashreplace")
    return type_, client, tx, amount


def assert_as_reference(
    inputs: Sequence[bytes],
    settings: Settings,
    *,
    reader: str = READERS[0],
    threads: int = 1,
    block_bytes: int | None = None,
    policy: str = "",
) -> Outcome | None:
    """Replay the inputs and compare everything with the reference. Returns None if both refuse the inputs."""
    if reader == "arrow" and block_bytes is not None:
        block_bytes += max((len(line) for content in inputs for line in content.splitlines()), default=0)
        block_bytes = max(block_bytes, ARROW_BLOCK_BYTES_MIN)
    expected: Outcome | None = None
    outcome: Outcome | None = None
    refusal = ""
    with suppress(NotTransactions):
        expected = run_reference(inputs, settings, policy)
    try:
        outcome = run(inputs, settings, reader=reader, threads=threads, block_bytes=block_bytes, policy=policy)
    except InputError as error:
        refusal = str(error)
    except UsageError:
        if reader == "arrow" and any(name in settings for name in ARROW_MAY_REFUSE):
            return None
        raise
    if outcome is None or expected is None:
        cannot_carry = reader == "arrow" and ARROW_CANNOT in refusal
        assert outcome is expected or cannot_carry, (
            f"{settings}: {refusal or outcome}\nwhere the reference has\n{expected}"
        )
        return None
    assert as_far_as_said(outcome, expected) == expected, f"{settings}"
    assert [str(account) for account in outcome.accounts] == [str(account) for account in expected.accounts]
    return outcome


def as_far_as_said(outcome: Outcome, expected: Outcome) -> Outcome:
    """The outcome without those amounts of rejects that the rules do not name."""
    rejects = [
        found._replace(texts=(*found.texts[:3], "...")) if wanted.texts[3] == "..." else found
        for found, wanted in zip(outcome.rejects, expected.rejects, strict=False)
    ]
    return outcome._replace(rejects=rejects + outcome.rejects[len(rejects) :])


# ---- Golden tables -------------------------------------------------------------------------------


def assert_rows(content: bytes, settings: Settings, expected: Sequence[str]) -> None:
    """The rows of a file are these, each `LINE OUTCOME`: by the reference, by both readers and any number of threads.

    An outcome is `KIND CLIENT TX UNITS`, without units where there is no amount; or `ignored`, or a malformed reason.
    """
    assert list(map(shown, read_rows(content, settings))) == list(expected)
    for reader in READERS:
        for threads, block_bytes in ((1, None), (2, 1), (4, 40)):
            assert_as_reference([content], settings, reader=reader, threads=threads, block_bytes=block_bytes)


def shown(decoded: DecodedRow) -> str:
    """A row as golden tables have it."""
    outcome = decoded.outcome
    if isinstance(outcome, Ignored):
        return f"{decoded.line} ignored"
    if isinstance(outcome, Malformed):
        return f"{decoded.line} {outcome.reason}"
    return " ".join([str(decoded.line), *(str(each) for each in outcome if each is not None)])


def assert_refused(content: bytes, settings: Settings) -> str:
    """The file is not one of transactions under these settings. Returns the message."""
    with pytest.raises(NotTransactions):
        read_rows(content, settings)
    messages = set()
    readers = READERS[:1] if any(name in settings for name in ARROW_MAY_REFUSE) else READERS
    for reader in readers:
        with pytest.raises(InputError) as refused:
            run([content], settings, reader=reader)
        messages.add(str(refused.value))
    [message] = messages
    return message
