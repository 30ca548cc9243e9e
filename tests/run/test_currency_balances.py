"""Opening balances and expected accounts of a client and a currency, in whole runs, states and comparisons."""

from __future__ import annotations

import io
import json
import random
import tempfile
from array import array
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyarrow import parquet

import txfast
from tests.support import strategies
from tests.support.balances import naive_differences, openings
from tests.support.checkpoint_driver import run_to_the_end
from tests.support.command import VOLATILE_STATS, Folder
from tests.support.currencies import any_currency_dialects, make_currency_file, owner_of
from tests.support.dialect_replays import THREADS, blocks_of
from tests.support.legacy_states import make_legacy_state
from tests.support.profiles import examples
from tests.support.reference import Replay, format_amount
from tests.support.reference_dialect_run import order_of
from tests.support.rows import Row, make_file
from tests.support.segment_rows import rows_of_snapshot
from tests.support.small_memory import small_runs
from tests.support.states import STATE, seal
from tests.support.text_ids import id_written, quoted
from txfast.dialect.currencies import CURRENCIES_MAX
from txfast.dialect.dialect import Dialect
from txfast.errors import CapacityError, InputError
from txfast.ledger.ledger import Ledger
from txfast.ledger.openings import account_number, open_accounts

NAME_CODING = ("utf-8", "surrogateescape")
CCY = ("--columns", "currency=ccy")
DIALECT: dict[str, str | int] = {"columns.currency": "ccy"}
COLUMNS = ("available", "held", "total", "locked")

limits = st.sampled_from([None, 0, 2])
Values = dict[str, int | bool]


def memory(limit: int | None) -> Any:
    return nullcontext() if limit is None else small_runs(limit)


def balance_file(dialect: Dialect, columns: list[str], rows: dict[int, Values]) -> bytes:
    """A file of balances whose rows are of these accounts, each a client in a currency by its number."""
    lines = []
    for number, values in rows.items():
        client, code = owner_of(number)
        texts = [id_written(dialect, "client", client), quoted(code), *(text_of(values[name]) for name in columns)]
        lines.append(b",".join(texts) + b"\n")
    return ",".join(["client", "ccy", *columns]).encode() + b"\n" + b"".join(lines)


def text_of(value: int | bool) -> bytes:
    return (str(value).lower() if isinstance(value, bool) else format_amount(value)).encode()


def opening_file(dialect: Dialect, opening: dict[int, int]) -> io.BytesIO:
    return io.BytesIO(
        balance_file(dialect, ["opening"], {number: {"opening": each} for number, each in opening.items()})
    )


def twin(rows: list[Row], opening: dict[int, int], policy: str = "") -> Replay:
    """A run over the numbers of accounts."""
    run = Replay(policy)
    run.open(opening)
    run.read("in.csv", make_file(rows))
    return run


def shown_owner(number: int, dialect: Dialect) -> tuple[int | str, str]:
    """Client and currency of an account as programs see them."""
    client, code = owner_of(number)
    shown: int | str = client
    if dialect.has_text("client"):
        shown = id_written(dialect, "client", client)[1:-1].replace(b'""', b'"').decode(*NAME_CODING)
    return shown, code.decode(*NAME_CODING)


def place_of(owner: tuple[int | str, str]) -> tuple[object, ...]:
    return order_of(owner[0]), order_of(owner[1])


def accounts_of(run: Replay, dialect: Dialect) -> list[tuple[object, ...]]:
    found = {shown_owner(each.client, dialect): each for each in run.accounts.values()}
    return [
        (*owner, *(Decimal(format_amount(getattr(found[owner], name))) for name in COLUMNS[:3]), found[owner].locked)
        for owner in sorted(found, key=place_of)
    ]


def opening_sums(run: Replay, opening: dict[int, int]) -> dict[str, str]:
    """The sums of opening balances by currency, of each that an account has."""
    sums = dict.fromkeys((owner_of(number)[1].decode(*NAME_CODING) for number in run.accounts), 0)
    for number, units in opening.items():
        sums[owner_of(number)[1].decode(*NAME_CODING)] += units
    return {code: format_amount(units) for code, units in sums.items()}


