"""Ids that are texts, as a person uses them: on the command line, in tables, in programs; and where they cannot be."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import txfast
from tests.support.command import Folder
from txfast.errors import InputError

MIB_96 = "96MiB"
CHARGES = b"""\
type,client,tx,amount
deposit,cus_B2,ch_1,27.50
deposit,cus_A1,ch_2,40
withdrawal,cus_A1,po_1,20
dispute,cus_B2,ch_1,
deposit,cus_B2,ch_1,27.50
deposit,,ch_9,1
"""
ACCOUNTS = b"""\
client,available,held,total,locked
cus_A1,20.0000,0.0000,20.0000,false
cus_B2,0.0000,27.5000,27.5000,false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write("charges.csv", CHARGES)
    return folder


# ---- The command ---------------------------------------------------------------------------------


def test_an_option_reads_ids_as_texts(folder: Folder) -> None:
    done = folder.run("charges.csv", "-q", "--ids", "text", "--rejects", "rejects.csv")
    assert done.output == ACCOUNTS
    assert folder.read("rejects.csv").splitlines()[1:] == [
        b'charges.csv,6,rejected,duplicate_transaction,deposit,cus_B2,ch_1,27.50,"deposit,cus_B2,ch_1,27.50"',
        b'charges.csv,7,malformed,bad_client,deposit,,ch_9,1,"deposit,,ch_9,1"',
    ]


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_the_result_does_not_depend_on_threads(folder: Folder, threads: str) -> None:
    rows = [b"deposit,c_%d,%s,%d" % (n * 7 % 900, str(uuid.UUID(int=n)).encode(), n) for n in range(60_000)]
    folder.write("many.csv", b"type,client,tx,amount\n" + b"\n".join(rows))
    totals: dict[bytes, int] = {}
    for n in range(60_000):
        name = b"c_%d" % (n * 7 % 900)
        totals[name] = totals.get(name, 0) + n
    lines = [b"%s,%d.0000,0.0000,%d.0000,false\n" % (each, total, total) for each, total in sorted(totals.items())]
    done = folder.run("many.csv", "-q", "--ids", "text", "--threads", threads)
    assert done.output == b"client,available,held,total,locked\n" + b"".join(lines)


def test_a_file_with_texts_is_told_what_to_add(folder: Folder) -> None:
    done = folder.run("charges.csv")
    assert done.exit_code == 1
    assert "bad_client: deposit,cus_B2,ch_1,27.50 (ids that are texts? add --ids text)" in done.errors


def test_a_wrong_id_is_told_of(folder: Folder) -> None:
    folder.write("long.csv", CHARGES + b"deposit,a," + b"x" * 256 + b",1\n")
    done = folder.run("long.csv", "--ids", "text")
    assert "(it is empty)" in done.errors
    assert "(an id has at most 255 bytes)" in done.errors
    folder.write("null.csv", b"type,client,tx,amount\ndeposit,NULL,1,1\ndeposit,a,1,1\n")
    done = folder.run("null.csv", "--ids", "text", "--dialect", "null=NULL")
    assert "bad_client: deposit,NULL,1,1 (it is empty)" in done.errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ids", "texts"], "--ids: 'texts': it is one of number, text; did you mean 'text'?"),
        (["--dialect", "ids.clients=text"], "dialect 'ids.clients': it is one of client, tx; did you mean 'client'?"),
    ],
)
def test_what_cannot_be_is_refused(folder: Folder, arguments: list[str], message: str) -> None:
    done = folder.run("charges.csv", *arguments)
    done.assert_misused(message)


def many_long() -> bytes:
    """A file with 30 MB of ids."""
    return b"type,client,tx,amount\n" + b"".join(
        b"deposit,c_%d,%s%d,1\n" % (n % 90_000, b"x" * 200, n % 120_000) for n in range(150_000)
    )


def test_texts_that_outgrow_the_memory_limit_go_to_disk(folder: Folder) -> None:
    folder.write("many.csv", many_long())
    outputs = []
    for limit in ((), ("--memory-limit", "96MiB")):
        done = folder.run("many.csv", "-q", "--ids", "text", "--rejects", "r.csv", "--stats", "s.json", *limit)
        outputs.append((done.output, folder.read("r.csv")))
    assert outputs[0] == outputs[1]
    stats = json.loads(folder.read("s.json"))
    assert stats["spilled_bytes"] > 30 << 20
    assert stats["peak_memory_bytes"] < 1.1 * (96 << 20)


