"""Opening balances and expected accounts under dialects: files of others, and what txfast itself has written."""

from __future__ import annotations

import io
import json
import tempfile
from decimal import Decimal
from io import RawIOBase
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyarrow import parquet

import txfast
from tests.support.balances import WrittenBalances, written_balances
from tests.support.command import Folder
from tests.support.dialect_replays import SILENT, blocks_of
from tests.support.dialect_strategies import Written, written_files
from tests.support.profiles import examples
from tests.support.reference_dialect_run import Replay
from tests.support.replays import though_all_malformed
from tests.support.small_memory import small_runs
from txfast.dialect.dialect import Dialect
from txfast.errors import InputError
from txfast.input.open import source_of
from txfast.readers.balance_columns import OPENING
from txfast.readers.balance_csv import BalanceCsvReader
from txfast.run.balances import csv_form

FORMATS = ("csv", "parquet", "arrow", "csv.gz")
NAME_CODING = ("utf-8", "surrogateescape")


def process(written: Written, **arguments: Any) -> Any:
    with though_all_malformed():
        return txfast.process(io.BytesIO(written.content), dialect=dict(written.settings), logger=SILENT, **arguments)


# ---- Whatever the dialect ------------------------------------------------------------------------


@given(written_balances(), st.sampled_from([1 << 18, 1, 40]))
def test_balances_that_are_written_under_a_dialect_mean_what_was_written(
    written: WrittenBalances, block_bytes: int
) -> None:
    assert balances_in(written, block_bytes) == written.balances


def balances_in(written: WrittenBalances, block_bytes: int) -> dict[tuple[int | str, str | None], int] | None:
    """What a file means as it is read in blocks of this size; None where it is refused."""
    dialect = Dialect(written.settings)
    found: dict[tuple[int | str, str | None], int] = {}
    try:
        source, form = csv_form(source_of("b", cast("RawIOBase", io.BytesIO(written.content)), None), dialect)
        reader = BalanceCsvReader(source.file, "b", OPENING, form, block_bytes)
        while reader.fill():
            assert reader.rows is not None
            for row in range(len(reader.rows)):
                client, code = reader.rows.owner_of(row)
                owner = client if isinstance(client, int) else client.decode(), None if code is None else code.decode()
                found[owner] = reader.rows.units("available")[row]
            reader.rows.clear()
    except InputError:
        return None
    return found


@pytest.mark.parametrize("kind", FORMATS)
@given(written_files(spoilt=False), st.integers(1, 3))
def test_accounts_that_a_run_has_written_open_those_of_the_next(kind: str, written: Written, threads: int) -> None:
    twin = Replay(written.settings)
    twin.read("in.csv", written.content)
    balances = {(account.client, account.currency): account.available for account in twin.accounts()}
    with tempfile.TemporaryDirectory() as folder, blocks_of(None, threads):
        path = f"{folder}/accounts.{kind}"
        process(written).accounts.write(path)
        result = process(written, opening=path, threads=threads)
    again = Replay(written.settings)
    again.open(balances)
    again.read("in.csv", written.content)
    assert [tuple(account) for account in result.accounts] == [tuple(account) for account in again.accounts()]
    sums: dict[str | None, Decimal] = {}
    for (_, currency), amount in balances.items():
        sums[currency] = sums.get(currency, Decimal(0)) + amount
    opening = result.stats["opening"]
    if isinstance(opening, dict):
        assert {code: Decimal(amount) for code, amount in opening.items()} == sums
    else:
        assert Decimal(opening) == sum(balances.values())


@pytest.mark.parametrize("kind", FORMATS)
@given(written_files(spoilt=True))
def test_accounts_that_a_run_has_written_are_those_that_it_expects(kind: str, written: Written) -> None:
    accounts = process(written).accounts
    assert len(accounts.differences(accounts)) == 0
    with tempfile.TemporaryDirectory() as folder:
        accounts.write(f"{folder}/a.{kind}")
        assert len(accounts.differences(f"{folder}/a.{kind}")) == 0


@given(written_files(spoilt=False), st.data())
def test_one_unit_that_differs_is_exactly_that_difference(written: Written, data: st.DataObject) -> None:
    accounts = process(written).accounts
    assume(len(accounts))
    decimals = Dialect(written.settings).decimals
    column = data.draw(st.sampled_from(["available", "held", "total"]))
    index = data.draw(st.integers(0, len(accounts) - 1))
    table = accounts.to_arrow()
    values = table.column(column).to_pylist()
    found = values[index]
    values[index] += Decimal(1).scaleb(-decimals) * data.draw(st.sampled_from([1, -1]))
    changed = table.set_column(
        table.schema.get_field_index(column), table.schema.field(column),
        pa.array(values, table.schema.field(column).type),
    )  # fmt: skip
    [difference] = accounts.differences(changed)
    account = accounts[index]
    assert (difference.client, difference.currency) == (account.client, account.currency)
    assert difference[-3:] == (column, f"{values[index]:f}", f"{found:f}")


