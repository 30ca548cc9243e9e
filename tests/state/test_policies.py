"""States under a policy: saved and gone on with at any row, printed, verified, and refused by a run of another one."""

from __future__ import annotations

import itertools
import json
import logging
import random
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast
from tests.support import replays, strategies
from tests.support.command import Folder
from tests.support.legacy_states import SavedForm, make_legacy, put_in_form
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.rows import Row, make_file
from tests.support.segment_rows import rows_of_snapshot
from tests.support.states import (
    STATE,
    accounts,
    change_manifest,
    content_of,
    files_of,
    replace,
    run_with_state,
    seal,
)
from txfast.errors import StateError
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import SWITCHES, Policy
from txfast.run.books import Books
from txfast.run.plan import make_plan
from txfast.state import manifest, verify
from txfast.state.directory import StateDirectory
from txfast.state.manifest import UnknownFormatError
from txfast.state.snapshot_layout import ACCOUNTS, DETAILS, ENTRIES, schemas
from txfast.state.snapshots import open_snapshot
from txfast.writers.accounts_csv import csv_blocks

POLICY = "card,direct-chargeback=allow"
# Client 1 has several chargebacks that stand, one of a part, and a withdrawal in dispute; client 2 has refunds.
DAY = HEADER + (
    b"deposit,1,1,10\ndeposit,1,2,9\ndeposit,1,3,8\nwithdrawal,1,4,3\nrefund,1,1,2\ndispute,1,1,5\nchargeback,1,1\n"
    b"dispute,1,2\nchargeback,1,2\nchargeback,1,3\nreversal,1,3\ndispute,1,4\n"
    b"deposit,2,1,10\nrefund,2,1,2.5\ndispute,2,1\nresolve,2,1\ndispute,2,1,1\n"
)
DETAIL_ROWS: list[dict[str, object]] = [
    {"client": 1, "tx": 1, "refunded": 20_000, "moved": 50_000},
    {"client": 2, "tx": 1, "refunded": 25_000, "moved": 10_000},
]
QUIET = logging.Logger("quiet", logging.CRITICAL)


@pytest.fixture
def saved(folder: Folder) -> Path:
    """A state of one day under POLICY: the path of its snapshot."""
    folder.write("day.csv", DAY)
    accounts(folder, "day.csv", "--policy", POLICY)
    return folder.path / "state" / "snapshot-1"


@pytest.fixture
def old(saved: Path) -> Path:
    """The same as an earlier version left it."""
    make_legacy(saved)
    assert files_of(saved) == [ACCOUNTS, DETAILS, ENTRIES]
    return saved


# ---- From day to day -------------------------------------------------------------------------------


@examples(0.7)
@given(
    strategies.policy_streams(), strategies.policies(), st.lists(st.integers(0, 60), max_size=4),
    st.sampled_from(replays.READERS), st.sampled_from([1, 3]),
)  # fmt: skip
def test_days_under_a_policy_give_what_one_run_gives(
    rows: list[Row], policy: str, cuts: list[int], reader: str, threads: int
) -> None:
    expected = replays.run_reference([("in.csv", make_file(rows))], policy)
    reasons: list[str] = []
    ends = [0, *sorted(cuts), len(rows)]
    with tempfile.TemporaryDirectory() as made:
        state = Path(made) / "state"
        for number, (first, end) in enumerate(itertools.pairwise(ends)):
            path = Path(made) / f"{number}.csv"
            # Blank lines tell files of the same rows apart.
            path.write_bytes(b"\n" * number + make_file(rows[first:end]))
            outcome = run_with_state(state, path, reader=reader, block_bytes=200, threads=threads, policy=policy)
            reasons += [reject.reason for reject in outcome.rejects]
        assert outcome.accounts == expected.accounts
        assert reasons == [reject.reason for reject in expected.rejects]
        # Whoever prints or verifies it need not name the policy.
        books = Books(make_plan(cores=2, memory_used=0))
        directory = StateDirectory(str(state), pytest.fail)
        directory.open_to_read()
        directory.load(books.restore)
        assert b"".join(map(bytes, csv_blocks(books.collect()))) == expected.accounts
        assert books.policy == (Policy(policy) if str(Policy(policy)) else None)
        assert list(verify.describe(directory, books.check))


