"""Tables as inputs: in any format and of any type, they give what the CSV file of the same rows gives."""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import txfast
from tests.support import replays
from tests.support.bare_ledger import accounts_csv
from tests.support.command import Folder
from tests.support.reference import HEADER
from tests.support.replays import Outcome
from tests.support.small_memory import small_limits
from tests.support.tables import NAMES, ROWS, Field, of_texts, write_table
from txfast.api.inputs import LentInput
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.batch.cursor import report
from txfast.batch.header import Header, table_header
from txfast.errors import InputError, SourceError, TxfastError
from txfast.input.open import open_source
from txfast.input.position import Consumption
from txfast.readers import table as table_module
from txfast.readers.table import END_OF_STREAM, TableReader
from txfast.readers.table_rows import TableColumns, parse, units_fit
from txfast.run.replay import new_replay
from txfast.writers.arrow_buffers import transaction_buffers

FORMATS = ("parquet", "arrow", "arrows")

# Columns of two rows, as TableColumns takes them.
ONE = ("unsigned", 0, None, struct.pack("<2Q", 1, 1), None, None)
NONE = ("absent", 0, None, None, None, None)
DEPOSITS = ("large_text", 0, None, b"depositdeposit", struct.pack("<3q", 0, 7, 14), None)


def csv_of(rows: Sequence[Sequence[Field]]) -> bytes:
    """The CSV file of the same fields, all of them quoted."""

    def field(text: Field) -> bytes:
        text = (text or "").replace("\n", "\\n").replace("\r", "\\r").replace('"', '""')
        return f'"{text}"'.encode()

    return b"".join([HEADER, *(b",".join(map(field, row)) + b"\n" for row in rows)])


def assert_alike(found: Outcome, expected: Outcome) -> None:
    """Two runs over the same rows agree. A row number of a table is the line number of the CSV file less one."""
    assert found.accounts == expected.accounts
    assert found[2:] == expected[2:]
    assert [(each.line + 1, each.status, each.reason) for each in found.rejects] == [
        (each.line, each.status, each.reason) for each in expected.rejects
    ]


words = st.one_of(
    st.sampled_from(["deposit", "deposit", "withdrawal", "dispute", "resolve", "chargeback", "", "fee", " deposit\t"]),
    st.text(max_size=12),
)
numbers = st.one_of(
    st.integers(0, 9).map(str), st.integers(-5, 2**65).map(str), st.text(max_size=6),
    st.sampled_from(["", " 7 ", "+3", "007", '"1"', "1,2"]),
)  # fmt: skip
amounts = st.one_of(
    st.decimals(-100, 100, places=2).map(str), st.sampled_from(["", "1.00001", "5.", ".5", "1e3", "nan", "-0", '"2"']),
    st.integers(-(2**70), 2**70).map(str),
)  # fmt: skip
nullable = [st.one_of(st.none(), texts) for texts in (words, numbers, numbers, amounts)]
text_rows = st.lists(st.tuples(*nullable), max_size=40)
text_types = st.sampled_from(
    [
        pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(),
        pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.uint32(), pa.large_string()),
    ]
)  # fmt: skip


@given(text_rows, text_types, st.sampled_from(FORMATS), st.integers(1, 9), st.sampled_from(replays.THREADS))
def test_texts_are_read_as_the_fields_of_a_file(
    rows: list[tuple[Field, ...]], kind: pa.DataType, suffix: str, rows_at_once: int, threads: int
) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = write_table(Path(made) / f"in.{suffix}", of_texts(rows, kind), rows_at_once)
        found = replays.run_files([path], threads=threads)
    assert_alike(found, replays.run_reference([("in.csv", csv_of(rows))]))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("rows", [(3, 3), (3, 5), (500, 3), (3, 0), (0, 3)])
def test_files_joined_into_one_are_refused(folder: Folder, suffix: str, rows: tuple[int, int]) -> None:
    """Before, the rows of the first were read by the footer of the last, and the last one's were lost."""
    content = b""
    for number, count in enumerate(rows):
        texts = [("deposit", str(number), str(tx), "5") for tx in range(count)]
        content += write_table(folder.path / f"{number}.{suffix}", of_texts(texts, pa.string()), 100).read_bytes()
    folder.write(f"in.{suffix}", content)
    folder.run("-q", f"in.{suffix}").assert_failed(f"in.{suffix}: ")
    if rows[0] >= rows[1]:
        folder.run("-", stdin=content).assert_failed("several files joined into one", "give each as a file of its own")


def test_a_file_with_indexes_behind_its_rows_is_read_and_two_of_them_are_not(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    parquet.write_table(of_texts([("deposit", "1", "1", "5")] * 9, pa.string()), path, write_page_index=True)
    assert len(txfast.process(path).accounts) == 1
    path.write_bytes(2 * path.read_bytes())
    with pytest.raises(InputError, match="several files joined into one"):
        txfast.process(path)


# ---- Types -----------------------------------------------------------------------------------------

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]


def typed(client: pa.DataType, tx: pa.DataType, amount: pa.DataType, rows: Sequence[Sequence[Any]]) -> pa.Table:
    columns = [[row[index] for row in rows] for index in range(len(NAMES))]
    kinds = (pa.dictionary(pa.int32(), pa.string()), client, tx, amount)
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names=list(NAMES))


def text_of(value: Any) -> Field:
    return None if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)


