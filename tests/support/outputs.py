"""The outputs of a run on a cluster, compared with those of the command."""

from __future__ import annotations

import csv
import io
import json
import random
import sys
from typing import Any

import pyarrow as pa

from tests.support.command import Folder
from txfast.cluster.accounts import MergedAccounts
from txfast.cluster.job import Job
from txfast.writers.accounts_csv import csv_blocks
from txfast.writers.reject_text import RejectText


class Outputs:
    """Accounts and rejects as CSV, and the stats."""

    def __init__(self, accounts: bytes, rejects: bytes, stats: dict[str, Any]) -> None:
        self.accounts = accounts
        self.rejects = rejects
        self.stats = stats


def outputs_of(job: Job, decimals: int = 4) -> Outputs:
    rejects = b"".join([bytes(RejectText("csv").rest()), *job.reject_blobs("csv")])
    accounts = MergedAccounts(job, None)
    text = b"".join(map(bytes, csv_blocks(accounts, decimals=decimals)))
    accounts.close()
    return Outputs(text, rejects, job.figures.stats(1.0))


def by_command(folder: Folder, *names: str) -> Outputs:
    """Run the command over the inputs, with all outputs."""
    ran = folder.run(
        "-m", "txfast", "-q", *names, "--rejects", "rejects.csv", "--stats", "stats.json", "-o", "accounts.csv",
        command=(sys.executable,),
    )  # fmt: skip
    assert ran.exit_code == 0, ran.errors
    return Outputs(folder.read("accounts.csv"), folder.read("rejects.csv"), json.loads(folder.read("stats.json")))


def on_one_machine(folder: Folder, *names: str, state: str = "state") -> Outputs:
    """Run the command over the inputs, with a state and all outputs."""
    return by_command(folder, "--state", state, *names)


def assert_alike(found: Outputs, expected: Outputs) -> None:
    """The same bytes, and the same stats except those that depend on time or machine."""
    assert found.accounts == expected.accounts
    assert found.rejects == expected.rejects
    for name in ("inputs", "rows", "applied", "malformed", "rejected", "accounts", "locked_accounts", "available"):
        assert found.stats[name] == expected.stats[name], name
    for name in ("held", "total", "conserved", "ignored", "dialect"):
        assert found.stats[name] == expected.stats[name], name


def assert_same_tables(accounts: pa.Table, rejects: pa.Table, expected: Outputs) -> None:
    """Accounts and rejects as tables have the rows of the expected CSV."""
    lines = [
        ",".join([str(client), *map(str, others), str(locked).lower()])
        for client, *others, locked in zip(*(column.to_pylist() for column in accounts.columns), strict=True)
    ]
    assert "\n".join([",".join(accounts.column_names), *lines, ""]).encode() == expected.accounts
    # Rows may hold line endings.
    assert [(row["file"], row["line"], row["reason"]) for row in rejects.to_pylist()] == rejects_of(expected)


def rejects_of(found: Outputs) -> list[tuple[str, int, str]]:
    """(file, line, reason) of each reject. Other fields may hold any bytes."""
    rows = list(csv.reader(io.StringIO(found.rejects.decode("latin-1"), newline="")))[1:]
    return [(row[0], int(row[1]), row[3]) for row in rows]


def twelve_files(folder: Folder) -> list[str]:
    """Files of up to 120 rows: every line ending, two orders of columns, and rows of every type and status."""
    chance = random.Random(7)
    names = []
    for number in range(12):
        ending = (b"\n", b"\r\n", b"\r")[number % 3]
        lines = [b"", b"  "] * (number % 2)
        lines.append(b"type,client,tx,amount" if number % 4 else b"note,amount,tx,client,type")
        for _ in range(chance.randrange(1, 120)):
            client, tx = chance.randrange(1, 30), chance.randrange(1, 60)
            kind = chance.choice([b"deposit", b"withdrawal", b"dispute", b"resolve", b"chargeback", b"deposit", b"fee"])
            amount = b"%d.%d" % (chance.randrange(100), chance.randrange(10 ** chance.randrange(1, 6)))
            fields = [kind, b"%d" % client, b"%d" % tx, amount]
            lines.append(b",".join(fields if number % 4 else [b'"a, b"', *fields[::-1]]))
            if chance.random() < 0.1:
                lines.append(chance.choice([b"", b"   ", b'"', b"deposit", b"x" * 300]))
        content = ending.join(lines) + (ending if number % 5 else b"")
        names.append(folder.write(f"{number}.csv", content).name)
    return names
