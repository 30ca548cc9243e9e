"""The work of a cluster without one: inputs cut into ranges, mapped, reduced and reported, held to the command."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
import pytest
from command import Folder
from hypothesis import given
from hypothesis import strategies as st

from txfast.cluster.blocks import (
    PIECE, Piece, Range, Report, Run, Statuses, Summary, cut_inputs, find_header, line_start, map_block, reduce_shard,
)  # fmt: skip
from txfast.cluster.job import Figures, MergedAccounts, reject_blobs
from txfast.errors import ClusterError, InputError, SourceError
from txfast.pipeline import Replay
from txfast.read.source import open_source
from txfast.state import spill
from txfast.write.accounts import csv_blocks
from txfast.write.reject_text import RejectText


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def read(folder: Folder, name: str) -> bytes:
    return (folder.path / name).read_bytes()


class Outcome:
    """What a run over ranges gave."""

    def __init__(self, accounts: bytes, rejects: bytes, stats: dict[str, object]) -> None:
        self.accounts = accounts
        self.rejects = rejects
        self.stats = stats


def pieces_of(parts: Sequence[Range], shards: int) -> tuple[list[list[Piece]], list[Report]]:
    """All pieces, by shard, in the order in which a cluster has to give them; and the reports."""
    pieces: list[list[Piece]] = [[] for _ in range(shards)]
    reports = []
    for part in parts:
        for item in map_block(part, shards):
            if isinstance(item, Report):
                reports.append(item)
            else:
                pieces[item.shard].append(item)
    return pieces, reports


def run(names: Sequence[str | Path], shards: int = 3, range_bytes: int = 50, memory_limit: int | None = None) -> Outcome:
    """Do all the work in this process."""
    parts = cut_inputs([str(name) for name in names], range_bytes)
    pieces, reports = pieces_of(parts, shards)
    figures = Figures(parts, shards)
    accounts = MergedAccounts(shards, None)
    statuses: dict[int, list[Statuses]] = {}
    for report in reports:
        figures.add(report)
    for shard in range(shards):
        contents = [piece.content for piece in pieces[shard]]
        for item in reduce_shard(
            contents, len(parts), shard, shards, keep_statuses=True, memory_limit=memory_limit
        ):
            if isinstance(item, Run):
                accounts.add(item)
            elif isinstance(item, Statuses):
                statuses.setdefault(item.range, []).append(item)
            else:
                figures.add(item)
    figures.check()
    rejects = bytearray(RejectText("csv").rest())
    for part, first_line in zip(parts, figures.first_lines(), strict=True):
        for blob in reject_blobs(part, first_line, shards, statuses.get(part.number, []), "csv"):
            rejects += blob
    text = b"".join(map(bytes, csv_blocks(accounts)))
    accounts.close()
    return Outcome(text, bytes(rejects), figures.stats(1.0))


def by_command(folder: Folder, *names: str) -> Outcome:
    """The same from the command."""
    import json

    ran = folder.run("-q", *names, "--rejects", "rejects.csv", "--stats", "stats.json", "-o", "accounts.csv")
    assert ran.exit_code == 0, ran.error
    return Outcome(
        read(folder, "accounts.csv"), read(folder, "rejects.csv"), json.loads(read(folder, "stats.json"))
    )


def assert_alike(found: Outcome, expected: Outcome) -> None:
    assert found.accounts == expected.accounts
    assert found.rejects == expected.rejects
    for name in ("inputs", "rows", "applied", "malformed", "rejected", "accounts", "locked_accounts", "available"):
        assert found.stats[name] == expected.stats[name], name
    for name in ("held", "total", "conserved"):
        assert found.stats[name] == expected.stats[name], name


def twelve_files(folder: Folder) -> list[str]:
    """Files of a few hundred rows with all line endings, headers of their own, and rows of every sort."""
    chance = random.Random(7)
    names = []
    for number in range(12):
        ending = (b"\n", b"\r\n", b"\r")[number % 3]
        lines = [b"", b"  "] * (number % 2) + [b"type,client,tx,amount" if number % 4 else b"note,amount,tx,client,type"]
        for _ in range(chance.randrange(1, 120)):
            client, tx = chance.randrange(1, 30), chance.randrange(1, 60)
            kind = chance.choice([b"deposit", b"withdrawal", b"dispute", b"resolve", b"chargeback", b"deposit", b"fee"])
            amount = b"%d.%d" % (chance.randrange(100), chance.randrange(10**chance.randrange(1, 6)))
            fields = [kind, b"%d" % client, b"%d" % tx, amount]
            lines.append(b",".join(fields if number % 4 else [b'"a, b"', *fields[::-1]]))
            if chance.random() < 0.1:
                lines.append(chance.choice([b"", b"   ", b'"', b"deposit", b"x" * 300]))
        content = ending.join(lines) + (ending if number % 5 else b"")
        names.append(folder.write(f"{number}.csv", content).name)
    return names


# ---- As the command ------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 2, 8, 64])
@pytest.mark.parametrize("range_bytes", [37, 700, 1 << 20])
def test_twelve_files_give_what_the_command_gives(
    folder: Folder, shards: int, range_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = twelve_files(folder)
    monkeypatch.chdir(folder.path)
    found = run(names, shards, range_bytes)
    assert_alike(found, by_command(folder, *names))
    outcome = harness.run_reference([(name, read(folder, name)) for name in names])
    assert found.accounts == outcome.accounts


LINES = [
    b"deposit,1,1,5\n", b"deposit,2,1,5.5\r\n", b"withdrawal,1,2,1\r", b"dispute,1,1\n", b"resolve,1,1\n", b"\n", b"\r", b" ",
    b"chargeback,1,1,\r\n", b"fee,1,1,1\n", b'deposit,"1",3,1\n', b'deposit,"1,3,1\n', b"deposit,3,1,", b"\xef\xbb\xbf", b"9",
]  # fmt: skip
contents = st.lists(st.sampled_from(LINES), max_size=30).map(b"".join)


@given(st.lists(contents, min_size=1, max_size=3), st.integers(1, 80), st.sampled_from([1, 3]))
def test_ranges_of_any_size_give_what_one_run_gives(
    tmp_path_factory: pytest.TempPathFactory, files: list[bytes], range_bytes: int, shards: int
) -> None:
    path = tmp_path_factory.mktemp("files")
    inputs = [(str(path / f"{n}.csv"), b"\xef\xbb\xbf\n type,client,tx,amount\r\n" + text) for n, text in enumerate(files)]
    for name, content in inputs:
        Path(name).write_bytes(content)
    found = run([name for name, _ in inputs], shards, range_bytes)
    expected = harness.run_reference(inputs)
    assert found.accounts == expected.accounts
    lines = found.rejects.count(b"\n") - 1
    assert lines == len(expected.rejects)


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zst", "parquet", "arrow"])
def test_what_cannot_be_cut_is_one_range(folder: Folder, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    from test_table import ROWS, of_texts, write_table

    monkeypatch.chdir(folder.path)
    name = f"in.{suffix}"
    if suffix.startswith("csv"):
        with pa.CompressedOutputStream(name, "gzip" if suffix.endswith("gz") else "zstd") as file:
            file.write(read(folder, "in.csv"))
    else:
        write_table(folder.path / name, of_texts(ROWS, pa.string()))
    parts = cut_inputs([name, "in.csv"], 10)
    assert [part.end is None for part in parts] == [True] + [False] * (len(parts) - 1)
    assert_alike(run([name, "in.csv"], 2, 10), by_command(folder, name, "in.csv"))


def test_a_shard_that_does_not_fit_in_memory_gives_the_same(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_spill import small_limits

    def small_replay(**options: Any) -> Replay:
        replay = Replay(**options | {"memory_limit": 1 << 30})
        replay._ledger_limit = 3
        replay._settling_limit = 3 + spill.SETTLING_BYTES
        return replay

    names = twelve_files(folder)
    monkeypatch.chdir(folder.path)
    monkeypatch.setattr("txfast.cluster.blocks.Replay", small_replay)
    expected = by_command(folder, *names)
    with small_limits(3):
        found = run(names, 2, 500)
    assert_alike(found, expected)
    assert found.stats["spilled_bytes"]


# ---- Where lines begin ---------------------------------------------------------------------------


@pytest.mark.parametrize("probe_bytes", [1, 2, 3, 1000])
def test_lines_begin_behind_any_ending(tmp_path: Path, probe_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.cluster.blocks.PROBE_BYTES", probe_bytes)
    path = tmp_path / "in.csv"
    content = b"a\nbb\r\nc\rd\r\r\n\n\ne\n\rf"
    path.write_bytes(content)
    starts = [0, 2, 6, 8, 10, 12, 13, 14, 16, 17, len(content)]
    source = open_source(str(path))
    found = [line_start(source, offset) for offset in range(len(content) + 1)]
    assert found == [min(start for start in starts if start >= offset) for offset in range(len(content) + 1)]
    source.close()


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
    assert_alike(run(["none.csv"]), by_command(folder, "none.csv"))


def test_what_is_no_transactions_file_is_told_when_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match="in.csv"):
        cut_inputs([str(path)])
    with pytest.raises(SourceError, match="missing.csv"):
        cut_inputs([str(tmp_path / "missing.csv")])
    with pytest.raises(ValueError, match="ranges of 0 bytes"):
        cut_inputs([str(path)], 0)


def test_a_file_that_changes_its_size_is_refused(folder: Folder) -> None:
    [part] = cut_inputs([str(folder.path / "in.csv")])
    folder.write("in.csv", read(folder, "in.csv") + b"deposit,1,99,1\n")
    with pytest.raises(InputError, match=r"in\.csv: was changed"):
        list(map_block(part, 1))
    with pytest.raises(InputError, match=r"in\.csv: was changed"):
        list(reject_blobs(part, 1, 1, [], "csv"))


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
        for each in [*reports, *summaries]:
            found.add(each)
        found.check()
        return found

    figures(reports, [summary])
    for wrong, summaries in ((reports[1:], [summary]), (reports, []), ([*reports, reports[0]], [summary])):
        with pytest.raises(ClusterError):
            figures(wrong, summaries)
    fewer = Summary(0, (0,) * len(summary.counts), 0, 0, 0, 0, 0)
    with pytest.raises(ClusterError, match="were settled"):
        figures(reports, [fewer])
    with pytest.raises(ClusterError, match="twice"):
        figures(reports, [summary, summary])


def test_accounts_must_come_in_their_order() -> None:
    accounts = MergedAccounts(1, None)
    with pytest.raises(ClusterError, match="accounts 1 of shard 0"):
        accounts.add(Run(0, 1, b""))
    accounts.close()


def test_statuses_that_do_not_fit_are_refused(folder: Folder) -> None:
    import zlib

    [part] = cut_inputs([str(folder.path / "in.csv")])
    for content in (b"\1", b"\1" * 1000):
        with pytest.raises(InputError, match="was changed"):
            list(reject_blobs(part, 1, 1, [Statuses(0, 0, zlib.compress(content))], "csv"))
    for wrong in ([Statuses(0, 1, b"")], [Statuses(0, 0, zlib.compress(b""))] * 2):
        with pytest.raises(ClusterError, match="range 0"):
            list(reject_blobs(part, 1, 1, wrong, "csv"))