ids = st.integers(0, 5)
units = st.integers(-(10**5), 10**6) | st.sampled_from([2**63 - 1, -(2**63), -(2**63) + 1])
typed_rows = st.lists(st.tuples(st.sampled_from(KINDS), ids, ids, st.none() | units), max_size=60)
# Numbers, and now and then a text that is no number, or no id.
odd_rows = st.tuples(
    st.none() | st.sampled_from([*KINDS, "fee", ""]), st.none() | st.integers(-1, 5), st.none() | st.integers(-1, 5),
    st.none() | units,
)  # fmt: skip
ID_TYPES = st.sampled_from([pa.int8(), pa.int64(), pa.uint64(), pa.decimal128(20, 0)])


@given(
    typed_rows, st.lists(odd_rows, max_size=2), st.randoms(), ID_TYPES, ID_TYPES, st.booleans(),
    st.sampled_from(replays.THREADS),
)  # fmt: skip
def test_numbers_mean_the_same_as_their_text(
    rows: list[tuple[Any, ...]],
    odd: list[tuple[Any, ...]],
    shuffled: Random,
    client: pa.DataType,
    tx: pa.DataType,
    whole: bool,
    threads: int,
) -> None:
    rows = rows + [row for row in odd if pa.types.is_signed_integer(client) or (row[1] or 0) >= 0]
    rows = [row for row in rows if pa.types.is_signed_integer(tx) or (row[2] or 0) >= 0]
    shuffled.shuffle(rows)
    amounts = [row[3] if whole or row[3] is None else Decimal(row[3]).scaleb(-4) for row in rows]
    columns = [
        pa.array([row[0] for row in rows], pa.string()), pa.array([row[1] for row in rows], client),
        pa.array([row[2] for row in rows], tx), pa.array(amounts, pa.int64() if whole else pa.decimal128(30, 4)),
    ]  # fmt: skip
    table = pa.table(columns, names=list(NAMES))
    plain = new_replay(threads=threads, refuses_malformed=False)
    plain.read_source(LentInput(table).open())
    reported = new_replay(replays.RejectsJournal(), threads=threads, refuses_malformed=False)
    reported.read_source(LentInput(table).open())
    texts = [[text_of(value) for value in column.to_pylist()] for column in columns]
    expected = replays.run_reference([("in.csv", csv_of(list(zip(*texts, strict=True))))])
    for replay in (plain, reported):
        assert accounts_csv(replay.books.ledgers) == expected.accounts
        assert replay.rows == expected.rows
        assert replays.occurred(replay.figures().applied()) == expected.applied
        assert replays.occurred(replay.figures().rejected()) == expected.rejected
        assert replays.occurred(replay.figures().malformed()) == expected.malformed


ID_TEXTS = st.integers(0, 4).map(str) | st.sampled_from(
    [
        "+3",
        "003",
        "+0" * 2,
        "+",
        "-1",
        "",
        " 2",
        "2 ",
        "\t2",
        '"2"',
        "1.0",
        "1e3",
        "2,",
        "0x1",
        "٢",
        "2\x00",
        "2\n",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "0" * 63 + "1",
        "0" * 64 + "1",
        "0" * 70,
    ]
)
AMOUNT_TEXTS = st.integers(0, 10**6).map(lambda units: str(Decimal(units).scaleb(-4))) | st.sampled_from(
    [
        "+5",
        "-0",
        "-1.5",
        ".5",
        "5.",
        ".",
        "",
        "+",
        "1.00000",
        "1.00001",
        "1.5 ",
        " 1.5",
        "1,5",
        "1e3",
        "007",
        "--1",
        "922337203685477.5807",
        "922337203685477.5808",
        "-922337203685477.5807",
        "9" * 20,
        "0" * 64 + "1",
        "٥",
        "nan",
    ]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*KINDS, "DEPOSIT", "withdraw"]),
            st.none() | ID_TEXTS,
            st.none() | ID_TEXTS,
            st.none() | AMOUNT_TEXTS,
        ),
        max_size=12,
    ),
    st.tuples(*[text_types] * 4),
    st.integers(0, 3),
    st.sampled_from(replays.THREADS),
)
def test_numbers_that_are_text_mean_the_same_directly_and_by_the_row_parser(
    rows: list[tuple[str | None, ...]], kinds: tuple[pa.DataType, ...], skipped: int, threads: int
) -> None:
    """Each row is a table of its own, too: a row that is no number leaves those of its batch to the row parser."""
    rows = [("deposit", "9", "9", "9")] * skipped + rows
    columns = [
        pa.array([row[index] for row in rows], pa.string()).cast(kind)
        if not pa.types.is_dictionary(kind)
        else pa.array([row[index] for row in rows], kind.value_type).dictionary_encode().cast(kind)
        for index, kind in enumerate(kinds)
    ]
    table = pa.table(columns, names=list(NAMES)).slice(skipped)
    expected = replays.run_reference([("in.csv", csv_of(rows[skipped:]))])
    for tables in ([table], [table.slice(row, 1) for row in range(table.num_rows)]):
        replay = new_replay(threads=threads, refuses_malformed=False)
        for each in tables:
            replay.read_source(LentInput(each).open())
        assert accounts_csv(replay.books.ledgers) == expected.accounts
        assert replay.rows == expected.rows
        assert replays.occurred(replay.figures().applied()) == expected.applied
        assert replays.occurred(replay.figures().rejected()) == expected.rejected
        assert replays.occurred(replay.figures().malformed()) == expected.malformed