def test_a_state_goes_on_under_its_policy_alone(folder: Folder, saved: Path) -> None:
    before = content_of(folder.path / "state")
    folder.write("next.csv", HEADER + b"reversal,1,1\n")
    whole = "redispute is after-resolve and not never, locked is disputes and not closed, "
    for arguments, words in (
        ((), whole),
        (("--policy", "card"), "in which direct-chargeback is allow and not reject: go on with --policy redispute="),
        (("--policy", f"{POLICY},zero-amount=reject"), "zero-amount is accept and not reject"),
    ):
        ended = folder.run(*STATE, "next.csv", "-o", "out.csv", "--stats", "s.json", *arguments)
        ended.assert_failed("state: its rows were applied by another policy", words, "or begin a new state")
    assert content_of(folder.path / "state") == before
    assert not {"out.csv", "s.json"} & set(folder.names())
    # The policy that the message names is the right one.
    named = ended.errors.partition("--policy ")[2].partition(", or begin")[0]
    assert Policy(named) == Policy(POLICY)
    assert (
        accounts(folder, "next.csv", "--policy", named)
        == replays.run_reference([("day.csv", DAY), ("next.csv", folder.read("next.csv"))], POLICY).accounts
    )
    assert saved.is_dir()  # the one before is kept


def test_a_program_is_refused_with_another_policy_too(folder: Folder, saved: Path) -> None:
    state = str(saved.parent)
    before = content_of(saved.parent)
    for policy in (None, "card", {"overdraft": "none"}):
        with pytest.raises(txfast.StateError, match="its rows were applied by another policy, in which "):
            txfast.process(folder.path / "day.csv", state=state, policy=policy, logger=QUIET)
    assert content_of(saved.parent) == before
    result = txfast.process(folder.path / "day.csv", state=state, policy=POLICY, logger=QUIET)
    assert result.stats["rows"] == 0


@pytest.mark.parametrize("option", [(), ("--policy", "card"), ("--policy", POLICY)])
def test_a_state_is_printed_and_verified_whatever_its_policy(
    folder: Folder, saved: Path, option: tuple[str, ...]
) -> None:
    printed = accounts(folder, *option)
    assert printed == replays.run_reference([("day.csv", DAY)], POLICY).accounts
    ended = folder.run(*STATE, "--verify", *option)
    assert ended.exit_code == 0
    first = ended.output.decode().splitlines()[0]
    assert first.startswith("state/snapshot-1: good: format 6, ")
    assert first.endswith(f", 1 input, policy {Policy(POLICY)}")
    assert accounts(folder, "--memory-limit", "256MiB") == printed
    assert [path.name for path in saved.parent.glob("snapshot-*")] == [saved.name]


# ---- The files -------------------------------------------------------------------------------------


def test_details_are_in_columns_of_their_own_that_any_arrow_library_can_read(folder: Folder, saved: Path) -> None:
    rows = rows_of_snapshot(saved)
    names = ("client", "tx", "refunded", "moved")
    assert [{name: row[name] for name in names} for row in rows.details] == DETAIL_ROWS
    states = {(row["client"], row["tx"]): (row["kind"], row["amount"], row["state"]) for row in rows.entries}
    assert states[1, 4] == (1, 30_000, 1)
    assert states[1, 3] == (0, 80_000, 3 + 8)
    assert [(row["client"], row["standing"], row["flags"]) for row in rows.accounts] == [(1, 2, 1), (2, 0, 0)]
    # Without refunds and parts there are no such columns.
    accounts(folder, "in.csv", "--state", "other", "--policy", POLICY)
    other = folder.path / "other" / "snapshot-1"
    fields = {name for file in files_of(other) for name in pa.ipc.open_file(other / file).schema.names}
    assert fields == {"client", "available", "held", "max_tx", "flags", "tx", "amount", "kind", "state"}


