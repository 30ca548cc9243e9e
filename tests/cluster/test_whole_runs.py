"""A run whose tasks are called one after the other gives the same as the command on one machine."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import replays, strategies
from tests.support.command import Folder
from tests.support.engines import PlainJob, run_ranges
from tests.support.notes import NOTE_HEADER, notes_file, raw_rows
from tests.support.outputs import assert_alike, by_command, rejects_of, twelve_files
from tests.support.reference import HEADER
from tests.support.replays import though_all_malformed
from tests.support.small_memory import small_reducers
from tests.support.tables import ROWS, of_texts, write_table
from txfast.cluster.cutting import cut_inputs
from txfast.errors import ClusterError
from txfast.input.source import Source
from txfast.ledger.policy import Policy


@pytest.mark.slow
@pytest.mark.parametrize("range_bytes", [37, 700, 1 << 20])
def test_any_cut_of_twelve_files_gives_the_same_as_the_command(folder: Folder, range_bytes: int) -> None:
    names = twelve_files(folder)
    expected = by_command(folder, *names)
    assert expected.accounts == replays.run_reference([(name, folder.read(name)) for name in names]).accounts
    for shards in (1, 2, 8, 64):
        assert_alike(run_ranges(names, shards, range_bytes), expected)


LINES = [
    b"deposit,1,1,5\n", b"deposit,2,1,5.5\r\n", b"withdrawal,1,2,1\r", b"dispute,1,1\n", b"resolve,1,1\n",
    b"chargeback,1,1,\r\n", b"fee,1,1,1\n", b'deposit,"1",3,1\n', b'deposit,"1,3,1\n', b"deposit,3,1,",
    b"refund,1,1,2\n", b"reversal,1,1,\r\n", b"dispute,1,1,3\n", b"deposit,1,1,5\n", b"dispute,2,1\n",
    b"\n", b"\r", b" ", b"\xef\xbb\xbf", b"9", b'"', b'"\n"', b'"x\r\ndeposit,4,1,1\n"', b'deposit,5,1,"1"\n',
]  # fmt: skip
contents = st.lists(st.sampled_from(LINES), max_size=30).map(b"".join)


rows_of_lives = strategies.policy_streams().map(lambda rows: b"".join(row.line() + b"\n" for row in rows))


@given(
    st.lists(contents | rows_of_lives, min_size=1, max_size=3),
    st.integers(1, 80),
    st.sampled_from([1, 3]),
    st.just("") | strategies.policies(),
)
def test_ranges_of_any_size_give_the_same_as_one_run(
    tmp_path_factory: pytest.TempPathFactory, files: list[bytes], range_bytes: int, shards: int, policy: str
) -> None:
    path = tmp_path_factory.mktemp("files")
    header = b"\xef\xbb\xbf\n type,client,tx,amount\r\n"
    inputs = [(str(path / f"{number}.csv"), header + text) for number, text in enumerate(files)]
    for name, content in inputs:
        Path(name).write_bytes(content)
    found = run_ranges([name for name, _ in inputs], shards, range_bytes, policy=policy)
    expected = replays.run_reference(inputs, policy)
    assert found.accounts == expected.accounts
    assert (found.stats["conserved"], found.stats["policy"]) == (True, dict(Policy(policy)))
    assert rejects_of(found) == [(reject.file, reject.line, reject.reason) for reject in expected.rejects]


def notes(rows: int) -> bytes:
    """A file whose rows have a note of many lines, each of which looks like a row."""
    lines = b"".join(b"deposit,666,%d,1\n" % line for line in range(40))
    return b"type,client,tx,amount,note\n" + b"".join(
        b'deposit,%d,%d,1,"a\n%s"\n' % (row % 7, row, lines[: 17 * (row % 40)]) for row in range(rows)
    )


@pytest.mark.parametrize("range_bytes", [50, 333, 4_000])
def test_rows_of_many_lines_are_read_by_the_range_in_which_they_begin(folder: Folder, range_bytes: int) -> None:
    folder.write("notes.csv", notes(150) + b"fee,1,1,1\n")
    found = run_ranges(["notes.csv"], 2, range_bytes)
    assert_alike(found, by_command(folder, "notes.csv"))
    assert found.accounts == replays.run_reference([("notes.csv", folder.read("notes.csv"))]).accounts


@pytest.mark.parametrize("bytes_back", [1, 1000])
def test_a_range_may_begin_far_inside_a_quoted_field(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, bytes_back: int
) -> None:
    monkeypatch.setattr("txfast.cluster.range_reader.LOOK_BACK_BYTES", bytes_back)
    # In the second, each line ending in quotes may as well be one between rows.
    both_ways = b"note,type,client,tx,amount,note\n" + b"".join(
        b'"\n",deposit,%d,%d,1,"\n"\n' % (row % 7, row) for row in range(150)
    )
    for content in (notes(150), both_ways + notes(20).partition(b"\n")[2] + both_ways):
        folder.write("notes.csv", content)
        assert_alike(run_ranges(["notes.csv"], 2, 333), by_command(folder, "notes.csv"))


@pytest.mark.parametrize("name", ["notes.csv", "notes.csv.gz"])
@pytest.mark.parametrize("range_bytes", [11, 300, 1 << 20])
def test_a_line_inside_quotes_that_looks_like_a_row_is_warned_of_once(
    folder: Folder, range_bytes: int, name: str
) -> None:
    content = NOTE_HEADER + b"\n\ndeposit,1,1,1,x\n" + notes(20).partition(b"\n")[2]
    folder.write(name, gzip.compress(content) if name.endswith("gz") else content)
    folder.write("in.csv", content)
    with though_all_malformed():
        job = PlainJob(cut_inputs([name, "in.csv"], range_bytes), 2)
    warnings: list[str] = []
    job.figures.warn(warnings.append)
    assert [warning.partition(" looks")[0] for warning in warnings] == [f"{name}:8: this line"]


@pytest.mark.parametrize("policy", ["", "dispute-amount=partial"])
@pytest.mark.parametrize("range_bytes", [11, 1 << 20])
def test_amounts_that_do_not_count_and_reversals_of_nothing_are_warned_of_once(
    folder: Folder, range_bytes: int, policy: str
) -> None:
    rows = b"deposit,%d,1,5\ndispute,%d,1,2\nreversal,%d,1\n"
    folder.write("in.csv", HEADER + b"".join(rows.replace(b"%d", b"%d" % client) for client in range(30)))
    warnings: list[str] = []
    PlainJob(cut_inputs(["in.csv"], range_bytes), 3, policy).figures.warn(warnings.append)
    ended = folder.run("in.csv", *(["--policy", policy] if policy else []))
    assert [f"warn: {warning}" for warning in warnings] == ended.error_lines
    assert [warning[:11] for warning in warnings] == (["30 reversal"] if policy else ["30 disputes", "30 reversal"])


@pytest.mark.parametrize("range_bytes", [50, 700, 1 << 20])
def test_rejects_of_rows_of_many_lines_have_their_text(folder: Folder, range_bytes: int) -> None:
    folder.write("notes.csv", notes_file(200, seed=4))
    found = run_ranges(["notes.csv"], 3, range_bytes)
    expected = replays.run_reference([("notes.csv", folder.read("notes.csv"))])
    assert raw_rows(found.rejects) == [(reject.line, reject.reason, reject.row) for reject in expected.rejects]


def test_ranges_that_do_not_fit_together_fail_the_run(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.cluster.range_reader.first_row", lambda _, part: part.start)
    folder.write("notes.csv", notes(150))
    with pytest.raises(ClusterError, match=r"^notes\.csv: the rows at byte \d+ do not follow those before"):
        run_ranges(["notes.csv"], 2, 333)


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zst", "parquet", "arrow"])
def test_a_compressed_file_or_a_table_is_one_range(folder: Folder, suffix: str) -> None:
    name = f"in.{suffix}"
    if suffix.startswith("csv"):
        with pa.CompressedOutputStream(name, "gzip" if suffix.endswith("gz") else "zstd") as file:
            file.write(folder.read("in.csv"))
    else:
        write_table(folder.path / name, of_texts(ROWS, pa.string()))
    parts = cut_inputs([name, "in.csv"], 10)
    assert [part.end is None for part in parts] == [True] + [False] * (len(parts) - 1)
    assert_alike(run_ranges([name, "in.csv"], 2, 10), by_command(folder, name, "in.csv"))


def test_a_shard_that_does_not_fit_in_memory_gives_the_same(folder: Folder) -> None:
    names = twelve_files(folder)
    expected = by_command(folder, *names)
    with small_reducers(3):
        found = run_ranges(names, 2, 500)
    assert_alike(found, expected)
    assert found.stats["spilled_bytes"]


def test_a_line_over_many_ranges_is_searched_twice(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.cluster.range_reader.PROBE_BYTES", 100)
    monkeypatch.setattr("txfast.cluster.range_reader.LOOK_BACK_BYTES", 100)
    folder.write("long.csv", folder.read("in.csv") + b"x" * 20_000 + b"\ndeposit,9,9,9\n")
    bytes_read = 0
    read_at = Source.read_at

    def counted(source: Source, offset: int, count: int) -> bytes:
        nonlocal bytes_read
        bytes_read += count
        return read_at(source, offset, count)

    monkeypatch.setattr(Source, "read_at", counted)
    found = run_ranges(["long.csv"], 2, 200)
    # Rejects included, which need a second reading. If every range searched the whole line, it would be 4,000,000.
    assert bytes_read < 200_000
    assert_alike(found, by_command(folder, "long.csv"))


def test_a_file_of_a_header_alone_is_one_empty_range(folder: Folder) -> None:
    folder.write("none.csv", b"type,client,tx,amount")
    [part] = cut_inputs(["none.csv"])
    assert (part.start, part.end) == (21, 21)
    assert_alike(run_ranges(["none.csv"]), by_command(folder, "none.csv"))


@pytest.mark.parametrize(
    "blanks", [b"\n" * 300_000, b" " * 3_000_000 + b"\r\n", b"\r\n" * 200_000 + b" " * 2_000_000 + b"\n"]
)
def test_a_header_is_found_far_after_the_start(folder: Folder, blanks: bytes) -> None:
    folder.write("far.csv", blanks + folder.read("in.csv"))
    (folder.path / "far.csv.gz").write_bytes(gzip.compress(blanks + folder.read("in.csv"), 1))
    for name in ("far.csv", "far.csv.gz"):
        assert_alike(run_ranges([name], 2, 20), by_command(folder, name))
