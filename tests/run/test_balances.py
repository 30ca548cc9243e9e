"""Opening balances and expected accounts in whole runs: the kernel says what the reference says."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast
from tests.support import reference, strategies
from tests.support.balances import naive_differences, opening_file, openings
from tests.support.profiles import examples
from tests.support.reference import Account, format_amount
from tests.support.replays import READERS
from tests.support.rows import Row, make_file
from tests.support.small_memory import small_runs
from txfast.errors import InputError
from txfast.run import plan

pytestmark = pytest.mark.unmeasured


@contextmanager
def small_blocks() -> Iterator[None]:
    """Threads and several blocks, also for a few rows."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(plan, "READ_BLOCK_BYTES", 40)
        patched.setattr(plan, "THREADED_BYTES_MIN", 0)
        yield


def twin(rows: list[Row], opening: dict[int, int], policy: str = "") -> reference.Replay:
    run = reference.Replay(policy)
    run.open(opening)
    run.read("in.csv", make_file(rows))
    assert run.conserved()
    return run


def accounts_of(result: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        result.accounts.write(f"{folder}/a.csv")
        return Path(folder, "a.csv").read_bytes()


def assert_as_twin(result: Any, run: reference.Replay, opening: dict[int, int]) -> None:
    assert accounts_of(result) == run.accounts_csv()
    assert result.stats["opening"] == format_amount(sum(opening.values()))
    assert result.stats["conserved"] is True


# ---- Opening balances ----------------------------------------------------------------------------


@pytest.mark.parametrize("reader", READERS)
@given(openings, strategies.policy_streams(), st.just("") | strategies.policies(), st.sampled_from([1, 2, 3]))
def test_rows_apply_to_opening_balances_as_the_rules_say(
    reader: Any, opening: dict[int, int], rows: list[Row], policy: str, threads: int
) -> None:
    with small_blocks():
        result = txfast.process(
            io.BytesIO(make_file(rows)), opening=io.BytesIO(opening_file(opening)), policy=policy or None,
            reader=reader, threads=threads,
        )  # fmt: skip
    assert_as_twin(result, twin(rows, opening, policy), opening)


@examples(0.5)
@given(openings, strategies.policy_streams(), st.just("") | strategies.policies(), st.integers(1, 3), st.integers(0, 3))
def test_opening_balances_that_go_to_disk_are_the_same(
    opening: dict[int, int], rows: list[Row], policy: str, threads: int, limit: int
) -> None:
    with small_blocks(), small_runs(limit):
        result = txfast.process(
            io.BytesIO(make_file(rows)), opening=io.BytesIO(opening_file(opening)), policy=policy or None,
            threads=threads,
        )  # fmt: skip
        assert_as_twin(result, twin(rows, opening, policy), opening)


@examples(0.3)
@given(
    openings, strategies.policy_streams(), st.just("") | strategies.policies(), st.integers(0, 60),
    st.sampled_from([None, 0, 2]),
)  # fmt: skip
def test_a_state_keeps_opening_balances_from_day_to_day(
    opening: dict[int, int], rows: list[Row], policy: str, cut: int, limit: int | None
) -> None:
    run = twin(rows, opening, policy)
    with tempfile.TemporaryDirectory() as folder, nullcontext() if limit is None else small_runs(limit):
        state = f"{folder}/state"
        first = txfast.process(
            io.BytesIO(make_file(rows[:cut])), opening=io.BytesIO(opening_file(opening)), state=state,
            policy=policy or None,
        )  # fmt: skip
        assert first.stats["opening"] == format_amount(sum(opening.values()))
        second = txfast.process(io.BytesIO(make_file(rows[cut:])), state=state, policy=policy or None)
        assert second.stats["opening"] == "0.0000"
        assert accounts_of(second) == run.accounts_csv()


@pytest.mark.parametrize("limit", [None, 0, 2])
def test_a_client_that_the_state_knows_is_an_error_that_names_it(tmp_path: Path, limit: int | None) -> None:
    """With ledgers on disk it is found when they are settled."""
    opening = tmp_path / "open.csv"
    opening.write_bytes(b"client,available\n20,1\n\n3,1\n21,1\n22,1\n")
    state = tmp_path / "state"
    rows = [Row("deposit", client, 1, 10_000) for client in range(8)]
    txfast.process(io.BytesIO(make_file(rows)), state=state)
    with nullcontext() if limit is None else small_runs(limit):
        with pytest.raises(
            InputError, match=r"open\.csv:4: client 3 has an account in .*state already: the state keeps"
        ):
            txfast.process(io.BytesIO(make_file([])), opening=opening, state=state)
        opening.write_bytes(b"client,available\n20,1\n")
        assert len(txfast.process(io.BytesIO(make_file([])), opening=opening, state=state).accounts) == 9


@pytest.mark.parametrize("limit", [None, 0, 2])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_client_that_is_there_twice_is_an_error_that_names_its_line(
    tmp_path: Path, threads: int, limit: int | None
) -> None:
    opening = tmp_path / "open.csv"
    lines = [f"{client},1\n" for client in range(9)]
    opening.write_text("client,available\n" + "".join([*lines, "5,2\n", "6,2\n"]))
    with nullcontext() if limit is None else small_runs(limit), pytest.raises(InputError) as raised:
        txfast.process(io.BytesIO(make_file([])), opening=opening, threads=threads)
    found = str(raised.value)
    # On disk, either of the two may be met first.
    assert found.removeprefix(str(opening)) in [
        f":{line}: client {client} is there twice: leave one of its rows out" for line, client in [(11, 5), (12, 6)]
    ]
    if limit is None:
        assert ":11:" in found


def test_a_client_that_is_there_twice_is_found_where_a_partition_takes_several_reads(tmp_path: Path) -> None:
    """In a run with a state too, which publishes nothing."""
    opening = tmp_path / "open.csv"
    clients = [*range(135_000), *range(60_000, 60_009)]
    opening.write_text("client,available\n" + "".join(f"{client},1\n" for client in clients))
    for state in (None, tmp_path / "state"):
        with small_runs(2), pytest.raises(InputError, match=r"client \d+ is there twice: leave one of its rows out"):
            txfast.process(io.BytesIO(make_file([])), opening=opening, state=state)
    assert list((tmp_path / "state").glob("snapshot-*")) == []


@pytest.mark.parametrize(
    "table", [pa.table({"client": [1], "opening": ["2.5"]}), pa.table({"CLIENT": ["1"], "Available": [2]})]
)
def test_opening_balances_may_be_a_table(table: pa.Table) -> None:
    result = txfast.process(io.BytesIO(make_file([])), opening=table)
    assert [each.client for each in result.accounts] == [1]
    assert result.stats["opening"] in ("2.5000", "2.0000")


# ---- Expected accounts ---------------------------------------------------------------------------

values = st.sampled_from([0, 10_000, 50_000, -30_000])


@st.composite
def expectations(draw: st.DrawFn) -> tuple[list[str], dict[int, dict[str, int | bool]]]:
    """Columns, and accounts with these columns by client, in any order."""
    columns = draw(st.lists(st.sampled_from(["available", "held", "total", "locked"]), min_size=1, unique=True))
    row = st.fixed_dictionaries({name: st.booleans() if name == "locked" else values for name in columns})
    return columns, draw(st.dictionaries(st.integers(0, 6), row, max_size=7))


@given(strategies.streams(st.integers(1, 5)), expectations(), st.booleans(), st.sampled_from([None, 0, 2]))
def test_differences_are_those_that_a_slow_comparison_finds(
    rows: list[Row], expectation: tuple[list[str], dict[int, dict[str, int | bool]]], as_csv: bool, limit: int | None
) -> None:
    columns, expected = expectation
    run = twin(rows, {})
    given_rows = [(client, *(row[name] for name in columns)) for client, row in expected.items()]
    lines = [
        ",".join([str(client), *(str(each).lower() if isinstance(each, bool) else format_amount(each) for each in row)])
        for client, *row in given_rows
    ]
    text = "\n".join([",".join(["client", *columns]), *lines, ""]).encode()
    if as_csv:
        source: Any = io.BytesIO(text)
    else:
        kinds = {"locked": pa.bool_(), "client": pa.uint64()}
        names = ["client", *columns]
        source = pa.table({
            name: pa.array(
                [each[index] if name in kinds else format_amount(each[index]) for each in given_rows],
                kinds.get(name, pa.string()),
            )
            for index, name in enumerate(names)
        })  # fmt: skip
    with nullcontext() if limit is None else small_runs(limit):
        found = txfast.process(io.BytesIO(make_file(rows))).accounts.differences(source)
    assert [tuple(each) for each in found] == naive_differences(run.accounts.values(), expected)


def test_accounts_do_not_differ_from_themselves_in_any_order() -> None:
    rows = [Row("deposit", client * 7919 % 10_007, 1, 10_000 + client) for client in range(10_007)]
    accounts = txfast.process(io.BytesIO(make_file(rows))).accounts
    assert len(accounts.differences(accounts)) == 0
    assert len(accounts[::-1].differences(accounts[::-1])) == 0
    shuffled = accounts.to_arrow().take(pa.array([row * 7919 % 10_007 for row in range(10_007)]))
    assert len(accounts.differences(shuffled)) == 0


def test_more_differences_than_are_held_at_once_come_all_and_in_order() -> None:
    count = 40_000
    rows = [Row("deposit", client, 1, 10_000) for client in range(0, 2 * count, 2)]
    accounts = txfast.process(io.BytesIO(make_file(rows))).accounts
    expected = pa.table({"client": pa.array(range(1, 2 * count, 2), pa.uint64()), "total": pa.array([1] * count)})
    found = accounts.differences(expected).to_arrow()
    assert found.column("client").to_pylist() == list(range(2 * count))
    assert found.column("found").to_pylist()[:3] == ["present", "missing", "present"]


def test_a_comparison_is_exact_at_the_limits() -> None:
    top = "922337203685477.5807"
    accounts = txfast.process(io.BytesIO(b"type,client,tx,amount\ndeposit,1,1," + top.encode() + b"\n")).accounts
    assert len(accounts.differences(io.BytesIO(f"client,total\n1,{top}\n".encode()))) == 0
    [difference] = accounts.differences(io.BytesIO(b"client,total\n1,922337203685477.5806\n"))
    assert difference == (1, "total", "922337203685477.5806", top)


def test_differences_are_a_table_and_a_sequence() -> None:
    accounts = txfast.process(io.BytesIO(b"type,client,tx,amount\ndeposit,1,1,1\n")).accounts
    found = accounts.differences(io.BytesIO(b"client,total,locked\n1,2,true\n2,3,false\n"))
    assert found[0] == txfast.Difference(1, "total", "2.0000", "1.0000")
    assert list(found[::-1]) == list(found)[::-1]
    assert found.to_arrow().schema.names == ["client", "column", "expected", "found"]
    assert repr(found) == "<3 differences>"


def test_the_twin_of_comparisons_finds_what_differs() -> None:
    accounts = [Account(1, available=10_000), Account(3)]
    expected = {1: {"available": 10_001, "locked": False}, 2: {"total": 0}}
    assert naive_differences(accounts, expected) == [
        (1, "available", "1.0001", "1.0000"),
        (2, "account", "present", "missing"),
        (3, "account", "missing", "present"),
    ]