def test_what_a_forged_manifest_says_of_the_policy_is_checked(folder: Folder, saved: Path) -> None:
    policy = json.loads((saved / manifest.NAME).read_bytes())["policy"]
    assert list(policy) == [switch.name for switch in SWITCHES]
    forged: list[object] = [
        "card", [], *({**policy, name: value} for name in policy for value in (1, None)),
        {**policy, "withdrawal-ids": "ignored"},
    ]  # fmt: skip
    later: list[object] = [
        {**policy, "more": "x"},
        *({**policy, name: value} for name in policy for value in ("", "x", "never,locked=closed", " never")),
    ]
    for fields in later:
        change_manifest(saved, policy=fields)
        with pytest.raises(UnknownFormatError, match=r"which this txfast does not know, written by txfast .*: use the"):
            open_snapshot(str(saved))
    for fields in forged:
        change_manifest(saved, policy=fields)
        with pytest.raises(StateError, match=rf"{manifest.NAME}: is damaged: policy"):
            open_snapshot(str(saved))
    for arguments in ((), ("day.csv", "--policy", POLICY), ("--verify",)):
        folder.run(*STATE, *arguments).assert_failed(f"{manifest.NAME}: is damaged: policy")
    # A switch that came later has its default.
    for name in [switch.name for switch in SWITCHES if policy[switch.name] == switch.default]:
        change_manifest(saved, policy={other: value for other, value in policy.items() if other != name})
        assert dict(open_snapshot(str(saved)).policy or ()) == policy
    change_manifest(saved, policy=policy)
    assert folder.run(*STATE, "--verify").exit_code == 0


def test_a_policy_of_a_later_version_is_no_reason_to_use_an_older_snapshot(folder: Folder, saved: Path) -> None:
    folder.write("later.csv", HEADER + b"deposit,1,900,7\n")
    assert folder.run("later.csv", *STATE, "--policy", POLICY).exit_code == 0
    latest = saved.with_name("snapshot-2")
    policy = json.loads((latest / manifest.NAME).read_bytes())["policy"]
    change_manifest(latest, policy={**policy, "more": "x"})
    for arguments in ((), ("later.csv", "--policy", POLICY)):
        folder.run(*STATE, *arguments).assert_failed("has the policy more=x, which this txfast does not know")
    assert sorted(path.name for path in latest.parent.glob("snapshot-*")) == ["snapshot-1", "snapshot-2"]


@pytest.mark.parametrize("form", ["segments", "legacy"])
def test_a_manifest_of_another_policy_does_not_fit_the_files(folder: Folder, saved: Path, form: SavedForm) -> None:
    """A withdrawal in dispute, and several chargebacks that stand, are what some policies exclude."""
    put_in_form(saved, form)
    policy = json.loads((saved / manifest.NAME).read_bytes())["policy"]
    for changes, words in (
        ({"withdrawal-dispute": "reject"}, "transaction 4 of client 1 is a withdrawal with an amount or a dispute"),
        ({"withdrawal-dispute": "mark"}, "the account of client 1 is not what its transactions make it"),
        ({"withdrawal-dispute": "credit"}, "the account of client 1 is not what its transactions make it"),
        ({"locked": "closed"}, "the account of client 1 is not what its transactions make it"),
        (
            {"withdrawal-dispute": "reject", "withdrawal-ids": "ignored"},
            "transaction 4 of client 1 is neither deposit nor withdrawal",
        ),
    ):
        change_manifest(saved, policy=policy | changes)
        folder.run(*STATE, "--verify").assert_failed("is damaged", words)
        if form == "legacy":  # of segments, the accounts alone are read
            folder.run(*STATE).assert_failed("is damaged", words)


