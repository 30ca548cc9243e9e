"""Tables that a program lends: each stream is given back when the call ends, also while an exception is held."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest

import txfast
from tests.support import replays
from txfast.api.lent_tables import LentStream, LentTables
from txfast.errors import InputError

ROWS = "from range(300000)"
FAULTY = {
    "column of floats": f"select 'deposit' as type, range as client, range as tx, 1.5::double as amount {ROWS}",
    "missing column": f"select 'deposit' as type, range as client, range as tx {ROWS}",
    "malformed rows": f"select 'fee' as type, range as client, range as tx, '1.5' as amount {ROWS}",
    "query that fails": (
        f"select 'deposit' as type, range as client, range as tx, "
        f"case when range = 290000 then error('no') else '1' end as amount {ROWS}"
    ),
}
CALLS: dict[str, Callable[[Any, int], object]] = {
    "process": lambda given, threads: txfast.process(given, strict=True, threads=threads),
    "process with rejects": lambda given, threads: txfast.process(given, strict=True, threads=threads, rejects=True),
    "process of a generator": lambda given, threads: txfast.process((x for x in [given]), strict=True, threads=threads),
    "read": lambda given, _: txfast.read(given, strict=True).read_all(),
    "apply": lambda given, threads: txfast.Ledger(threads=threads).apply([given], statuses=True),
}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("txfast"), "disabled", True)


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """What is released, is released without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("threads", replays.THREADS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("query", FAULTY.values(), ids=FAULTY.keys())
def test_a_query_is_given_back_when_a_call_fails(query: str, call: Callable[[Any, int], object], threads: int) -> None:
    connection = duckdb.connect()
    held: BaseException | None = None
    try:
        call(connection.sql(query), threads)
    except Exception as error:
        held = error
    # While the exception is held, which holds by its traceback all that was read from.
    assert connection.sql("select 42").fetchall() == [(42,)]
    assert held is not None or (call is CALLS["apply"] and "fee" in query)


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("threads", replays.THREADS)
def test_a_failure_is_in_no_cycle(threads: int) -> None:
    table = pa.table({"type": ["fee"], "client": [1], "tx": [1], "amount": ["1"]})

    def batches() -> Iterator[pa.Table]:
        yield table.slice(0, 0)
        yield table.drop_columns(["amount"])

    for call in (
        lambda: txfast.process(batches(), threads=threads),
        lambda: txfast.read(table, strict=True).read_all(),
    ):
        try:
            call()
        except txfast.TxfastError as error:
            reference = weakref.ref(error)
        assert reference() is None


class Slow:
    """A stream whose second batch comes when it is told to; `given_back` says that it was released."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.given_back = False
        self._batch = pa.record_batch({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["1"]})
        self._reader = pa.RecordBatchReader.from_batches(self._batch.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield self._batch
            self.asked.set()
            assert self.go_on.wait(60)
            yield self._batch
        finally:
            self.given_back = True

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = self._reader.__arrow_c_stream__(requested_schema)
        del self._reader
        return stream


@pytest.mark.parametrize("open_stream", [LentStream, txfast.read])
def test_a_stream_that_is_waited_for_is_closed_by_the_thread_that_waits(open_stream: Callable[[Any], Any]) -> None:
    slow = Slow()
    stream = open_stream(slow)
    batches: list[pa.RecordBatch] = []
    failures: list[BaseException] = []

    def read() -> None:
        try:
            batches.extend(stream)
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=read)
    thread.start()
    assert slow.asked.wait(60)
    stream.close()  # it does not wait
    assert not slow.given_back
    slow.go_on.set()
    thread.join(60)
    assert [str(failure) for failure in failures] == ["no record batch can be read: the reader was closed"]
    assert len(batches) == 2  # the one before, and the one that was waited for
    assert slow.given_back
    stream.close()


def test_tables_that_were_not_asked_for_need_not_be_given_back() -> None:
    LentTables(pa.table({"a": [1]})).close()


def test_an_array_is_read_as_a_stream_of_one_batch() -> None:
    class ArrayOnly:
        def __arrow_c_array__(self, requested_schema: object = None) -> Any:
            return pa.record_batch({"a": [1, 2]}).__arrow_c_array__(requested_schema)

    [batch] = LentStream(ArrayOnly())
    assert batch.num_rows == 2


def test_a_table_of_several_batches_is_checked_before_its_first_row_is_given() -> None:
    good = pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["1"]})
    indices = pa.py_buffer((9).to_bytes(4, "little"))
    bad_type = pa.DictionaryArray.from_arrays(
        pa.Array.from_buffers(pa.int32(), 1, [None, indices]), pa.array(["deposit"]), safe=False
    )
    texts = good.set_column(0, "type", good["type"].cast(bad_type.type))
    bad = texts.set_column(0, "type", bad_type)
    ledger = txfast.Ledger()
    with pytest.raises(InputError):
        ledger.apply([texts, pa.concat_tables([texts, bad])])
    assert ledger[1].total == 1
    assert ledger.apply([good]) == {"applied": 0, "duplicate_transaction": 1}
