"""The functions that the driver and the workers of Spark call, without Spark."""

from __future__ import annotations

from itertools import chain

import pyarrow as pa
import pytest

from tests.support.command import Folder
from tests.support.engines import WorkersJob, settings_of
from tests.support.outputs import assert_same_tables, by_command, twelve_files
from txfast.cluster import spark, spark_partitions, spark_workers
from txfast.cluster.records import STATUSES
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


def test_a_key_is_what_spark_places_by() -> None:
    """As its SQL says: hash(0) and hash(1) are 933211791 and -559580957."""
    assert [spark_partitions.key_of_partition(number) for number in (933211791, -559580957 & 0xFFFFFFFF)] == [0, 1]
    for number in chain(range(70_000), (2**31 - 1,)):
        assert spark_hash(spark_partitions.key_of_partition(number)) == number
    batch = pa.RecordBatch.from_arrays([pa.array([5, 6], pa.int32())] * 6, names=["a", "b", "c", "d", "e", "partition"])
    [keyed] = spark_partitions.with_keys(iter([batch]))
    assert keyed.drop_columns(["partition"]) == batch.drop_columns(["partition"])
    assert [spark_hash(key) for key in keyed.column("partition").to_pylist()] == [5, 6]


def spark_hash(key: int) -> int:
    """Murmur3 of an int, 32 bits, seed 42."""

    def mixed(bits: int, shift: int, factor: int) -> int:
        return (bits ^ bits >> shift) * factor & 0xFFFFFFFF

    block = (key & 0xFFFFFFFF) * 0xCC9E2D51 & 0xFFFFFFFF
    block = (block << 15 | block >> 17) * 0x1B873593 & 0xFFFFFFFF
    bits = 42 ^ block
    bits = (bits << 13 | bits >> 19) * 5 + 0xE6546B64 & 0xFFFFFFFF
    bits = mixed(mixed(bits ^ 4, 16, 0x85EBCA6B), 13, 0xC2B2AE35)
    return bits ^ bits >> 16


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
        with pytest.raises(expected) as raised, spark.worker_errors():
            raise RuntimeError(text)
        if expected is InputError:
            assert str(raised.value) == "in.csv: was changed"
    with pytest.raises(ClusterError, match=r"^as it is$"), spark.worker_errors():
        raise ClusterError("as it is")


def test_lost_and_unordered_rejects_are_noticed() -> None:
    good = [(0, 0, b"a"), (0, 1, b"b"), (0, 2, b""), (1, 0, b"")]
    assert list(spark.blobs_in_order(good, 2)) == [b"a", b"b"]
    for wrong in (good[1:], good[:1] + good[2:], good[:-1], good[:3] + good[:3], [good[3], *good[:3]]):
        with pytest.raises(ClusterError, match="rejects"):
            list(spark.blobs_in_order(wrong, 2))


def test_lost_hashes_are_noticed() -> None:
    from txfast.cluster import spark

    assert spark.hashes_in_order([(1, "b"), (0, "a")], 2) == ["a", "b"]
    for wrong in ([(0, "a")], [(0, "a"), (2, "b")], []):
        with pytest.raises(ClusterError, match="hashes came, of 2"):
            spark.hashes_in_order(wrong, 2)
