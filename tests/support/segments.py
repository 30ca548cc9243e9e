"""Segments for tests: their rows by Hypothesis, files of them, and files whose hashes fit whatever was changed."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hypothesis import strategies as st

from txfast.dialect.currencies import Currencies
from txfast.dialect.text_ids import TextIds
from txfast.store.run_cursor import RunCursor
from txfast.store.segment import Segment
from txfast.store.segment_form import Form
from txfast.store.segment_writer import RunWriter, SegmentWriter

Values = tuple[Any, ...]
Run = list[Segment]
Kind = Literal["accounts", "entries"]

PAGE_BYTES = 1 << 14
GAP_BYTES = 1 << 6
SCHEMA_BYTES = 1 << 12
FENCE = struct.Struct("<4Q")  # the two words of the first row, rows, hash
MASK = (1 << 64) - 1
KEY = bytes(range(32))
TEXT_KEY = bytes(range(24))
# By this key all texts of 9 to 16 bytes that begin with eight zeros have the same hash.
WEAK_TEXT_KEY = bytes(24)
INT64_MAX = (1 << 63) - 1

# States of disputes that an entry can have.
STATES = (0, 1, 2, 3, 4, 9, 11, 12)


def make_form(
    kind: Kind = "entries",
    *,
    client: bool = False,
    tx: bool = False,
    currencies: bool = False,
    text_key: bytes = TEXT_KEY,
) -> Form:
    """The form of segments whose clients or transactions are texts, and whose accounts have currencies."""
    if not (client or tx or currencies):
        return Form(kind, None, KEY)
    return Form(kind, TextIds(client=client, tx=tx, key=text_key, currencies=Currencies() if currencies else None), KEY)


# ---- Rows ----------------------------------------------------------------------------------------

numbers = st.one_of(st.integers(0, 5), st.integers(0, MASK))
texts = st.one_of(
    st.binary(min_size=1, max_size=255),
    st.sampled_from([b"1", b"a", b"a\0", b"\0", bytes(255), b"\xff" * 255, b"x" * 16, b"x" * 17]),
    st.binary(min_size=1, max_size=3).map(lambda text: bytes(8) + text),
)
codes = st.one_of(st.sampled_from([b"EUR", b"USD", b"A", b"A\0", b"B", bytes(12)]), st.binary(min_size=1, max_size=12))
units = st.integers(-(1 << 62), (1 << 62) - 1)
amounts = st.integers(0, INT64_MAX)


class Table(NamedTuple):
    """Rows of a segment in their order, by what they are sorted by."""

    form: Form
    has_details: bool
    rows: dict[tuple[Any, ...], Values]


@st.composite
def forms(draw: st.DrawFn) -> Form:
    kinds: tuple[Kind, ...] = ("accounts", "entries")
    kind = draw(st.sampled_from(kinds))
    client, tx, currencies = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    key = draw(st.sampled_from([TEXT_KEY, WEAK_TEXT_KEY]))
    return make_form(kind, client=client, tx=tx, currencies=currencies, text_key=key)


def rows_of(form: Form, has_details: bool) -> st.SearchStrategy[Values]:
    """Strategy of single rows of a form."""
    ids = form.text_ids
    client = texts if ids is not None and ids.client else numbers
    tx = texts if ids is not None and ids.tx else numbers
    code = codes if ids is not None and ids.currencies is not None else st.none()
    if form.kind == "accounts":
        details = (numbers, units) if has_details else (st.just(0), st.just(0))
        return st.tuples(client, code, units, units, numbers, st.integers(0, 1), *details)
    return st.tuples(client, code, tx, amounts, st.integers(0, 1), st.sampled_from(STATES), st.just(0), st.just(0)).map(
        lambda row: (*row[:6], row[3] // 3, row[3] // 5) if has_details else row
    )


@st.composite
def tables(draw: st.DrawFn, form: Form | None = None, *, least: int = 1) -> Table:
    """Rows of any form, of few pages."""
    form = draw(forms()) if form is None else form
    has_details = draw(st.booleans())
    rows = draw(st.lists(rows_of(form, has_details), min_size=least, max_size=40))
    return sorted_table(form, has_details, rows)


def sorted_table(form: Form, has_details: bool, rows: Iterable[Values]) -> Table:
    """Rows as they are written: of those with the same key the last one."""
    by_key = {form.sort_key(row): row for row in rows}
    return Table(form, has_details, dict(sorted(by_key.items())))


def many_rows(form: Form, count: int, step: int = 3) -> Table:
    """So many rows with different keys, without texts."""
    if form.kind == "accounts":
        rows: Iterator[Values] = ((step * each, None, each, -each, each, each & 1, 0, 0) for each in range(count))
    else:
        rows = ((each // 4, None, step * each, each, each & 1, 0, 0, 0) for each in range(count))
    return sorted_table(form, False, rows)


# ---- Files ---------------------------------------------------------------------------------------

names = itertools.count()


def new_path(folder: Path) -> str:
    """The path of a file that is not there."""
    return str(folder / f"segment-{next(names)}.arrow")


def write_segment(folder: Path, table: Table, number: int = 7) -> Segment:
    """All rows as one segment."""
    writer = SegmentWriter(new_path(folder), table.form, number, has_details=table.has_details)
    for row in table.rows.values():
        writer.add_row(row)
    return Segment(writer.path, writer.finish(durable=False), table.form)


def write_run(folder: Path, table: Table) -> Run:
    """All rows as a run of segments."""
    writer = RunWriter(table.form.kind, lambda _, __: new_path(folder), table.form, table.has_details)
    for row in table.rows.values():
        writer.add_row(row)
    return opened(writer.finish(False), table.form)


def opened(written: Sequence[tuple[str, dict[str, Any]]], form: Form) -> Run:
    """The segments that were written."""
    return [Segment(path, description, form) for path, description in written]


def rows_in(run: Iterable[Segment]) -> list[Values]:
    """All rows of a run."""
    return list(RunCursor(run))


# ---- Hashes --------------------------------------------------------------------------------------

WORDS = (0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3)
FILTER_NUMBER, INDEX_NUMBER = 1 << 40, 1 << 41


def fold(one: int, other: int) -> int:
    product = one * other
    return (product ^ product >> 64) & MASK


def hash_page(page: bytes | bytearray, segment: int, number: int) -> int:
    """The hash of a page, as page_hash.pxd has it."""
    start = fold(segment ^ WORDS[0], number ^ WORDS[1])
    lanes = [start, *(start ^ word for word in WORDS[1:])]
    for step in struct.iter_unpack("<8Q", page):
        lanes = [fold(step[2 * lane] ^ WORDS[lane], step[2 * lane + 1] ^ mixed) for lane, mixed in enumerate(lanes)]
    one = fold(lanes[0] ^ WORDS[2], lanes[1] ^ WORDS[3])
    other = fold(lanes[2] ^ WORDS[1], lanes[3] ^ len(page))
    return fold(one ^ WORDS[0], other ^ WORDS[2])


def page_start(page: int) -> int:
    """Where a page is in a segment, from number 0 on."""
    return SCHEMA_BYTES + page * PAGE_BYTES


class Forged:
    """A segment whose bytes are changed, with hashes that fit: a test of what else is checked."""

    def __init__(self, segment: Segment, form: Form) -> None:
        self.form = form
        self.path = segment.path
        self.content = bytearray(Path(segment.path).read_bytes())
        self.description = dict(segment.description)
        self.pages: int = self.description["pages"]
        filter_bytes = -(-self.description["rows"] // 32) * 64
        self.filter_pages = -(-filter_bytes // PAGE_BYTES)
        self.filter = page_start(self.pages) + GAP_BYTES
        self.index = self.filter + filter_bytes
        used = self.pages * FENCE.size + 8 * self.filter_pages
        self.index_bytes = used + -used % 64

    def fence(self, page: int) -> list[int]:
        """The two words, the rows and the hash that the index has of a page."""
        return list(FENCE.unpack_from(self.content, self.index + page * FENCE.size))

    def set_fence(self, page: int, fence: Sequence[int]) -> None:
        FENCE.pack_into(self.content, self.index + page * FENCE.size, *fence)

    def written(self) -> Segment:
        """The file with hashes of what it has now."""
        number = self.description["number"]
        for page in range(self.pages):
            start = page_start(page)
            hashed = hash_page(self.content[start : start + PAGE_BYTES], number, page)
            self.set_fence(page, [*self.fence(page)[:3], hashed])
        index = self.content[self.index : self.index + self.index_bytes]
        self.description["index_hash"] = hash_page(index, number, INDEX_NUMBER)
        Path(self.path).write_bytes(self.content)
        return Segment(self.path, self.description, self.form)