# ---- Whatever the rows ---------------------------------------------------------------------------


@examples(0.7)
@given(
    openings, strategies.policy_streams(), st.just("") | strategies.policies(), st.sampled_from(THREADS), limits,
    any_currency_dialects,
)  # fmt: skip
def test_rows_apply_to_opening_balances_in_each_currency(
    opening: dict[int, int], rows: list[Row], policy: str, threads: int, limit: int | None, dialect: Dialect
) -> None:
    run = twin(rows, opening, policy)
    with blocks_of(40, threads), memory(limit):
        result = txfast.process(
            io.BytesIO(make_currency_file(rows, dialect)), opening=opening_file(dialect, opening),
            policy=policy or None, threads=threads, dialect=dict(dialect),
        )  # fmt: skip
        assert list(map(tuple, result.accounts)) == accounts_of(run, dialect)
    assert result.stats["opening"] == opening_sums(run, opening)
    assert result.stats["conserved"]


@pytest.mark.untraced
@examples(0.3)
@given(
    openings, strategies.policy_streams(), st.just("") | strategies.policies(), st.integers(0, 60),
    st.sampled_from(THREADS), limits, any_currency_dialects, st.data(),
)  # fmt: skip
def test_accounts_of_a_state_are_those_that_are_expected_and_no_others(
    opening: dict[int, int], rows: list[Row], policy: str, cut: int, threads: int, limit: int | None, dialect: Dialect,
    data: st.DataObject,
) -> None:  # fmt: skip
    """A run begun with opening balances, and resumed from its state; then one amount in one currency is changed."""
    run = twin(rows, opening, policy)
    numbers = sorted(run.accounts)
    assume(numbers)
    with tempfile.TemporaryDirectory() as name, blocks_of(40, threads):
        folder = Folder(Path(name))
        with memory(limit):
            for number, part in enumerate((rows[:cut], rows[cut:])):
                result = txfast.process(
                    io.BytesIO(make_currency_file(part, dialect)), state=f"{name}/state", dialect=dict(dialect),
                    opening=None if number else opening_file(dialect, opening), policy=policy or None, threads=threads,
                )  # fmt: skip
            assert list(map(tuple, result.accounts)) == accounts_of(run, dialect)
            result.accounts.write(f"{name}/accounts.csv")
        expected = {
            number: {each: getattr(run.accounts[number], each) for each in COLUMNS}
            for number in data.draw(st.permutations(numbers))
        }
        changed, column = data.draw(st.sampled_from(numbers)), data.draw(st.sampled_from(COLUMNS))
        folder.write("right.csv", balance_file(dialect, list(COLUMNS), expected))
        was = expected[changed][column]
        expected[changed][column] = not was if isinstance(was, bool) else was - 1 if was > 0 else was + 1
        folder.write("wrong.csv", balance_file(dialect, list(COLUMNS), expected))
        chosen = ("--threads", str(threads), "--state", "state", "-q")
        for right in ("accounts.csv", "right.csv"):
            done = folder.run(*chosen, "--expect", right)
            assert (done.exit_code, done.output) == (0, folder.read("accounts.csv"))
        done = folder.run(*chosen, "--expect", "wrong.csv", "--differences", "d.jsonl")
        assert (done.exit_code, done.output) == (4, b"")
        [found] = [tuple(json.loads(line).values()) for line in folder.read("d.jsonl").splitlines()]
    texts = [text_of(value).decode() for value in (expected[changed][column], was)]
    assert found == (*shown_owner(changed, dialect), column, *texts)


values = st.sampled_from([0, 10_000, 50_000, -30_000])
# A code that is no UTF-8 cannot be in a table, nor in one of differences.
UTF8 = [number for number in range(10) if not owner_of(number)[1].startswith(b"\xff")]