def forge(snapshot: Path, name: str, rows: list[dict[str, object]]) -> None:
    """Write these rows as a file of the snapshot, with a hash that fits."""
    with pa.ipc.new_file(str(snapshot / name), schemas()[name]) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=schemas()[name]))
    seal(snapshot)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"refunded": -1}, "has other amounts refunded or in dispute than it can"),
        ({"refunded": 100_001, "moved": 0}, "has other amounts refunded or in dispute than it can"),
        ({"moved": 80_001}, "has other amounts refunded or in dispute than it can"),
        ({"moved": -1}, "has other amounts refunded or in dispute than it can"),
        ({"moved": 2**63 - 1}, "has other amounts refunded or in dispute than it can"),
        ({"moved": 49_999}, "the account of client 1 is not what its transactions make it"),
        ({"refunded": 19_999}, "the account of client 1 is not what its transactions make it"),
        ({"client": 9}, "transaction 1 of client 9 has no account"),
        ({"tx": 9}, "transaction 9 of client 1 is not there"),
        ({"client": 2}, "transaction 1 of client 2 has details twice"),
        ({"tx": 4, "refunded": 1, "moved": 0}, "transaction 4 of client 1 has other amounts refunded or in dispute"),
    ],
)
def test_forged_details_are_refused(folder: Folder, old: Path, change: dict[str, object], words: str) -> None:
    forge(old, DETAILS, [{**DETAIL_ROWS[0], **change}, DETAIL_ROWS[1]])
    with pytest.raises(StateError, match=f"is damaged: .*{words}"):
        open_snapshot(str(old)).restore([Ledger(Policy(POLICY))])
    folder.run(*STATE, "day.csv", "--policy", POLICY).assert_failed("is damaged", words)


def test_details_that_are_missing_are_noticed(folder: Folder, old: Path) -> None:
    forge(old, DETAILS, DETAIL_ROWS)
    assert folder.run(*STATE).exit_code == 0
    forge(old, DETAILS, DETAIL_ROWS[:1])
    folder.run(*STATE).assert_failed("the account of client 2 is not what its transactions make it")
    (old / DETAILS).unlink()
    folder.run(*STATE).assert_failed("is missing")
    seal(old)
    folder.run(*STATE).assert_failed("is not what its transactions make it")


@pytest.mark.parametrize("state", [2, 4, 5, 6, 7, 8, 10, 16 + 1, 32, 64 + 1, 128, 255])
def test_forged_states_of_payments_are_refused(old: Path, state: int) -> None:
    rows = pa.ipc.open_file(old / ENTRIES).read_all().to_pylist()
    [entry] = [row for row in rows if (row["client"], row["tx"]) == (1, 3)]
    entry["state"] = state
    forge(old, ENTRIES, rows)
    with pytest.raises(StateError, match="is damaged"):
        open_snapshot(str(old)).restore([Ledger(Policy(POLICY))])


def test_numbers_under_a_policy_are_checked_even_where_the_hashes_are_right(old: Path) -> None:
    chance = random.Random(5)
    refused = 0
    for name in (DETAILS, ENTRIES, ACCOUNTS):
        whole = (old / name).read_bytes()
        for _ in range(100):
            damaged = bytearray(whole)
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            (old / name).write_bytes(damaged)
            with pytest.raises(StateError, match="is damaged"):
                open_snapshot(str(old))
            seal(old)
            try:
                open_snapshot(str(old)).restore([Ledger(Policy(POLICY))])
            except StateError:
                refused += 1
        (old / name).write_bytes(whole)
        seal(old)
    assert refused > 60


def test_a_damaged_newest_snapshot_is_replaced_by_the_one_before_under_the_same_policy(
    folder: Folder, saved: Path
) -> None:
    before = accounts(folder)
    folder.write("next.csv", HEADER + b"reversal,1,1\nreversal,1,2\n")
    after = accounts(folder, "next.csv", "--policy", POLICY)
    assert after != before
    newest = saved.with_name("snapshot-2")
    replace(newest / files_of(newest)[-1], b"")
    ended = folder.run(*STATE, "-q")
    assert ended.output == before
    assert accounts(folder, "next.csv", "--policy", POLICY) == after
