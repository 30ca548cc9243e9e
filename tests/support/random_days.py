"""Rows of many days of one state, of which many name what earlier days have applied; and what is promised of these.

This module must not know how a day is run, nor the rules beyond the two promises of `EarlyRows`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import pyarrow as pa

from tests.support.reference import format_amount
from tests.support.rows import Row, make_file
from tests.support.tables import write_table

ID_ORDERS = ("growing", "random", "per client")
FORMATS = ("csv", "jsonl", "parquet")
PAYMENTS = ("deposit", "withdrawal")
LOCKING = {"chargeback": 1, "reversal": -1}
# What a row is, and how often: of a new payment, of a payment of this day or any other (`again`), or of an earlier day.
SORTS = {
    "deposit": 400, "withdrawal": 200, "fee": 5,
    "again dispute": 40, "again resolve": 40, "again chargeback": 2, "again deposit": 20,
    "early deposit": 60, "early withdrawal": 60, "early dispute": 100, "early resolve": 60, "early chargeback": 2,
    "early reversal": 2, "early refund": 10,
}  # fmt: skip


class RandomDays:
    """Makes the rows of one day after the other. Ids grow over all clients, are random, or grow for each client."""

    def __init__(self, chance: Random, id_order: str, clients: int) -> None:
        self._chance = chance
        self._id_order = id_order
        self._clients = clients
        self._last: Counter[int] = Counter()
        self._payments: list[Row] = []

    def _new_id(self, client: int) -> int:
        if self._id_order == "random":
            return self._chance.getrandbits(64)
        counter = client if self._id_order == "per client" else -1
        self._last[counter] += 1
        return self._last[counter]

    def rows(self, count: int) -> list[Row]:
        """The rows of the next day."""
        early, rows = len(self._payments), []
        for sort in self._chance.choices(list(SORTS), list(SORTS.values()), k=count):
            when, _, kind = sort.rpartition(" ")
            among = early if when == "early" else len(self._payments)
            if when and among:
                rows.append(self._later(kind, self._payments[self._chance.randrange(among)]))
                continue
            client = self._chance.randrange(self._clients)
            rows.append(Row(kind, client, self._new_id(client), self._chance.randrange(1, 1_000_000)))
            if kind in PAYMENTS:
                self._payments.append(rows[-1])
        return rows

    def _later(self, kind: str, named: Row) -> Row:
        """A row of this kind with the client and the id of an earlier one."""
        has_amount = kind in (*PAYMENTS, "refund")
        return named._replace(kind=kind, amount=self._chance.randrange(1, 1_000_000) if has_amount else None)


# ---- Files -----------------------------------------------------------------------------------------


class DayFile(NamedTuple):
    """A file of rows; the first of them has this number in messages and rejects."""

    path: Path
    rows: Sequence[Row]
    first_line: int


def write_file(path: Path, rows: Sequence[Row]) -> DayFile:
    """Write rows in the format that the path's suffix says."""
    match path.suffix:
        case ".csv":
            path.write_bytes(make_file(rows))
        case ".jsonl":
            path.write_text("".join(f"{json.dumps(object_of(row))}\n" for row in rows))
        case _:
            write_table(path, table_of(rows), 10_000)
    return DayFile(path, rows, 2 if path.suffix == ".csv" else 1)


def object_of(row: Row) -> dict[str, str | int]:
    amount = {} if row.amount is None else {"amount": format_amount(row.amount)}
    return {"type": row.kind, "client": row.client, "tx": row.tx, **amount}


def table_of(rows: Sequence[Row]) -> pa.Table:
    """A table with ids as numbers and amounts as decimals."""
    amounts = pa.array([None if row.amount is None else format_amount(row.amount) for row in rows], pa.string())
    ids = {name: pa.array([getattr(row, name) for row in rows], pa.uint64()) for name in ("client", "tx")}
    return pa.table({"type": [row.kind for row in rows], **ids, "amount": amounts.cast(pa.decimal128(19, 4))})


# ---- What is promised of earlier days ----------------------------------------------------------------


class EarlyRows:
    """Checks what became of rows that name a payment of an earlier day, by what became of the rows before them.

    The id of an applied payment is refused as a duplicate. A dispute of an applied deposit that was never disputed is
    applied. Both only where the account is not locked. `duplicates` and `disputes` count the rows that were checked.
    """

    def __init__(self) -> None:
        self.duplicates = 0
        self.disputes = 0
        self._day = 0
        self._applied: dict[tuple[int, int], tuple[int, str]] = {}  # its day, and what it is
        self._disputed: set[tuple[int, int]] = set()
        self._chargebacks: dict[int, int] = defaultdict(int)  # those that stand

    def check_day(self, rows: Sequence[Row], reasons: Sequence[str]) -> list[str]:
        """Check a day, of which `reasons` says what became of each row: "" where it was applied. Returns what is
        wrong."""
        self._day += 1
        return list(self._wrong(rows, reasons))

    def _wrong(self, rows: Sequence[Row], reasons: Sequence[str]) -> Iterator[str]:
        for row, reason in zip(rows, reasons, strict=True):
            key = (row.client, row.tx)
            day, kind = self._applied.get(key, (self._day, ""))
            if day < self._day and not self._chargebacks[row.client]:
                expected = self._expected(row.kind, kind, is_disputed=key in self._disputed)
                if expected is not None and reason != expected:
                    yield f"{row} is {reason or 'applied'}, and its payment was applied on day {day}"
            if not reason:
                self._note(row, key)

    def _expected(self, kind: str, payment: str, *, is_disputed: bool) -> str | None:
        """What must become of a row of this kind about a payment of an earlier day; None if nothing is promised."""
        if kind in PAYMENTS:
            self.duplicates += 1
            return "duplicate_transaction"
        if kind == "dispute" and payment == "deposit" and not is_disputed:
            self.disputes += 1
            return ""
        return None

    def _note(self, row: Row, key: tuple[int, int]) -> None:
        """Note an applied row."""
        if row.kind in PAYMENTS:
            self._applied[key] = (self._day, row.kind)
        elif row.kind == "dispute":
            self._disputed.add(key)
        else:
            self._chargebacks[row.client] += LOCKING.get(row.kind, 0)
