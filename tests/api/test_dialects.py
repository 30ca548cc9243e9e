"""Dialects in Python: what a program reads, compares and feeds means the same as in the command."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

import txfast
from tests.support.command import Folder
from txfast.errors import InputError, UsageError

CENTS = b"type,client,tx,amount\ndeposit,1,1,2.50\n"


def test_accounts_of_other_decimals_are_compared_with_all_of_them() -> None:
    accounts = txfast.process(io.BytesIO(CENTS), dialect={"decimals": 2}).accounts
    assert len(accounts.differences(io.BytesIO(b"client,total\n1,2.50\n"))) == 0
    assert [*accounts.differences(io.BytesIO(b"client,total\n1,2.51\n"))] == [(1, "total", "2.51", "2.50")]


@pytest.mark.parametrize("part", [{"skip": 1}, {"comment": "#"}, {"quote": "'"}, {"header": "no"}])
def test_the_arrow_reader_refuses_a_dialect_whose_lines_it_cannot_cut(part: dict[str, str | int]) -> None:
    message = f"the reader arrow knows no dialect with {next(iter(part))}"
    with pytest.raises(UsageError, match=message):
        txfast.read(io.BytesIO(CENTS), reader="arrow", dialect=part)
    with pytest.raises(UsageError, match=message):
        txfast.process(io.BytesIO(CENTS), reader="arrow", dialect=part)


def test_a_column_of_a_table_has_one_role() -> None:
    table = pa.table({"type": ["deposit"], "client": [7], "tx": [1], "amount": ["5"]})
    with pytest.raises(InputError, match="its column 'tx' cannot be both client and tx"):
        txfast.process(table, dialect={"columns.client": "tx"})


def test_read_gives_amounts_with_the_decimals_of_the_dialect() -> None:
    [row] = txfast.read(io.BytesIO(CENTS), dialect={"decimals": 2}).read_all().to_pylist()
    assert str(row["amount"]) == "2.50"


def test_a_file_of_which_all_rows_are_ignored_is_told(folder: Folder) -> None:
    folder.write("in.csv", b"type,client,tx,amount,status\ndeposit,1,1,5,completed\nfee,1,2,5,completed\n")
    run = folder.run("in.csv", "--dialect", "keep.status=COMPLETED")
    assert run.exit_code == 0
    assert "0 malformed, 2 ignored by the dialect; are its words of types, and those to keep" in run.outcome
    assert "status" not in run.errors


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_amount_that_counts_stands_in_the_rejects(tmp_path: Path, suffix: str) -> None:
    file = io.BytesIO(b"client,tx,In,Out\n1,1,0.00,5\n2,1,N/A,7\n")
    dialect = {"columns.credit": "In", "columns.debit": "Out", "null": "N/A"}
    result = txfast.process(file, dialect=dialect, rejects=True)
    assert result.rejects is not None
    assert [reject.amount for reject in result.rejects] == ["5", "7"]
    txfast.process(io.BytesIO(file.getvalue()), dialect=dialect, rejects=tmp_path / f"r.{suffix}")


def test_a_word_with_quotes_is_no_word_where_quotes_quote() -> None:
    file = b'type,client,tx,amount\n"d",1,1,1\n"d", 1,2,1\nx,1,3,1\n'
    result = txfast.process(io.BytesIO(file), dialect={'types."d"': "deposit", "types.x": "deposit"}, rejects=True)
    assert result.rejects is not None
    assert [(reject.line, reject.reason) for reject in result.rejects] == [(2, "bad_type"), (3, "bad_type")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"types.+": "deposit", "types.-": "withdrawal", "columns.type": "Kind"}, "columns.type excludes types.+"),
        ({"columns.credit": "a", "columns.debit": "b", "types.x": "deposit"}, "types.x excludes columns.credit"),
        ({f"keep.{number}": "x" for number in range(9)}, "at most 64 words of types and 8 columns in keep"),
        ({"comment": "'", "quote": "'"}, "comment has the quote in it"),
        ({"header": "no", "columns.type": "1", "columns.client": "2", "columns.tx": "2", "columns.amount": "3"},
         "one column has two meanings"),
    ],
)  # fmt: skip
def test_parts_that_exclude_each_other_are_refused(settings: dict[str, str | int], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("+", r"\+")):
        txfast.process(io.BytesIO(CENTS), dialect=settings)


def test_a_quote_that_is_none_may_be_named_in_a_comment() -> None:
    file = b"type,client,tx,amount\nnone of this\ndeposit,1,1,5\n"
    assert txfast.process(io.BytesIO(file), dialect={"quote": "none", "comment": "none"}).stats["rows"] == 1


def test_a_table_is_read_in_a_dialect() -> None:
    table = pa.table({
        "Art": ["SALE", "SALE", "FEE"], "Kunde": [1, 2, 3], "Nr": [1, 2, 3],
        "Wert": pa.array([Decimal("1.25"), Decimal("2.123456"), None], pa.decimal128(12, 6)),
        "status": ["ok", "ok", "ok"],
    })  # fmt: skip
    dialect: dict[str, str | int] = {
        "columns.type": "Art", "columns.client": "Kunde", "columns.tx": "Nr", "columns.amount": "Wert",
        "types.SALE": "deposit", "types.FEE": "ignore", "decimal": ",", "decimals": 6, "keep.status": "ok,done",
    }  # fmt: skip
    result = txfast.process(table, dialect=dialect)
    assert [str(account.total) for account in result.accounts] == ["1.250000", "2.123456"]
    assert result.stats["ignored"] == 1
    with pytest.raises(InputError, match=r"it has no column Status2, which keep\.Status2 needs"):
        txfast.process(table, dialect={**dialect, "keep.Status2": "ok"})


def test_a_table_has_names() -> None:
    with pytest.raises(InputError, match="a table has names of columns: leave header=no out"):
        txfast.process(pa.table({"type": ["deposit"]}), dialect={"header": "no"})


def test_json_lines_are_read_under_a_dialect_and_refused_by_the_arrow_reader() -> None:
    content = b'{"type":"deposit","client":1,"tx":1,"amount":1}\n'
    result = txfast.process(io.BytesIO(content), dialect={"decimals": 2})
    assert [str(each.available) for each in result.accounts] == ["1.00"]
    with pytest.raises(InputError, match="JSON lines, which are no CSV for the arrow reader"):
        txfast.process(io.BytesIO(content), reader="arrow")


def test_balances_have_the_decimals_of_the_dialect(folder: Folder) -> None:
    folder.write("balances.csv", b"client,available\n1,2.505\n")
    for option in ("--opening", "--expect"):
        folder.run("in.csv", "--decimals", "2", option, "balances.csv").assert_failed("with at most 2 decimals")
    folder.write("balances.jsonl", b'{"client":1,"available":"2.5"}\n')
    folder.run("in.csv", "--opening", "balances.jsonl").assert_failed("JSON lines are no balances")


def test_a_file_that_skip_leaves_nothing_of_says_so() -> None:
    with pytest.raises(InputError, match="it has no header behind the 9 lines that skip leaves out"):
        txfast.process(io.BytesIO(CENTS), dialect={"skip": 9})


def test_a_delimiter_is_an_equals_sign(folder: Folder) -> None:
    folder.write("in.csv", b"type=client=tx=amount\ndeposit=1=1=5\n")
    assert folder.run("in.csv", "--dialect", "delimiter==").output.endswith(b"\n1,5.0000,0.0000,5.0000,false\n")


def test_a_comma_file_under_another_delimiter_says_what_to_leave_out() -> None:
    with pytest.raises(InputError, match="it is separated by commas: leave the delimiter out of the dialect"):
        txfast.process(io.BytesIO(CENTS), dialect={"delimiter": ";"})