@pytest.mark.parametrize("suffix", [*FORMATS, "table"])
def test_the_bytes_read_are_estimated_from_the_rows(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(table_module, "BATCH_ROWS", 30)
    table = of_texts(day(1, rows=100), pa.string())
    if suffix == "table":
        source = LentInput(table).open()
    else:
        source = open_source(str(write_table(folder.path / f"in.{suffix}", table, 70)))
    reader = TableReader(source)
    batch = TransactionBatch()
    told = []
    while reader.fill(batch):
        told.append(reader.bytes_read)
    assert source.size_bytes is not None
    assert reader.bytes_read == source.size_bytes
    assert told == sorted(told)
    assert len(told) >= 4
    # In a stream it is the position up to which pyarrow has read.
    if suffix != "arrows":
        share = 30 / (100 if suffix == "table" or suffix == "parquet" else 140)
        assert told[0] == pytest.approx(share * source.size_bytes, rel=0.01)
    source.close()


def test_rows_without_text_are_not_reported() -> None:
    table = TableColumns(2, (DEPOSITS, ONE, ONE, NONE))
    batch = TransactionBatch()
    assert table.hold(batch)
    parse(batch, Header(table_header(None), "table", of_table=True), keep_text=False)
    assert (len(batch), batch.lines, batch.malformed_rows, batch.raw_text()) == (2, 2, 0, b"")
    assert list(report(batch, rejected=False)) == []
    for wanted in ({"applied": True}, {"rejected": True}):
        with pytest.raises(ValueError, match="not kept as text"):
            list(report(batch, **wanted))


@pytest.mark.parametrize("sort", ["text", "large_text"])
def test_numbers_that_are_text_are_taken_directly(sort: str) -> None:
    def texts(*values: bytes) -> Any:
        ends = [0, *accumulate(map(len, values))]
        return (sort, 0, None, b"".join(values), struct.pack("<3i" if sort == "text" else "<3q", *ends), None)

    table = TableColumns(
        2, (DEPOSITS, texts(b"7", b"+18446744073709551615"), texts(b"1", b"02"), texts(b"-1.5", b"2.00"))
    )
    batch = TransactionBatch()
    assert table.hold(batch)
    parse(batch, Header(table_header(None), "table", of_table=True), keep_text=False)
    assert (len(batch), batch.malformed_rows, batch.raw_text()) == (2, 0, b"")
    _, [clients], [txs], [_, amounts] = transaction_buffers(batch)
    assert struct.unpack("<2Q", clients) == (7, 2**64 - 1)
    assert struct.unpack("<2Q", txs) == (1, 2)
    assert struct.unpack("<4q", amounts) == (-15_000, -1, 20_000, 0)


@pytest.mark.parametrize(
    ("index", "column"),
    [
        (0, ("large_text", 0, None, b"depositdeposix", struct.pack("<3q", 0, 7, 14), None)),
        (0, ("large_text", 0, b"\1", b"depositdeposit", struct.pack("<3q", 0, 7, 14), None)),
        (0, ("unsigned", 0, None, struct.pack("<2Q", 1, 1), None, None)),
        (1, ("signed", 0, None, struct.pack("<2q", 1, -1), None, None)),
        (1, ("units", 0, None, struct.pack("<4q", 1, 0, 1, 0), None, None)),
        (2, ("large_text", 0, None, b"1 1", struct.pack("<3q", 0, 1, 3), None)),
        (2, ("text", 0, None, b"1" + b"0" * 65, struct.pack("<3i", 0, 1, 66), None)),
        (2, ("text", 0, None, b"1", struct.pack("<3i", 0, 1, 1), None)),
        (2, ("unsigned", 0, b"\1", struct.pack("<2Q", 1, 1), None, None)),
        (3, ("units", 0, None, struct.pack("<4q", 1, 0, -(2**63), -1), None, None)),
        (3, ("signed", 0, None, struct.pack("<2q", 1, 2**63 // 10_000 + 1), None, None)),
        (3, ("signed", 0, None, struct.pack("<2q", 1, -(2**63 // 10_000) - 1), None, None)),
        (3, ("unsigned", 0, None, struct.pack("<2Q", 1, 2**64 - 1), None, None)),
        (3, ("large_text", 0, None, b"1 1", struct.pack("<3q", 0, 1, 3), None)),
        (3, ("text", 0, None, b"1" + b"0" * 65, struct.pack("<3i", 0, 1, 66), None)),
        (3, ("text", 0, None, b"1", struct.pack("<3i", 0, 1, 1), None)),
    ],
)
def test_a_batch_with_a_value_that_is_no_number_keeps_its_text(index: int, column: Any) -> None:
    columns = [DEPOSITS, ONE, ONE, NONE]
    columns[index] = column
    batch = TransactionBatch()
    assert TableColumns(2, columns).hold(batch)
    parse(batch, Header(table_header(None), "table", of_table=True), keep_text=False)
    assert len(list(report(batch, rejected=False))) == batch.malformed_rows
    assert batch.raw_text().count(b"\n") == 2


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_integers_of_any_width_are_numbers(folder: Folder, kind: pa.DataType, suffix: str) -> None:
    ends = [0, 1, 127] + ([-1, -128] if pa.types.is_signed_integer(kind) else [255])
    rows: list[tuple[Any, ...]]
    rows = [("deposit", client, tx, amount) for client in ends for tx in ends for amount in (*ends, None)]
    rows += [("dispute", 1, 1, None), (None, 1, 1, 1), ("deposit", None, 2, 2), ("deposit", 2, None, 2)]
    table = typed(kind, kind, kind, rows)
    path = write_table(folder.path / f"in.{suffix}", table.slice(3), 7)
    expected = [[text_of(value) for value in row] for row in rows[3:]]
    assert_alike(replays.run_files([path]), replays.run_reference([("in.csv", csv_of(expected))]))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "kind",
    [
        pa.decimal128(5, 0), pa.decimal128(9, 2), pa.decimal128(19, 4), pa.decimal128(38, 4), pa.decimal128(20, 5),
        pa.decimal128(38, 18), pa.decimal256(76, 4), pa.decimal256(76, 30), pa.decimal32(7, 2), pa.decimal64(18, 3),
    ],
    ids=str,
)  # fmt: skip
def test_decimals_of_any_scale_lose_nothing(folder: Folder, kind: pa.DataType, suffix: str) -> None:
    if suffix == "parquet" and kind.bit_width < 128:
        pytest.skip("Parquet has none of these")
    least = Decimal(1).scaleb(-kind.scale)
    amounts = [None, Decimal(0), least, -least, 12 * least, Decimal(7), Decimal("-3")]
    # Values that do not fit 64 bits, and values that just fit.
    large = [Decimal("922337203685477.5807"), Decimal("922337203685477.5808"), Decimal(10) ** 20]
    amounts += [each for each in large if len(str(each).replace(".", "")) + kind.scale < kind.precision]
    rows = [("deposit", client, client, amount) for client, amount in enumerate(amounts)]
    path = write_table(folder.path / f"in.{suffix}", typed(pa.uint32(), pa.int64(), kind, rows))
    expected = [[text_of(value) for value in row[:3]] + [None if row[3] is None else f"{row[3]:f}"] for row in rows]
    assert_alike(replays.run_files([path]), replays.run_reference([("in.csv", csv_of(expected))]))


def test_whole_decimals_are_ids(folder: Folder) -> None:
    kind = pa.decimal128(38, 0)
    ids = [Decimal(1), Decimal(2**64 - 1), Decimal(2**64), Decimal(-1), None]
    table = typed(kind, pa.decimal256(50, 0), pa.int64(), [("deposit", each, each, 5) for each in ids])
    path = write_table(folder.path / "in.arrow", table)
    expected = [["deposit", text_of(each), text_of(each), "5"] for each in ids]
    assert_alike(replays.run_files([path]), replays.run_reference([("in.csv", csv_of(expected))]))


def test_dictionaries_of_numbers_and_with_nulls_are_read(folder: Folder) -> None:
    numbers = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 2, 0]), pa.array([1, 2, None], pa.int16()))
    types = pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 0, 2]), pa.array(["deposit", "fee", None]))
    table = pa.table([types, numbers, numbers, pa.nulls(5)], names=list(NAMES))
    path = write_table(folder.path / "in.arrows", table)
    expected = [["deposit", "1", "1", None], ["deposit", "2", "2", None], ["fee", None, None, None]]
    expected += [["deposit", None, None, None], [None, "1", "1", None]]
    assert_alike(replays.run_files([path]), replays.run_reference([("in.csv", csv_of(expected))]))


GOOD = {"type": pa.string(), "client": pa.int64(), "tx": pa.int64(), "amount": pa.string()}


@pytest.mark.parametrize(
    ("column", "kind", "words"),
    [
        ("amount", pa.float64(), "floats are not exact: cast it to decimal128(19, 4) or text first"),
        ("amount", pa.float16(), "floats are not exact"),
        ("client", pa.float32(), "floats are not exact: cast it to uint64 or text first"),
        ("tx", pa.dictionary(pa.int8(), pa.float64()), "floats are not exact"),
        ("tx", pa.decimal128(9, 2), "it must be integers or text"),
        ("amount", pa.timestamp("s"), "it must be integers, decimals or text"),
        ("client", pa.bool_(), "it must be integers or text"),
        ("type", pa.int8(), "it must be text, or a dictionary of text"),
        ("type", pa.list_(pa.string()), "it must be text, or a dictionary of text"),
    ],
)
def test_a_type_that_is_not_exact_is_refused_with_a_way_out(
    folder: Folder, column: str, kind: pa.DataType, words: str
) -> None:
    schema = pa.schema([(name, kind if name == column else good) for name, good in GOOD.items()])
    write_table(folder.path / "in.arrow", schema.empty_table())
    folder.run("in.arrow").assert_failed(f"in.arrow: column '{column}' is of type {kind}: {words}")


def test_a_table_without_the_columns_is_refused(folder: Folder) -> None:
    table = of_texts([], pa.string())
    write_table(folder.path / "few.parquet", table.drop_columns(["tx", "amount"]))
    folder.run("few.parquet").assert_failed("few.parquet: not a table of transactions: it has no column tx, amount")
    for suffix in FORMATS:
        write_table(folder.path / f"in.{suffix}", table.drop_columns(["type"]))
        folder.run(f"in.{suffix}").assert_failed(f"in.{suffix}: not a table of transactions: it has no column type")
    twice = pa.table([*table.columns, table.column(0)], names=[*NAMES, "type"])
    write_table(folder.path / "twice.arrows", twice)
    folder.run("twice.arrows").assert_failed("twice.arrows: not a table of transactions: it has two columns 'type'")


@pytest.mark.parametrize("suffix", FORMATS)
def test_columns_are_named_in_any_case_and_a_name_in_lower_case_wins(folder: Folder, suffix: str) -> None:
    texts = {"AMOUNT": "12", "Amount": "9", "TYPE": "deposit", "amount": "2.5", "Tx": "1", "tX ": "x", "cLIENT": "7"}
    table = pa.table({name: pa.array([text], pa.string()) for name, text in texts.items()})
    write_table(folder.path / f"in.{suffix}", table)
    run = folder.run(f"in.{suffix}")
    assert run.output.splitlines()[1:] == [b"7,2.5000,0.0000,2.5000,false"]
    twice = table.drop_columns(["amount"])
    write_table(folder.path / f"twice.{suffix}", twice)
    folder.run(f"twice.{suffix}").assert_failed(f"twice.{suffix}: not a table of transactions: it has two columns")
    floats = twice.drop_columns(["AMOUNT", "Amount"]).append_column("aMount", pa.array([1.5]))
    write_table(folder.path / f"floats.{suffix}", floats)
    folder.run(f"floats.{suffix}").assert_failed(f"floats.{suffix}: column 'aMount' is of type double")


# ---- From the command ------------------------------------------------------------------------------


@pytest.mark.parametrize("rejects", ["r.csv", "r.jsonl", "r.parquet"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_rejects_have_the_row_number_the_values_and_no_line(folder: Folder, suffix: str, rejects: str) -> None:
    write_table(folder.path / f"in.{suffix}", of_texts(ROWS, pa.string()), 2)
    folder.write("in.csv", csv_of(ROWS))
    kept = []
    for name in ("in.csv", f"in.{suffix}"):
        run = folder.run(name, "-q", "--rejects", rejects, "--stats", "s.json")
        assert run.exit_code == 0, run.errors
        if rejects.endswith(".parquet"):
            lines = parquet.read_table(folder.path / rejects).to_pylist()
        elif rejects.endswith(".jsonl"):
            lines = [json.loads(line) for line in (folder.path / rejects).read_bytes().splitlines()]
        else:
            import csv

            lines = list(csv.DictReader((folder.path / rejects).read_text().splitlines()))
        stats = json.loads((folder.path / "s.json").read_bytes())
        kept.append((run.output, lines, stats["rejected"], stats["malformed"], stats["rows"]))
        assert stats["inputs"] == [{"file": name, "bytes": (folder.path / name).stat().st_size, "rows": len(ROWS)}]
    (output, of_file, *figures), (table_output, of_table, *table_figures) = kept
    assert (output, figures) == (table_output, table_figures)
    for row in of_file:
        row |= {"file": f"in.{suffix}", "line": type(row["line"])(int(row["line"]) - 1), "row": type(row["row"])()}
    assert of_table == of_file


def test_a_malformed_row_is_logged_with_its_number(folder: Folder) -> None:
    write_table(folder.path / "in.parquet", of_texts(ROWS, pa.string()))
    run = folder.run("in.parquet", "warn")
    assert "malformed: in.parquet:3: bad_type: fee,1,3,1" in run.error_lines
    assert "rejected: in.parquet:2: insufficient_funds: withdrawal,1,2,7.5" in run.error_lines


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_table_may_come_through_a_pipe(folder: Folder, suffix: str) -> None:
    content = write_table(folder.path / f"in.{suffix}", of_texts(ROWS * 50, pa.string()), 9).read_bytes()
    run = folder.run("-q", stdin=content)
    assert run.exit_code == 0
    assert run.output == folder.run("-q", f"in.{suffix}").output
    assert run.output.startswith(b"client,available,held,total,locked\n1,0.0000,5.0000,5.0000,false\n")


def test_a_table_from_a_pipe_is_copied_to_the_spill_folder(folder: Folder) -> None:
    content = write_table(folder.path / "in.parquet", of_texts(ROWS * 50, pa.string()), 9).read_bytes()
    run = folder.run("-q", "--spill-dir", "made", "--stats", "s.json", "--threads", "1", stdin=content)
    assert run.output == folder.run("-q", "in.parquet").output
    assert os.listdir(folder.path / "made") == []
    [figures] = json.loads((folder.path / "s.json").read_bytes())["inputs"]
    assert (figures["bytes"], figures["rows"]) == (len(content), len(ROWS) * 50)
    folder.run("--spill-dir", "/proc/made", stdin=content).assert_failed(
        "/proc/made: cannot hold a copy of standard input", "--spill-dir names another"
    )


def test_a_copy_on_a_full_disk_fails_the_run(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table(folder.path / "in.parquet", of_texts(ROWS, pa.string()))

    def open_full(**_: object) -> io.FileIO:
        return io.FileIO("/dev/full", "r+")

    monkeypatch.setattr(tempfile, "TemporaryFile", open_full)
    with pytest.raises(SourceError, match=r"cannot hold a copy of io\.BytesIO, a Parquet file .*: No space left"):
        txfast.process(io.BytesIO(path.read_bytes()))


def test_files_and_tables_are_one_stream_in_their_order(folder: Folder) -> None:
    names = []
    for number, suffix in enumerate(("csv", "parquet", "csv", "arrows", "arrow")):
        rows = [["deposit", "1", str(10 * number + tx), "1"] for tx in range(5)] + [["dispute", "1", "1", None]]
        names.append(f"{number}.{suffix}")
        if suffix == "csv":
            folder.write(names[-1], csv_of(rows))
        else:
            write_table(folder.path / names[-1], of_texts(rows, pa.string()))
    run = folder.run(*names)
    assert run.output == b"client,available,held,total,locked\n1,24.0000,1.0000,25.0000,false\n"
    assert sum("already" in line or "rejected" in line for line in run.error_lines) <= 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_input_cut_short_anywhere_or_damaged_fails(folder: Folder, suffix: str) -> None:
    content = write_table(folder.path / f"in.{suffix}", of_texts(ROWS * 8, pa.string()), 20).read_bytes()
    path = folder.path / "cut"
    whole = replays.run_files([folder.path / f"in.{suffix}"])
    for length in range(8, len(content), 7 if suffix == "parquet" else 16):
        path.write_bytes(content[:length])
        with pytest.raises(TxfastError, match="cut"):
            replays.run_files([path])
    # At the start of each message of a stream too.
    if suffix == "arrows":
        for index in range(8, len(content) - 8, 8):
            if content[index : index + 4] == b"\xff" * 4:
                path.write_bytes(content[:index])
                with pytest.raises(InputError, match=r"cut: was cut short|cut: cannot be read"):
                    replays.run_files([path])
        path.write_bytes(content + content)
        assert replays.run_files([path]).rows == 2 * whole.rows
        path.write_bytes(content + b"more")
        with pytest.raises(TxfastError, match="cut"):
            replays.run_files([path])


def test_a_stream_cut_where_its_values_look_like_its_end_fails(folder: Folder) -> None:
    table = pa.table(
        [pa.array(["deposit"] * 3), pa.array([1, 2, 3]), pa.array([1, 2, 3]), pa.array([1, 1, 2**32 - 1])],
        names=list(NAMES),
    )
    path = write_table(folder.path / "in.arrows", table)
    content = path.read_bytes()
    path.write_bytes(content[: -len(END_OF_STREAM)])
    with pytest.raises(InputError, match="cut short"):
        replays.run_files([path])


@pytest.mark.parametrize("suffix", ["arrow", "arrows"])
def test_values_that_do_not_fit_their_type_are_read_as_they_are(folder: Folder, suffix: str) -> None:
    typed_as = (pa.string(), pa.uint64(), pa.large_string(), pa.decimal128(5, 4))
    texts = [["deposit", b"d\xff"], None, [b"1", b"\xff"], None]
    columns = [
        pa.array(texts[0], pa.binary()).view(pa.string()),
        pa.array([1, 1], pa.uint64()),
        pa.array(texts[2], pa.large_binary()).view(pa.large_string()),
        pa.array([Decimal(123456789), Decimal(1)], pa.decimal128(19, 4)).view(typed_as[3]),
    ]
    path = write_table(folder.path / f"in.{suffix}", pa.table(columns, pa.schema(zip(NAMES, typed_as, strict=True))))
    content = b"type,client,tx,amount\ndeposit,1,1,123456789\nd\xff,1,\xff,1\n"
    assert_alike(replays.run_files([path]), replays.run_reference([("in.csv", content)]))
    # A type that pyarrow has to convert must hold valid values.
    columns[0] = columns[0].dictionary_encode()
    path = write_table(folder.path / f"in.{suffix}", pa.table(columns, list(NAMES)))
    with pytest.raises(InputError, match="UTF8"):
        replays.run_files([path])


def test_a_parquet_file_is_not_held_in_memory(folder: Folder) -> None:
    """Neither its compressed bytes nor its rows: there is one record batch at a time."""
    rows, groups = 50_000, 16
    numbers = np.random.default_rng(1).integers(1, 2**63, rows * groups, np.int64)
    table = pa.table([pa.array(["deposit"] * len(numbers)), numbers, numbers, numbers], names=list(NAMES))
    path = write_table(folder.path / "in.parquet", table, rows, use_dictionary=["type"])
    assert path.stat().st_size > 3 * len(numbers) * 8
    source = open_source(str(path))
    held_before = pa.total_allocated_bytes()
    reader = TableReader(source, keep_text=False)
    batch = TransactionBatch()
    held = []
    while reader.fill(batch):
        held.append(pa.total_allocated_bytes() - held_before)
    assert len(held) > groups
    assert max(held) < table.nbytes / 3
    source.close()


def test_a_table_without_rows_has_no_accounts(folder: Folder) -> None:
    for suffix in FORMATS:
        write_table(folder.path / f"in.{suffix}", of_texts([], pa.string()))
        assert folder.run(f"in.{suffix}").output == b"client,available,held,total,locked\n"


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_tables_are_read(folder: Folder, compression: str) -> None:
    table = of_texts(ROWS * 100, pa.string())
    expected = replays.run_reference([("in.csv", csv_of(ROWS * 100))])
    for suffix in FORMATS:
        options: dict[str, Any] = {"compression": compression}
        if suffix != "parquet":
            options = {"options": pa.ipc.IpcWriteOptions(compression=compression)}
        path = write_table(folder.path / f"in.{suffix}", table, **options)
        assert_alike(replays.run_files([path]), expected)


def test_a_value_that_is_too_long_makes_the_row_too_long(folder: Folder) -> None:
    rows: list[Sequence[Field]] = [
        ["deposit", "1", "1", "5"], ["x" * (3 << 20), "1", "1", "5"], ["deposit", "1", "2", "0" * 5_000_000 + "1"],
    ]  # fmt: skip
    path = write_table(folder.path / "in.arrow", of_texts([*rows, *ROWS[:1]], pa.string()))
    found = replays.run_files([path])
    assert found.malformed == {"row_too_long": 2}
    assert found.rejected == {"duplicate_transaction": 1}


def day(number: int, rows: int = 20) -> list[list[Field]]:
    return [["deposit", str(row % 3), str(100 * number + row), "1.5"] for row in range(rows)]


def rows_of_run(folder: Folder, *names: str) -> int:
    """The number of rows that a run with the state reads."""
    run = folder.run(*names, "--state", "state", "--stats", "s.json", "-q")
    assert (run.exit_code, run.errors) == (0, "")
    return int(json.loads((folder.path / "s.json").read_bytes())["rows"])


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_state_consumes_a_table_whole(folder: Folder, suffix: str) -> None:
    name, path = f"in.{suffix}", folder.path / f"in.{suffix}"
    write_table(path, of_texts(day(1), pa.string()))
    folder.write("in.csv", csv_of(day(2)))
    assert rows_of_run(folder, name, "in.csv") == 40
    assert rows_of_run(folder, name, "in.csv") == 0
    assert rows_of_run(folder, "in.csv", name, name) == 0
    # A file of other content is a new input, read from its start.
    whole = path.read_bytes()
    write_table(path, of_texts([*day(1), *day(3, rows=5)], pa.string()))
    assert rows_of_run(folder, name) == 25
    assert rows_of_run(folder, name) == 0
    path.write_bytes(whole)
    assert rows_of_run(folder, name) == 20
    expected = folder.write("all.csv", csv_of([*day(1), *day(2), *day(3, rows=5)]))
    assert folder.run("--state", "state").output == folder.run(expected.name, "-q").output
    assert f"{len(whole):,} bytes, 20 lines" in folder.run("--state", "state", "--verify").output.decode()


def test_a_stream_that_grew_is_a_new_input(folder: Folder) -> None:
    path = write_table(folder.path / "in.arrows", of_texts(day(1), pa.string()))
    assert rows_of_run(folder, "in.arrows") == 20
    # Nothing is new, so no snapshot is written. Later growth is still noticed.
    assert rows_of_run(folder, "in.arrows") == 0
    assert [each.name for each in (folder.path / "state").glob("snapshot-*")] == ["snapshot-1"]
    more = write_table(folder.path / "more.arrows", of_texts(day(2), pa.string())).read_bytes()
    path.write_bytes(path.read_bytes() + more)
    assert rows_of_run(folder, "in.arrows") == 40
    folder.write("all.csv", csv_of([*day(1), *day(2)]))
    assert folder.run("--state", "state").output == folder.run("all.csv", "-q").output


def test_a_csv_file_that_replaces_a_table_is_a_new_input(folder: Folder) -> None:
    write_table(folder.path / "in.parquet", of_texts(day(1), pa.string()))
    assert rows_of_run(folder, "in.parquet") == 20
    folder.write("in.parquet", csv_of(day(2)))
    assert rows_of_run(folder, "in.parquet") == 20
    write_table(folder.path / "in.parquet", of_texts(day(3), pa.string()))
    assert rows_of_run(folder, "in.parquet") == 20


def test_a_table_that_changes_while_it_is_read_fails_the_run(folder: Folder) -> None:
    path = write_table(folder.path / "in.arrow", of_texts(day(1), pa.string()))
    source, consumption = open_source(str(path)), Consumption()
    reader = TableReader(source, consumption)
    batch = TransactionBatch()
    assert reader.fill(batch)
    with path.open("r+b") as file:
        file.seek(-3, 2)
        file.write(b"X")
    with pytest.raises(InputError, match=r"in\.arrow: was changed while it was read"):
        reader.fill(batch)
    source.close()


def test_a_table_needs_memory_for_pyarrow(folder: Folder) -> None:
    write_table(folder.path / "in.parquet", of_texts(ROWS, pa.string()))
    folder.run("in.parquet", "--memory-limit", "128MiB").assert_failed("in.parquet: is a Parquet file", "256MiB")
    assert folder.run("in.parquet", "-q", "--memory-limit", "256MiB").exit_code == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_a_table_gives_the_same_with_a_spill(folder: Folder, threads: int) -> None:
    rows = [[("deposit", "fee", "withdrawal")[tx % 3], str(tx % 40), str(tx // 2), "2.50"] for tx in range(400)]
    path = write_table(folder.path / "in.arrow", of_texts([*rows, *ROWS], pa.string()), 30)
    expected = replays.run_files([path])
    with small_limits(3):
        assert replays.run_files([path], threads=threads) == expected


# ---- Columns ---------------------------------------------------------------------------------------


def rows_of(*columns: Any, rows: int = 2) -> TransactionBatch:
    table = TableColumns(rows, columns)
    batch = TransactionBatch()
    while table.hold(batch):
        parse(batch, Header(table_header(None), "table", of_table=True))
    return batch


def test_columns_are_rows() -> None:
    assert len(rows_of(DEPOSITS, ONE, ONE, NONE)) == 2
    named = ("large_text", 0, None, b"deposit", struct.pack("<2q", 0, 7), struct.pack("<2i", 0, 0))
    assert len(rows_of(named, ONE, ONE, NONE)) == 2
    short = ("text", 1, None, b"de deposit", struct.pack("<3i", 0, 3, 10), None)
    assert len(rows_of(short, ONE, ONE, NONE, rows=1)) == 1
    named = ("text", 0, None, b"disputedeposit", struct.pack("<3i", 0, 7, 14), struct.pack("<2i", 1, 0))
    assert len(rows_of(named, ONE, ONE, NONE)) == 2
    units = ("units", 0, b"\1", struct.pack("<4q", 50_000, 0, 7, 7), None, None)
    assert len(rows_of(DEPOSITS, ONE, ONE, units)) == 2


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (("large_text", 0, None, b"depositdepos", struct.pack("<3q", 0, 7, 14), None), "lead out"),
        (("large_text", 0, None, b"depositdeposit", struct.pack("<3q", 7, 0, 14), None), "lead out"),
        (("large_text", 0, None, b"depositdeposit", struct.pack("<3q", -1, 7, 14), None), "lead out"),
        (("large_text", 0, None, b"deposit", struct.pack("<2q", 0, 7), None), "values, where"),
        (("large_text", 1, None, b"depositdeposit", struct.pack("<3q", 0, 7, 14), None), "values, where"),
        (("text", 0, None, b"depositdepos", struct.pack("<3i", 0, 7, 14), None), "lead out"),
        (("text", 0, None, b"depositdeposit", struct.pack("<3i", 7, 0, 14), None), "lead out"),
        (("text", 0, None, b"depositdeposit", struct.pack("<3i", -1, 7, 14), None), "lead out"),
        (("text", 1, None, b"depositdeposit", struct.pack("<3i", 0, 7, 14), None), "values, where"),
        (("text", 0, None, b"deposit", struct.pack("<2i", 0, 7), struct.pack("<2i", 0, 1)), "lead out"),
        (("large_text", 0, None, b"deposit", struct.pack("<2q", 0, 7), struct.pack("<2i", 0, 1)), "lead out"),
        (("large_text", 0, None, b"deposit", struct.pack("<2q", 0, 7), struct.pack("<2i", -1, 0)), "lead out"),
        (("large_text", 0, None, b"deposit", struct.pack("<2q", 0, 7), struct.pack("<i", 0)), "buffer of 4 bytes"),
        (("large_text", 0, b"", b"depositdeposit", struct.pack("<3q", 0, 7, 14), None), "buffer of 0 bytes"),
        (("text", 0, None, b"", b"", None), "buffer of 0 bytes"),
        (("signed", 0, None, struct.pack("<q", 1), None, None), "buffer of 8 bytes"),
        (("units", 0, None, struct.pack("<2q", 1, 1), None, None), "buffer of 16 bytes"),
        (("absent", -1, None, None, None, None), "begin at -1"),
        (("float", 0, None, None, None, None), "not in"),
    ],
)
def test_buffers_that_are_too_short_are_refused(column: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rows_of(column, ONE, ONE, NONE)


def test_decimals_fit_only_if_all_of_them_do() -> None:
    values = struct.pack("<8q", 5, 0, -5, -1, 5, 1, -5, 0)
    assert [units_fit(values, index, 1) for index in range(4)] == [True, True, False, False]
    assert units_fit(values, 4, 0)
    assert not units_fit(values, 0, 4)
    for first, count in ((0, 5), (-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="a buffer of"):
            units_fit(values, first, count)


def test_other_numbers_of_columns_and_rows_are_refused() -> None:
    for rows, columns in ((2, ()), (2, (ONE,) * 14), (-1, (NONE,) * 4)):
        with pytest.raises(ValueError, match="rows of"):
            TableColumns(rows, columns)


@pytest.mark.parametrize("kind", [pa.decimal32(9, 6), pa.decimal64(18, 6), pa.decimal128(38, 6)], ids=str)
def test_a_narrow_decimal_with_too_many_decimals_is_malformed_and_the_others_are_exact(kind: pa.DataType) -> None:
    amounts = pa.array([Decimal("1.250000"), Decimal("1.000001"), Decimal("-0.500000")], kind)
    table = pa.table({"type": ["deposit"] * 3, "client": [1, 2, 3], "tx": [1, 2, 3], "amount": amounts})
    result = txfast.process(table, rejects=True)
    assert [(account.client, account.available) for account in result.accounts] == [(1, Decimal("1.25")), (3, 0)]
    assert result.rejects is not None
    assert [reject.reason for reject in result.rejects] == ["bad_amount", "negative_amount"]


def test_pyarrow_uses_no_threads_under_a_limit_of_the_address_space(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of its threads cannot be started, the process would crash."""
    import resource

    path = write_table(folder.path / "in.parquet", of_texts(ROWS, pa.string()))
    source = open_source(str(path))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert TableReader(source, threads=2)._use_threads
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 40, 1 << 40))
    assert not TableReader(source, threads=2)._use_threads
    source.close()
