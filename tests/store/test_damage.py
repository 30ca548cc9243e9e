"""Nothing in a segment is trusted: damage is a StateError that names the file and the page, or changes no row."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.segments import (
    GAP_BYTES,
    PAGE_BYTES,
    Forged,
    Kind,
    Table,
    forms,
    hash_page,
    make_form,
    many_rows,
    page_start,
    rows_in,
    sorted_table,
    tables,
    write_run,
    write_segment,
)
from txfast.errors import SourceError, StateError
from txfast.store import segment_writer
from txfast.store.run_cursor import RunCursor
from txfast.store.segment import DAMAGES, Segment
from txfast.store.segment_form import Form

pytestmark = pytest.mark.unmeasured

DAMAGED = re.compile(r"\.arrow: is damaged: (it|its index|page \d+|page \d+ of its filter) ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all examples of a test."""
    return tmp_path_factory.mktemp("damage")


def small_table() -> Table:
    """Rows of two pages, with texts."""
    form = make_form(client=True, tx=True, currencies=True)
    rows = [(b"client %d" % (n // 2), b"EUR", b"%d" % n * 80, n, n & 1, 0, 0, 0) for n in range(90)]
    return sorted_table(form, False, rows)


def look(segment: Segment, table: Table) -> list[Any]:
    """What there is to read: all rows, and whether a row may be there."""
    again = Segment(segment.path, segment.description, table.form)
    try:
        rows = list(table.rows.values())
        return [rows_in([again]), RunCursor([again]).probe_rows(rows[:1]), RunCursor([again]).find_row(rows[-1])]
    finally:
        again.close()


def is_noticed(segment: Segment, table: Table, expected: list[Any]) -> bool:
    """Whether damage is noticed; what is read is right otherwise."""
    try:
        found = look(segment, table)
    except StateError as error:
        return DAMAGED.search(str(error)) is not None
    assert found == expected
    return False


# ---- Changed bytes -------------------------------------------------------------------------------


@pytest.mark.untraced
def test_every_byte_that_is_changed_is_noticed_or_not_read(folder: Path) -> None:
    table = small_table()
    segment = write_segment(folder, table)
    expected = look(segment, table)
    content = Path(segment.path).read_bytes()
    pages = segment.description["pages"]
    assert pages == 2
    end_of_pages = page_start(pages)
    index_end = Forged(segment, table.form).index + Forged(segment, table.form).index_bytes
    with open(segment.path, "r+b", buffering=0) as file:
        for place, byte in enumerate(content):
            os.pwrite(file.fileno(), bytes([byte ^ 1 << place % 8]), place)
            is_read = page_start(0) <= place < end_of_pages or end_of_pages + GAP_BYTES <= place < index_end
            assert is_noticed(segment, table, expected) == is_read, place
            os.pwrite(file.fileno(), bytes([byte]), place)
    assert look(segment, table) == expected


@pytest.mark.untraced
def test_every_cut_is_noticed_or_not_read(folder: Path) -> None:
    table = small_table()
    segment = write_segment(folder, table)
    expected = look(segment, table)
    forged = Forged(segment, table.form)
    for size in range(len(forged.content) - 1, -1, -1):
        os.truncate(segment.path, size)
        assert is_noticed(segment, table, expected) == (size < forged.index + forged.index_bytes)


def test_a_file_that_is_cut_while_it_is_open_is_noticed(folder: Path) -> None:
    table = small_table()
    segment = write_segment(folder, table)
    segment.open()
    os.truncate(segment.path, Forged(segment, table.form).index + 8)
    with pytest.raises(StateError, match="its index is cut off"):
        rows_in([segment])
    segment = write_segment(folder, table)
    cursor = RunCursor([segment])
    next(cursor)
    os.truncate(segment.path, page_start(1) + 5)
    with pytest.raises(StateError, match="page 2 is cut off"):
        list(cursor)
    with pytest.raises(StateError, match="page 1 of its filter is cut off"):
        cursor.probe_rows([next(iter(table.rows.values()))])


def test_a_page_in_the_place_of_another_is_noticed(folder: Path) -> None:
    table = many_rows(make_form(), 2000)
    one, other = write_segment(folder, table, number=1), write_segment(folder, table, number=2)
    content = bytearray(Path(one.path).read_bytes())
    page = slice(page_start(0), page_start(1))
    following = slice(page_start(1), page_start(2))
    for changed in (Path(other.path).read_bytes()[page], bytes(content[following])):
        swapped = content.copy()
        swapped[page] = changed
        assert changed[:300] == content[page][:300] or changed != content[page]
        Path(one.path).write_bytes(swapped)
        if changed != content[page]:
            with pytest.raises(StateError, match="page 1 does not have its hash"):
                rows_in([Segment(one.path, one.description, table.form)])
    # The same rows have other hashes in the index of another segment.
    Path(one.path).write_bytes(Path(other.path).read_bytes())
    with pytest.raises(StateError, match="its index does not have its hash"):
        rows_in([Segment(one.path, one.description, table.form)])


@pytest.mark.untraced
def test_each_page_of_a_filter_is_checked(folder: Path) -> None:
    table = many_rows(make_form(), 50_000)
    segment = write_segment(folder, table)
    forged = Forged(segment, table.form)
    assert forged.filter_pages == 7
    for page in range(forged.filter_pages):
        content = forged.content.copy()
        content[forged.filter + page * PAGE_BYTES + 9] ^= 4
        Path(segment.path).write_bytes(content)
        damaged = Segment(segment.path, segment.description, table.form)
        found = set()
        for row in list(table.rows.values())[::400]:
            try:
                RunCursor([damaged]).probe_rows([row])
            except StateError as error:
                found.add(str(error))
        message = f"{segment.path}: is damaged: page {page + 1} of its filter does not have its hash"
        assert found == {message}
        with pytest.raises(StateError, match=re.escape(message)):  # the whole filter is read
            RunCursor([damaged]).probe_rows(list(table.rows.values())[::400])


# ---- Good hashes of bad content ------------------------------------------------------------------


def test_the_hash_of_a_page_is_the_one_that_is_documented(folder: Path) -> None:
    table = many_rows(make_form(), 1000)
    forged = Forged(write_segment(folder, table), table.form)
    for page in range(forged.pages):
        content = forged.content[page_start(page) : page_start(page + 1)]
        assert forged.fence(page)[3] == hash_page(content, 7, page)
    before = dict(forged.description)
    assert rows_in([forged.written()]) == list(table.rows.values())
    assert forged.description == before


def forged_rows(folder: Path, form: Form, rows: int = 40) -> Forged:
    table = many_rows(form, rows)
    return Forged(write_segment(folder, table), form)


def refused(forged: Forged, message: str) -> None:
    with pytest.raises(StateError, match=rf"\.arrow: is damaged: {message}$"):
        rows_in([forged.written()])


def columns_start(content: bytearray) -> int:
    """Where the columns of the first page are: behind its message."""
    start = page_start(0)
    return start + int.from_bytes(content[start + 4 : start + 8], "little") + 8


HEADER_BYTES = 384
ROWS = 40
# Of 40 rows, without what columns are padded with: none needs any.
CLIENTS = page_start(0) + HEADER_BYTES
SECOND, THIRD, FOURTH, FIFTH = (CLIENTS + ROWS * 8 * column for column in range(1, 5))


@pytest.mark.parametrize(("kind", "place", "content"), [
    ("entries", FOURTH, b"\2"),  # kind
    ("entries", FOURTH + 39, b"\xff"),
    ("entries", FOURTH + 40, b"\5"),  # state
    ("entries", FOURTH + 79, b"\x0a"),
    ("entries", FOURTH + 79, b"\x10"),
    ("entries", THIRD + 8 * 7, struct.pack("<q", -1)),  # amount
    ("accounts", FIFTH, b"\2"),  # flags
    ("accounts", FIFTH + 39, b"\x80"),
    ("accounts", SECOND, struct.pack("<q", (1 << 63) - 1) * 80),  # available and held
])  # fmt: skip
def test_a_value_that_no_row_has_is_refused(folder: Path, kind: Kind, place: int, content: bytes) -> None:
    forged = forged_rows(folder, make_form(kind))
    forged.content[place : place + len(content)] = content
    refused(forged, "page 1 has a value that no row has")


@pytest.mark.parametrize("details", [(-1, 0), (0, -1), (8, 0), (0, 8), (5, 3), (1 << 62, 1 << 62)])
def test_details_that_no_entry_has_are_refused(folder: Path, details: tuple[int, int]) -> None:
    form = make_form()
    rows = [(1, None, 1, 7, 0, 1, *details), (1, None, 2, 7, 0, 1, 3, 4)]
    segment = write_segment(folder, sorted_table(form, True, rows))
    with pytest.raises(StateError, match="page 1 has a value that no row has"):
        rows_in([segment])
    assert rows_in([write_segment(folder, sorted_table(form, True, rows[1:]))]) == rows[1:]


def test_rows_out_of_order_are_refused(folder: Path) -> None:
    ordered = "has keys that are out of order"
    forged = forged_rows(folder, make_form())
    forged.content[SECOND : SECOND + 8] = struct.pack("<Q", 5)  # of a client with three more
    refused(forged, f"page 1 {ordered}")
    forged.content[SECOND : SECOND + 16] = forged.content[SECOND + 8 : SECOND + 16] * 2  # the same row twice
    refused(forged, f"page 1 {ordered}")
    forged = forged_rows(folder, make_form(), 1500)
    one, other = forged.fence(0), forged.fence(1)
    forged.set_fence(1, [*one[:2], *other[2:]])
    refused(forged, f"page 1 {ordered}")
    forged.set_fence(0, [other[0] + 1, *one[1:]])
    forged.set_fence(1, other)
    refused(forged, f"its index {ordered}")
    forged = forged_rows(folder, make_form(), 1500)
    # Pages that do not begin where the index says, and a last one that does not end where the description says.
    one, other = forged.fence(0), forged.fence(1)
    forged.set_fence(1, [other[0], other[1] + 1, *other[2:]])
    refused(forged, f"page 2 {ordered}")
    forged.set_fence(1, other)
    forged.description["last"] = [(1 << 64) - 1, 0]
    refused(forged, f"page 3 {ordered}")
    forged.description["first"] = [0, 1]
    refused(forged, f"its index {ordered}")


def test_the_same_words_and_ids_out_of_order_are_refused(folder: Path) -> None:
    form = make_form(currencies=True)
    rows = [(1, code, 1, 5, 0, 0, 0, 0) for code in (b"A", b"B", b"C")]
    forged = Forged(write_segment(folder, sorted_table(form, False, rows)), form)
    place = forged.content.index(b"ABC")
    for codes in (b"BAC", b"AAC", b"ACB"):
        forged.content[place : place + 3] = codes
        refused(forged, "page 1 has keys that are out of order")
    forged.content[place : place + 3] = b"XYZ"
    assert [row[1] for row in rows_in([forged.written()])] == [b"X", b"Y", b"Z"]


@pytest.mark.parametrize("rows", [0, 1, 41, 615, 1 << 20, (1 << 64) - 1, 1 << 32])
def test_numbers_of_rows_that_a_page_does_not_have_are_refused(folder: Path, rows: int) -> None:
    forged = forged_rows(folder, make_form())
    forged.set_fence(0, [*forged.fence(0)[:2], rows, 0])
    refused(forged, "its index has other rows than it should")
    if 0 < rows < 1 << 20:
        forged.description["rows"] = rows
        with pytest.raises(StateError, match="is damaged"):
            rows_in([forged.written()])


@pytest.mark.parametrize("offsets", [
    [1, 3, 6], [0, 0, 6], [0, 3, 3], [0, 3, 2], [0, 256, 260], [0, 3, 16384], [0, 3, -1], [0, -5, 6], [-4, 3, 6],
    [0, (1 << 31) - 1, -(1 << 31)], [0, 3, (1 << 31) - 1], [-(1 << 31), 3, 6],
])  # fmt: skip
def test_texts_outside_of_their_column_are_refused(folder: Path, offsets: list[int]) -> None:
    form = make_form(client=True, tx=True)
    table = sorted_table(form, False, [(b"abc", None, b"1", 1, 0, 0, 0, 0), (b"def", None, b"2", 1, 0, 0, 0, 0)])
    forged = Forged(write_segment(folder, table), form)
    start = columns_start(forged.content)
    assert struct.unpack_from("<3i", forged.content, start) == (0, 3, 6)
    struct.pack_into("<3i", forged.content, start, *offsets)
    with pytest.raises(StateError, match="page 1 has columns beyond its end"):
        rows_in([forged.written()])


@pytest.mark.parametrize(("text_bytes", "rows"), [(14_000, 500), (9_000, 500), (15_900, 20)])
def test_columns_beyond_the_end_of_their_page_are_refused(folder: Path, text_bytes: int, rows: int) -> None:
    form = make_form(client=True, tx=True)
    table = sorted_table(form, False, [(b"abc", None, b"%d" % n, 1, 0, 0, 0, 0) for n in range(rows)])
    forged = Forged(write_segment(folder, table), form)
    assert forged.pages == 1
    start = columns_start(forged.content)
    struct.pack_into("<i", forged.content, start + 4 * rows, text_bytes)
    refused(forged, "page 1 has columns beyond its end")


@given(data=st.data())
def test_any_bytes_in_a_page_with_good_hashes_do_no_harm(folder: Path, data: st.DataObject) -> None:
    table = data.draw(tables())
    forged = Forged(write_segment(folder, table), table.form)
    body = columns_start(forged.content)
    changes = st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=9))
    for place, content in data.draw(st.lists(changes, min_size=1, max_size=4)):
        forged.content[body + place : body + place + len(content)] = content
    if data.draw(st.booleans()):
        forged.set_fence(0, [*forged.fence(0)[:2], data.draw(st.integers(0, 700)), 0])
    segment = forged.written()
    try:
        rows = rows_in([segment])
        RunCursor([segment]).find_row(next(iter(table.rows.values())))
    except StateError:
        return
    keys = [table.form.sort_key(row) for row in rows]
    assert keys == sorted(set(keys))


# ---- Descriptions and runs -----------------------------------------------------------------------


@given(form=forms(), data=st.data())
def test_a_description_that_no_segment_has_is_refused(folder: Path, form: Form, data: st.DataObject) -> None:
    table = data.draw(tables(form))
    segment = write_segment(folder, table)
    expected = rows_in([segment])
    name = data.draw(st.sampled_from(sorted(segment.description)))
    odd: st.SearchStrategy[object] = st.sampled_from(
        [None, -1, 1 << 64, 0, 1, (1 << 64) - 1, True, "1", 1.0, [], [1], [1, -1], [1, 2], [1, 2, 3], {}]
    )
    changed = {**segment.description, name: data.draw(odd)}
    if data.draw(st.booleans()):
        del changed[name]
    try:
        found = rows_in([Segment(segment.path, changed, form)])
    except StateError:
        return
    assert found == expected
    # These matter for look-ups alone, where they exclude keys, or are what was written.
    assert changed == segment.description or name in ("tx_min", "tx_max")


@pytest.mark.parametrize(
    "name", ["rows", "pages", "number", "first", "last", "tx_min", "tx_max", "has_details", "index_hash"]
)
def test_a_description_says_all_that_a_segment_has(folder: Path, name: str) -> None:
    segment = write_segment(folder, many_rows(make_form(), 9))
    description = {key: value for key, value in segment.description.items() if key != name}
    with pytest.raises(StateError, match=rf"is damaged: its {name} is not what it should be"):
        Segment(segment.path, description, make_form())


def test_sizes_that_no_file_has_take_no_memory(folder: Path) -> None:
    segment = write_segment(folder, many_rows(make_form(), 9))
    for rows, pages in ((1 << 39, 1), (1 << 39, 1 << 39), (9, 9)):
        with pytest.raises(StateError, match=r"it is cut off|its index"):
            rows_in([Segment(segment.path, {**segment.description, "rows": rows, "pages": pages}, make_form())])
    with pytest.raises(StateError, match="its rows is not"):
        Segment(segment.path, {**segment.description, "rows": 1 << 60}, make_form())


def test_segments_of_a_run_that_overlap_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "SEGMENT_ROWS_MAX", 10)
    one, other, third = write_run(folder, many_rows(make_form(), 30))
    for run in ([other, one], [one, one], [one, third, other]):
        with pytest.raises(StateError, match="it begins before the end of the one before"):
            RunCursor(run)
    assert len(rows_in([one, third])) == 20


def test_a_file_that_is_missing_or_a_folder_is_named(folder: Path) -> None:
    description = write_segment(folder, many_rows(make_form(), 9)).description
    with pytest.raises(SourceError, match=r"/none\.arrow: cannot be read: No such file"):
        Segment(str(folder / "none.arrow"), description, make_form()).open()
    with pytest.raises(StateError, match="it is cut off"):
        Segment(str(folder), description, make_form()).open()


def test_all_kinds_of_damage_have_words() -> None:
    assert len(set(DAMAGES)) == len(DAMAGES) == 7
