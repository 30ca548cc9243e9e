"""The functions of Spark's driver and workers, called without Spark."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import pyarrow as pa
import pytest

from tests.support.command import Folder
from tests.support.engines import WorkersJob, settings_of
from tests.support.outputs import assert_same_tables, by_command, twelve_files
from txfast.cluster import spark, spark_workers
from txfast.cluster.records import STATUSES
from txfast.cluster.spark import worker_errors
from txfast.cluster.spark_partitions import INTS_MAX, keys_of_partitions
from txfast.errors import ClusterError, InputError


@pytest.mark.parametrize("shards", [1, 5])
def test_the_functions_of_spark_workers_give_the_same_as_the_command(
    folder: Folder, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = twelve_files(folder)
    monkeypatch.setattr(spark_workers, "BATCH_BYTES", 2000)
    expected = by_command(folder, *names)
    job = WorkersJob(settings_of(names, shards))
    assert_same_tables(job.accounts(), job.rejects(), expected)
    assert job.accounts().schema.field("client").type == pa.decimal128(20, 0)


def partition_of(key: int, count: int) -> int:
    """Stands for the hash by which Spark places an int in one of `count` partitions."""
    return (key * 2_654_435_761 >> 7) % count


@pytest.mark.parametrize("count", [1, 2, 7, 65, 4097])
def test_every_partition_gets_a_key_that_spark_places_there(count: int) -> None:
    def place_ints(first: int, end: int) -> Iterable[tuple[int, int]]:
        return {partition_of(key, count): key for key in range(first, end)}.items()

    keys = keys_of_partitions(count, place_ints)
    assert [partition_of(key, count) for key in keys] == list(range(count))


def test_more_ints_are_placed_until_every_partition_has_a_key() -> None:
    placed: list[tuple[int, int]] = []

    def place_ints(first: int, end: int) -> Iterable[tuple[int, int]]:
        placed.append((first, end))
        return {key // 100 % 3: key for key in range(first, end)}.items()

    assert [key // 100 for key in keys_of_partitions(3, place_ints)] == [0, 1, 2]
    assert placed == [(0, 60), (60, 120), (120, 240)]


def test_a_partition_that_no_int_leads_to_is_an_error() -> None:
    ends: list[int] = []

    def place_ints(_: int, end: int) -> Iterable[tuple[int, int]]:
        ends.append(end)
        return [(0, 5)]

    with pytest.raises(ClusterError, match="no number in 1 of 2 partitions"):
        keys_of_partitions(2, place_ints)
    assert ends[-1] == INTS_MAX


def test_statuses_without_their_range_are_refused() -> None:
    record = (STATUSES, 0, 7, 0, b"")
    with pytest.raises(ClusterError, match="range 7"):
        list(spark_workers.ranges_with_statuses(spark_workers.batches_of([record])))


def test_the_driver_raises_the_error_of_a_worker() -> None:
    for text, expected in (
        ("An exception was thrown\ntxfast.errors.InputError: in.csv: was changed\n  more", InputError),
        ("txfast.errors.NoSuchError: what", RuntimeError),
        ("something else", RuntimeError),
    ):
        with pytest.raises(expected) as raised, worker_errors():
            raise RuntimeError(text)
        if expected is InputError:
            assert str(raised.value) == "in.csv: was changed"
    with pytest.raises(ClusterError, match=r"^as it is$"), worker_errors():
        raise ClusterError("as it is")


class PythonException(Exception):  # noqa: N818 (Spark's name)
    """Stands for Spark's error of this name."""


PythonException.__module__ = "pyspark.errors.exceptions.captured"
TRACEBACK = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "worker.py", line 1, in main
{}

org.apache.spark.SparkException: Job aborted: and so on
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TRACEBACK.format("zlib.error: bad"), "Spark failed: An exception was thrown from the Python worker"),
        (
            TRACEBACK.format("pyarrow.lib.ArrowInvalid: x\nMemoryError: no more"),
            "a worker of Spark failed: MemoryError",
        ),
        (TRACEBACK.format("ModuleNotFoundError: No module named 'txfast'"), "in the variable PYSPARK_PYTHON, or "),
        (TRACEBACK.format("pyspark.errors.PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] 3.9"), "PYSPARK_PYTHON"),
        (
            "Task 0 failed: SparkException: \nError from python worker:\n  Traceback",
            "in the variable PYSPARK_PYTHON, or ",
        ),
        ("EOFException while reading the port number from pyspark.daemon's stdout", "a Python without txfast"),
        (
            'java.io.IOException: Cannot run program "/no/python": error=2, No such file',
            "Spark's workers cannot run /no/python: name a Python that is there, in the variable PYSPARK_PYTHON",
        ),
        ("[JAVA_GATEWAY_EXITED] Java gateway process exited", "it needs Java 17 (JAVA_HOME, or java in PATH)"),
        (
            "IllegalStateException: Cannot call methods on a stopped SparkContext.",
            "Spark's master does not answer: check",
        ),
        (
            "An error occurred while calling o9.collect.\n: java.X: no room\n\tat java.Y",
            "Spark failed: java.X: no room",
        ),
        ("Connection\n refused " + 5000 * "x", "Spark failed: Connection refused xxx"),
    ],
)
def test_an_error_of_spark_is_one_line(text: str, line: str) -> None:
    with pytest.raises(ClusterError) as raised, worker_errors():
        raise PythonException(text)
    message = str(raised.value)
    assert line in message
    assert "\n" not in message
    assert len(message) < 400


def test_a_spark_that_has_ended_is_no_failure_of_an_output() -> None:
    with pytest.raises(ClusterError, match=r"^Spark has ended, as it does out of memory: .*refused$"), worker_errors():
        raise ConnectionRefusedError(111, "Connection refused")
    with pytest.raises(FileNotFoundError), worker_errors():
        raise FileNotFoundError(2, "No such file", "missing")


def test_the_workers_python_is_that_of_the_driver_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for named, expected in ((None, sys.executable), ("/opt/python", "/opt/python")):
        monkeypatch.delenv(spark.WORKERS_PYTHON, raising=False)
        if named is not None:
            monkeypatch.setenv(spark.WORKERS_PYTHON, named)
        spark.name_workers_python()
        assert os.environ[spark.WORKERS_PYTHON] == expected


def test_lost_and_unordered_rejects_are_noticed() -> None:
    good = [(0, 0, b"a"), (0, 1, b"b"), (0, 2, b""), (1, 0, b"")]
    assert list(spark.blobs_in_order(good, 2)) == [b"a", b"b"]
    for wrong in (good[1:], good[:1] + good[2:], good[:-1], good[:3] + good[:3], [good[3], *good[:3]]):
        with pytest.raises(ClusterError, match="rejects"):
            list(spark.blobs_in_order(wrong, 2))


def test_lost_hashes_are_noticed() -> None:
    assert spark.hashes_in_order([(1, "b"), (0, "a")], 2) == ["a", "b"]
    for wrong in ([(0, "a")], [(0, "a"), (2, "b")], []):
        with pytest.raises(ClusterError, match="hashes came, of 2"):
            spark.hashes_in_order(wrong, 2)
