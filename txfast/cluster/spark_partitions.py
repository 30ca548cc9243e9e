"""Puts records into Spark's partitions by number: one partition for each shard, or for each task.

From Spark 4.1 on, `repartitionById` does that. An earlier Spark places a row by the hash of a column.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from txfast.cluster.spark_workers import RECORDS_SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def put_in_partitions(  # pragma: no cover (its tests, tests/cluster/test_engines.py, need Spark)
    records: "DataFrame", count: int, number: str
) -> "DataFrame":
    """Put each record into the partition, of `count`, whose number an SQL expression gives."""
    from pyspark.sql import functions

    place = functions.expr(number)
    if hasattr(records, "repartitionById"):
        return records.repartitionById(count, place)
    schema = f"{RECORDS_SCHEMA}, partition int"
    keyed = records.withColumn("partition", place).mapInArrow(with_keys, schema)
    return keyed.repartition(count, "partition").drop("partition")


def with_keys(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Records, with what Spark places them by for the number of the partition."""
    for batch in batches:
        keys = [key_of_partition(number) for number in batch.column(5).to_pylist()]
        yield pa.RecordBatch.from_arrays([*batch.columns[:5], pa.array(keys, pa.int32())], names=batch.schema.names)


def key_of_partition(number: int) -> int:
    """The int of which Spark's hash is this number: that of Murmur3 with 32 bits for the one block that an int is, from
    the seed 42 on, all of its steps undone."""
    bits = number
    bits ^= bits >> 16
    bits = divided(bits, 0xC2B2AE35)
    bits ^= bits >> 13 ^ bits >> 26
    bits = divided(bits, 0x85EBCA6B)
    bits ^= bits >> 16
    bits ^= 4  # bytes
    bits = divided(bits - 0xE6546B64, 5)
    bits = rotated(bits, 32 - 13) ^ 42
    bits = divided(rotated(divided(bits, 0x1B873593), 32 - 15), 0xCC9E2D51)
    return bits - ((bits & 1 << 31) << 1)


def divided(bits: int, factor: int) -> int:
    """What times this odd factor is so many, in 32 bits."""
    return bits * pow(factor, -1, 1 << 32) & 0xFFFFFFFF


def rotated(bits: int, count: int) -> int:
    """Bits, 32 of them, rotated to the left."""
    return (bits << count | bits >> 32 - count) & 0xFFFFFFFF