@examples(0.3)
@given(written_files(spoilt=False, has_currency=False))
def test_clients_that_are_texts_are_compared_in_the_order_of_their_bytes(written: Written) -> None:
    """Against half of the accounts, in any order, and others that no run has."""
    settings = written.settings | {"ids": "text", "ids.client": "text"}
    accounts = process(Written(settings, written.content, [])).accounts
    clients = [str(account.client) for account in accounts]
    assume(clients)
    expected = [*clients[1::2], "~", "\x01", clients[0] + "x"]
    found = accounts.differences(pa.table({"client": expected[::-1], "locked": [False] * len(expected)}))
    named = [difference.client for difference in found if difference.column == "account"]
    only_one_side = set(clients) ^ set(expected)
    assert named == sorted(only_one_side, key=lambda each: each.encode(*NAME_CODING))


# ---- The command ---------------------------------------------------------------------------------

CHARGES = b'type,client,tx,amount\ndeposit,"a,b",ch_1,5\ndeposit,"z""q",ch_2,3.5\ndeposit,=x,ch_3,1\n'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write("charges.csv", CHARGES)
    folder.write("cents.csv", b"type,client,tx,amount\ndeposit,7,1,1250\n")
    return folder


def test_clients_that_are_texts_have_opening_balances(folder: Folder) -> None:
    folder.write("open.csv", b'name,opening,client\nx,-1.5,"a,b"\ny,2,new\n')
    done = folder.run("charges.csv", "--ids", "text", "--opening", "open.csv", "--stats", "s.json")
    assert done.output.splitlines()[1:] == [
        b"=x,1.0000,0.0000,1.0000,false",
        b'"a,b",3.5000,0.0000,3.5000,false',
        b"new,2.0000,0.0000,2.0000,false",
        b'"z""q",3.5000,0.0000,3.5000,false',
    ]
    stats = json.loads(folder.read("s.json"))
    assert (stats["opening"], stats["conserved"]) == ("0.5000", True)


def test_a_client_that_is_a_text_is_named_where_it_is_there_twice(folder: Folder) -> None:
    folder.write("open.csv", b"client,available\nx,1\n\ny,2\nx,3\n")
    for option in ("--opening", "--expect"):
        done = folder.run("charges.csv", "--ids", "text", option, "open.csv")
        done.assert_failed("open.csv:5: client x is there twice: leave one of its rows out")


def test_a_client_that_is_there_twice_is_named_where_accounts_are_on_disk(tmp_path: Path) -> None:
    for prefix, dialect in (("", None), ("c", {"ids": "text"})):
        path = tmp_path / "open.csv"
        lines = [f"{prefix}{number},3\n" for number in (*range(60_000), 5)]
        path.write_text("client,available\n" + "".join(lines))
        row = io.BytesIO(f"type,client,tx,amount\ndeposit,{prefix}1,1,1\n".encode())
        with small_runs(3), pytest.raises(InputError, match=f"60002: client {prefix}5 is there twice"):
            txfast.process(row, opening=path, dialect=dialect, memory_limit="1GiB", threads=1)


def test_a_table_without_rows_expects_no_account(folder: Folder) -> None:
    empty = pa.table({"client": pa.array([], pa.string()), "total": pa.array([], pa.decimal128(19, 4))})
    parquet.write_table(empty, folder.path / "empty.parquet")
    done = folder.run("charges.csv", "--ids", "text", "--expect", "empty.parquet", "--differences", "d.csv")
    assert done.exit_code == 4
    rows = folder.read("d.csv").splitlines()[1:]
    assert [row.rpartition(b",account,")[2] for row in rows] == [b"missing,present"] * len(rows)
    assert rows[0].startswith(b"=x,") or not rows[0].split(b",")[0].isdigit()
    accounts = txfast.process(folder.path / "charges.csv", dialect={"ids": "text"}, logger=SILENT).accounts
    assert [each.client for each in accounts.differences(empty)] == [each.client for each in accounts]


DIFFERENCES = [
    ("=x", "total", "2.0000", "1.0000"),
    ("a,b", "account", "missing", "present"),
    ('z"q', "total", "4.0000", "3.5000"),
    ("zz\xe9", "account", "present", "missing"),
]