def test_json_lines_with_texts_are_told_what_to_add(folder: Folder) -> None:
    folder.write("rows.jsonl", b'{"type":"deposit","client":"a","tx":"b","amount":1}\n')
    done = folder.run("rows.jsonl")
    assert done.exit_code == 1
    assert "(ids that are texts? add --ids text)" in done.errors
    assert folder.run("rows.jsonl", "--ids", "text").output.endswith(b"\na,1.0000,0.0000,1.0000,false\n")


def test_an_option_overrides_what_a_variable_says_of_one_kind_of_ids(folder: Folder) -> None:
    variables = {"TXFAST_DIALECT": "ids.client=text"}
    folder.write("numbers.csv", b"type,client,tx,amount\ndeposit,07,1,1\n")
    assert b"07,1.0000" in folder.run("numbers.csv", variables=variables).output
    assert b"\n7,1.0000" in folder.run("numbers.csv", "--ids", "number", variables=variables).output


# ---- Tables --------------------------------------------------------------------------------------


def table_of(client: pa.DataType, tx: pa.DataType) -> pa.Table:
    return pa.table({
        "type": ["deposit", "deposit", "withdrawal"],
        "client": pa.array(["a,b", 'q"q', "a,b"], client) if client != pa.uint64() else pa.array([1, 2, 1], client),
        "tx": pa.array(["x\ny", "x", "z"], tx) if tx != pa.int64() else pa.array([1, 2, 3], tx),
        "amount": pa.array([5, 7, 2], pa.decimal128(9, 2)),
    })  # fmt: skip


@pytest.mark.parametrize(
    "client", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.uint64()]
)
@pytest.mark.parametrize("tx", [pa.string(), pa.int64()])
def test_columns_of_texts_are_read_as_they_are(tmp_path: Path, client: pa.DataType, tx: pa.DataType) -> None:
    table = table_of(client, tx)
    first, second = ("1", "2") if client == pa.uint64() else ("a,b", 'q"q')
    expected = [(first, Decimal("3.0000")), (second, Decimal("7.0000"))]
    accounts = txfast.process(table, dialect={"ids": "text"}).accounts
    assert [(account.client, account.total) for account in accounts] == expected
    pq.write_table(table, tmp_path / "t.parquet")
    accounts = txfast.process(tmp_path / "t.parquet", dialect={"ids": "text"}, rejects=True).accounts
    assert [(account.client, account.total) for account in accounts] == expected


ODD_IDS = [
    "a\nb", "a\\nb", "a\r\nb", "a\r\n\nb", "a\rb", "a\\rb", '"', '"\n"', "\n", ",\n,", "a\ndeposit,1,1,9\nb",
    "x" * 254 + "\n", "\u00e9\n",
]  # fmt: skip


def test_ids_of_a_table_are_those_of_a_file(folder: Folder) -> None:
    """Also where a line ending is in them."""
    quoted = ['"' + text.replace('"', '""') + '"' for text in ODD_IDS]
    rows = [f"deposit,{client},{tx},1\n" for client in quoted for tx in quoted]
    folder.write("odd.csv", ("type,client,tx,amount\n" + "".join(rows)).encode())
    keys = [(client, tx) for client in ODD_IDS for tx in ODD_IDS]
    clients, txs = map(list, zip(*keys, strict=True))
    table = pa.table({"type": ["deposit"] * len(keys), "client": clients, "tx": txs, "amount": ["1"] * len(keys)})
    pq.write_table(table, folder.path / "odd.parquet")
    written = folder.run("odd.csv", "-q", "--ids", "text").output
    assert folder.run("odd.parquet", "-q", "--ids", "text").output == written
    assert folder.run("odd.parquet", "odd.csv", "-q", "--ids", "text").output == written
    read = txfast.read(table, dialect={"ids": "text"}).read_all()
    assert read.column("client").to_pylist() == clients
    assert read.column("tx").to_pylist() == txs


