"""Whatever the files, the readers, the blocks and the threads: the kernel says what the reference says."""

from __future__ import annotations

import io
import itertools
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import replays, strategies
from tests.support.bare_ledger import parse_accounts
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.reference_rows import BYTE_ORDER_MARK
from tests.support.replays import READERS, THREADS, Input, Outcome
from tests.support.rows import Row, make_file
from tests.support.tables import of_texts, write_table
from txfast.batch.batch import KINDS
from txfast.errors import InputError, SourceError
from txfast.ledger.policy import Policy
from txfast.readers import arrow_csv as arrow

pytestmark = pytest.mark.unmeasured

each_reader = pytest.mark.parametrize("reader", READERS)
thread_counts = st.sampled_from(THREADS)
policies = st.just("") | strategies.policies()
any_files = st.one_of(strategies.hostile_files(), strategies.plain_files())


def assert_as_reference(
    inputs: list[Input], reader: str, block_bytes: int, threads: int, policy: str = ""
) -> Outcome | None:
    block_bytes = replays.fit_block(reader, inputs, block_bytes)
    return replays.assert_as_reference(inputs, reader=reader, block_bytes=block_bytes, threads=threads, policy=policy)


# ---- The reference -------------------------------------------------------------------------------


@each_reader
@given(strategies.hostile_files(), strategies.block_sizes, thread_counts, policies)
def test_a_hostile_file_gives_what_the_rules_say(
    reader: str, content: bytes, block_bytes: int, threads: int, policy: str
) -> None:
    assert_as_reference([("in.csv", content)], reader, block_bytes, threads, policy)


@each_reader
@examples(2)
@given(strategies.policy_files(), strategies.block_sizes, thread_counts, strategies.policies())
def test_rows_mean_what_their_policy_says(
    reader: str, content: bytes, block_bytes: int, threads: int, policy: str
) -> None:
    assert_as_reference([("in.csv", content)], reader, block_bytes, threads, policy)


