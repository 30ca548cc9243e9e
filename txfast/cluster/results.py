"""What the tasks of a cluster return: pieces of slices, reports, statuses, runs of accounts and summaries.

All are plain values of numbers and bytes, which can be pickled. This module must not know how they are made.
"""

from dataclasses import dataclass
from typing import Any

from txfast.input.position import Position


@dataclass(frozen=True)
class Piece:
    """Part of a slice, which is all rows of a range for one shard. `number` counts the pieces of the slice from 0.

    `content` begins with a header that repeats the three numbers (pieces.py), so that it can be checked by itself.
    """

    shard: int
    range: int
    number: int
    content: bytes


@dataclass(frozen=True)
class RangeReport:
    """What a map task found in a range: lines, rows, malformed rows by the code of the reason, and bytes;
    `ignored_rows` are those that the dialect leaves out.

    If earlier runs have read part of an input that is one range, `lines_before` counts the lines that they read. With a
    state, `position` is where the range ends, counted and hashed from its start, and `held_bytes` are those of a last
    row after it, which is held back; `held_in_quotes` says whether a quoted field of it is open.

    Of an input that is cut, `begin` is the offset at which the first row of the range begins, None where none begins in
    it, and `end` the offset at which the first row behind it does. `row_in_quotes` is the number of the first line,
    counted from the range's start, that is inside a quoted field and looks like a row; 0 for none. An input that is
    one range `starts_anew` where its bytes are not those that earlier runs have read. `ignored_columns` are those that
    a warning names.
    """

    number: int
    lines: int
    rows: int
    malformed: tuple[int, ...]
    bytes: int
    lines_before: int = 0
    position: Position | None = None
    held_bytes: int = 0
    held_in_quotes: bool = False
    begin: int | None = None
    end: int | None = None
    row_in_quotes: int = 0
    starts_anew: bool = False
    ignored_columns: tuple[str, ...] = ()
    ignored_rows: int = 0


@dataclass(frozen=True)
class ShardSummary:
    """The figures of a settled shard: rows by type and, within it, by status; the number of its accounts and of those
    that are locked; sums of their amounts, in units; and the number of runs that hold them. `unread_amounts`
    counts applied disputes with an amount that the policy ignores; `by_currency` has the code of each currency of
    accounts, and their sums of available and held.

    With a state, `restored` has the accounts, entries and units that the shard began with, and `saved` says where and
    as what it was saved, as `Store.join` takes it; None if it was not saved.
    """

    shard: int
    counts: tuple[int, ...]
    accounts: int
    locked_accounts: int
    available_units: int
    held_units: int
    spilled_bytes: int
    runs: int
    restored: tuple[int, int, int] = (0, 0, 0)
    saved: dict[str, Any] | None = None
    unread_amounts: int = 0
    by_currency: tuple[tuple[bytes, int, int], ...] = ()


@dataclass(frozen=True)
class RowStatuses:
    """The status of each row of a slice: one byte a row, compressed; empty if all rows were applied."""

    shard: int
    range: int
    content: bytes


@dataclass(frozen=True)
class AccountRun:
    """Some accounts of a shard, sorted by client, then currency, and so on from run to run. `codes` are those of all
    currencies of the shard, where accounts have one (currency_codes.py)."""

    shard: int
    number: int
    content: bytes
    codes: bytes = b""