@pytest.mark.parametrize("name", ["d.csv", "d.jsonl", "d.parquet"])
def test_differences_have_clients_that_are_texts(folder: Folder, name: str) -> None:
    folder.write("wrong.csv", 'client,total\nzz\xe9,1\n"z""q",4\n=x,2\n'.encode())
    done = folder.run("charges.csv", "--ids", "text", "--expect", "wrong.csv", "--differences", name)
    assert done.exit_code == 4
    assert done.error_lines[2] == 'difference: client z"q: total: expected 4.0000, found 3.5000'
    if name == "d.csv":
        assert folder.read(name).decode() == (
            "client,column,expected,found\n=x,total,2.0000,1.0000\n"
            '"a,b",account,missing,present\n"z""q",total,4.0000,3.5000\nzz\xe9,account,present,missing\n'
        )
    elif name == "d.jsonl":
        assert [tuple(json.loads(line).values()) for line in folder.read(name).splitlines()] == DIFFERENCES
    else:
        table = parquet.read_table(folder.path / name)
        assert table.schema.field("client").type == pa.string()
        assert [tuple(row.values()) for row in table.to_pylist()] == DIFFERENCES


def test_a_table_of_differences_without_rows_has_texts_for_clients_too(folder: Folder) -> None:
    folder.run("charges.csv", "--ids", "text", "-o", "accounts.csv")
    done = folder.run("charges.csv", "--ids", "text", "--expect", "accounts.csv", "--differences", "d.parquet")
    assert done.exit_code == 0
    assert parquet.read_table(folder.path / "d.parquet").schema.field("client").type == pa.string()


def test_a_client_that_is_no_utf8_is_refused_in_a_table_alone(folder: Folder) -> None:
    folder.write("wrong.csv", b"client,total\nz\xff,1\n")
    arguments = ("charges.csv", "-q", "--ids", "text", "--expect", "wrong.csv", "--differences")
    assert folder.run(*arguments, "d.csv").exit_code == 4
    assert b"\nz\xff,account,present,missing\n" in folder.read("d.csv")
    folder.run(*arguments, "d.parquet").assert_failed(r"client z\xff is not UTF-8")


def test_a_file_of_another_program_is_read_in_the_dialect(folder: Folder) -> None:
    folder.write("giro.csv", "Art;Kunde;Nr;Betrag\ndeposit;Müller;1;1.250,50\n".encode("latin-1"))
    opening = "Salden\n# Stand\n\nKunde;Ort;Available\nMüller;'a;b';-1.000,25\n"
    folder.write("open.csv", opening.encode("latin-1"))
    folder.write("transactions.csv", ("Umsätze\n" + folder.read("giro.csv").decode("latin-1")).encode("latin-1"))
    settings = [
        "--decimals", "2", "--ids", "text", "--decimal", ",", "--columns", "type=Art,client=Kunde,tx=Nr,amount=Betrag",
        *(f"--dialect={part}" for part in ("thousands=.", "encoding=latin-1", "skip=1", "quote='", "comment=#")),
    ]  # fmt: skip
    done = folder.run("transactions.csv", *settings, "--opening", "open.csv", "-o", "accounts.csv")
    assert (done.exit_code, done.errors) == (0, "")
    written = folder.read("accounts.csv").decode()
    assert written == "client,available,held,total,locked\nMüller,250.25,0.00,250.25,false\n"
    again = folder.run("transactions.csv", *settings, "--opening", "accounts.csv")
    assert again.output.decode().endswith("Müller,1500.75,0.00,1500.75,false\n")
    assert folder.run("transactions.csv", *settings, "--opening", "open.csv", "--expect", "accounts.csv").exit_code == 0


MINOR = ("--decimals", "2", "--dialect", "amounts=minor")


@pytest.mark.parametrize(
    ("content", "total"),
    [
        (b"client,available\n7,1250\n", b"25.00"),
        (b"client,available,held,total,locked\n7,12.50,0.00,12.50,false\n", b"25.00"),
        (b"\xef\xbb\xbfclient,available,held,total,locked\r\n7,1250.00,0.00,1250.00,false\r\n", b"1262.50"),
    ],
)
def test_cents_are_told_from_accounts_that_txfast_writes(folder: Folder, content: bytes, total: bytes) -> None:
    folder.write("open.csv", content)
    assert b"\n7,%b," % total in folder.run("cents.csv", *MINOR, "--opening", "open.csv").output


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            b"client,available,held,total,locked\n7,1250,0,1250,false\n",
            "open.csv:2: not opening balances: bad_amount: available needs the 2 decimals that txfast writes",
        ),
        (b"client,available\n7,12.50\n", "open.csv:2: not opening balances: bad_amount: available is no whole number"),
        (b"client;available\n7;x\n", "open.csv:2: not opening balances: bad_amount: available is no whole number"),
    ],
)
def test_amounts_of_another_form_are_refused(folder: Folder, content: bytes, found: str) -> None:
    folder.write("open.csv", content)
    folder.run("cents.csv", *MINOR, "--opening", "open.csv").assert_failed(found)