@given(
    strategies.streams(st.sampled_from(UTF8)), st.lists(st.sampled_from(COLUMNS), min_size=1, unique=True),
    st.booleans(), limits, any_currency_dialects, st.data(),
)  # fmt: skip
def test_differences_are_those_that_a_slow_comparison_finds(
    rows: list[Row], columns: list[str], as_table: bool, limit: int | None, dialect: Dialect, data: st.DataObject
) -> None:
    row = st.fixed_dictionaries({name: st.booleans() if name == "locked" else values for name in columns})
    expected: dict[int, Values] = data.draw(st.dictionaries(st.sampled_from(UTF8), row, max_size=9))
    with memory(limit):
        accounts = txfast.process(io.BytesIO(make_currency_file(rows, dialect)), dialect=dict(dialect)).accounts
        source: Any = io.BytesIO(balance_file(dialect, columns, expected))
        if as_table:
            source = table_of(dialect, columns, expected)
        found = [tuple(each) for each in accounts.differences(source)]
    naive = naive_differences(twin(rows, {}).accounts.values(), expected)
    # The columns of one account stay in their order.
    naive.sort(key=lambda each: place_of(shown_owner(each[0], dialect)))
    assert found == [(*shown_owner(number, dialect), *rest) for number, *rest in naive]


def table_of(dialect: Dialect, columns: list[str], rows: dict[int, Values]) -> pa.Table:
    owners = [shown_owner(number, dialect) for number in rows]
    kind = pa.string() if dialect.has_text("client") else pa.uint64()
    return pa.table({
        "Client": pa.array([client for client, _ in owners], kind),
        "currency": pa.array([code for _, code in owners]).dictionary_encode(),
        **{
            name: pa.array(
                [each[name] if name == "locked" else format_amount(int(each[name])) for each in rows.values()],
                pa.bool_() if name == "locked" else pa.string(),
            )
            for name in columns
        },
    })  # fmt: skip


# ---- Opening balances ----------------------------------------------------------------------------

