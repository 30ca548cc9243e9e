"""Days of one state: rows of which some come again later, or name what earlier days have applied."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
from hypothesis import strategies as st

import txfast
from tests.support import strategies
from tests.support.dialect_replays import blocks_of
from tests.support.reference import Account as ReferenceAccount
from tests.support.reference import Replay
from tests.support.replays import THREADS, occurred
from tests.support.rows import Row, make_file
from tests.support.small_memory import small_runs
from txfast.run.checkpoint import Checkpoints
from txfast.state import compaction
from txfast.state.directory import StateDirectory
from txfast.state.whole_compaction import compact_directory

if TYPE_CHECKING:
    from txfast.api.arguments import Reader

SILENT = logging.Logger("silent", logging.CRITICAL)
LATER_KINDS = ("deposit", "withdrawal", "dispute", "resolve", "chargeback", "refund", "reversal")
any_ids = st.integers(0, 7) | st.integers(0, 60) | st.integers(0, 2**64 - 1)
any_rows = strategies.policy_streams() | strategies.streams(any_ids, any_ids, kinds=strategies.policy_kinds)


@st.composite
def rows_of_days(draw: st.DrawFn, most: int = 5) -> list[list[Row]]:
    """The rows of each day: its own, and rows of earlier days, as they were or about the same payment."""
    days: list[list[Row]] = []
    for own in draw(st.lists(any_rows, min_size=2, max_size=most)):
        earlier = [row for day in days for row in day]
        rows = list(own)
        for row in draw(st.lists(st.sampled_from(earlier), max_size=12)) if earlier else ():
            kind = draw(st.sampled_from((row.kind, *LATER_KINDS)))
            rows.insert(draw(st.integers(0, len(rows))), row._replace(kind=kind))
        days.append(rows)
    return days


class Way(NamedTuple):
    """How a day is run: with so many threads, in blocks of this size, and with ledgers of `limit` accounts on disk.

    It takes checkpoints where there are `kills`, is killed at the checkpoints with these numbers, and goes on each time
    with the next number of threads. `compacts` says what is done before it.
    """

    threads: Sequence[int]
    reader: str
    block_bytes: int
    limit: int
    parts: int
    kills: Sequence[int]
    compacts: bool
    fan_out: int
    keeps_rejects: bool = True  # in a file; without it, one thread may scan and apply


any_ways = st.builds(
    Way,
    threads=st.lists(st.sampled_from(THREADS), min_size=1, max_size=3),
    reader=st.sampled_from(["native", "native", "arrow"]),
    block_bytes=st.integers(60, 600),
    limit=st.sampled_from([1 << 30, 1 << 30, 0, 1, 3, 10]),
    parts=st.integers(1, 3),
    kills=st.lists(st.integers(1, 4), max_size=3),
    compacts=st.integers(0, 4).map(lambda number: number == 4),
    fan_out=st.integers(2, 4),
    keeps_rejects=st.booleans(),
)


class Killed(BaseException):
    """Stands for SIGKILL after a checkpoint."""


@contextmanager
def killed_at(number: int) -> Iterator[None]:
    """Have a run be killed at the checkpoint with this number; 0 for never."""
    take = Checkpoints.take
    takes = 0

    def take_and_die(self: Checkpoints, *arguments: Any) -> None:
        nonlocal takes
        take(self, *arguments)
        takes += 1
        if takes == number:
            raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Checkpoints, "take", take_and_die)
        yield


@contextmanager
def small_tiers(fan_out: int) -> Iterator[None]:
    """Have runs of segments be merged early, and a few rows at a time."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in (
            ("FAN_OUT", fan_out), ("OVERLAPS_MAX", fan_out - 1), ("RUNS_MAX", 2 * fan_out), ("TIER_ROWS_MIN", 2),
            ("STEP_ROWS_MIN", 2), ("ROWS_PER_NEW_ROW", 1),
        ):  # fmt: skip
            patched.setattr(compaction, name, value)
        yield


def run_day(
    folder: Path,
    name: str,
    content: bytes,
    way: Way,
    policy: str,
    check: Callable[[Any], None] = lambda _: None,
    dialect: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a day as it is said, until it ends; return its stats. `check` is given the last result."""
    (folder / name).write_bytes(content)
    takes_checkpoints = bool(way.kills) and way.reader == "native"
    if way.compacts and (folder / "state").is_dir() and not list((folder / "state").glob("checkpoint-*")):
        compact(folder / "state")
    for attempt, kill in enumerate([*(way.kills if takes_checkpoints else ()), 0]):
        threads = way.threads[attempt % len(way.threads)]
        with (
            small_runs(way.limit, way.parts), blocks_of(way.block_bytes, threads), small_tiers(way.fan_out),
            killed_at(kill),
        ):  # fmt: skip
            try:
                result = txfast.process(
                    folder / name, state=folder / "state", policy=policy, threads=threads,
                    rejects=folder / "r.csv" if way.keeps_rejects else False,
                    last_line="take", logger=SILENT, reader=cast("Reader", way.reader),
                    checkpoint=0 if takes_checkpoints else None, dialect=dict(dialect or {}),
                )  # fmt: skip
            except Killed:
                continue
            check(result)
            return dict(result.stats)
    raise AssertionError("the last attempt ends")


def compact(state: Path) -> None:
    """Do what --compact does."""
    directory = StateDirectory(str(state), pytest.fail)
    try:
        directory.open(takes_choices=True)
        compact_directory(directory)
    finally:
        directory.discard()


class ReferenceDays:
    """The same days by the reference: `read` each. `changed` are then the accounts that are new, or otherwise than
    before, by client; `applied` and `rejected` are counts of the day, `rejects` its rejected rows."""

    def __init__(self, policy: str = "") -> None:
        self.replay = Replay(policy)
        self.changed: dict[int, ReferenceAccount] = {}
        self.applied: dict[str, int] = {}
        self.rejected: dict[str, int] = {}
        self.reasons: list[str] = []

    def read(self, name: str, content: bytes) -> None:
        replay = self.replay
        before = {client: (each.available, each.held, each.locked) for client, each in replay.accounts.items()}
        applied, rejected, rejects = replay.applied.copy(), replay.rejected.copy(), len(replay.rejects)
        replay.read(name, content)
        self.applied = dict(replay.applied - applied)
        self.rejected = dict(replay.rejected - rejected)
        self.reasons = [each.reason for each in replay.rejects[rejects:]]
        self.changed = {
            client: each
            for client, each in replay.accounts.items()
            if before.get(client) != (each.available, each.held, each.locked)
        }


def content_of_day(number: int, rows: Sequence[Row]) -> bytes:
    """The file of a day. Blank lines tell files of the same rows apart."""
    return b"\n" * number + make_file(list(rows))


def assert_stats(stats: dict[str, Any], expected: ReferenceDays) -> None:
    """The figures of a day are those of the reference."""
    assert occurred(stats["applied"]) == expected.applied
    assert occurred(stats["rejected"]) == expected.rejected