def test_a_table_of_cents_has_whole_numbers() -> None:
    dialect: dict[str, str | int] = {"decimals": 2, "amounts": "minor"}
    rows = b"type,client,tx,amount\ndeposit,7,1,1250\n"
    accounts = txfast.process(io.BytesIO(rows), dialect=dialect).accounts
    assert len(accounts.differences(pa.table({"client": [7], "total": [1250]}))) == 0
    assert len(accounts.differences(pa.table({"client": [7], "total": ["1250"]}))) == 0
    assert len(accounts.differences(accounts)) == 0
    assert txfast.process(io.BytesIO(rows), dialect=dialect, opening=accounts).accounts[0].total == Decimal("25.00")
    with pytest.raises(InputError, match=r"column 'total' is of type decimal128\(19, 2\): amounts=minor has whole"):
        accounts.differences(accounts.to_arrow().select(["client", "total"]))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_tables_of_programs_may_have_texts_in_the_form_of_the_dialect(kind: pa.DataType) -> None:
    dialect: dict[str, str | int] = {
        "decimals": 2, "decimal": ",", "thousands": ".", "ids.client": "text", "columns.client": "Kunde",
    }  # fmt: skip
    rows = io.BytesIO(b'type,Kunde,tx,amount\ndeposit," a ",1,"1.250,50"\n')
    table = pa.table({
        "Kunde": pa.array(["b\n", "a"]).cast(kind), "opening": pa.array(["-1.000,25", "1"]).cast(kind),
    })  # fmt: skip
    accounts = txfast.process(rows, dialect=dialect, opening=table).accounts
    assert [(each.client, str(each.total)) for each in accounts] == [("a", "1251.50"), ("b\n", "-1000.25")]
    decimals = pa.table({"client": ["b\n", "a"], "total": [Decimal("-1000.25"), Decimal("1251.5")]})
    assert len(accounts.differences(decimals)) == 0


def test_a_client_may_begin_with_a_tab_where_tabs_separate_fields(folder: Folder) -> None:
    """Its accounts are read as they were written, though a tab is blank elsewhere."""
    rows = b'deposit\t"\ta"\t1\t1\ndeposit\ta\t1\t2\ndeposit\t"\t\nb"\t1\t3\n'
    folder.write("tabs.tsv", b"type\tclient\ttx\tamount\n" + rows)
    for kind in ("csv", "parquet"):
        name = f"accounts.{kind}"
        assert folder.run("tabs.tsv", "--ids", "text", "-o", name).exit_code == 0
        done = folder.run("tabs.tsv", "--ids", "text", "--expect", name)
        assert (done.exit_code, done.errors) == (0, "")
        done = folder.run("tabs.tsv", "--ids", "text", "--opening", name)
        expected = b'"\t\nb",6.0000,0.0000,6.0000,false\n\ta,2.0000,0.0000,2.0000,false\na,4.0000,0.0000,4.0000,false\n'
        assert done.output == b"client,available,held,total,locked\n" + expected


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b",1", "bad_client: client is empty"),
        (b"NULL,1", "bad_client: client is empty"),
        (b"x" * 256 + b",1", "bad_client: client has more than 255 bytes"),
        (b"a,NULL", "total is empty"),
        (b"a,1.005", "bad_amount: total is no amount with at most 2 decimals: 'a,1.005'"),
    ],
)
def test_a_row_that_is_wrong_in_the_dialect_is_named(folder: Folder, row: bytes, found: str) -> None:
    folder.write("wrong.csv", b"client,total\nb,1\n" + row + b"\n")
    settings = ("--ids", "text", "--decimals", "2", "--dialect", "null=NULL")
    done = folder.run("charges.csv", *settings, "--expect", "wrong.csv")
    done.assert_failed(f"wrong.csv:3: not expected accounts: {found}")


def test_a_file_without_the_columns_of_the_dialect_is_told_what_it_needs(folder: Folder) -> None:
    folder.write("wrong.csv", b"Customer,total\na,1\n")
    done = folder.run("charges.csv", "--columns", "client=Kunde", "--expect", "wrong.csv")
    done.assert_failed("it has no column Kunde or client: it needs Kunde or client and one of available, held")


def test_a_state_that_is_printed_says_the_decimals_of_what_is_expected(folder: Folder) -> None:
    arguments = ("cents.csv", *MINOR, "--state", "state", "-q")
    folder.write("open.csv", b"client,opening\n7,1\n8,250\n")
    accounts = folder.run(*arguments, "--opening", "open.csv").output
    assert b"\n8,2.50," in accounts
    folder.write("accounts.csv", accounts)
    assert folder.run("--state", "state", "--expect", "accounts.csv").output == accounts
    folder.write("accounts.csv", accounts.replace(b"8,2.50,", b"8,2.51,"))
    done = folder.run("--state", "state", "--expect", "accounts.csv")
    assert done.exit_code == 4
    assert done.error_lines[0] == "difference: client 8: available: expected 2.51, found 2.50"
