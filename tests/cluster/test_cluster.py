"""The work of a cluster without one: inputs cut into ranges, mapped, reduced and reported, held to the command."""

import errno
import gzip
import json
import os
import sys
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support import replays
from tests.support.command import Folder
from tests.support.engines import InPlace, Now, SparkInPlace, pieces_of, run_command, run_ranges, settings_of
from tests.support.failures import fail_renames
from tests.support.outputs import assert_alike, assert_same_tables, by_command, rejects_of, twelve_files
from tests.support.small_memory import small_books, small_limits
from tests.support.tables import ROWS, of_texts, write_table
from txfast.cluster import command, dask, spark
from txfast.cluster.blocks import PIECE, Piece, Report, Run, Statuses, Summary, map_block, reduce_shard
from txfast.cluster.job import Figures, MergedAccounts, make_settings, reject_blobs
from txfast.cluster.ranges import Range, RangeReader, Slab, cut_inputs, find_header, in_tasks, line_start
from txfast.cluster.records import STATUSES, fields_in, read_record, record_of, text_of
from txfast.errors import ClusterError, InputError, SourceError, UsageError
from txfast.input.open import open_source
from txfast.input.source import Source


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# ---- As the command ------------------------------------------------------------------------------


@pytest.mark.parametrize("range_bytes", [37, 700, 1 << 20])
def test_twelve_files_give_what_the_command_gives(
    folder: Folder, range_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = twelve_files(folder)
    monkeypatch.chdir(folder.path)
    expected = by_command(folder, *names)
    assert expected.accounts == replays.run_reference([(name, folder.read(name)) for name in names]).accounts
    for shards in (1, 2, 8, 64):
        assert_alike(run_ranges(names, shards, range_bytes), expected)


LINES = [
    b"deposit,1,1,5\n", b"deposit,2,1,5.5\r\n", b"withdrawal,1,2,1\r", b"dispute,1,1\n", b"resolve,1,1\n",
    b"chargeback,1,1,\r\n", b"fee,1,1,1\n", b'deposit,"1",3,1\n', b'deposit,"1,3,1\n', b"deposit,3,1,",
    b"\n", b"\r", b" ", b"\xef\xbb\xbf", b"9",
]  # fmt: skip
contents = st.lists(st.sampled_from(LINES), max_size=30).map(b"".join)


@given(st.lists(contents, min_size=1, max_size=3), st.integers(1, 80), st.sampled_from([1, 3]))
def test_ranges_of_any_size_give_what_one_run_gives(
    tmp_path_factory: pytest.TempPathFactory, files: list[bytes], range_bytes: int, shards: int
) -> None:
    path = tmp_path_factory.mktemp("files")
    header = b"\xef\xbb\xbf\n type,client,tx,amount\r\n"
    inputs = [(str(path / f"{number}.csv"), header + text) for number, text in enumerate(files)]
    for name, content in inputs:
        Path(name).write_bytes(content)
    found = run_ranges([name for name, _ in inputs], shards, range_bytes)
    expected = replays.run_reference(inputs)
    assert found.accounts == expected.accounts
    assert rejects_of(found) == [
        (reject.file, reject.line, reject.reason) for reject in expected.rejects
    ]


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zst", "parquet", "arrow"])
def test_what_cannot_be_cut_is_one_range(folder: Folder, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    name = f"in.{suffix}"
    if suffix.startswith("csv"):
        with pa.CompressedOutputStream(name, "gzip" if suffix.endswith("gz") else "zstd") as file:
            file.write(folder.read("in.csv"))
    else:
        write_table(folder.path / name, of_texts(ROWS, pa.string()))
    parts = cut_inputs([name, "in.csv"], 10)
    assert [part.end is None for part in parts] == [True] + [False] * (len(parts) - 1)
    assert_alike(run_ranges([name, "in.csv"], 2, 10), by_command(folder, name, "in.csv"))


def test_a_shard_that_does_not_fit_in_memory_gives_the_same(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    names = twelve_files(folder)
    monkeypatch.chdir(folder.path)
    monkeypatch.setattr("txfast.cluster.blocks.Books", small_books(3))
    expected = by_command(folder, *names)
    with small_limits(3):
        found = run_ranges(names, 2, 500)
    assert_alike(found, expected)
    assert found.stats["spilled_bytes"]


def test_small_ranges_are_put_together_and_large_ones_stay_alone() -> None:
    def sizes(*counts: int | None, cores: int = 1) -> list[list[int]]:
        ranges = [Range(number, 0, "", "", 0, count) for number, count in enumerate(counts)]
        return [[part.number for part in parts] for parts in in_tasks(ranges, cores)]

    assert sizes(*[1] * 8) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert sizes(*[1] * 3) == [[0], [1], [2]]
    assert sizes(0) == [[0]]
    assert sizes(100, 1, 1, 1, 1, 100) == [[0], [1, 2, 3, 4, 5]]
    # Of what cannot be cut nobody knows the size.
    assert sizes(None, 1, None, 1, 1, cores=9) == [[0], [1, 2], [3, 4]]


# ---- Where lines begin ---------------------------------------------------------------------------


@pytest.mark.parametrize("probe_bytes", [1, 2, 3, 1000])
def test_lines_begin_behind_any_ending(tmp_path: Path, probe_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.cluster.ranges.PROBE_BYTES", probe_bytes)
    path = tmp_path / "in.csv"
    content = b"a\nbb\r\nc\rd\r\r\n\n\ne\n\rf"
    path.write_bytes(content)
    starts = [0, 2, 6, 8, 10, 12, 13, 14, 16, 17, len(content)]
    source = open_source(str(path))
    found = [line_start(source, offset) for offset in range(len(content) + 1)]
    assert found == [min(start for start in starts if start >= offset) for offset in range(len(content) + 1)]
    source.close()


@pytest.mark.parametrize("probe_bytes", [1, 3, 1000])
@pytest.mark.parametrize("offset", range(15))
def test_lines_that_begin_behind_a_limit_are_not_looked_for(
    tmp_path: Path, probe_bytes: int, offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txfast.cluster.ranges.PROBE_BYTES", probe_bytes)
    path = tmp_path / "in.csv"
    path.write_bytes(b"a\nbb\r\ncccc\rd\n")
    source = open_source(str(path))
    for limit in range(offset, 15):
        start = line_start(source, offset)
        assert (line_start(source, offset, limit) if start < limit else limit) == min(start, limit)
        assert start < limit or line_start(source, offset, limit) >= limit
    source.close()


def test_a_line_over_many_ranges_is_looked_through_twice(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    monkeypatch.setattr("txfast.cluster.ranges.PROBE_BYTES", 100)
    folder.write("long.csv", folder.read("in.csv") + b"x" * 20_000 + b"\ndeposit,9,9,9\n")
    looked_at = 0
    read_at = Source.read_at

    def counted(source: Source, offset: int, count: int) -> bytes:
        nonlocal looked_at
        looked_at += count
        return read_at(source, offset, count)

    monkeypatch.setattr(Source, "read_at", counted)
    found = run_ranges(["long.csv"], 2, 200)
    assert looked_at < 200_000  # with rejects, which are read once more; it would be four million
    assert_alike(found, by_command(folder, "long.csv"))


def test_a_header_may_stand_behind_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\n  \r\rtype,client,tx,amount\r\ndeposit,1,1,1\n")
    source = open_source(str(path))
    assert find_header(source, "in.csv")[1:] == (path.read_bytes().index(b"deposit"), 4)
    source.close()


def test_a_file_of_a_header_alone_is_one_empty_range(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    folder.write("none.csv", b"type,client,tx,amount")
    [part] = cut_inputs(["none.csv"])
    assert (part.start, part.end) == (21, 21)
    assert_alike(run_ranges(["none.csv"]), by_command(folder, "none.csv"))


def test_what_is_no_transactions_file_is_told_when_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match=r"in\.csv"):
        cut_inputs([str(path)])
    with pytest.raises(SourceError, match=r"missing\.csv"):
        cut_inputs([str(tmp_path / "missing.csv")])
    with pytest.raises(ValueError, match="ranges of 0 bytes"):
        cut_inputs([str(path)], 0)


def test_a_file_that_changes_its_size_is_refused(folder: Folder) -> None:
    [part] = cut_inputs([str(folder.path / "in.csv")])
    folder.write("in.csv", folder.read("in.csv") + b"deposit,1,99,1\n")
    with pytest.raises(InputError, match=r"in\.csv: was changed"):
        list(map_block(part, 1))
    with pytest.raises(InputError, match=r"in\.csv: was changed"):
        list(reject_blobs(part, 1, 1, [Statuses(0, 0, b"")], "csv"))


@pytest.mark.parametrize(
    "blanks", [b"\n" * 300_000, b" " * 3_000_000 + b"\r\n", b"\r\n" * 200_000 + b" " * 2_000_000 + b"\n"]
)
def test_a_header_may_stand_far_behind_the_start(
    folder: Folder, blanks: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    folder.write("far.csv", blanks + folder.read("in.csv"))
    (folder.path / "far.csv.gz").write_bytes(gzip.compress(blanks + folder.read("in.csv"), 1))
    for name in ("far.csv", "far.csv.gz"):
        assert_alike(run_ranges([name], 2, 20), by_command(folder, name))


def test_what_is_no_file_is_refused_before_it_is_opened(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe")
    for name in (str(folder.path / "pipe"), str(folder.path), "-"):
        with pytest.raises(SourceError, match="is no file that a cluster could read"):
            cut_inputs([name])


def test_a_file_that_is_written_anew_is_refused(folder: Folder) -> None:
    for name in ("in.csv", "in.csv.gz"):
        content = folder.read("in.csv")
        path = folder.write(name, gzip.compress(content) if name.endswith("gz") else content)
        [part] = cut_inputs([str(path)])
        reader = iter(RangeReader(part))
        next(reader)
        os.utime(path, ns=(1, 1))
        with pytest.raises(InputError, match="was changed"):
            list(reader)
        with pytest.raises(InputError, match="was changed"):
            list(map_block(part, 1))


def test_a_range_that_cannot_be_read_is_told_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    [part] = cut_inputs([str(folder.path / "in.csv")])

    def failing(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("txfast.cluster.ranges.Slab.readinto", failing)
    with pytest.raises(SourceError, match=r"in\.csv: cannot be read: Input/output error$") as raised:
        list(map_block(part, 1))
    assert str(raised.value).count("cannot be read") == 1


def test_bytes_that_are_gone_are_told(folder: Folder) -> None:
    source = open_source(str(folder.path / "in.csv"))
    slab = Slab(source, 10, 1000)
    length = len(folder.read("in.csv"))
    assert slab.readinto(bytearray(1000)) == length - 10
    with pytest.raises(InputError, match="was changed"):
        slab.readinto(bytearray(100))
    source.close()


# ---- What a cluster may do wrong -----------------------------------------------------------------


@pytest.fixture
def sent(folder: Folder) -> tuple[list[bytes], int]:
    """What the only shard of a run is sent, and of how many ranges."""
    parts = cut_inputs([str(folder.path / "in.csv")], 12)
    assert len(parts) > 2
    pieces, _ = pieces_of(parts, 1)
    return [piece.content for piece in pieces[0]], len(parts)


def settle(pieces: Sequence[bytes], ranges: int, shard: int = 0, shards: int = 1) -> None:
    for _ in reduce_shard(pieces, ranges, shard, shards):
        pass


def test_pieces_in_order_are_settled(sent: tuple[list[bytes], int]) -> None:
    settle(*sent)


@pytest.mark.parametrize("place", [0, 1, 2, -1])
def test_a_piece_that_is_lost_or_comes_twice_is_noticed(sent: tuple[list[bytes], int], place: int) -> None:
    pieces, ranges = sent
    place %= len(pieces)
    with pytest.raises(ClusterError, match="nothing is put out"):
        settle(pieces[:place] + pieces[place + 1 :], ranges)
    with pytest.raises(ClusterError, match="nothing is put out"):
        settle(pieces[:place] + pieces[place : place + 1] + pieces[place:], ranges)


def test_pieces_out_of_order_are_noticed(sent: tuple[list[bytes], int]) -> None:
    pieces, ranges = sent
    for first in range(len(pieces) - 1):
        swapped = [*pieces]
        swapped[first], swapped[first + 1] = swapped[first + 1], swapped[first]
        with pytest.raises(ClusterError, match="is due"):
            settle(swapped, ranges)


def test_pieces_of_another_shard_or_none_are_noticed(sent: tuple[list[bytes], int]) -> None:
    pieces, ranges = sent
    for wrong, shard, shards in (
        (pieces, 1, 2), (pieces, 0, 2), ([b"no piece"], 0, 1), ([b"x" * PIECE.size], 0, 1), ([], 0, 1)
    ):  # fmt: skip
        with pytest.raises(ClusterError, match="is due"):
            settle(wrong, ranges, shard, shards)


def test_rows_that_are_fewer_than_were_sent_are_noticed(sent: tuple[list[bytes], int]) -> None:
    pieces, ranges = sent
    short = [piece[: PIECE.size] if len(piece) > PIECE.size else piece for piece in pieces]
    with pytest.raises(ClusterError, match="0 rows came"):
        settle(short, ranges)


def test_reports_must_be_complete_and_add_up(folder: Folder) -> None:
    parts = cut_inputs([str(folder.path / "in.csv")], 40)
    pieces, reports = pieces_of(parts, 1)
    [*_, summary] = reduce_shard([piece.content for piece in pieces[0]], len(parts), 0, 1)
    assert isinstance(summary, Summary)

    def figures(reports: Sequence[Report], summaries: Sequence[Summary]) -> Figures:
        found = Figures(parts, 1)
        for each in chain[Report | Summary](reports, summaries):
            found.add(each)
        found.check()
        return found

    figures(reports, [summary])
    for wrong, summaries in ((reports[1:], [summary]), (reports, []), ([*reports, reports[0]], [summary])):
        with pytest.raises(ClusterError):
            figures(wrong, summaries)
    fewer = Summary(0, (0,) * len(summary.counts), 0, 0, 0, 0, 0, 0)
    with pytest.raises(ClusterError, match="were settled"):
        figures(reports, [fewer])
    with pytest.raises(ClusterError, match="twice"):
        figures(reports, [summary, summary])


def test_runs_that_are_lost_or_out_of_order_are_noticed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.cluster.blocks.RUN_BYTES", 1)
    monkeypatch.setattr("txfast.cluster.blocks.run_blocks", lambda _: [b"x" * 25] * 3)
    job = InPlace(cut_inputs([str(folder.path / "in.csv")]), 1)
    first, second, third = job.found_runs
    MergedAccounts(job, None).close()
    for wrong, words in (
        ([first, third, second], "run 2 of shard 0 came, and 1 is due"), ([first, first], "run 0 of shard 0"),
        ([first, second], "2 runs of accounts came, and 3 were sent"), ([], "0 runs"),
    ):  # fmt: skip
        job.found_runs = wrong
        with pytest.raises(ClusterError, match=words):
            MergedAccounts(job, None)


def test_statuses_that_are_lost_are_noticed(folder: Folder) -> None:
    job = InPlace(cut_inputs([str(folder.path / "in.csv")], 10), 2)
    assert list(job.reject_blobs("csv"))
    lost = job.statuses.pop()
    with pytest.raises(ClusterError, match=f"range {lost.range}: the statuses of 1 of 2 shards"):
        list(job.reject_blobs("csv"))


def test_statuses_that_do_not_fit_are_refused(folder: Folder) -> None:
    [part] = cut_inputs([str(folder.path / "in.csv")])
    for content in (b"\1", b"\1" * 1000):
        with pytest.raises(InputError, match="was changed"):
            list(reject_blobs(part, 1, 1, [Statuses(0, 0, zlib.compress(content))], "csv"))
    for wrong in ([Statuses(0, 1, b"")], [Statuses(0, 0, b"")] * 2, []):
        with pytest.raises(ClusterError, match="range 0"):
            list(reject_blobs(part, 1, 1, wrong, "csv"))


# ---- The drivers, without their engines ----------------------------------------------------------


def test_dask_is_given_tasks_that_give_what_the_command_gives(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = twelve_files(folder)
    monkeypatch.chdir(folder.path)
    expected = by_command(folder, *names)
    client: Any = Now()
    accounts, rejects, stats = dask.process(client, names, rejects=True, range_bytes=500)
    assert stats["shards"] == 3
    assert rejects is not None
    assert_same_tables(accounts, rejects, expected)
    assert stats["rejected"] == expected.stats["rejected"]
    _, none, _ = dask.process(client, names, shards=2)
    assert none is None


@pytest.mark.parametrize("shards", [1, 5])
def test_spark_is_given_functions_that_give_what_the_command_gives(
    folder: Folder, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = twelve_files(folder)
    monkeypatch.chdir(folder.path)
    monkeypatch.setattr(spark, "BATCH_BYTES", 2000)
    expected = by_command(folder, *names)
    job = SparkInPlace(settings_of(names, shards))
    assert_same_tables(job.accounts(), job.rejects(), expected)
    assert job.accounts().schema.field("client").type == pa.decimal128(20, 0)


def test_a_key_is_what_spark_places_by() -> None:
    """As its SQL says: hash(0) and hash(1) are 933211791 and -559580957."""
    assert [spark.key_of_partition(number) for number in (933211791, -559580957 & 0xFFFFFFFF)] == [0, 1]
    for number in chain(range(70_000), (2**31 - 1,)):
        assert spark_hash(spark.key_of_partition(number)) == number
    batch = pa.RecordBatch.from_arrays([pa.array([5, 6], pa.int32())] * 6, names=["a", "b", "c", "d", "e", "partition"])
    [keyed] = spark.with_keys(iter([batch]))
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
        list(spark.ranges_with_statuses(spark.batches_of([record])))


def test_what_a_worker_raised_is_raised_by_the_driver() -> None:
    for text, expected in (
        ("An exception was thrown\ntxfast.errors.InputError: in.csv: was changed\n  more", InputError),
        ("txfast.errors.NoSuchError: what", RuntimeError),
        ("something else", RuntimeError),
    ):
        with pytest.raises(expected) as raised, spark.failures_told():
            raise RuntimeError(text)
        if expected is InputError:
            assert str(raised.value) == "in.csv: was changed"
    with pytest.raises(ClusterError, match=r"^as it is$"), spark.failures_told():
        raise ClusterError("as it is")


def test_ranges_and_results_are_read_again_from_records() -> None:
    for part in (
        Range(0, 0, "in.csv", "/in.csv"), Range(1, 0, "n\udcff", "/n\udcff", 5, 9, 9, b"type,\xff\0", 2, "9 7"),
    ):  # fmt: skip
        assert Range(**fields_in(text_of(part))) == part
    for item in (
        Piece(1, 2, 3, b"x"), Run(1, 2, b"x"), Statuses(1, 2, b"x"), Report(2, 3, 4, (0, 1), 5),
        Summary(1, (1, 2), 3, 4, -5, 6, 7, 8),
    ):  # fmt: skip
        assert read_record(record_of(item, 9)) == item


def test_rejects_that_are_lost_or_out_of_order_are_noticed() -> None:
    good = [(0, 0, b"a"), (0, 1, b"b"), (0, 2, b""), (1, 0, b"")]
    assert list(spark.in_order(good, 2)) == [b"a", b"b"]
    for wrong in (good[1:], good[:1] + good[2:], good[:-1], good[:3] + good[:3], [good[3], *good[:3]]):
        with pytest.raises(ClusterError, match="rejects"):
            list(spark.in_order(wrong, 2))


@pytest.mark.parametrize("paths", [[], ["in.csv"]])
def test_settings_that_mean_nothing_are_refused(paths: list[str]) -> None:
    with pytest.raises(UsageError, match="no inputs" if not paths else "0 shards"):
        make_settings(
            paths, cores=2, shards=0, keep_statuses=False, range_bytes=None, memory_limit=None, spill_folder=None
        )


@pytest.mark.parametrize(("engine", "module"), [("spark", "pyspark.sql"), ("dask", "distributed")])
def test_an_engine_that_is_not_there_is_told(
    folder: Folder, engine: str, module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    main = {"spark": spark.main, "dask": dask.main}[engine]
    assert main([str(folder.path / "in.csv"), "-o", str(folder.path / "a.csv")]) == 1
    assert f"pip install 'txfast[{engine}]'" in capsys.readouterr().err
    assert folder.names() == ["in.csv"]


# ---- The command of an engine --------------------------------------------------------------------


def test_the_command_puts_out_what_txfast_does(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    names = twelve_files(folder)
    monkeypatch.chdir(folder.path)
    expected = by_command(folder, *names)
    outputs = ("-o", "a.csv", "--rejects", "r.csv", "--stats", "s.json")
    assert run_command(*names, *outputs) == 0
    assert folder.read("a.csv") == expected.accounts
    assert folder.read("r.csv") == expected.rejects
    assert json.loads(folder.read("s.json"))["rejected"] == expected.stats["rejected"]
    for suffix in ("jsonl", "parquet"):
        assert run_command(*names, "-o", "a.parquet", "--rejects", f"r.{suffix}") == 0
        folder.run("-q", *names, "-o", "b.parquet", "--rejects", f"q.{suffix}")
    assert folder.read("r.jsonl") == folder.read("q.jsonl")
    assert parquet.read_table("r.parquet").equals(parquet.read_table("q.parquet"))
    assert folder.read("a.parquet") == folder.read("b.parquet")


def test_a_command_that_fails_leaves_what_was_there(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.path)
    folder.write("a.csv", b"old")
    folder.write("r.csv", b"old")

    def failing(*_: object) -> Any:
        raise ClusterError("shard 1 was lost")

    assert run_command("in.csv", "-o", "a.csv", "--rejects", "r.csv", engine=failing) == 1
    assert run_command("missing.csv", "-o", "a.csv") == 1
    fail_renames(monkeypatch, "a.csv")
    assert run_command("in.csv", "-o", "a.csv", "--rejects", "r.csv") == 1
    assert (folder.read("a.csv"), folder.read("r.csv")) == (b"old", b"old")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "error: shard 1 was lost"
    assert "missing.csv: cannot be read" in said[1]
    assert sorted(folder.names()) == ["a.csv", "in.csv", "r.csv"]


@pytest.mark.parametrize(
    ("raised", "signal_name"), [(KeyboardInterrupt(), "SIGINT"), (BrokenPipeError(), "SIGPIPE")]
)
def test_signals_end_a_command(
    folder: Folder, raised: BaseException, signal_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def end_by_signal(name: str) -> int:
        ended.append(name)
        return 130

    monkeypatch.setattr(command, "end_by_signal", end_by_signal)

    def interrupted(*_: object) -> Any:
        raise raised

    assert run_command(str(folder.path / "in.csv"), engine=interrupted) == 130
    assert ended == [signal_name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shards", "0"], "no number of shards"), (["--range-size", "0KiB"], "is no size"),
        (["--range-size", "many"], "is no size"), (["--memory-limit", "1KiB"], "too little"),
        (["-o", "x/"], "names a folder"), (["--rejects", "r.txt"], "must end in"),
        (["--output-format", "xml"], "invalid choice"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_told(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.make_parser("dask").parse_args(["in.csv", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_sizes_of_ranges_have_units() -> None:
    sizes = {"1": 1, "2KiB": 2048, "3mib": 3 << 20, "1GiB": 1 << 30}
    assert {text: command.range_size(text) for text in sizes} == sizes
