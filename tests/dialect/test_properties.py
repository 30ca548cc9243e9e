"""Whatever the dialect, the file, the reader, the blocks and the threads: the kernel says what the reference says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support import dialect_objects, dialect_strategies, reference_dialect_run, strategies
from tests.support.dialect_files import id_written
from tests.support.dialect_replays import THREADS, assert_as_reference, run
from tests.support.dialect_strategies import Written
from tests.support.profiles import examples
from tests.support.reference import UNITS_PER_ONE, Replay
from tests.support.reference_dialect import Dialect, Transaction, read_rows
from tests.support.reference_dialect_run import order_of
from tests.support.reference_rows import NotTransactions
from tests.support.replays import READERS
from tests.support.rows import make_file

pytestmark = pytest.mark.unmeasured

each_reader = pytest.mark.parametrize("reader", READERS)
thread_counts = st.sampled_from(THREADS)
clean_files = dialect_strategies.written_files(spoilt=False)
spoilt_files = dialect_strategies.written_files(spoilt=True)
clean_objects = dialect_objects.written_objects(spoilt=False)
spoilt_objects = dialect_objects.written_objects(spoilt=True)


# ---- The reference alone -------------------------------------------------------------------------


@given(clean_files | clean_objects)
def test_what_is_written_under_a_dialect_means_what_was_written(written: Written) -> None:
    found = [each.outcome for each in read_rows(written.content, written.settings)]
    assert [each._replace(currency=None) for each in found if isinstance(each, Transaction)] == [
        Transaction(kind, written_id(written, "client", client), written_id(written, "tx", tx), amount)
        for kind, client, tx, amount in written.rows
    ]


@given(strategies.hostile_files() | strategies.plain_files() | strategies.wide_files() | strategies.noted_files())
def test_without_settings_a_file_means_what_it_always_meant(content: bytes) -> None:
    found, usual = reference_dialect_run.Replay({"delimiter": ","}), Replay()
    refused = []
    for replay in (found, usual):
        try:
            replay.read("in.csv", content)
        except NotTransactions:
            refused.append(replay)
    assert len(refused) != 1
    if not refused:
        assert (found.rows, found.applied, found.rejected) == (usual.rows, usual.applied, usual.rejected)
        assert [tuple(vars_of(each)) for each in usual.rejects] == [tuple(each) for each in found.rejects]


def vars_of(reject: object) -> list[object]:
    return [getattr(reject, name) for name in reference_dialect_run.Reject._fields]


# ---- The package against the reference -----------------------------------------------------------


@each_reader
@given(spoilt_files, thread_counts, strategies.block_sizes)
def test_a_file_means_what_its_dialect_says(reader: str, written: Written, threads: int, block_bytes: int) -> None:
    assert_as_reference([written.content], written.settings, reader=reader, threads=threads, block_bytes=block_bytes)


@each_reader
@given(clean_files, thread_counts, strategies.block_sizes, strategies.policies())
def test_a_policy_says_what_the_rows_of_a_dialect_do(
    reader: str, written: Written, threads: int, block_bytes: int, policy: str
) -> None:
    assert_as_reference(
        [written.content], written.settings, reader=reader, threads=threads, block_bytes=block_bytes, policy=policy
    )


@examples(2)
@given(spoilt_objects, thread_counts, strategies.block_sizes)
def test_json_lines_mean_what_their_dialect_says(written: Written, threads: int, block_bytes: int) -> None:
    assert_as_reference([written.content], written.settings, threads=threads, block_bytes=block_bytes)


@examples(0.5)
@given(spoilt_objects, spoilt_objects, thread_counts, strategies.block_sizes, strategies.policies())
def test_a_policy_says_what_the_rows_of_json_lines_do(
    written: Written, other: Written, threads: int, block_bytes: int, policy: str
) -> None:
    # Both are in the encoding of the first: `encoding=utf-16` asks for a byte order mark.
    assume(other.content.startswith((b"\xff\xfe", b"\xfe\xff")) or written.settings.get("encoding") != "utf-16")
    contents = [written.content, other.content]
    assert_as_reference(contents, written.settings, threads=threads, block_bytes=block_bytes, policy=policy)


@each_reader
@given(dialect_strategies.soup_files(), thread_counts, strategies.block_sizes)
def test_lines_of_anything_mean_what_the_dialect_says(
    reader: str, written: Written, threads: int, block_bytes: int
) -> None:
    assert_as_reference([written.content], written.settings, reader=reader, threads=threads, block_bytes=block_bytes)


@each_reader
@given(strategies.hostile_files(), thread_counts, strategies.block_sizes)
def test_a_dialect_of_defaults_changes_nothing(reader: str, content: bytes, threads: int, block_bytes: int) -> None:
    settings = {"delimiter": ",", "quote": '"', "decimal": ".", "decimals": "4", "header": "yes", "skip": "0"}
    assert_as_reference([content], settings, reader=reader, threads=threads, block_bytes=block_bytes)


@each_reader
@examples(0.5)
@given(spoilt_files, st.integers(2, 3), thread_counts, strategies.block_sizes)
def test_several_files_are_read_under_one_dialect(
    reader: str, written: Written, count: int, threads: int, block_bytes: int
) -> None:
    contents = [written.content] * count
    assert_as_reference(contents, written.settings, reader=reader, threads=threads, block_bytes=block_bytes)


# ---- The package against itself ------------------------------------------------------------------


@given(
    dialect_strategies.written_files(spoilt=False, has_currency=False)
    | dialect_objects.written_objects(spoilt=False, has_currency=False)
)
def test_the_same_rows_give_the_same_balances_under_every_dialect(written: Written) -> None:
    """One file is written under the dialect, one plainly: all that differs is what a unit is worth."""
    found = run([written.content], written.settings)
    plain = run([make_file(written.rows)], {})
    assert (found.applied, found.rejected) == (plain.applied, plain.rejected)
    worth = Decimal(UNITS_PER_ONE).scaleb(-Dialect.of(written.settings).decimals)
    scaled = [
        (written_id(written, "client", client), *(each * worth if isinstance(each, Decimal) else each for each in rest))
        for client, *rest in plain.accounts
    ]
    assert found.accounts == sorted(scaled, key=lambda account: order_of(account[0]))  # type: ignore[arg-type]


def written_id(written: Written, role: str, number: object) -> int | str:
    assert isinstance(number, int)
    return id_written(Dialect.of(written.settings), role, number)


@given(clean_files, st.sampled_from([",", ";", "tab", "|"]))
def test_a_delimiter_that_is_found_reads_as_one_that_is_named(written: Written, delimiter: str) -> None:
    byte = b"\t" if delimiter == "tab" else delimiter.encode()
    content = b"type,client,tx,amount,note\ndeposit,1,1,1,x\nwithdrawal,1,2,0.5\nfee,1,1\ndispute,1,1,,\n"
    content = content.replace(b",", byte)
    named = {name: value for name, value in written.settings.items() if name in ("decimals", "rounding", "null")}
    assert run([content], named) == run([content], named | {"delimiter": delimiter})
