"""The contestants of the race in rivals.py: txfast, and other ways to read the same file.

A rival's work is a function that runs in a process of its own, from its source alone, so it imports what it needs
itself. This module must not know how the race is run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import PYTHON, python_command, txfast_command

# The tasks of contestants.
REPLAY = "replay into accounts"
SUM = "sum of amount by client"
READ = "read the bytes"
NOTHING = "nothing"

TXFAST = "txfast"
POLARS = "Polars"
DUCKDB = "DuckDB"
PANDAS = "pandas"
BY_HAND = "csv + Decimal, by hand"


# ---- The rivals' work, each in a process of its own ----------------------------------------------


def sum_with_polars(path: str) -> None:
    """Sum by client with Polars: given column types, streaming engine."""
    import sys

    import polars  # type: ignore[import-not-found, unused-ignore]

    columns = {
        "type": polars.String,
        "client": polars.UInt64,
        "tx": polars.String,
        "amount": polars.Float64,
    }
    rows = polars.scan_csv(path, schema=columns, ignore_errors=True, truncate_ragged_lines=True)
    sums = rows.group_by("client").agg(polars.col("amount").sum())
    sums.collect(engine="streaming").write_csv(sys.stdout.buffer)


def sum_with_duckdb(path: str) -> None:
    """Sum by client with DuckDB: given column types, so that it need not sniff them."""
    import duckdb  # type: ignore[import-not-found, unused-ignore]

    query = """
        COPY (
            SELECT client, sum(amount) FROM read_csv(
                $path, header = true, auto_detect = false, delim = ',', ignore_errors = true,
                columns = {'type': 'VARCHAR', 'client': 'UBIGINT', 'tx': 'VARCHAR', 'amount': 'DOUBLE'}
            ) GROUP BY client
        ) TO '/dev/stdout' (FORMAT csv)
    """
    duckdb.execute(query, {"path": path})


def sum_with_pandas(path: str) -> None:
    """Sum by client with pandas: its fastest engine, with amounts read from text where they are faulty."""
    import sys

    import pandas  # type: ignore[import-not-found, import-untyped, unused-ignore]

    rows = pandas.read_csv(path, usecols=["client", "amount"], engine="pyarrow", on_bad_lines="skip")
    rows["amount"] = pandas.to_numeric(rows["amount"], errors="coerce")
    rows.groupby("client")["amount"].sum().to_csv(sys.stdout)


def replay_by_hand(path: str, rows_max: str) -> None:
    """The whole job, written by hand: the csv module, Decimal, a dict of accounts."""
    import csv
    import sys
    from decimal import Decimal, InvalidOperation
    from itertools import islice

    class Account:
        def __init__(self) -> None:
            self.available = Decimal(0)
            self.held = Decimal(0)
            self.locked = False

    kinds = {"deposit", "withdrawal", "dispute", "resolve", "chargeback"}
    accounts: dict[int, Account] = {}
    deposits: dict[tuple[int, int], Decimal] = {}
    withdrawals: set[tuple[int, int]] = set()
    disputes: dict[tuple[int, int], bool] = {}  # whether it is open
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows)]
        type_at, client_at, tx_at, amount_at = map(header.index, ("type", "client", "tx", "amount"))
        for row in islice(rows, int(rows_max)):
            try:
                kind, client, tx = row[type_at].strip(), int(row[client_at]), int(row[tx_at])
                text = row[amount_at].strip() if len(row) > amount_at else ""
                amount = Decimal(text) if text else None
            except (IndexError, ValueError, InvalidOperation):
                continue
            if kind not in kinds or any(map(str.strip, row[len(header) :])):
                continue
            key = (client, tx)
            account = accounts.setdefault(client, Account())
            if account.locked:
                continue
            if kind in ("deposit", "withdrawal"):
                if key in deposits or key in withdrawals or amount is None or amount < 0:
                    continue
                if kind == "deposit":
                    account.available += amount
                    deposits[key] = amount
                elif account.available >= amount:
                    account.available -= amount
                    withdrawals.add(key)
            elif kind == "dispute":
                if key in deposits and key not in disputes:
                    account.available -= deposits[key]
                    account.held += deposits[key]
                    disputes[key] = True
            elif disputes.get(key):
                disputes[key] = False
                account.held -= deposits[key]
                if kind == "resolve":
                    account.available += deposits[key]
                else:
                    account.locked = True
    sys.stdout.write("client,available,held,total,locked\n")
    for client, account in sorted(accounts.items()):
        available, held, locked = account.available, account.held, str(account.locked).lower()
        sys.stdout.write(f"{client},{available:.4f},{held:.4f},{available + held:.4f},{locked}\n")


def read_bytes(path: str) -> None:
    """Only read."""
    buffer = bytearray(4 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


# ---- The list ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contestant:
    """A command and its task. It needs `package` if one is named, and gets only the first `rows` if that is given."""

    name: str
    task: str
    command: Sequence[str]
    package: str = ""
    rows: int | None = None

    @property
    def is_txfast(self) -> bool:
        return self.name.startswith(TXFAST)


def make_contestants(path: Path, total_rows: int, hand_rows: int) -> list[Contestant]:
    """All contestants, in the order of the table. The others are compared with the first one."""
    file = str(path)
    one_thread = ("--threads", "1")
    arrow = ("--reader", "arrow")
    contestants = [
        Contestant(" ".join((TXFAST, *options)), REPLAY, txfast_command("-q", *options, file))
        for options in ((), ("--threads", "2"), one_thread, arrow, (*arrow, *one_thread))
    ]
    for name, function in ((POLARS, sum_with_polars), (DUCKDB, sum_with_duckdb), (PANDAS, sum_with_pandas)):
        contestants.append(Contestant(name, SUM, python_command(function, file), package=name.lower()))
    by_hand = python_command(replay_by_hand, file, str(hand_rows))
    rows = hand_rows if hand_rows < total_rows else None
    contestants.append(Contestant(BY_HAND, REPLAY, by_hand, rows=rows))
    contestants.append(Contestant("readinto", READ, python_command(read_bytes, file)))
    contestants.append(Contestant("python -c pass", NOTHING, [sys.executable, *PYTHON, "-c", "pass"]))
    return contestants
