"""How a run divides the machine: a table of what was asked for and what there is, reckoned by hand."""

from __future__ import annotations

import pytest

from txfast.errors import UsageError
from txfast.run.plan import SUGGESTED_BYTES_MORE, Plan, make_plan

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BLOCK = 256 * KIB


@pytest.mark.parametrize(
    ("cores", "threads", "scanners", "ledgers"),
    [
        (1, None, 1, 1),
        (2, None, 1, 1),
        (3, None, 1, 2),
        (4, None, 2, 2),
        (8, None, 4, 4),
        (8, 1, 1, 1),
        (1, 5, 2, 3),
        (128, None, 64, 64),
        (1000, None, 64, 64),
        (2, 99_999_999, 64, 64),
    ],
)
def test_half_of_the_threads_scan_and_half_apply(cores: int, threads: int | None, scanners: int, ledgers: int) -> None:
    plan = make_plan(cores=cores, memory_used=0, threads=threads)
    assert (plan.threads, plan.scanners, plan.ledgers) == (min(128, threads or cores), scanners, ledgers)
    assert (plan.ledger_bytes, plan.settling_bytes, plan.memory_limit) == (None, None, None)


@pytest.mark.parametrize(
    ("threads", "input_bytes", "is_threaded"),
    [(1, None, False), (1, GIB, False), (2, None, True), (2, 4 * BLOCK - 1, False), (2, 4 * BLOCK, True)],
)
def test_small_inputs_take_no_threads(threads: int, input_bytes: int | None, is_threaded: bool) -> None:
    assert make_plan(cores=1, memory_used=0, threads=threads).is_threaded(input_bytes) == is_threaded


@pytest.mark.parametrize(
    ("reader", "block_bytes", "memory_limit", "input_bytes", "expected"),
    [
        ("native", None, None, None, BLOCK),
        ("native", None, None, 64 * MIB - 1, BLOCK),
        ("native", None, None, 64 * MIB, 4 * BLOCK),
        ("native", None, GIB - 1, 64 * MIB, BLOCK),
        ("native", None, GIB, 64 * MIB, 4 * BLOCK),
        ("native", 1000, None, 64 * MIB, 1000),
        ("arrow", None, None, None, 4 * MIB),
        ("arrow", None, 256 * MIB, 64 * MIB, 4 * MIB),
        ("arrow", 1000, None, None, 1000),
    ],
)
def test_large_inputs_are_read_in_large_blocks_where_memory_allows_it(
    reader: str, block_bytes: int | None, memory_limit: int | None, input_bytes: int | None, expected: int
) -> None:
    plan = make_plan(cores=2, memory_used=0, reader=reader, block_bytes=block_bytes, memory_limit=memory_limit)
    assert plan.block_bytes(input_bytes) == expected


@pytest.mark.parametrize(
    ("threads", "limit", "reserved", "used", "ledgers", "settling_mib", "ledger_mib"),
    [
        # 8 MiB for all else; a batch takes at least 2 MiB. One scanner has four batches on their way, a ledger one: 10
        # MiB. A sixteenth of the rest is for what goes to disk, at least 2 MiB.
        (2, 256 * MIB, 0, 20 * MIB, 1, 218, 218 * 15 / 16),
        (2, 96 * MIB, 0, 20 * MIB, 1, 58, 58 * 15 / 16),
        # What is reserved for pyarrow is not for the ledger.
        (2, 256 * MIB, 112 * MIB, 20 * MIB, 1, 106, 106 * 15 / 16),
        # Two scanners: five batches, 10 MiB; each of two ledgers another.
        (4, 256 * MIB, 0, 20 * MIB, 2, 214, 214 / 2 * 15 / 16),
        # Of four ledgers only two would get 24 MiB and a batch each: 96 - 20 - 8 - 14 = 54, so two.
        (8, 96 * MIB, 0, 20 * MIB, 2, 50, 50 / 2 - 2),
        # Large blocks, with which a batch takes 3 MiB.
        (2, GIB, 0, 24 * MIB, 1, 977, 977 * 15 / 16),
        # No room at all: a ledger goes to disk at once, and is settled in the least that a ledger needs.
        (2, 96 * MIB, 80 * MIB, 20 * MIB, 1, 24, 0),
    ],
)
def test_memory_is_divided_among_batches_and_ledgers(
    threads: int, limit: int, reserved: int, used: int, ledgers: int, settling_mib: float, ledger_mib: float
) -> None:
    plan = make_plan(cores=1, memory_used=used, threads=threads, memory_limit=limit, memory_reserved=reserved)
    assert plan.ledgers == ledgers
    assert plan.settling_bytes == settling_mib * MIB
    assert plan.ledger_bytes is not None
    assert abs(plan.ledger_bytes - ledger_mib * MIB) <= 1