HEADER = b"type,client,tx,amount,ccy\n"
ROWS = b"deposit,10,1,20,EUR\ndeposit,9,1,7.5,USD\ndeposit,10,1,35,CHF\nwithdrawal,10,2,5,GBP\n"
OPENING = b"ccy,client,opening\nGBP,10,100\nEUR,10,1\nGBP,11,-3\n"
ACCOUNTS = b"""\
client,currency,available,held,total,locked
9,USD,7.5000,0.0000,7.5000,false
10,CHF,35.0000,0.0000,35.0000,false
10,EUR,21.0000,0.0000,21.0000,false
10,GBP,95.0000,0.0000,95.0000,false
11,GBP,-3.0000,0.0000,-3.0000,false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write("in.csv", HEADER + ROWS)
    folder.write("open.csv", OPENING)
    folder.write("right.csv", ACCOUNTS)
    folder.write("wrong.csv", ACCOUNTS.replace(b"10,EUR,21.", b"10,EUR,22.").replace(b"11,GBP", b"11,USD"))
    return folder


OPENED = ("in.csv", *CCY, "--opening", "open.csv")


@pytest.mark.parametrize("limit", [(), ("--memory-limit", "300MiB"), ("--threads", "3")])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_accounts_begin_with_their_balance_in_each_currency(folder: Folder, limit: tuple[str, ...], kind: str) -> None:
    if kind == "parquet":
        table = pa.table({"client": [10, 10, 11], "Currency": ["GBP", "EUR", "GBP"], "available": [100, 1, -3]})
        parquet.write_table(table, folder.path / "open.csv")
    done = folder.run(*OPENED, "--stats", "s.json", *limit)
    assert (done.exit_code, done.output, done.errors) == (0, ACCOUNTS, "")
    opening = {"CHF": "0.0000", "EUR": "1.0000", "GBP": "97.0000", "USD": "0.0000"}
    assert json.loads(folder.read("s.json"))["opening"] == opening


def test_a_state_keeps_them_and_refuses_them_the_second_time(folder: Folder) -> None:
    assert folder.run(*OPENED, *STATE, "-q").output == ACCOUNTS
    openings = rows_of_snapshot(folder.path / "state" / "snapshot-1").openings
    assert [(row["client"], row["currency"], row["opening"]) for row in openings] == [
        (10, b"EUR", 10_000), (10, b"GBP", 1_000_000), (11, b"GBP", -30_000),
    ]  # fmt: skip
    done = folder.run(*OPENED, *STATE)
    done.assert_failed("open.csv:2: client 10 in GBP has an account in state already: the state keeps opening balances")
    folder.write("open.csv", b"client,currency,available\n11,EUR,5\n")
    assert b"\n11,EUR,5.0000,0.0000,5.0000,false\n" in folder.run(*OPENED, *STATE).output


def test_openings_of_other_accounts_in_a_state_are_damage(folder: Folder) -> None:
    folder.run(*OPENED, *STATE, "-q")
    make_legacy_state(folder.path / "state")
    path = folder.path / "state" / "snapshot-1" / "openings.arrow"
    table = pa.ipc.open_file(path).read_all()
    for codes, words in (
        ([b"CHF", b"GBP", b"GBP"], "the account of client 10 in "),
        ([b"USD", b"GBP", b"GBP"], "client 10 in USD has an opening balance and no account"),
        ([b"GBP", b"GBP", b"GBP"], "client 10 in GBP has an opening balance of 0, or two of them"),
    ):
        changed = table.set_column(1, table.schema.field(1), pa.array(codes, pa.binary()))
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(changed)
        seal(path.parent)
        folder.run(*STATE, "--threads", "1").assert_failed("is damaged", words)


@pytest.mark.parametrize("limit", [None, 0, 2])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_account_that_is_there_twice_is_named(tmp_path: Path, limit: int | None, threads: int) -> None:
    for prefix, dialect in (("", DIALECT), ("c", DIALECT | {"ids": "text"})):
        lines = [f"{prefix}{number // 2},{('EUR', 'USD')[number % 2]},3\n" for number in (*range(20), 5)]
        (tmp_path / "open.csv").write_text("client,ccy,available\n" + "".join(lines))
        with memory(limit), pytest.raises(InputError, match=rf"open\.csv:22: client {prefix}2 in USD is there twice"):
            txfast.process(io.BytesIO(HEADER), opening=tmp_path / "open.csv", dialect=dialect, threads=threads)


@pytest.mark.parametrize("limit", [None, 0, 2])
def test_an_account_that_the_state_knows_is_named_where_accounts_are_on_disk(tmp_path: Path, limit: int | None) -> None:
    rows = b"".join(b"deposit,%d,1,1,%b\n" % (client, code) for client in range(8) for code in (b"USD", b"EUR"))
    txfast.process(io.BytesIO(HEADER + rows), state=tmp_path / "state", dialect=DIALECT)
    (tmp_path / "open.csv").write_bytes(b"client,ccy,available\n3,GBP,1\n3,EUR,1\n20,EUR,1\n")
    with (
        memory(limit),
        pytest.raises(InputError, match=r"open\.csv:3: client 3 in EUR has an account in .*state already"),
    ):
        txfast.process(
            io.BytesIO(HEADER), opening=tmp_path / "open.csv", state=tmp_path / "state", dialect=DIALECT, threads=1
        )


@pytest.mark.untraced
@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_run_that_resumes_from_a_checkpoint_counts_what_was_opened(folder: Folder, threads: str) -> None:
    chance = random.Random(3)
    codes = ("USD", "EUR", "GBP", "\udcff")
    rows = [
        f"deposit,{chance.randrange(40)},{row},{chance.randrange(90)}.5,{chance.choice(codes)}\n" for row in range(2000)
    ]
    folder.write("in.csv", HEADER + "".join(rows).encode(*NAME_CODING))
    opening = [f"{client},{client}.25,{('GBP', codes[3], 'CHF')[client % 3]}\n" for client in range(30, 50)]
    folder.write("open.csv", ("client,available,ccy\n" + "".join(opening)).encode(*NAME_CODING))
    arguments = (*OPENED, "-o", "out.csv", "--stats", "s.json", "--threads", threads, "-q")

    def figures() -> dict[str, object]:
        stats = json.loads(folder.read("s.json"))
        return {name: content for name, content in stats.items() if name not in VOLATILE_STATS}

    assert folder.run(*arguments).exit_code == 0
    right = [folder.read("out.csv"), figures()]
    run_to_the_end(folder, *arguments, *STATE, "--checkpoint", "0", takes=(1, 2, 2))
    assert [folder.read("out.csv"), figures()] == right
    assert folder.run(*STATE).output == right[0]


def test_a_ledger_opens_accounts_in_the_currencies_of_its_run() -> None:
    dialect = Dialect({"columns.currency": "ccy"})
    assert dialect.currencies is not None
    for code in (b"EUR", b"USD"):
        dialect.currencies.number(code)
    ledger = Ledger(None, dialect.text_ids)
    clients, units = array("Q", [7, 7, 7]), array("q", [1, 2, 3])
    with pytest.raises(ValueError, match="no currencies of 3 clients"):
        open_accounts(ledger, clients, units)
    with pytest.raises(ValueError, match="no currencies of 3 clients"):
        open_accounts(ledger, clients, units, currencies=array("H", [0]))
    with pytest.raises(ValueError, match="currencies that the ledger's run does not have"):
        open_accounts(ledger, clients, units, currencies=array("H", [0, 1, 2]))
    assert open_accounts(ledger, clients, units, currencies=array("H", [0, 1, 1])) == 2
    assert [ledger.account(7, number) for number in (0, 1)] == [(1, 0, False), (2, 0, False)]
    assert [account_number(ledger, 7, number) for number in (0, 1)] == [0, 1]


# ---- Expected accounts ---------------------------------------------------------------------------

DIFFERENCE_LINES = [
    "difference: client 10 in EUR: available: expected 22.0000, found 21.0000",
    "difference: client 11 in GBP: account: expected missing, found present",
    "difference: client 11 in USD: account: expected present, found missing",
]
DIFFERENCES = [
    {"client": 10, "currency": "EUR", "column": "available", "expected": "22.0000", "found": "21.0000"},
    {"client": 11, "currency": "GBP", "column": "account", "expected": "missing", "found": "present"},
    {"client": 11, "currency": "USD", "column": "account", "expected": "present", "found": "missing"},
]


@pytest.mark.parametrize("limit", [(), ("--memory-limit", "300MiB"), ("--threads", "3")])
def test_accounts_as_expected_are_put_out(folder: Folder, limit: tuple[str, ...]) -> None:
    done = folder.run(*OPENED, "--expect", "right.csv", "--differences", "d.csv", *limit)
    assert (done.exit_code, done.output, done.errors) == (0, ACCOUNTS, "")
    assert folder.read("d.csv") == b"client,currency,column,expected,found\n"


@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.parquet"])
@pytest.mark.parametrize("limit", [(), ("--memory-limit", "300MiB"), ("--threads", "3")])
def test_differences_name_client_and_currency(folder: Folder, name: str, limit: tuple[str, ...]) -> None:
    done = folder.run(*OPENED, "--expect", "wrong.csv", "--differences", name, *limit)
    assert (done.exit_code, done.output) == (4, b"")
    assert done.error_lines[:3] == DIFFERENCE_LINES
    if name == "d.csv":
        lines = [",".join(map(str, row.values())) for row in DIFFERENCES]
        assert folder.read(name).decode().splitlines() == ["client,currency,column,expected,found", *lines]
    elif name == "d.jsonl":
        assert [json.loads(line) for line in folder.read(name).splitlines()] == DIFFERENCES
    else:
        table = parquet.read_table(folder.path / name)
        assert table.schema.field("currency").type == pa.string()
        assert table.to_pylist() == DIFFERENCES


def test_differences_have_codes_of_any_bytes(folder: Folder) -> None:
    folder.write("in.csv", HEADER + b'deposit,1,1,5,"a,""b"\ndeposit,1,1,5,\xff\n')
    folder.write("wrong.csv", b'client,ccy,total\n1,"a,""b",6\n1,=x\t1,1\n')
    arguments = ("in.csv", *CCY, "-q", "--expect", "wrong.csv", "--differences")
    assert folder.run(*arguments, "d.csv").exit_code == 4
    assert folder.read("d.csv").splitlines()[1:] == [
        b"1,=x\t1,account,present,missing", b'1,"a,""b",total,6.0000,5.0000', b"1,\xff,account,missing,present",
    ]  # fmt: skip
    assert folder.run(*arguments, "d.jsonl").exit_code == 4
    codes = [json.loads(line)["currency"] for line in folder.read("d.jsonl").splitlines()]
    assert codes == ["=x\t1", 'a,"b', "\udcff"]
    folder.run(*arguments, "d.parquet").assert_failed(r"currency \xff is not UTF-8")
    log = folder.run("in.csv", *CCY, "--expect", "wrong.csv", "--log-format", "json")
    assert json.loads(log.error_lines[0])["difference"] == {
        "client": 1, "currency": "=x\t1", "column": "account", "expected": "present", "found": "missing",
    }  # fmt: skip


def test_accounts_of_a_state_are_compared_whatever_currencies_came_first(folder: Folder) -> None:
    """The state, the file of expected accounts and the inputs each meet the currencies in another order."""
    assert folder.run(*OPENED, *STATE, "-q").output == ACCOUNTS
    assert folder.run(*STATE, "--expect", "right.csv").exit_code == 0
    assert folder.run(*STATE, "--expect", "wrong.csv").error_lines[:3] == DIFFERENCE_LINES
    lines = ACCOUNTS.splitlines(keepends=True)
    folder.write("more.csv", HEADER + b"deposit,9,9,1,AAA\ndeposit,9,9,1,ZZZ\n")
    added = b"9,ZZZ,1.0000,0.0000,1.0000,false\n9,AAA,1.0000,0.0000,1.0000,false\n"
    folder.write("right.csv", lines[0] + added + b"".join(lines[:0:-1]))
    done = folder.run("more.csv", *CCY, *STATE, "--expect", "right.csv")
    assert (done.exit_code, done.errors) == (0, "")
    assert sorted(done.output.splitlines()) == sorted(folder.read("right.csv").splitlines())
    folder.write("last.csv", HEADER + b"deposit,9,10,1,BBB\n")
    done = folder.run("last.csv", *CCY, *STATE, "--expect", "right.csv")
    assert done.error_lines[0] == "difference: client 9 in BBB: account: expected missing, found present"
    assert done.exit_code == 4


@pytest.mark.parametrize("option", ["--opening", "--expect"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"client,available\n1,2\n", "it has no column ccy or currency: it needs client, ccy or currency and one of"),
        (b"ccy,available\n1,2\n", "it has no column client: it needs client, ccy or currency and one of available"),
        (b"client,ccy\n1,2\n", "it has no column with an amount"),
        (b"", "it is empty: it needs client, ccy or currency and one of available"),
        (b"client,ccy,CCY,available\n1,E,E,2\n", None),
        (b"client,Ccy,CCY,available\n1,E,E,2\n", "it has two columns for currency, 'Ccy' and 'CCY': leave one out"),
        (b"client,ccy,available\n1,EUR,2\n\n1,,2\n", "x.csv:4: not # bad_currency: currency is empty: '1,,2'"),
        (b"client,ccy,available\n1,EUR,2\n1\n", "x.csv:3: not # bad_currency: currency is empty: '1'"),
        (b"client;ccy;available\n1;abcdefghijklm;2\n", "x.csv:2: not # bad_currency: currency has more than 12 bytes"),
        (b"client,ccy,available\n1,EUR,x\n", "bad_amount: available is no amount"),
        (b"client,ccy,available\nx,,x\n", "bad_client: client is no number"),
        (b"client,ccy,available\n1,EUR,1\n1,USD,1\n1,EUR,1\n", "x.csv:4: client 1 in EUR is there twice"),
    ],
)
def test_a_file_of_balances_that_is_wrong_is_refused(
    folder: Folder, option: str, content: bytes, words: str | None
) -> None:
    folder.write("x.csv", content)
    done = folder.run("in.csv", *CCY, option, "x.csv")
    if words is None:
        assert done.exit_code == (0 if option == "--opening" else 4)
        return
    done.assert_failed(words.replace("#", "opening balances:" if option == "--opening" else "expected accounts:"))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"client": [1], "total": ["1"]}, "it has no column ccy or currency"),
        ({"client": [1], "ccy": [1], "total": ["1"]}, "column 'ccy' is of type int64: it must be text"),
        ({"client": [1], "ccy": pa.array([None], pa.string()), "total": ["1"]}, "Table:1: .* currency is empty"),
        ({"client": [1, 1], "ccy": ["EUR", "x" * 13], "total": ["1", "1"]}, "Table:2: .* more than 12 bytes"),
    ],
)
def test_a_table_of_balances_that_is_wrong_is_refused(columns: dict[str, Any], words: str) -> None:
    accounts = txfast.process(io.BytesIO(HEADER + ROWS), dialect=DIALECT).accounts
    with pytest.raises(InputError, match=words):
        accounts.differences(pa.table(columns))


def test_names_of_columns_are_those_of_the_dialect(folder: Folder) -> None:
    """But for accounts that txfast has written; and where a file has no header, whose columns are numbers."""
    folder.write("in.csv", (HEADER + ROWS).replace(b"client", b"Kunde").replace(b"ccy", b"W\xc3\xa4hrung"))
    settings = ("--columns", "client=Kunde,currency=Währung")
    folder.write(
        "open.csv", "client,currency,Kunde,Währung,available\nx,,10,GBP,100\nx,,10,EUR,1\n,,11,GBP,-3\n".encode()
    )
    assert folder.run("in.csv", *settings, "--opening", "open.csv", "--expect", "right.csv").exit_code == 0
    folder.write("bare.csv", ROWS)
    bare = ("--dialect", "header=no", "--columns", "type=1,client=2,tx=3,amount=4,currency=5", "-d", ",")
    folder.write("open.csv", b"client,currency,available\n10,GBP,100\n10,EUR,1\n11,GBP,-3\n")
    done = folder.run("bare.csv", *bare, "--opening", "open.csv", "--expect", "right.csv")
    assert (done.exit_code, done.output) == (0, ACCOUNTS)


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "csv.gz"])
def test_accounts_that_txfast_has_written_are_read_as_they_are(folder: Folder, kind: str) -> None:
    """Codes may have line endings, quotes, and a tab at their start where tabs separate fields."""
    rows = b'deposit\t1\t1\t1.50\t"\tA"\ndeposit\t1\t1\t2\tA\ndeposit\t1\t1\t3\t"x\n""y"\n'
    folder.write("in.tsv", b"type\tclient\ttx\tamount\tccy\n" + rows)
    name = f"accounts.{kind}"
    for ids in ("number", "text"):
        arguments = ("in.tsv", *CCY, "--ids", ids, "--decimals", "2")
        assert folder.run(*arguments, "-o", name).exit_code == 0
        done = folder.run(*arguments, "--expect", name)
        assert (done.exit_code, done.errors) == (0, "")
        done = folder.run(*arguments, "--opening", name, "--dialect", "amounts=major")
        assert [line.split(b",")[-4] for line in done.output.splitlines() if b".00" in line] == [
            b"3.00",
            b"4.00",
            b"6.00",
        ]


def test_currencies_of_balances_count_among_those_of_the_run(folder: Folder) -> None:
    rows = b"".join(b"1,%d,1\n" % number for number in range(CURRENCIES_MAX + 1))
    accounts = txfast.process(io.BytesIO(HEADER + ROWS), dialect=DIALECT).accounts
    with pytest.raises(CapacityError, match="more than 65,536 currencies"):
        accounts.differences(io.BytesIO(b"client,ccy,total\n" + rows))
    folder.write("x.csv", b"client,ccy,available\n" + rows)
    for option in ("--opening", "--expect"):
        folder.run("in.csv", *CCY, option, "x.csv").assert_failed("more than 65,536 currencies")


# ---- Programs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--opening", "--expect"])
@pytest.mark.parametrize("kind", ["csv", "printed.csv", "parquet"])
def test_balances_of_currencies_are_no_balances_of_accounts_without(folder: Folder, option: str, kind: str) -> None:
    """They would be mixed up in silence, or some left out because the client is there twice."""
    folder.write("in.csv", b"type,client,tx,amount\ndeposit,1,1,1\n")
    name = f"balances.{kind}"
    if kind == "parquet":
        table = pa.table({"client": pa.array([1], pa.uint64()), "Currency": ["EUR"], "available": ["1"]})
        parquet.write_table(table, folder.path / name)
    elif kind == "csv":
        folder.write(name, b"client,Currency,available\n1,EUR,1\n2,USD,2\n")
    else:
        folder.write(name, b"client,currency,available,held,total,locked\n1,EUR,1.0000,0.0000,1.0000,false\n")
    column = "currency" if kind == "printed.csv" else "Currency"
    folder.run("in.csv", option, name).assert_failed(
        f"{name}: not ",
        f"it has a column {column!r}, and accounts of this run have no currency: add --columns currency=",
    )


@pytest.mark.parametrize("option", ["--opening", "--expect"])
def test_a_file_of_balances_with_too_many_currencies_is_named(folder: Folder, option: str) -> None:
    folder.write("in.csv", HEADER + ROWS)
    folder.write(
        "many.csv", b"client,ccy,available\n" + b"".join(b"1,%x,1\n" % code for code in range(CURRENCIES_MAX + 1))
    )
    run = folder.run("in.csv", *CCY, option, "many.csv")
    assert run.exit_code == 1
    assert "many.csv: there are more than 65,536 currencies" in run.errors


def test_differences_are_a_table_and_a_sequence() -> None:
    accounts = txfast.process(io.BytesIO(HEADER + ROWS), dialect=DIALECT, opening=io.BytesIO(OPENING)).accounts
    assert len(accounts.differences(accounts)) == 0
    for chosen in (accounts[::-1], accounts[1:][::-1], accounts[:-1][::-1], accounts[::-2], accounts[-2::-1]):
        assert len(chosen.differences(chosen.to_arrow())) == 0
    expected = pa.table({"currency": ["EUR", "CHF"], "client": [10, 10], "locked": [True, False]})
    found = accounts[1:3].differences(expected)
    assert list(found) == [found[0]]
    assert isinstance(found[0], txfast.CurrencyDifference)
    assert tuple(found[0]) == (10, "EUR", "locked", "true", "false")
    assert found.to_arrow().schema.names == ["client", "currency", "column", "expected", "found"]
    same = accounts[:0].differences(expected.slice(0, 0))
    for each in (same, same[:], same[::-1]):
        assert (len(each), list(each), each.schema.names) == (0, [], found.schema.names)
    plain = txfast.process(io.BytesIO(b"type,client,tx,amount\ndeposit,1,1,1\n")).accounts
    [difference] = plain.differences(io.BytesIO(b"client,total\n1,2\n"))
    assert difference.currency is None


def test_one_client_in_many_currencies_is_compared_fast() -> None:
    rows = b"".join(b"deposit,1,%d,1,%d\n" % (tx, tx) for tx in range(60_000))
    accounts = txfast.process(io.BytesIO(HEADER + rows), dialect=DIALECT).accounts
    order = list(range(60_000))
    random.Random(1).shuffle(order)
    expected = pa.table({
        "client": pa.array([1] * 60_000, pa.uint64()), "ccy": [str(number) for number in order],
        "total": [str(1 + (number == 7)) for number in order],
    })  # fmt: skip
    assert list(map(tuple, accounts.differences(expected))) == [(1, "7", "total", "2.0000", "1.0000")]
