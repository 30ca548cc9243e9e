"""Puts records into Spark's partitions by number: one partition for each shard, or for each task.

From Spark 4.1 on, `repartitionById` does that. An earlier Spark places a row by the hash of a column, so that each
partition needs a key that leads there: a small query asks Spark for the keys.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from txfast.errors import ClusterError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The first query places so many ints for each partition: of 65,537 partitions, one is then without a key once in
# 10,000 times, and more ints are placed.
INTS_PER_PARTITION = 20
INTS_MAX = 1 << 31  # they have 32 bits

# Places the ints from `first` up to `end`, without it: gives (partition, int) for every partition that gets any.
PlaceInts = Callable[[int, int], Iterable[tuple[int, int]]]


def put_in_partitions(  # pragma: no cover (its tests, tests/cluster/test_engines.py, need Spark)
    records: "DataFrame", count: int, number: str
) -> "DataFrame":
    """Put each record into the partition, of `count`, whose number an SQL expression gives."""
    from pyspark.sql import functions

    target = functions.expr(number)
    if hasattr(records, "repartitionById"):
        return records.repartitionById(count, target)
    spark = records.sparkSession

    def place_ints(first: int, end: int) -> Iterable[tuple[int, int]]:
        # In one partition, so that grouping needs no shuffle.
        ints = spark.range(first, end, numPartitions=1).selectExpr("cast(id as int) as key")
        placed = ints.groupBy(functions.expr(f"pmod(hash(key), {count})")).agg(functions.min("key"))
        return [(partition, key) for partition, key in placed.collect()]

    keys = spark.createDataFrame(list(enumerate(keys_of_partitions(count, place_ints))), "partition int, key int")
    keyed = records.withColumn("partition", target).join(functions.broadcast(keys), "partition")
    return keyed.repartition(count, "key").drop("partition", "key")


def keys_of_partitions(count: int, place_ints: PlaceInts) -> list[int]:
    """For each of `count` partitions, an int that Spark places there. Raises ClusterError if one gets none."""
    keys: dict[int, int] = {}
    first, end = 0, INTS_PER_PARTITION * count
    while len(keys) < count:
        if first >= INTS_MAX:
            raise ClusterError(f"Spark places no number in {count - len(keys)} of {count} partitions")
        for partition, key in place_ints(first, end):
            keys.setdefault(partition, key)
        first, end = end, min(2 * end, INTS_MAX)
    return [keys[partition] for partition in range(count)]
