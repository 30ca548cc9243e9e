"""What is written as a segment is read again: rows of all forms, in any order of look-ups, by several threads."""

from __future__ import annotations

import errno
import os
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.segments import (
    KEY,
    PAGE_BYTES,
    Kind,
    Table,
    Values,
    make_form,
    many_rows,
    new_path,
    rows_in,
    rows_of,
    sorted_table,
    tables,
    write_run,
    write_segment,
)
from txfast.errors import SourceError
from txfast.store import segment_writer
from txfast.store.run_cursor import RunCursor
from txfast.store.segment import Segment, keep_filters
from txfast.store.segment_form import Form
from txfast.store.segment_writer import RunWriter, SegmentWriter, sync


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all examples of a test."""
    return tmp_path_factory.mktemp("segments")


def arrow_rows(path: str) -> list[Values]:
    """The rows that pyarrow reads, without the values that are not there."""
    import pyarrow as pa

    table = pa.ipc.open_file(path).read_all()
    table.validate(full=True)
    return [tuple(row.values()) for row in table.to_pylist()]


def shown(table: Table, row: Values) -> Values:
    """A row as a file has it."""
    values = row[:-2] if not table.has_details else row
    return tuple(value for value in values if value is not None)


# ---- Writing and reading -------------------------------------------------------------------------


@given(table=tables())
def test_rows_that_are_written_are_read(folder: Path, table: Table) -> None:
    segment = write_segment(folder, table)
    keys = list(table.rows)
    assert rows_in([segment]) == list(table.rows.values())
    assert (segment.rows, segment.first, segment.last) == (len(keys), keys[0][:2], keys[-1][:2])
    assert segment.has_details == table.has_details


@given(table=tables())
def test_other_programs_read_the_same_rows(folder: Path, table: Table) -> None:
    segment = write_segment(folder, table)
    assert arrow_rows(segment.path) == [shown(table, row) for row in table.rows.values()]


@pytest.mark.parametrize("kind", ["accounts", "entries"])
def test_rows_of_many_pages_are_read(folder: Path, kind: Kind) -> None:
    form = make_form(kind)
    table = many_rows(form, 3000)
    segment = write_segment(folder, table)
    assert segment.description["pages"] > 4
    assert rows_in([segment]) == list(table.rows.values())
    assert arrow_rows(segment.path) == [shown(table, row) for row in table.rows.values()]


def test_a_page_of_the_longest_texts_has_few_rows(folder: Path) -> None:
    form = make_form(client=True, tx=True, currencies=True)
    table = sorted_table(
        form,
        True,
        [(b"%d" % (n // 3) + b"c" * 250, b"C" * 12, b"%d" % n + b"t" * 250, n, 0, 1, 0, 0) for n in range(99)],
    )
    segment = write_segment(folder, table)
    assert segment.description["pages"] == 4
    assert rows_in([segment]) == list(table.rows.values())


@pytest.mark.parametrize("columns", [{}, {"client": True, "tx": True}, {"currencies": True}])
def test_a_page_is_as_full_as_it_can_be(folder: Path, columns: dict[str, bool]) -> None:
    form = make_form(**columns)  # type: ignore[arg-type]
    text = b"%d".__mod__ if columns.get("client") else int
    code = b"A" if columns.get("currencies") else None
    rows = [(text(n), code, text(n), n, 0, 0, 0, 0) for n in range(1000)]
    segment = write_segment(folder, sorted_table(form, False, rows))
    assert rows_in([segment]) == list(sorted_table(form, False, rows).rows.values())
    # The 26 bytes of a row, or with texts about 24, fill the pages but for what columns are padded with.
    assert segment.description["pages"] == 2


@given(table=tables(make_form(client=True, tx=True, currencies=True, text_key=bytes(24)), least=2))
def test_ids_with_the_same_hash_are_told_apart(folder: Path, table: Table) -> None:
    rows = [(bytes(8) + b"%d" % n, code, bytes(8) + b"%d" % m, 1, 0, 0, 0, 0)
            for n in range(3) for m in range(40) for code in (b"A", b"A\0", b"B")]  # fmt: skip
    table = sorted_table(table.form, table.has_details, [*table.rows.values(), *rows])
    words = {key[:2] for key in table.rows}
    assert len(words) < len(table.rows) - 300
    segment = write_segment(folder, table)
    assert rows_in([segment]) == list(table.rows.values())
    for row in table.rows.values():
        assert RunCursor([segment]).find_row(row) == row


# ---- Look-ups ------------------------------------------------------------------------------------


@given(data=st.data())
def test_a_cursor_finds_the_first_row_from_a_key_on(folder: Path, data: st.DataObject) -> None:
    table = data.draw(tables())
    others = data.draw(st.lists(rows_of(table.form, table.has_details), max_size=10))
    sought = data.draw(st.lists(st.sampled_from([*table.rows.values(), *others]), max_size=20))
    rows_max = data.draw(st.sampled_from([1, 2, 7, 1000]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(segment_writer, "SEGMENT_ROWS_MAX", rows_max)
        run = write_run(folder, table)
    assert len(run) == -(-len(table.rows) // rows_max)
    assert rows_in(run) == list(table.rows.values())
    check_look_ups(table, RunCursor(run), sought)


def check_look_ups(table: Table, cursor: RunCursor, sought: list[Values]) -> None:
    """Look for these rows in their order, and read on behind some of them."""
    keys, rows = list(table.rows), list(table.rows.values())
    place = 0
    for number, (key, row) in enumerate(sorted((table.form.sort_key(row), row) for row in sought)):
        place = max(place, bisect_left(keys, key))
        assert cursor.find_row(row) == (rows[place] if place < len(rows) else None)
        assert cursor.probe_rows([row]) == [True] or key not in table.rows
        if number % 3 == 2 and place < len(rows):
            place += 1
            assert next(cursor, None) == (rows[place] if place < len(rows) else None)


@pytest.mark.untraced
@pytest.mark.parametrize("step", [1, 2, 50, 999, 5000])
def test_a_cursor_goes_over_many_pages_and_segments(folder: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(segment_writer, "SEGMENT_ROWS_MAX", 4000)
    table = many_rows(make_form(), 20_000)
    run = write_run(folder, table)
    assert len(run) == 5
    rows = list(table.rows.values())
    check_look_ups(table, RunCursor(run), rows[step // 2 :: step])
    # Keys that are not there: each is below the one of the row after it.
    check_look_ups(table, RunCursor(run), [(row[0], None, row[2] + 1, *row[3:]) for row in rows[::step]])


def test_a_cursor_begins_at_a_client(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "SEGMENT_ROWS_MAX", 700)
    table = many_rows(make_form(), 2000)
    run = write_run(folder, table)
    words = [key[0] for key in table.rows]
    cursor = RunCursor(run, drops_read=True)
    for word in [words[1500], words[3], words[3] + 1, 0, words[-1], words[-1] + 1]:
        cursor.begin_at(word)
        assert list(cursor) == [row for key, row in table.rows.items() if key[0] >= word]


@pytest.mark.untraced
def test_what_was_read_is_told_to_the_system(folder: Path) -> None:
    table = many_rows(make_form(), 60_000)
    assert list(RunCursor([write_segment(folder, table)], drops_read=True)) == list(table.rows.values())


def test_a_run_without_segments_has_no_rows() -> None:
    row = (1, None, 1, 0, 0, 0, 0, 0)
    cursor = RunCursor([])
    cursor.begin_at(5)
    assert list(cursor) == []
    assert cursor.find_row(row) is None
    assert cursor.probe_rows([row]) == [False]


@pytest.mark.parametrize("kept_bytes", [0, 1 << 20])
@pytest.mark.parametrize("at_once", [1, 2, 500])
def test_filters_tell_of_most_keys_that_they_are_not_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kept_bytes: int, at_once: int
) -> None:
    monkeypatch.setattr(segment_writer, "SEGMENT_ROWS_MAX", 40_000)
    table = many_rows(make_form(), 50_000)
    cursor = RunCursor(write_run(folder, table))  # the filter of the first segment has five pages
    keep_filters(kept_bytes)
    try:
        rows = list(table.rows.values())[::100]
        absent = [(row[0], None, row[2] + 1, *row[3:]) for row in rows]
        for first in range(0, len(rows), at_once):
            asked = rows[first : first + at_once]
            assert cursor.probe_rows(asked) == [True] * len(asked)
            mixed = [row for pair in zip(asked, absent[first : first + at_once], strict=True) for row in pair]
            found = cursor.probe_rows(mixed)
            assert all(found[::2])
            assert sum(found[1::2]) <= len(asked) // 100 + 1
    finally:
        keep_filters(1 << 28)
    above = (1, None, 1 << 50, 0, 0, 0, 0, 0)  # above all transactions
    assert cursor.probe_rows([above]) == [False]


@pytest.mark.untraced
def test_threads_read_a_segment_at_once(folder: Path) -> None:
    table = many_rows(make_form(), 20_000)
    segment = write_segment(folder, table)
    rows = list(table.rows.values())
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: rows_in([segment]), range(16)):
            assert found == rows


def test_a_segment_without_a_name_is_read_once_it_is_open(folder: Path) -> None:
    table = many_rows(make_form(), 10)
    segment = write_segment(folder, table)
    segment.open()
    os.unlink(segment.path)
    assert rows_in([segment]) == list(table.rows.values())
    segment.close()
    with pytest.raises(SourceError, match=r"\.arrow: cannot be read: No such file or directory"):
        rows_in([segment])


# ---- What cannot be written ----------------------------------------------------------------------


def test_rows_out_of_order_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = many_rows(make_form(), 2000)
    first, *rows = table.rows.values()
    for before in (rows[0], rows[3], rows[-1]):
        writer = SegmentWriter(new_path(folder), table.form, 1)
        writer.add_row(before)
        with pytest.raises(ValueError, match="no greater key"):
            writer.add_row(first)
    monkeypatch.setattr(segment_writer, "SEGMENT_ROWS_MAX", 1)
    run = RunWriter("entries", lambda _, __: new_path(folder), table.form)
    run.add_row(rows[0])
    with pytest.raises(ValueError, match="no greater key"):
        run.add_row(rows[0])


def test_a_segment_that_is_not_finished_leaves_no_file(folder: Path) -> None:
    path = new_path(folder)
    writer = SegmentWriter(path, make_form(), 1)
    with pytest.raises(ValueError, match="without rows"):
        writer.finish()
    assert os.path.exists(path)
    del writer
    assert not os.path.exists(path)


def test_a_segment_is_finished_once(folder: Path) -> None:
    writer = SegmentWriter(new_path(folder), make_form(), 1)
    writer.add_row((1, None, 1, 0, 0, 0, 0, 0))
    writer.finish()
    with pytest.raises(ValueError, match="is finished"):
        writer.finish()


def test_a_file_that_cannot_be_written_is_named(folder: Path) -> None:
    path = new_path(folder)
    Path(path).write_bytes(b"mine")
    with pytest.raises(SourceError, match=r"\.arrow: cannot be written: File exists"):
        SegmentWriter(path, make_form(), 1)
    assert Path(path).read_bytes() == b"mine"
    with pytest.raises(SourceError, match="No such file or directory"):
        sync(new_path(folder))


def test_a_full_disk_is_named(folder: Path) -> None:
    import resource
    import signal

    path = new_path(folder)
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE_BYTES + 100, limits[1]))
    try:
        writer = SegmentWriter(path, make_form(), 1)
        writer.add_row((1, None, 1, 0, 0, 0, 0, 0))
        with pytest.raises(SourceError, match=rf"{os.strerror(errno.EFBIG)}"):
            writer.finish()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    del writer
    assert not os.path.exists(path)


@pytest.mark.parametrize("row", [
    (1, None, b"", 0, 0, 0, 0, 0), (1, None, b"x" * 256, 0, 0, 0, 0, 0), (1, b"", b"x", 0, 0, 0, 0, 0),
    (1, None, 1, 0, 0, 0, 0, 0), (-1, None, b"x", 0, 0, 0, 0, 0), (1, b"EUR", b"x", 0, 0, 0, 0),
    (1, None, b"x", 0, 0, 0, 0, 0), (1, b"A", "x", 0, 0, 0, 0, 0), (1, b"x" * 13, b"x", 0, 0, 0, 0, 0),
])  # fmt: skip
def test_values_that_no_row_has_are_refused(folder: Path, row: Values) -> None:
    writer = SegmentWriter(new_path(folder), make_form(tx=True, currencies=True), 1)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        writer.add_row(row)


def test_a_form_is_of_a_kind_and_has_a_key() -> None:
    with pytest.raises(ValueError, match="no segments of payments"):
        Form("payments", None, KEY)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a key of 31 bytes"):
        Form("entries", None, KEY[1:])


def test_descriptions_are_values_for_json(folder: Path) -> None:
    import json

    segment = write_segment(folder, many_rows(make_form(), 1000))
    again = Segment(segment.path, json.loads(json.dumps(segment.description)), make_form())
    assert rows_in([again]) == rows_in([segment])
