"""The reader of txfast.read: a pyarrow.RecordBatchReader, whose `close` gives back what it reads from."""

from __future__ import annotations

import functools
import gc
import io
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import txfast
from txfast.errors import TooManyMalformedError, UsageError

HEADER = b"type,client,tx,amount\n"
ROWS = 300_000
MANY = f"select 'deposit' as type, range as client, range as tx, '1' as amount from range({ROWS})"
# Calls that read all that is left: in Python, and in Arrow's own code.
READ_ALL: dict[str, Callable[[Any], pa.Table]] = {
    "read_all": lambda reader: reader.read_all(),
    "batches": lambda reader: pa.Table.from_batches(reader, reader.schema),
    "read_pandas": lambda reader: pa.Table.from_pandas(reader.read_pandas(), reader.schema, preserve_index=False),
    "with metadata": lambda reader: pa.Table.from_batches(
        [each.batch for each in reader.iter_batches_with_custom_metadata()], reader.schema
    ),
    "stream": lambda reader: pa.RecordBatchReader.from_stream(reader).read_all(),
    "cast": lambda reader: reader.cast(reader.schema).read_all(),
}
# Calls that read a part, or nothing.
BEGIN: dict[str, Callable[[Any], object]] = {
    "nothing": id,
    "schema": lambda reader: reader.schema,
    "batch": lambda reader: next(reader),
    "batch with metadata": lambda reader: reader.read_next_batch_with_custom_metadata(),
    "stream": lambda reader: pa.RecordBatchReader.from_stream(reader).read_next_batch(),
    "both": lambda reader: (next(reader), reader.read_next_batch_with_custom_metadata(), next(reader)),
}

every_read_all = pytest.mark.parametrize("read_all", READ_ALL.values(), ids=READ_ALL.keys())
every_begin = pytest.mark.parametrize("begin", BEGIN.values(), ids=BEGIN.keys())


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("txfast"), "disabled", True)


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """What is released, is released without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@functools.cache
def content(rows: int) -> bytes:
    return HEADER + b"".join(b"deposit,%d,%d,1.5\ndispute,%d,%d,\n" % (row, row, row, row) for row in range(rows))


# ---- Giving back ---------------------------------------------------------------------------------


def close(reader: pa.RecordBatchReader) -> None:
    reader.close()


def leave(reader: pa.RecordBatchReader) -> None:
    with reader:
        pass


def leave_by_an_error(reader: pa.RecordBatchReader) -> None:
    with pytest.raises(KeyError), reader:
        raise KeyError


@every_begin
@pytest.mark.parametrize("end", [close, leave, leave_by_an_error])
def test_a_reader_that_is_closed_gives_its_stream_back(
    begin: Callable[[Any], object], end: Callable[[Any], object]
) -> None:
    connection = duckdb.connect()
    reader = txfast.read(connection.sql(MANY))
    begin(reader)
    end(reader)
    assert connection.sql("select 42").fetchall() == [(42,)]
    end(reader)


@every_begin
def test_a_reader_that_is_dropped_gives_its_stream_back(begin: Callable[[Any], object]) -> None:
    connection = duckdb.connect()
    reader = txfast.read(connection.sql(MANY))
    begin(reader)
    del reader
    assert connection.sql("select 42").fetchall() == [(42,)]


@every_read_all
def test_a_reader_at_its_end_has_given_its_stream_back(read_all: Callable[[Any], pa.Table]) -> None:
    connection = duckdb.connect()
    reader = txfast.read(connection.sql(MANY))
    assert read_all(reader).num_rows == ROWS
    assert connection.sql("select 42").fetchall() == [(42,)]
    reader.close()


def test_a_reader_that_is_closed_has_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(content(200_000))
    with txfast.read(path) as reader:
        next(reader)
        assert is_open(path)
    assert not is_open(path)


def is_open(path: Path) -> bool:
    descriptors = Path("/proc/self/fd")
    return any(os.path.realpath(each) == str(path) for each in descriptors.iterdir())


def test_a_reader_that_is_closed_leaves_a_programs_file_open() -> None:
    file = io.BytesIO(content(10))
    txfast.read(file).close()
    with txfast.read(file) as reader:
        assert next(reader).num_rows == 20
    assert not file.closed


@every_begin
@every_read_all
def test_a_closed_reader_has_nothing_left(begin: Callable[[Any], object], read_all: Callable[[Any], object]) -> None:
    reader = txfast.read(io.BytesIO(content(200_000)))
    begin(reader)
    reader.close()
    with pytest.raises((UsageError, OSError), match="no record batch can be read: the reader was closed"):
        read_all(reader)


@every_read_all
def test_a_reader_at_its_end_stays_there(read_all: Callable[[Any], pa.Table]) -> None:
    reader = txfast.read(io.BytesIO(content(10)))
    assert read_all(reader).num_rows == 20
    assert list(reader) == []
    reader.close()
    assert list(reader) == []
    assert read_all(reader).num_rows == 0


# ---- Reading -------------------------------------------------------------------------------------


@every_read_all
@pytest.mark.parametrize("rows", [0, 1, 200_000])
def test_all_ways_of_reading_give_the_same_table(read_all: Callable[[Any], pa.Table], rows: int) -> None:
    text = content(rows)
    expected = txfast.read(io.BytesIO(text)).read_all()
    table = read_all(txfast.read(io.BytesIO(text)))
    table.validate(full=True)
    assert table.num_rows == 2 * rows
    assert table.schema == expected.schema
    assert table.equals(expected)


@every_begin
def test_what_arrow_reads_goes_on_where_python_has_stopped(begin: Callable[[Any], object]) -> None:
    text = content(200_000)
    in_python, in_arrow = txfast.read(io.BytesIO(text)), txfast.read(io.BytesIO(text))
    begin(in_python)
    begin(in_arrow)
    assert pa.RecordBatchReader.from_stream(in_arrow).read_all().equals(in_python.read_all())


def test_other_libraries_read_it() -> None:
    relation = duckdb.from_arrow(txfast.read(io.BytesIO(content(1000))))
    assert relation.aggregate("count(*), sum(amount)::varchar").fetchall() == [(2000, "1500.0000")]
    assert pl.DataFrame(txfast.read(io.BytesIO(content(1000)))).height == 2000
    assert len(txfast.process(txfast.read(io.BytesIO(content(1000)))).accounts) == 1000


@pytest.mark.parametrize("read", [lambda reader: reader.read_all(), lambda reader: list(reader),
                                  lambda reader: list(reader.iter_batches_with_custom_metadata())])  # fmt: skip
def test_an_error_is_the_same_in_python_and_in_arrow(read: Callable[[Any], object]) -> None:
    reader = txfast.read(io.BytesIO(content(10) + b"fee,1,1,1\n"), strict=True)
    with pytest.raises(TooManyMalformedError) as caught:
        read(reader)
    assert (caught.value.line, caught.value.reason) == (22, "bad_type")
    assert list(reader) == []
