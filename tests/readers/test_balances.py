"""Files of balances: their columns, their rows, and what is wrong with a row, in CSV and in tables."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txfast.api.inputs import balance_input
from txfast.errors import InputError, SourceError
from txfast.readers.balance_columns import EXPECTED, OPENING, Contents
from txfast.readers.balance_csv import BalanceCsvReader
from txfast.readers.balance_form import given_form
from txfast.readers.balance_rows import BalanceRows
from txfast.run.balances import BalanceFile

Found = list[tuple[int, ...]]


def rows_of(rows: BalanceRows) -> Found:
    if not len(rows):
        return []
    columns = [list(rows.clients), *(list(rows.units(name)) for name in rows.columns)]
    return list(zip(*columns, strict=True))


def read(content: bytes, contents: Contents = EXPECTED, block_bytes: int = 1 << 18) -> tuple[Found, list[int]]:
    """All rows of a CSV file, and their lines."""
    reader = BalanceCsvReader(io.BytesIO(content), "b.csv", contents, given_form(None), block_bytes)
    while reader.fill():
        pass
    assert reader.rows is not None
    return rows_of(reader.rows), [reader.rows.line_of(row) for row in range(len(reader.rows))]


def read_table(table: pa.Table, contents: Contents = EXPECTED) -> Found:
    [*_, rows] = [BalanceRows(()), *BalanceFile(balance_input("table", table), contents).blocks()]
    return rows_of(rows)


def test_columns_are_found_by_their_names_and_others_are_ignored() -> None:
    content = b'\xef\xbb\xbf\n locked ,name,Client,TOTAL\nTRUE,x,+07,-.5\nfalse,"a,""b",8, 1.50000 \n'
    assert read(content) == ([(7, -5000, 1), (8, 15_000, 0)], [3, 4])
    assert read(b"client,opening,held\n1,2,x\n", OPENING) == ([(1, 20_000)], [2])


def test_lines_are_those_of_the_file() -> None:
    content = b'client,total,note\n\n1,1,"a\nb"\n \t\n2,2\r\n\r\n3,3\r4,4,"\r\n\n"\n5,5'
    assert read(content)[1] == [3, 6, 8, 9, 12]


@given(st.integers(1, 40))
def test_blocks_of_any_size_give_the_same_rows(block_bytes: int) -> None:
    content = b'client,total,note\r\n\r\n1,1,"a\r\nb"\r\n2,2\r\n\r\n3,3\r\n4,4,"x"\r\n'
    assert read(content, block_bytes=block_bytes) == read(content)


def test_rows_that_are_cleared_keep_their_lines() -> None:
    content = b"client,available\n" + b"".join(b"%d,1\n\n" % client for client in range(2000))
    reader = BalanceCsvReader(io.BytesIO(content), "b.csv", OPENING, given_form(None), 100)
    lines = []
    while reader.fill():
        assert reader.rows is not None
        lines += [reader.rows.line_of(row) for row in range(len(reader.rows))]
        reader.rows.clear()
    assert lines == list(range(2, 4002, 2))


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b"x,1", "bad_client: client is no number from 0 to 2^64 - 1: 'x,1'"),
        (b"18446744073709551616,1", "bad_client"),
        (b",1", "bad_client"),
        (b"-1,1", "bad_client"),
        (b"1", "total is empty: '1'"),
        (b"1,", "total is empty: '1,'"),
        (b"1,1e3", "bad_amount: total is no amount with at most 4 decimals: '1,1e3'"),
        (b"1,1.00001", "bad_amount"),
        (b"1,922337203685477.5808", "bad_amount"),
        (b"1,2,3,4", "too_many_fields: it has more fields than the header: '1,2,3,4'"),
        (b'1,"2', "bad_quoting: "),
        (b"1,2,yes", "locked is neither true nor false: '1,2,yes'"),
        (b"1,2,", "locked is empty"),
        (b"1,2," + b" " * (1 << 20) + b"true", "the row is longer than 1 MiB"),
    ],
)
@pytest.mark.parametrize("block_bytes", [30, 1 << 18])
def test_a_row_that_is_wrong_is_an_error_that_names_its_line(row: bytes, found: str, block_bytes: int) -> None:
    with pytest.raises(InputError) as raised:
        read(b"client,total,locked\n5,1,true\n" + row + b"\n6,1,true\n", block_bytes=block_bytes)
    assert str(raised.value).startswith("b.csv:3: not expected accounts: " + found)
    assert str(raised.value).endswith(": correct the row, and run it again")


@pytest.mark.parametrize(
    ("content", "contents", "found"),
    [
        (b"", OPENING, "not opening balances: it is empty: it needs client and one of available, opening"),
        (b"\n \n", OPENING, "not opening balances: it is empty"),
        (b"total\n1\n", EXPECTED, "not expected accounts: it has no column client: it needs client and one of"),
        (b"client,name\n", EXPECTED, "not expected accounts: it has no column with an amount"),
        (b"client,total\n", OPENING, "not opening balances: it has no column with an amount"),
        (b"client,total,total\n", EXPECTED, "not expected accounts: it has two columns for total"),
        (b"client,available,opening\n", OPENING, "it has two columns for available, 'available' and 'opening'"),
        (b'client,"tot"al\n', EXPECTED, "its header is badly quoted"),
    ],
)  # fmt: skip
def test_a_file_of_another_kind_is_refused(content: bytes, contents: Contents, found: str) -> None:
    with pytest.raises(InputError) as raised:
        read(content, contents)
    assert str(raised.value).startswith("b.csv: ")
    assert found in str(raised.value)


def test_a_file_without_rows_has_none() -> None:
    assert read(b"client,total\n") == ([], [])
    assert read_table(pa.table({"client": pa.array([], pa.uint64()), "total": pa.array([], pa.string())})) == []


def test_a_file_that_cannot_be_read_is_an_error_that_names_it() -> None:
    class Broken(io.RawIOBase):
        def readinto(self, _: object) -> int:
            raise OSError(5, "Input/output error")

    with pytest.raises(SourceError, match=r"b\.csv: cannot be read: Input/output error"):
        BalanceCsvReader(Broken(), "b.csv", EXPECTED, given_form(None)).fill()

    class Waiting(io.RawIOBase):
        def readinto(self, _: object) -> None:
            return None

    with pytest.raises(SourceError, match="non-blocking"):
        BalanceCsvReader(Waiting(), "b.csv", EXPECTED, given_form(None)).fill()


# ---- Tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint8(), pa.string(), pa.large_string(), pa.decimal128(9, 2)])
def test_amounts_of_a_table_may_have_any_exact_type(kind: pa.DataType) -> None:
    totals = pa.array(["1", "2", "3"]).cast(kind)
    table = pa.table({"total": totals, "client": pa.array([3, 1, 2], pa.int32())})
    assert read_table(table) == [(3, 10_000), (1, 20_000), (2, 30_000)]


@pytest.mark.parametrize(
    "locked",
    [
        pa.array([True, False]),
        pa.array(["TRUE", " false "]),
        pa.array(["true", "false"], pa.large_string()),
        pa.array(["true", "false"]).dictionary_encode(),
    ],
)
def test_locked_may_be_boolean_or_text(locked: pa.Array) -> None:
    table = pa.table({"client": [1, 2], "locked": locked, "held": ["1", "2"]})
    assert read_table(table) == [(1, 10_000, 1), (2, 20_000, 0)]


def test_a_long_table_is_read_in_pieces() -> None:
    count = 150_000
    table = pa.table({"client": range(count), "available": range(count), "held": [0] * count})
    assert read_table(table) == [(row, 10_000 * row, 0) for row in range(count)]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"client": [1, None], "total": [1, 1]}, "pyarrow.Table:2: not expected accounts: bad_client"),
        ({"client": [1, -1], "total": [1, 1]}, "pyarrow.Table:2: not expected accounts: bad_client"),
        ({"client": [1, 1], "total": [1, None]}, "pyarrow.Table:2: not expected accounts: total is empty"),
        ({"client": [1, 1], "total": ["1", "x"]}, "pyarrow.Table:2: not expected accounts: bad_amount"),
        ({"client": [1, 1], "locked": [True, None]}, "pyarrow.Table:2: not expected accounts: locked is empty"),
        ({"client": [1, 1], "locked": ["true", "1"]}, ":2: not expected accounts: locked is neither true nor false"),
        ({"client": [1, 1], "locked": [1, 0]}, "column 'locked' is of type int64: it must be boolean, or text"),
        ({"client": [1.0], "total": [1]}, "column 'client' is of type double: floats are not exact"),
        ({"client": [1], "total": [1.5]}, "column 'total' is of type double: floats are not exact"),
        ({"client": [1]}, "pyarrow.Table: not expected accounts: it has no column with an amount"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_refused(columns: dict[str, list[object]], found: str) -> None:
    with pytest.raises(InputError) as raised:
        read_table(pa.table(columns))
    assert found in str(raised.value)


def test_parts_of_a_table_must_have_the_same_columns() -> None:
    parts = [pa.table({"client": [1], "total": [1]}), pa.table({"client": [1], "held": [1]})]
    with pytest.raises(InputError, match="its parts have other columns"):
        read_table(parts)
