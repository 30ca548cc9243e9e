"""Accounts of a client and a currency, as a person has them: in the command, tables and programs."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import txfast
from tests.support.command import Folder
from txfast.batch.header import Header
from txfast.dialect.currencies import CURRENCIES_MAX, Currencies
from txfast.dialect.dialect import Dialect
from txfast.errors import CapacityError, InputError
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns

PURSES = b"""\
type,client,tx,amount,ccy
deposit,10,1,20,EUR
deposit,9,1,7.5,USD
deposit,10,1,35,CHF
withdrawal,10,2,60,CHF
dispute,10,1,,EUR
chargeback,10,1,,EUR
deposit,10,3,1,EUR
withdrawal,10,2,5,CHF
"""
ACCOUNTS = b"""\
client,currency,available,held,total,locked
9,USD,7.5000,0.0000,7.5000,false
10,CHF,30.0000,0.0000,30.0000,false
10,EUR,0.0000,0.0000,0.0000,true
"""
CCY = ("--columns", "currency=ccy")
DIALECT = {"columns.currency": "ccy"}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write("purses.csv", PURSES)
    return folder


# ---- The command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", ["1", "2", "5"])
@pytest.mark.parametrize("reader", ["native", "arrow"])
def test_each_client_has_an_account_in_each_currency(folder: Folder, reader: str, threads: str) -> None:
    done = folder.run("purses.csv", *CCY, "-q", "--rejects", "r.csv", "--threads", threads, "--reader", reader)
    assert done.output == ACCOUNTS
    # A chargeback locks the account in its currency alone, and an id is used up in its own account alone.
    assert [line.split(b",")[:4] for line in folder.read("r.csv").splitlines()[1:]] == [
        [b"purses.csv", b"5", b"rejected", b"insufficient_funds"],
        [b"purses.csv", b"8", b"rejected", b"account_locked"],
    ]


def test_clients_may_be_texts_too(folder: Folder) -> None:
    done = folder.run("purses.csv", *CCY, "-q", "--ids", "text")
    header, nine, *ten = ACCOUNTS.splitlines()
    assert done.output.splitlines() == [header, *ten, nine]


def test_stats_and_log_have_sums_by_currency(folder: Folder) -> None:
    done = folder.run("purses.csv", *CCY, "-v", "--stats", "s.json")
    stats = json.loads(folder.read("s.json"))
    assert stats["available"] == {"CHF": "30.0000", "EUR": "0.0000", "USD": "7.5000"}
    assert stats["held"] == {"CHF": "0.0000", "EUR": "0.0000", "USD": "0.0000"}
    assert stats["total"] == stats["available"]
    assert "info: CHF available 30.0000, held 0.0000, total 30.0000: conserved" in done.error_lines


def test_the_log_cuts_many_currencies(folder: Folder) -> None:
    rows = b"".join(b"deposit,1,1,1,C%02d\n" % code for code in range(25))
    folder.write("many.csv", b"type,client,tx,amount,ccy\n" + rows)
    lines = folder.run("many.csv", *CCY, "-v").error_lines
    assert "info: C19 available 1.0000, held 0.0000, total 1.0000: conserved" in lines
    assert not [line for line in lines if "C20" in line]
    assert "info: and 5 more currencies: conserved" in lines


def test_a_row_without_a_right_code_is_malformed(folder: Folder) -> None:
    rows = [b"deposit,1,1,1,", b"deposit,1,2,1,abcdefghijklm", b"deposit,1,3,1", b"deposit,1,4,x,"]
    rows += [b"deposit,1,5,1, abcdefghijkl ", b"deposit,y,6,1,", b'deposit,1,7,1,"a""b"', "deposit,1,8,1,€€€€".encode()]
    folder.write("in.csv", b"type,client,tx,amount,ccy\n" + b"\n".join(rows))
    done = folder.run("in.csv", *CCY, "-q", "--rejects", "r.csv")
    assert [line.split(b",")[1:4] for line in folder.read("r.csv").splitlines()[1:]] == [
        [b"2", b"malformed", b"bad_currency"],
        [b"3", b"malformed", b"bad_currency"],
        [b"4", b"malformed", b"missing_field"],
        [b"5", b"malformed", b"bad_currency"],
        [b"7", b"malformed", b"bad_client"],
    ]
    codes = [line.split(b",")[1].decode() for line in done.output.splitlines()[1:]]
    assert codes == ['"a""b"', "abcdefghijkl", "€€€€"]


def test_a_wrong_code_is_told_of(folder: Folder) -> None:
    folder.write("in.csv", PURSES + b"deposit,1,1,1,\ndeposit,1,1,1,abcdefghijklm\ndeposit,1,1,1\n")
    lines = folder.run("in.csv", *CCY).error_lines
    assert "malformed: in.csv:10: bad_currency: deposit,1,1,1, (it is empty)" in lines
    assert "(a currency is a text of 1 to 12 bytes)" in "".join(lines)
    assert "missing_field: deposit,1,1,1 (no currency)" in "".join(lines)
    folder.write("all.csv", b"type,client,tx,amount,ccy\ndeposit,1,1,1,\n")
    ended = folder.run("all.csv", *CCY)
    assert ended.exit_code == 1
    assert "the only row is malformed: bad_currency, in line 2 (it is empty)" in ended.errors


def test_a_currency_without_an_account_has_no_sums(folder: Folder) -> None:
    folder.write("in.csv", PURSES + b"deposit,10,9,-1,GBP\n")
    folder.run("in.csv", *CCY, "-q", "--stats", "s.json", "--policy", "open-account=applied-row")
    assert list(json.loads(folder.read("s.json"))["total"]) == ["CHF", "EUR", "USD"]


def test_quoted_and_compressed_files_have_the_same_currencies(folder: Folder) -> None:
    quoted = b"\n".join(b'"' + line.replace(b",", b'","') + b'"' for line in PURSES.splitlines())
    folder.write("quoted.csv.gz", gzip.compress(quoted))
    assert folder.run("quoted.csv.gz", *CCY, "-q").output == ACCOUNTS


def test_json_lines_have_them_too(folder: Folder) -> None:
    names = ("type", "client", "tx", "amount", "ccy")
    objects = [dict(zip(names, line.split(","), strict=True)) for line in PURSES.decode().splitlines()[1:]]
    folder.write("purses.jsonl", "\n".join(map(json.dumps, objects)).encode())
    assert folder.run("purses.jsonl", *CCY, "-q").output == ACCOUNTS
    folder.write("odd.jsonl", b'{"type":"deposit","client":1,"tx":1,"amount":1,"ccy":840}\n'
                 b'{"type":"deposit","client":1,"tx":2,"amount":1,"ccy":"E\\u0055R"}\n'
                 b'{"type":"deposit","client":1,"tx":3,"amount":1,"ccy":null}\n'
                 b'{"type":"deposit","client":1,"tx":4,"amount":1}\n')  # fmt: skip
    done = folder.run("odd.jsonl", *CCY)
    assert [line.split(b",")[1] for line in done.output.splitlines()[1:]] == [b"840", b"EUR"]
    assert "odd.jsonl:3: bad_currency" in done.errors
    assert "odd.jsonl:4: missing_field" in done.errors


def test_more_currencies_than_there_are_numbers_fail_the_run(folder: Folder) -> None:
    rows = b"".join(b"deposit,1,1,1,%d\n" % code for code in range(CURRENCIES_MAX))
    folder.write("in.csv", b"type,client,tx,amount,ccy\n" + rows)
    assert len(folder.run("in.csv", *CCY, "-q").output.splitlines()) == CURRENCIES_MAX + 1
    folder.write("in.csv", b"type,client,tx,amount,ccy\n" + rows + b"deposit,1,1,1,more\n")
    ended = folder.run("in.csv", *CCY)
    ended.assert_failed("there are more than 65,536 currencies: does columns.currency name the right column?")


# ---- Tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_a_column_of_a_table_has_them(folder: Folder, kind: pa.DataType) -> None:
    codes = pa.array(["EUR", "x,y", "two\nlines", None, "EUR"]).cast(kind)
    table = pa.table(
        {"type": ["deposit"] * 5, "client": [1] * 5, "tx": [1, 2, 3, 4, 5], "amount": ["1"] * 5, "ccy": codes}
    )
    pq.write_table(table, folder.path / "in.parquet")
    done = folder.run("in.parquet", *CCY, "-q", "-o", "out.parquet", "--rejects", "r.csv")
    assert done.exit_code == 0
    accounts = pq.read_table(folder.path / "out.parquet")
    assert accounts.schema.names == ["client", "currency", "available", "held", "total", "locked"]
    assert accounts["currency"].to_pylist() == ["EUR", "two\nlines", "x,y"]
    assert accounts["total"].to_pylist() == [Decimal("2.0000"), Decimal("1.0000"), Decimal("1.0000")]
    assert b"4,malformed,bad_currency" in folder.read("r.csv")


def test_a_column_of_numbers_is_refused() -> None:
    table = pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["1"], "ccy": [840]})
    with pytest.raises(InputError, match="column 'ccy' is of type int64: it must be text"):
        txfast.process(table, dialect=DIALECT)


def test_a_code_that_is_no_utf8_is_for_csv_alone(folder: Folder) -> None:
    folder.write("in.csv", b"type,client,tx,amount,ccy\ndeposit,1,1,1,\xff\xfe\n")
    assert folder.run("in.csv", *CCY, "-q").output.splitlines()[1] == b"1,\xff\xfe,1.0000,0.0000,1.0000,false"
    folder.run("in.csv", *CCY, "-o", "out.parquet").assert_failed("currency \\xff\\xfe is not UTF-8")
    assert not (folder.path / "out.parquet").exists()


# ---- Programs ------------------------------------------------------------------------------------


def test_a_program_looks_them_up_by_client_and_currency() -> None:
    accounts = txfast.process(io.BytesIO(PURSES), dialect=DIALECT).accounts
    found = accounts.get((10, "EUR"))
    assert found == txfast.CurrencyAccount(10, "EUR", Decimal(0), Decimal(0), Decimal(0), True)
    assert accounts.get((10, "USD")) is None
    assert accounts.get((10, "eur"), "none") == "none"
    assert found in accounts
    assert found._replace(currency="USD") not in accounts
    assert [(each.client, each.currency) for each in accounts] == [(9, "USD"), (10, "CHF"), (10, "EUR")]
    assert [each.currency for each in accounts[::-1]] == ["EUR", "CHF", "USD"]
    for part in (accounts[1:], accounts[::-1]):
        assert tuple(part.get((10, "CHF")) or ()) == accounts[1]
    assert accounts[3:].to_arrow().schema == accounts.to_arrow().schema
    assert accounts[3:].get((10, "EUR")) is None
    assert "<td>CHF</td>" in accounts._repr_html_()
    with pytest.raises(TypeError, match="look one up by"):
        accounts.get(10)


def test_a_ledger_goes_on_with_them() -> None:
    ledger = txfast.Ledger(dialect=DIALECT)
    for line in PURSES.splitlines(keepends=True)[1:]:
        ledger.apply(io.BytesIO(PURSES.splitlines(keepends=True)[0] + line))
    assert list(ledger) == [(9, "USD"), (10, "CHF"), (10, "EUR")]
    assert ledger[10, "CHF"].total == Decimal(30)
    assert (10, "USD") not in ledger
    assert ledger.get((11, "EUR")) is None
    with pytest.raises(KeyError):
        ledger[10, "GBP"]
    with pytest.raises(TypeError, match="look one up by"):
        ledger[10]
    assert ledger.accounts().to_arrow().equals(txfast.process(io.BytesIO(PURSES), dialect=DIALECT).accounts.to_arrow())


def test_transactions_have_a_column_of_them() -> None:
    table = txfast.read(io.BytesIO(PURSES), dialect=DIALECT).read_all()
    assert table.schema.names == ["type", "client", "tx", "amount", "currency"]
    assert table["currency"].to_pylist()[:3] == ["EUR", "USD", "CHF"]
    again = txfast.process(table, dialect={"columns.currency": "currency"}).accounts.to_arrow()
    assert again.equals(txfast.process(io.BytesIO(PURSES), dialect=DIALECT).accounts.to_arrow())


@pytest.mark.parametrize("ids", ["number", "text"])
def test_growth_beyond_the_limit_goes_to_disk(folder: Folder, ids: str) -> None:
    codes = (b"EUR", b"USD", b"a,b", b"CHF")
    rows = b"".join(
        b'deposit,%d,%d,1,"%s"\n' % (n * 7 % 300_000, n // 3, codes[n % 7 % len(codes)]) for n in range(700_000)
    )
    folder.write("many.csv", b"type,client,tx,amount,ccy\n" + rows)
    outputs = []
    for limit in ((), ("--memory-limit", "96MiB")):
        done = folder.run("many.csv", *CCY, "-q", "--ids", ids, "--stats", "s.json", "--rejects", "r.csv", *limit)
        stats = json.loads(folder.read("s.json"))
        outputs.append((done.output, folder.read("r.csv"), stats["total"]))
    assert outputs[0] == outputs[1]
    assert stats["spilled_bytes"] > 8 << 20
    assert stats["peak_memory_bytes"] < 1.1 * (96 << 20)


# ---- The parts -----------------------------------------------------------------------------------


def test_a_code_has_one_number() -> None:
    currencies = Currencies()
    assert [currencies.number(code) for code in (b"EUR", b"USD", b"EUR")] == [0, 1, 0]
    assert (len(currencies), currencies.codes, currencies.find(b"USD")) == (2, [b"EUR", b"USD"], 1)
    assert currencies.find(b"GBP") is None
    for number in range(2, CURRENCIES_MAX):
        currencies.number(b"%d" % number)
    with pytest.raises(CapacityError):
        currencies.number(b"more")
    assert currencies.number(b"EUR") == 0


def test_accounts_come_in_the_order_of_codes_not_of_numbers() -> None:
    dialect = Dialect(DIALECT)
    rows = [f"deposit,{client},1,1,{code}" for code in ("b", "a", "c", "aa") for client in (3, 1)]
    content = "type,client,tx,amount,ccy\n" + "\n".join(rows)
    accounts = txfast.process(io.BytesIO(content.encode()), dialect=DIALECT).accounts
    codes = ["a", "aa", "b", "c"]
    assert [(each.client, each.currency) for each in accounts] == [(n, code) for n in (1, 3) for code in codes]
    assert dialect.currencies is dialect.currencies
    assert Header(b"type,client,tx,amount,ccy", "in", dialect=dialect).width == 5
    assert AccountColumns([Ledger(None, dialect.text_ids)]).by_currency() == {}


def test_one_client_in_many_currencies_is_fast_enough() -> None:
    """Accounts of one client do not lie in one place of the table: this took minutes if they did."""
    rows = b"".join(b"deposit,1,%d,1,%d\n" % (tx, tx % 60_000) for tx in range(200_000))
    result = txfast.process(io.BytesIO(b"type,client,tx,amount,ccy\n" + rows), dialect=DIALECT)
    assert len(result.accounts) == 60_000
