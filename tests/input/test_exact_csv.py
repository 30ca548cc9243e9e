"""CSV files that a query names alone: no value becomes another, wherever in the file it stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import txfast

# DuckDB chooses the types of columns by the first 20,480 rows.
BEYOND_THE_SAMPLE = 21_000
PLAIN = ("deposit", "1", "1", "3", "2026-01-02")


def process(folder: Path, query: str, **options: Any) -> txfast.Result:
    path = folder / "q.sql"
    path.write_text(query)
    return txfast.process(path, **options)


def total_of(result: txfast.Result) -> str:
    account = result.accounts.get(1)
    assert account is not None
    return str(account.total)


def refused(result: txfast.Result) -> list[dict[str, Any]]:
    assert result.rejects is not None
    rows: list[dict[str, Any]] = result.rejects.to_arrow().to_pylist()
    return rows


def write(folder: Path, *rows: tuple[str, ...], before: int = 0) -> str:
    path = folder / "in.csv"
    lines = [("type", "client", "tx", "amount", "day"), *[PLAIN] * before, *rows]
    path.write_text("".join(",".join(row) + "\n" for row in lines))
    return f"FROM '{path}'"


@pytest.mark.parametrize("value", ["1.5", "1e3", "1_000", "0x10", "0b11", "1,5", "true", "9223372036854775808", "+5"])
@pytest.mark.parametrize("column", [1, 2, 3])
def test_a_value_that_is_no_whole_number_is_never_taken_for_one(tmp_path: Path, column: int, value: str) -> None:
    """Before, 1.5 became 2, 1e3 became 1000 and 0x10 became 16, in ids and amounts."""
    row = [*PLAIN]
    row[column] = f'"{value}"'
    query = write(tmp_path, tuple(row), before=BEYOND_THE_SAMPLE)
    name = ("type", "client", "tx", "amount")[column]
    with pytest.raises(txfast.InputError, match=f"column '{name}': .* is no whole number as those before it"):
        process(tmp_path, query)


def test_numbers_that_are_none_for_duckdb_alone_are_text(tmp_path: Path) -> None:
    query = write(tmp_path, ("deposit", "+01", "1", "1.5", ""), ("deposit", "1", "2", "2e3", ""))
    result = process(tmp_path, query, rejects=True)
    assert [(row["reason"], row["amount"]) for row in refused(result)] == [("bad_amount", "2e3")]
    assert total_of(result) == "1.5000"
    with pytest.raises(txfast.InputError, match="column 'amount': 0x10 is no whole number"):
        process(tmp_path, write(tmp_path, ("deposit", "1", "1", "0x10", "")))


def test_whole_numbers_sort_as_numbers_and_may_have_blanks_or_be_empty(tmp_path: Path) -> None:
    rows = ("withdrawal", "1", "10", "4", ""), ("deposit", "1", " 9 ", '""', ""), ("deposit", "1", "2", "5", "")
    query = write(tmp_path, *rows)
    result = process(tmp_path, f"{query} ORDER BY tx", rejects=True)
    assert total_of(result) == "1.0000"
    assert [row["reason"] for row in refused(result)] == ["amount_required"]


def test_nobody_guesses_which_of_two_numbers_is_the_day(tmp_path: Path) -> None:
    query = write(tmp_path, (*PLAIN[:4], "02/01/2026"))
    with pytest.raises(txfast.InputError, match="Cannot compare values of type VARCHAR and type DATE"):
        process(tmp_path, f"{query} WHERE day < DATE '2026-03-01'")
    with pytest.raises(txfast.InputError, match="invalid date field format"):
        process(tmp_path, f"{query} WHERE CAST(day AS DATE) < DATE '2026-03-01'")


def test_an_apostrophe_is_no_quote(tmp_path: Path) -> None:
    """Before, the second row was a part of the first one's text."""
    rows = ("deposit", "1", "1", "5", "'a"), ("deposit", "1", "2", "6", "b'"), ("deposit", "1", "3", "7", "c")
    query = write(tmp_path, *rows)
    assert total_of(process(tmp_path, query)) == "18.0000"


def test_several_files_and_names_with_quotes_are_read(tmp_path: Path) -> None:
    for number in (2, 10):
        (tmp_path / f"month={number}").mkdir()
        (tmp_path / f"month={number}" / "it's.csv").write_text(
            f"""type,client,tx,amount,"it's ""it"\"\"\ndeposit,1,{number},1,2\n"""
        )
    query = (
        f"SELECT * FROM '{tmp_path}/*/it''s.csv' WHERE month = 10 "
        f'UNION ALL SELECT * FROM \'{tmp_path}/month=2/it\'\'s.csv\' WHERE "it\'s ""it""" = 2'
    )
    assert process(tmp_path, query).stats["applied"]["deposit"] == 2


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(txfast.InputError, match=r"pipe\.csv is no file: copy it to one"):
        process(tmp_path, f"FROM '{tmp_path}/pipe.csv'")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(txfast.InputError, match=r"No files found that match the pattern .*gone\.csv"):
        process(tmp_path, f"FROM '{tmp_path}/gone.csv'")


@pytest.mark.parametrize("names", ["amount,amount", "Amount,amount", "amount, AMOUNT "])
def test_a_header_that_names_a_column_twice_is_refused(tmp_path: Path, names: str) -> None:
    """Before, DuckDB gave the second one another name, and the first one counted unseen."""
    path = tmp_path / "in.csv"
    path.write_text(f"type,client,tx,{names}\ndeposit,1,1,5,7\n")
    with pytest.raises(txfast.InputError, match=r"in\.csv: its header names 'amount' twice: leave one out"):
        process(tmp_path, f"FROM '{path}'")
    result = process(tmp_path, f"SELECT * REPLACE (amount_1 AS amount) FROM read_csv('{path}', all_varchar = true)")
    assert total_of(result) == "7.0000"


def test_a_name_that_ends_as_those_of_second_columns_do_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("type,client,tx,amount,amount_1\ndeposit,1,1,5,7\n")
    assert total_of(process(tmp_path, f"FROM '{path}'")) == "5.0000"


def test_a_result_with_a_column_in_two_cases_is_refused(tmp_path: Path) -> None:
    """SQL knows no case: the second one was meant to replace the first."""
    with pytest.raises(txfast.InputError, match="it has two columns 'amount' and 'Amount': leave one out"):
        process(tmp_path, f"SELECT *, 3 AS Amount {write(tmp_path, PLAIN)}")