@pytest.mark.parametrize("dialect", [{}, {"types.skip": "ignore"}])
def test_a_row_of_a_table_has_its_number_whatever_is_in_ids_before_it(dialect: dict[str, str]) -> None:
    long = "x" * 300 + "\n"
    rows = [
        ("deposit", "a\n\nb", "1\r\n2"), ("skip", "a\nb", "1"), ("deposit", "a\nb", "1"), ("deposit", "a\nb", "1"),
        ("deposit", "a\nb", long), ("deposit", "", "1\r2"), ("skip", "", ""), ("deposit", "a\nb", "1"),
    ]  # fmt: skip
    types, clients, txs = map(list, zip(*rows, strict=True))
    table = pa.table({"type": types, "client": clients, "tx": txs, "amount": ["1"] * len(rows)})
    result = txfast.process(table, table, dialect={"ids": "text", **dialect}, rejects=True)
    found = [(reject.line, reject.reason) for reject in result.rejects if reject.reason != "bad_type"]
    wrong = [(4, "duplicate_transaction"), (5, "bad_tx"), (6, "bad_client"), (8, "duplicate_transaction")]
    again = [(1, "duplicate_transaction"), (3, "duplicate_transaction"), *wrong]
    assert found == [*wrong, *again]


def test_a_null_is_no_id() -> None:
    table = pa.table({"type": ["deposit"] * 2, "client": ["a", None], "tx": [None, "t"], "amount": ["1", "1"]})
    with pytest.raises(InputError, match="all 2 rows are malformed"):
        txfast.process(table, dialect={"ids": "text"})


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_accounts_are_written_as_tables(folder: Folder, form: str) -> None:
    folder.run("charges.csv", "-q", "--ids", "text", "-o", f"accounts.{form}")
    path = folder.path / f"accounts.{form}"
    table = pq.read_table(path) if form == "parquet" else pa.ipc.open_file(path).read_all()
    assert table.schema.field("client").type == pa.string()
    assert table.column("client").to_pylist() == ["cus_A1", "cus_B2"]
    assert table.column("held").to_pylist() == [Decimal("0.0000"), Decimal("27.5000")]


def test_a_client_that_is_not_utf8_is_no_string(folder: Folder) -> None:
    folder.write("latin.csv", CHARGES + b"deposit,M\xfcller,ch_7,1\n")
    done = folder.run("latin.csv", "-q", "--ids", "text", "-o", "a.parquet")
    done.assert_failed("client M\\xfcller is not UTF-8")
    assert not (folder.path / "a.parquet").exists()
    assert (
        "Müller,1.0000".encode()
        in folder.run("latin.csv", "-q", "--ids", "text", "--dialect", "encoding=latin-1").output
    )
    assert b"M\xfcller,1.0000" in folder.run("latin.csv", "-q", "--ids", "text").output


# ---- Programs ------------------------------------------------------------------------------------


def test_a_program_sees_texts_as_str() -> None:
    result = txfast.process(io.BytesIO(CHARGES), dialect={"ids": "text"}, rejects=True)
    assert [account.client for account in result.accounts] == ["cus_A1", "cus_B2"]
    found = result.accounts.get("cus_B2")
    assert found is not None
    assert found.held == Decimal("27.5000")
    assert result.accounts.get("cus_C3") is None
    assert result.accounts.get(7) is None
    assert result.accounts.get("\udcff") is None
    assert result.accounts.get("\ud800") is None
    assert found in result.accounts
    assert result.accounts[1:].get("cus_B2") == found
    assert result.accounts[::-1].get("cus_A1") == result.accounts[0]
    assert result.accounts.to_arrow().column("client").to_pylist() == ["cus_A1", "cus_B2"]
    assert [reject.client for reject in result.rejects] == ["cus_B2", ""]
    differences = result.accounts.differences(io.BytesIO(b"client,total\ncus_B2,1\n"))
    assert [difference.client for difference in differences] == ["cus_A1", "cus_B2"]


def test_a_program_sees_ids_that_are_not_utf8() -> None:
    """With surrogates, also where it iterates; only tables cannot have them."""
    content = b"type,client,tx,amount\ndeposit,b\xff,1,5\ndeposit,a,1,5\n"
    accounts = txfast.process(io.BytesIO(content), dialect={"ids": "text"}).accounts
    assert [account.client for account in accounts] == ["a", "b\udcff"]
    assert [account.client for account in reversed(accounts)] == ["b\udcff", "a"]
    assert accounts[1] in accounts
    assert accounts.get("b\udcff") == accounts[1]
    assert r"<td>b\xff</td>" in accounts._repr_html_()
    with pytest.raises(InputError, match="not UTF-8"):
        accounts.to_arrow()
    ledger = txfast.Ledger(dialect={"ids": "text"})
    ledger.apply(io.BytesIO(content))
    assert list(ledger) == ["a", "b\udcff"]