@pytest.mark.parametrize(
    ("limit", "reserved", "table_mib", "ledger_bytes_less"),
    [
        # 20 MiB are used, 8 for all else, 8 for four batches: 108 are left, of which a quarter is less than 40.
        (256 * MIB, 112 * MIB, 40, 0),
        # Large blocks: 12 MiB for four batches, and 3 for the ledger's.
        (GIB, 112 * MIB, 218, 178 * MIB * 15 // 16),
    ],
)
def test_a_table_gets_a_quarter_and_a_least_that_pyarrow_is_given_anyway(
    limit: int, reserved: int, table_mib: int, ledger_bytes_less: int
) -> None:
    plans = [
        make_plan(
            cores=2, memory_used=20 * MIB, memory_limit=limit, memory_reserved=reserved, reads_tables=reads_tables
        )
        for reads_tables in (False, True)
    ]
    assert [plan.table_bytes for plan in plans] == [table_mib * MIB] * 2
    without, with_tables = (plan.ledger_bytes or 0 for plan in plans)
    assert without - with_tables == ledger_bytes_less
    assert make_plan(cores=2, memory_used=0).table_bytes is None


@pytest.mark.parametrize("needed", [41 * MIB, 300 * MIB, 5 * GIB])
def test_the_limit_that_leaves_so_much_for_a_table_is_told(needed: int) -> None:
    def plan_of(memory_limit: int) -> Plan:
        return make_plan(cores=2, memory_used=20 * MIB, memory_limit=memory_limit, memory_reserved=112 * MIB)

    limit = plan_of(256 * MIB).limit_for_table(needed)
    assert plan_of(limit - SUGGESTED_BYTES_MORE).table_bytes == needed
    assert (plan_of(limit).table_bytes or 0) > needed


@pytest.mark.parametrize(
    ("threads", "limit", "scanners", "ledgers"),
    [
        # 96 - 20 - 8 = 68: of a quarter, 17, eight batches of 2 MiB, so that five scanners have one each.
        (128, 96 * MIB, 5, 2),
        (128, 256 * MIB, 25, 6),
        (128, 2 * GIB, 64, 64),
        (8, 256 * MIB, 4, 4),
    ],
)
def test_a_small_limit_has_no_room_for_the_batches_of_many_threads(
    threads: int, limit: int, scanners: int, ledgers: int
) -> None:
    plan = make_plan(cores=1, memory_used=20 * MIB, threads=threads, memory_limit=limit)
    assert (plan.threads, plan.scanners, plan.ledgers) == (threads, scanners, ledgers)


@pytest.mark.parametrize("threads", [0, -1])
def test_at_least_one_thread_is_needed(threads: int) -> None:
    with pytest.raises(UsageError, match="at least one is needed"):
        make_plan(cores=2, memory_used=0, threads=threads)


def test_a_reader_is_one_of_two() -> None:
    with pytest.raises(UsageError, match="reader 'csv': it is one of native, arrow"):
        make_plan(cores=2, memory_used=0, reader="csv")