@examples(0.5)
@given(
    strategies.policy_streams(), strategies.policies(), thread_counts, st.sampled_from(["parquet", "arrow", "arrows"]),
    st.integers(1, 30),
)  # fmt: skip
def test_rows_of_a_table_mean_what_their_policy_says(
    rows: list[Row], policy: str, threads: int, suffix: str, rows_at_once: int
) -> None:
    """A table's rows are numbered from 1."""
    expected = replays.run_reference([("in.csv", make_file(rows))], policy)
    texts = [[text or None for text in row.line().decode().split(",")] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = write_table(Path(folder, f"in.{suffix}"), of_texts(texts, pa.string()), rows_at_once)
        found = replays.run_files([path], threads=threads, policy=policy)
    rejects = [each._replace(file=str(path), line=each.line - 1) for each in expected.rejects]
    assert found == expected._replace(rejects=rejects)


@each_reader
@given(strategies.plain_files(), strategies.block_sizes, thread_counts)
def test_a_plain_file_gives_what_the_rules_say(reader: str, content: bytes, block_bytes: int, threads: int) -> None:
    assert_as_reference([("in.csv", content)], reader, block_bytes, threads)


@each_reader
@given(strategies.wide_files(), strategies.block_sizes, thread_counts)
def test_a_file_of_many_columns_gives_what_the_rules_say(
    reader: str, content: bytes, block_bytes: int, threads: int
) -> None:
    assert_as_reference([("in.csv", content)], reader, block_bytes, threads)


@each_reader
@given(strategies.noted_files(), strategies.block_sizes, thread_counts)
def test_a_file_of_notes_of_many_lines_gives_what_the_rules_say(
    reader: str, content: bytes, block_bytes: int, threads: int
) -> None:
    assert_as_reference([("in.csv", content)], reader, block_bytes, threads)


@each_reader
@examples(0.5)
@given(st.lists(any_files | strategies.policy_files(), max_size=4), strategies.block_sizes, thread_counts, policies)
def test_several_files_are_read_as_one_stream_in_their_order(
    reader: str, contents: list[bytes], block_bytes: int, threads: int, policy: str
) -> None:
    inputs = [(f"{index}.csv", content) for index, content in enumerate(contents)]
    assert_as_reference(inputs, reader, block_bytes, threads, policy)


@each_reader
@given(st.lists(strategies.soup_pieces, max_size=20).map(b"".join), strategies.block_sizes)
def test_what_is_no_transactions_file_is_refused_by_all(reader: str, content: bytes, block_bytes: int) -> None:
    assert assert_as_reference([("in.csv", content)], reader, block_bytes, threads=1) is None


@each_reader
@given(any_files, strategies.block_sizes, st.lists(st.integers(0, 400), max_size=12))
def test_a_file_may_be_read_in_any_pieces(reader: str, content: bytes, block_bytes: int, cuts: list[int]) -> None:
    block_bytes = replays.fit_block(reader, [("in.csv", content)], block_bytes)
    ends = sorted({0, len(content), *(index for index in cuts if index < len(content))})
    pieces = [content[start:end] for start, end in itertools.pairwise(ends)]
    try:
        expected = replays.run([("in.csv", content)], reader=reader, block_bytes=block_bytes)
    except ValueError as error:
        with pytest.raises(type(error)):
            replays.run([("in.csv", pieces)], reader=reader, block_bytes=block_bytes)
    else:
        assert replays.run([("in.csv", pieces)], reader=reader, block_bytes=block_bytes) == expected


@each_reader
@pytest.mark.parametrize("ending", strategies.ENDINGS)
def test_every_block_size_gives_the_same(reader: str, ending: bytes) -> None:
    rows = [
        b"deposit,1,1,5.0",
        b' "deposit" , 2,"1" ,\t7',
        b"",
        b"withdrawal,1,2,1.2345",
        b"nonsense",
        b"deposit,18446744073709551615,18446744073709551615,922337203685477.5807",
        b" \t ",
        b"dispute,1,1,",
        b"dispute,2,1",
        b'deposit,"1,3,1',
        b"chargeback,2,1",
        b"\xff\x00,1,1,1",
        b"resolve,1,1",
        b"deposit,1,2,1",
    ]
    for content in (ending.join([HEADER.rstrip(), *rows]), ending.join([b"", HEADER.rstrip(), *rows, b""])):
        for block_bytes in (*range(1, 100), len(content) - 1, len(content), len(content) + 1):
            outcome = assert_as_reference([("in.csv", content)], reader, block_bytes, threads=1)
            assert outcome is not None
            assert (outcome.rows, len(outcome.rejects)) == (12, 4)


@pytest.mark.untraced
@each_reader
@pytest.mark.parametrize("threads", THREADS)
def test_a_long_file_gives_what_the_rules_say(reader: str, threads: int) -> None:
    rng = random.Random(6)
    lines = [HEADER.rstrip()]
    for kind in rng.choices(KINDS, [50, 30, 14, 7, 4, 8, 20], k=6_000):
        row = Row(kind, rng.randrange(90), rng.randrange(8), rng.randrange(10 ** rng.randrange(1, 12)))
        lines.append(row.line())
        if rng.random() < 0.02:
            lines.append(rng.choice([b"", b" ", b"x" * rng.randrange(300), b"deposit,1,1,1e3", b'"x"y', b",,,"]))
    for ending, block_bytes in ((b"\n", 1_000), (b"\r\n", 65_536), (b"\r", None)):
        inputs = [("in.csv", ending.join(lines))]
        outcome = replays.assert_as_reference(inputs, reader=reader, block_bytes=block_bytes, threads=threads)
        assert outcome is not None
        assert outcome.applied.keys() == set(KINDS)
        assert outcome.malformed.keys() == {"missing_field", "bad_quoting", "bad_amount"}


@pytest.mark.untraced
@each_reader
@pytest.mark.parametrize("threads", THREADS)
def test_files_of_every_small_size_are_read_from_the_disk(reader: str, threads: int, tmp_path: Path) -> None:
    paths = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for size in [*range(30), 100, 150, 190, 250, 400]:
        rows = [Row("deposit", 1 + index % 3, index * 17, 10_000) for index in range(size)]
        rows += [Row("deposit", 1 + index % 3, index * 17, 10_000) for index in range(size // 3)]
        contents = [make_file(rows), make_file(rows[::2])]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        named = [(str(path), content) for path, content in zip(paths, contents, strict=True)]
        assert replays.run_files(paths, reader=reader, threads=threads) == replays.run_reference(named)


KIB, MIB = 1 << 10, 1 << 20
LENGTHS = [64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, MIB + 1, 3 * MIB]


@pytest.mark.untraced
@each_reader
@pytest.mark.parametrize("ending", strategies.ENDINGS)
def test_lines_of_every_length_are_rows_or_malformed_or_nothing(reader: str, ending: bytes) -> None:
    block_bytes = 6 * MIB if reader == "arrow" else None
    lines = []
    for length in LENGTHS:
        row, blank = b"deposit,1,%d,1," % length, b" " * length
        lines += [row + b" " * (length - len(row)), b"nonsense", blank, b'"' + blank + b'"x', b"", blank[1:] + b"x"]
    header = HEADER.rstrip()
    for content in (
        ending.join([header, *lines[:-4]]),
        ending.join([header + b",note", *lines[:-4]]),
        BYTE_ORDER_MARK + ending.join([blank, header, *lines, blank, b""]),
    ):
        inputs = [("in.csv", content)]
        outcome = replays.assert_as_reference(inputs, reader=reader, block_bytes=block_bytes)
        assert outcome is not None
        assert outcome.applied == {"deposit": 4}


@pytest.mark.untraced
@pytest.mark.parametrize("ending", strategies.ENDINGS)
@pytest.mark.parametrize("block_bytes", [1_000, 1 << 18, 1 << 20])
def test_a_line_that_is_too_long_may_end_anywhere_in_a_block(ending: bytes, block_bytes: int) -> None:
    # Blocks double until a line of more than 1 MiB is given up; the next ones have the size reached.
    reached = block_bytes
    while reached <= MIB + 4:
        reached *= 2
    for whole_blocks in (1, 2):
        for index in range(-3, 4):
            line = b"y" * (whole_blocks * reached + index)
            content = ending.join([HEADER.rstrip(), line, b"x", b"", b"deposit,1,1,1"])
            inputs = [("in.csv", content)]
            outcome = replays.assert_as_reference(inputs, reader="native", block_bytes=block_bytes)
            assert outcome is not None
            assert [reject.line for reject in outcome.rejects] == [2, 3]


@pytest.mark.untraced
@pytest.mark.parametrize("block_bytes", range(MIB - 1, MIB + 8))
def test_a_line_of_just_one_mib_is_read_in_blocks_of_about_its_length(block_bytes: int) -> None:
    header = BYTE_ORDER_MARK + HEADER.rstrip() + b"," + b"x" * (MIB - len(HEADER))
    row = b"deposit,1,1,1,"
    for ending in strategies.ENDINGS:
        content = ending.join([header, row + b"y" * (MIB - len(row)), row + b"y" * (MIB + 1 - len(row)), b"x"])
        outcome = replays.assert_as_reference([("in.csv", content)], reader="native", block_bytes=block_bytes)
        assert outcome is not None
        assert (outcome.applied, outcome.malformed) == ({"deposit": 1}, {"row_too_long": 1, "missing_field": 1})


@pytest.mark.untraced
def test_a_line_that_is_too_long_may_begin_with_a_byte_order_mark() -> None:
    line = BYTE_ORDER_MARK + b"x" * 2 * MIB
    for content in (HEADER + line, BYTE_ORDER_MARK + HEADER + b"x\n" + line + b"\ndeposit,1,1,1"):
        outcome = replays.assert_as_reference([("in.csv", content)], reader="native")
        assert outcome is not None
        assert outcome.malformed["row_too_long"] == 1


@each_reader
def test_a_byte_order_mark_after_other_bytes_is_part_of_the_header(reader: str) -> None:
    for blank_lines in (b"\n", b" \n", b"\r\n" * 20):
        content = blank_lines + BYTE_ORDER_MARK + HEADER
        for block_bytes in (1, 2, 3, 4, 100):
            assert assert_as_reference([("in.csv", content)], reader, block_bytes, threads=1) is None


@each_reader
def test_a_lone_carriage_return_ends_a_row_in_whatever_column(reader: str) -> None:
    header = b"a,type,b,client,tx,amount,c"
    fields = [b"x", b"deposit", b"", b"1", b"2", b"1.5", b"y"]
    for column, ending in itertools.product(range(len(fields)), strategies.ENDINGS):
        for text in (b"\r", b"x\r", b"\ry", b"x\ry"):
            row = b",".join([*fields[:column], text, *fields[column + 1 :]])
            content = ending.join([header, row, b",".join(fields), b""])
            assert assert_as_reference([("in.csv", content)], reader, 1, threads=1) is not None


@pytest.mark.untraced
@each_reader
@pytest.mark.parametrize("commas", range(5))
def test_a_row_may_have_no_comma_for_as_long_as_it_likes(reader: str, commas: int) -> None:
    # The fast path looks for all commas in the row's first 64 bytes. Where there were none, it once asked for the
    # lowest bit of nothing, which is undefined: most machines gave what did no harm, and only a sanitizer told.
    for length in (1, 15, 16, 20, 31, 32, 61, 62, 63, 64, 65, 200):
        row = b",".join([b"x" * length] * commas)
        assert_as_reference([("in.csv", HEADER + row + b"\ndeposit,1,1,1\n" + row)], reader, 1 << 18, 1)


@pytest.mark.untraced
@each_reader
def test_a_header_that_is_too_long_is_refused(reader: str) -> None:
    for content in (b"x" * (MIB + 1), HEADER.rstrip() + b"," + b"x" * MIB, b" " * 3 * MIB + HEADER):
        for ending in (b"", b"\n", b"\r\ndeposit,1,1,1"):
            with pytest.raises(InputError, match=r"^in\.csv: not a transactions file: .* 1 MiB"):
                replays.run([("in.csv", content + ending)], reader=reader)
    header = HEADER.rstrip() + b"," + b"x" * (MIB - len(HEADER))
    outcome = replays.assert_as_reference([("in.csv", header + b"\ndeposit,1,1,1")], reader=reader)
    assert outcome is not None
    assert outcome.applied == {"deposit": 1}


class Endless(io.RawIOBase):
    """A file that never ends, and has no line ending; it knows how much of it was read."""

    bytes_read = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        buffer[:] = b"x" * len(buffer)
        self.bytes_read += len(buffer)
        return len(buffer)


@each_reader
def test_what_is_no_header_need_not_end_to_be_refused(reader: str) -> None:
    endless = Endless()
    source = replays.open_bytes("in.csv", b"")
    source.file = cast(io.FileIO, endless)
    with pytest.raises(InputError, match=r"^in\.csv: "):
        replays.new_replay(replays.RejectsJournal(), reader, None, 1).read_source(source)
    # pyarrow reads some thirty of its blocks ahead, as far as it gets until it is stopped.
    assert endless.bytes_read < (4 * MIB if reader == "native" else 64 * arrow.PYARROW_BLOCK_BYTES)


def test_a_line_that_is_too_long_may_go_on_in_the_next_block() -> None:
    content = HEADER + b"x" * (MIB + 3_000) + b"\ndeposit,1,1,1"
    outcome = replays.assert_as_reference([("in.csv", content)], reader="native", block_bytes=MIB + 1_000)
    assert outcome is not None
    assert (outcome.applied, outcome.malformed) == ({"deposit": 1}, {"row_too_long": 1})


@pytest.mark.untraced
@each_reader
def test_what_stands_before_a_failure_is_reported_whatever_the_threads(reader: str) -> None:
    rows = b"".join(b"deposit,%d,1,1\nx%d\n" % (index, index) for index in range(2_000))
    expected = replays.run([("in.csv", HEADER + rows)], reader=reader).rejects
    for threads in (1, 2, 3, 5, 8):
        journal = replays.RejectsJournal()
        replay = replays.new_replay(journal, reader, 1_000, threads)
        replay.read_source(replays.open_bytes("in.csv", HEADER + rows))
        with pytest.raises(InputError, match=r"^bad\.csv: "):
            replay.read_source(replays.open_bytes("bad.csv", b"nonsense"))
        assert journal.rejects == expected


class FailingReads(replays.Reads):
    """Pieces, and then a failure where there should be more."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = super().readinto(buffer)
        if not count:
            raise OSError(5, "the disk is on fire")
        return count


@each_reader
@pytest.mark.parametrize("threads", [1, 2, 3, 5, 8])
def test_a_source_that_fails_is_never_taken_for_its_end(reader: str, threads: int) -> None:
    rows = [b"deposit,%d,1,1\n" % index for index in range(500)]
    for pieces in ([], [HEADER], [HEADER, *rows]):
        replay = replays.new_replay(replays.RejectsJournal(), reader, 1_000, threads)
        source = replays.open_bytes("in.csv", [])
        source.file = cast(io.FileIO, FailingReads(pieces))
        with pytest.raises(SourceError, match=r"^in\.csv: .*the disk is on fire"):
            replay.read_source(source)


# ---- Laws of their own ---------------------------------------------------------------------------


@given(
    strategies.streams(amounts=strategies.small_amounts | strategies.edge_amounts) | strategies.policy_streams(),
    thread_counts,
)
def test_no_money_is_made_or_lost(rows: list[Row], threads: int) -> None:
    outcome = replays.run([("in.csv", make_file(rows))], block_bytes=64, threads=threads)
    refused = {reject.line for reject in outcome.rejects}
    left: Counter[tuple[int, int]] = Counter()  # of each deposit, what was not refunded
    moved: dict[tuple[int, int], int] = {}  # by its dispute
    expected = Counter({row.client: 0 for row in rows})
    for line, row in enumerate(rows, start=2):
        if line in refused:
            continue
        match row.kind:
            case "deposit":
                assert row.amount is not None
                left[row.client, row.tx] = row.amount
                expected[row.client] += row.amount
            case "withdrawal":
                assert row.amount is not None
                expected[row.client] -= row.amount
            case "refund":
                assert row.amount is not None
                left[row.client, row.tx] -= row.amount
                expected[row.client] -= row.amount
            case "dispute":
                moved[row.client, row.tx] = left[row.client, row.tx]
            case "chargeback":
                expected[row.client] -= moved[row.client, row.tx]
            case "reversal":
                expected[row.client] += moved[row.client, row.tx]
    accounts = parse_accounts(outcome.accounts)
    assert {account.client: account.available + account.held for account in accounts} == dict(expected)
    assert outcome.rows == len(rows) == sum(outcome.applied.values()) + len(outcome.rejects)


any_streams = strategies.streams() | strategies.policy_streams()


@given(any_streams, st.integers(0, 60), policies)
def test_a_stream_may_be_cut_into_files_anywhere(rows: list[Row], index: int, policy: str) -> None:
    whole = replays.run([("in.csv", make_file(rows))], policy=policy)
    files = [("a.csv", make_file(rows[:index])), ("b.csv", make_file(rows[index:]))]
    halves = replays.run(files, policy=policy)
    assert halves.accounts == whole.accounts
    assert halves._replace(rejects=[]) == whole._replace(rejects=[])
    assert [reject.reason for reject in halves.rejects] == [reject.reason for reject in whole.rejects]


@given(any_streams, policies)
def test_clients_do_not_touch_each_other(rows: list[Row], policy: str) -> None:
    together = replays.run([("in.csv", make_file(rows))], policy=policy)
    lines = []
    for client in sorted({row.client for row in rows}):
        alone = make_file(row for row in rows if row.client == client)
        lines += replays.run([("in.csv", alone)], policy=policy).accounts.splitlines(keepends=True)[1:]
    assert b"".join(lines) == together.accounts.partition(b"\n")[2]


@given(any_streams, st.lists(st.booleans(), min_size=60, max_size=60), policies)
def test_rows_of_different_clients_may_change_places(rows: list[Row], changes: list[bool], policy: str) -> None:
    moved = list(rows)
    for index, change in zip(range(1, len(moved)), changes, strict=False):
        if change and moved[index - 1].client != moved[index].client:
            moved[index - 1], moved[index] = moved[index], moved[index - 1]
    first, second = (replays.run([("in.csv", make_file(each))], policy=policy) for each in (rows, moved))
    assert second.accounts == first.accounts
    assert (second.applied, second.rejected) == (first.applied, first.rejected)


@given(any_streams, policies)
def test_rows_that_were_not_applied_might_as_well_not_be_there(rows: list[Row], policy: str) -> None:
    everything = replays.run([("in.csv", make_file(rows))], policy=policy)
    refused = {reject.line for reject in everything.rejects}
    applied = [row for line, row in enumerate(rows, start=2) if line not in refused]
    again = replays.run([("in.csv", make_file(applied))], policy=policy)
    assert again.rejects == []
    assert again.applied == everything.applied
    known = {row.client for row in applied}
    lines = everything.accounts.splitlines(keepends=True)
    kept = [line for line in lines[1:] if int(line.partition(b",")[0]) in known]
    assert again.accounts == b"".join([lines[0], *kept])
    # The others have nothing in their accounts. By default each has one all the same.
    empty = {b"%d,0.0000,0.0000,0.0000,false\n" % client for client in {row.client for row in rows} - known}
    opened = set(lines[1:]) - set(kept)
    match Policy(policy)["open-account"]:
        case "any-row":
            assert opened == empty
        case "valid-row":
            assert opened <= empty
        case "applied-row":
            assert opened == set()
