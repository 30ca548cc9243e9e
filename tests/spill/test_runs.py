"""Runs of accounts are merged, and the statuses of spilled rows are found again."""

from __future__ import annotations

import io

import pytest

from tests.support.bare_ledger import apply_rows
from tests.support.rows import Row, make_batch
from txfast.errors import SpillError
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.spill.partitions import Partitions
from txfast.spill.runs import RunMerge, run_blocks
from txfast.spill.statuses import StatusReader


def test_runs_longer_than_their_buffers_are_merged() -> None:
    ledgers = [Ledger() for _ in range(3)]
    for number, ledger in enumerate(ledgers):
        apply_rows(ledger, [Row("deposit", 3 * client + number, 1, client) for client in range(200)])
    runs = [b"".join(map(bytes, run_blocks(AccountColumns([ledger])))) for ledger in ledgers]
    merged = list(RunMerge([io.BytesIO(run).readinto for run in runs], 100))
    assert sum(map(len, merged)) == 600
    with pytest.raises(SpillError, match="ends within an account"):
        list(RunMerge([io.BytesIO(runs[0][:-1]).readinto], 100))


def test_an_account_whose_total_does_not_fit_is_no_spilled_account() -> None:
    ledger = Ledger()
    apply_rows(ledger, [Row("deposit", 1, 1, 2**63 - 1)])
    [run] = map(bytes, run_blocks(AccountColumns([ledger])))
    assert [len(accounts) for accounts in RunMerge([io.BytesIO(run).readinto], 100)] == [1]
    held = run[:8] + (1).to_bytes(8, "little") + run[16:]
    with pytest.raises(SpillError, match="a total or a client that no account has: the disk or the memory is faulty"):
        list(RunMerge([io.BytesIO(held).readinto], 100))


def test_too_few_statuses_are_noticed() -> None:
    partitions = Partitions(2, 0, lambda _, __: None)
    batch = make_batch([b"deposit,1,1,1"] * 3)
    two = io.BytesIO(bytes(2))
    reader = StatusReader(partitions, lambda _, view: two.readinto(view), 9)
    with pytest.raises(SpillError, match="fewer rows were settled"):
        reader.fill(batch)