def test_a_program_sees_the_same_texts_in_any_locale() -> None:
    program = (
        "import io, txfast; content = io.BytesIO(b'type,client,tx,amount\\ndeposit,\\xc3\\xa9,1,5\\n');"
        "accounts = txfast.process(content, dialect={'ids': 'text'}).accounts;"
        "assert accounts[0].client == chr(0xe9), ascii(accounts[0]); assert accounts.get(chr(0xe9)) == accounts[0]"
    )
    ascii_alone = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | ascii_alone)


def test_a_client_may_be_bytes_of_any_class() -> None:
    class Name(bytes):
        pass

    ledger = txfast.Ledger(dialect={"ids": "text"})
    ledger.apply(io.BytesIO(CHARGES[: CHARGES.index(b"deposit,,")]))
    assert ledger[Name(b"cus_A1")] == ledger["cus_A1"]  # type: ignore[call-overload]
    assert ledger.accounts().get(Name(b"cus_A1")) == ledger["cus_A1"]  # type: ignore[call-overload]


def test_no_accounts_have_texts_too() -> None:
    accounts = txfast.process(io.BytesIO(CHARGES), dialect={"ids": "text"}).accounts
    assert accounts[0:0].schema == accounts.schema
    assert accounts[0:0].to_arrow().schema == accounts.to_arrow().schema


def test_a_ledger_has_texts() -> None:
    ledger = txfast.Ledger(dialect={"ids": "text"}, threads=3)
    assert ledger.apply(io.BytesIO(CHARGES[: CHARGES.index(b"deposit,,")]))["applied"] == 4
    assert ledger["cus_A1"].total == Decimal("20.0000")
    assert "cus_A1" in ledger
    assert "cus" not in ledger
    assert 1 not in ledger
    assert list(ledger) == ["cus_A1", "cus_B2"]
    with pytest.raises(KeyError, match="cus_C3"):
        ledger["cus_C3"]
    accounts = ledger.accounts()
    ledger.apply(io.BytesIO(b"type,client,tx,amount\ndeposit,aaa,1,1\n"))
    assert [account.client for account in accounts] == ["cus_A1", "cus_B2"]
    del ledger
    assert [account.client for account in accounts] == ["cus_A1", "cus_B2"]


def test_what_is_read_has_strings() -> None:
    dialect = {"ids.client": "text"}
    content = b'type,client,tx,amount\ndeposit,"a ""b""",7,1\n'
    with txfast.read(io.BytesIO(content), dialect=dialect) as reader:
        assert reader.schema.field("client").type == pa.string()
        assert reader.schema.field("tx").type == pa.uint64()
        [row] = reader.read_all().to_pylist()
    assert row == {"type": "deposit", "client": 'a "b"', "tx": 7, "amount": Decimal("1.0000")}
    with pytest.raises(InputError, match=r"tx \\xff is not UTF-8"):
        txfast.read(io.BytesIO(b"type,client,tx,amount\ndeposit,1,\xff,1\n"), dialect={"ids": "text"}).read_all()


def test_accounts_of_texts_that_went_to_disk_are_those_in_memory() -> None:
    limited, usual = (
        txfast.process(io.BytesIO(many_long()), dialect={"ids": "text"}, memory_limit=limit) for limit in (MIB_96, None)
    )
    assert limited.stats["spilled_bytes"]
    assert not usual.stats["spilled_bytes"]
    assert limited.accounts.to_arrow() == usual.accounts.to_arrow()
    assert list(limited.accounts[70_000:9:-7]) == list(usual.accounts[70_000:9:-7])
    found = limited.accounts.get("c_777")
    assert found is not None
    assert found == usual.accounts.get("c_777")
    assert limited.accounts.get("c_90000") is None


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"ids.client": "text", "ids.tx": "text"}, {"ids": "text"}),
        ({"ids": "text", "ids.tx": "number"}, {"ids.client": "text"}),
        ({"ids": "number"}, {}),
        ({"ids": "number", "ids.tx": "TEXT"}, {"ids.tx": "text"}),
        ({"ids": "text", "ids.client": "number", "ids.tx": "number"}, {}),
    ],
)
def test_a_form_of_ids_is_said_in_one_way(settings: dict[str, str], same: dict[str, str]) -> None:
    from txfast.dialect.dialect import Dialect

    assert dict(Dialect(settings)) == same
