"""Footer and page headers of Parquet: what pyarrow writes is understood, and what nobody writes does no harm."""

from __future__ import annotations

import io
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support import thrift
from tests.support.tables import reads_of
from tests.support.thrift import NAMES, Value, binary, i32, i64, list_of, map_of, struct_of
from txfast.readers.parquet_footer import (
    DATA_PAGE,
    DATA_PAGE_V2,
    DELTA_BYTE_ARRAY,
    DICTIONARY_PAGE,
    RLE_DICTIONARY,
    Chunk,
    Leaf,
    Page,
    RowGroup,
    footer_place,
    longest_text,
    pages_of,
    read_footer,
)
from txfast.readers.thrift_compact import CompactReader, ThriftError

PLAIN = 0
READ_BYTES = 64


def footer_of(content: bytes, names: Sequence[str] = NAMES) -> tuple[list[Leaf], list[RowGroup]]:
    offset, size = footer_place(reads_of(content), len(content))
    return read_footer(content[offset : offset + size], names)


def pages_in(content: bytes, chunk: Chunk, read_bytes: int = READ_BYTES) -> list[Page]:
    return list(pages_of(chunk, reads_of(content), len(content), read_bytes))


def written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def hand_made(pages: bytes, values: int = 1, *, more: Sequence[tuple[int, Value]] = ()) -> bytes:
    """A file with these pages, which all four columns share."""
    chunks = [thrift.chunk(len(thrift.MAGIC), values) for _ in NAMES]
    return thrift.file_of(
        pages, [(2, thrift.schema()), (3, i64(values)), (4, list_of([thrift.row_group(chunks, values)])), *more]
    )


# ---- What pyarrow writes ---------------------------------------------------------------------------


def typed_table(rows: int) -> pa.Table:
    columns = [
        pa.array(["deposit", "dispute"] * (rows // 2)), pa.array(range(rows), pa.uint64()),
        pa.array([{"a": row, "b": [row]} for row in range(rows)]), pa.array([f"t{row}" for row in range(rows)]),
        pa.array([Decimal(row) for row in range(rows)], pa.decimal128(30, 4)),
    ]  # fmt: skip
    return pa.table(columns, names=["type", "client", "other", "tx", "amount"])


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_the_footer_and_the_pages_are_those_that_pyarrow_knows(codec: str, version: str) -> None:
    content = written(
        typed_table(100), compression=codec, row_group_size=40, data_page_size=1, write_batch_size=8,
        data_page_version=version,
    )  # fmt: skip
    leaves, groups = footer_of(content)
    # The column with a struct has two leaves.
    assert [(leaf.name, leaf.index, leaf.is_text, leaf.value_bytes) for leaf in leaves] == [
        ("type", 0, True, 16), ("client", 1, False, 16), ("tx", 4, True, 16), ("amount", 5, False, 16),
    ]  # fmt: skip
    metadata = parquet.ParquetFile(io.BytesIO(content)).metadata
    assert [group.rows for group in groups] == [40, 40, 20]
    for number, group in enumerate(groups):
        for leaf, chunk in zip(leaves, group.chunks, strict=True):
            known = metadata.row_group(number).column(leaf.index)
            assert chunk.values == known.num_values
            assert chunk.start == known.dictionary_page_offset
            pages = pages_in(content, chunk)
            data = DATA_PAGE if version == "1.0" else DATA_PAGE_V2
            assert [page.kind for page in pages] == [DICTIONARY_PAGE] + [data] * (len(pages) - 1)
            assert len(pages) > 2
            assert sum(page.values for page in pages[1:]) == chunk.values
            assert {page.encoding for page in pages[1:]} == {RLE_DICTIONARY}
            headers = chunk.start + known.total_compressed_size - pages[-1].start - pages[-1].compressed_bytes
            assert headers == 0
            sizes = [page.compressed_bytes for page in pages]
            assert sum(sizes) < known.total_compressed_size


def test_encodings_and_values_of_a_fixed_size_are_told() -> None:
    table = typed_table(10).drop_columns("other")
    table = table.set_column(3, "amount", table.column("amount").cast(pa.decimal256(76, 4)))
    content = written(table, use_dictionary=False, column_encoding={"tx": "DELTA_BYTE_ARRAY"})
    leaves, [group] = footer_of(content)
    assert [leaf.value_bytes for leaf in leaves] == [16, 16, 16, 32]
    encodings = [pages_in(content, chunk)[0].encoding for chunk in group.chunks]
    assert encodings == [PLAIN, PLAIN, DELTA_BYTE_ARRAY, PLAIN]


def test_a_header_that_is_longer_than_what_is_read_at_once_is_read_whole() -> None:
    long = "x" * 5000
    table = pa.table([[long] * 3, [1, 2, 3], [1, 2, 3], [1, 2, 3]], names=list(NAMES))
    content = written(table, use_dictionary=False, compression="zstd")
    _, [group] = footer_of(content)
    for read_bytes in (1, 100, 4096, 1 << 20):
        assert [page.values for page in pages_in(content, group.chunks[0], read_bytes)] == [3]


# ---- What nobody writes ----------------------------------------------------------------------------

VALUES = st.recursive(
    st.one_of(
        st.integers(-(1 << 31), (1 << 31) - 1).map(i32),
        st.integers(-(1 << 63), (1 << 63) - 1).map(i64),
        st.binary(max_size=20).map(binary),
        st.integers(0, 255).map(lambda byte: Value(thrift.I8, bytes([byte]))),
        st.integers(-(1 << 15), (1 << 15) - 1).map(lambda number: Value(thrift.I16, thrift.zigzag(number))),
        st.sampled_from([Value(thrift.DOUBLE, bytes(8)), Value(thrift.UUID, bytes(16))]),
        st.sampled_from([Value(thrift.TRUE, b""), Value(thrift.FALSE, b"")]),
    ),
    lambda inner: st.one_of(
        st.lists(st.tuples(st.integers(1, 0x7FFF), inner), max_size=5).map(struct_of),
        inner.filter(lambda each: each.content != b"").flatmap(
            lambda each: st.integers(0, 40).map(lambda count: list_of([each] * count, each.kind))
        ),
        inner.filter(lambda each: each.content != b"").map(lambda each: Value(thrift.SET, list_of([each] * 2).content)),
        inner.filter(lambda each: each.content != b"").map(lambda each: map_of([(i32(1), each), (i32(2), each)])),
    ),
    max_leaves=20,
)


@given(st.lists(st.tuples(st.integers(9, 0x7FFF), VALUES), max_size=6), st.integers(1, 300))
def test_fields_that_are_not_known_are_passed_over(more: list[tuple[int, Value]], read_bytes: int) -> None:
    header = thrift.page_header(7, 5, 9, more=more)
    content = hand_made(header + b"12345", values=7, more=[(number, value) for number, value in more if number > 9])
    _, [group] = footer_of(content)
    [page] = pages_in(content, group.chunks[0], read_bytes)
    assert (page.start, page.values, page.compressed_bytes, page.uncompressed_bytes) == (4 + len(header), 7, 5, 9)


def test_lists_of_truth_and_empty_maps_are_passed_over() -> None:
    truths = Value(thrift.LIST, bytes([3 << 4 | thrift.TRUE, 1, 2, 1]))
    header = thrift.page_header(1, 0, 0, more=[(20, truths), (21, map_of([]))])
    content = hand_made(header)
    _, [group] = footer_of(content)
    [page] = pages_in(content, group.chunks[0])
    assert page.start == 4 + len(header)


def nested(depth: int, kind: int) -> Value:
    value = i32(1)
    for _ in range(depth):
        value = struct_of([(1, value)]) if kind == thrift.STRUCT else list_of([value])
    return value


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (nested(20, thrift.STRUCT), "nested more than 16 times"),
        (nested(20, thrift.LIST), "nested more than 16 times"),
        (Value(15, b""), "there is no type 15"),
        (Value(thrift.LIST, bytes([1 << 4, 0])), "there is no type 0"),
        (Value(thrift.I64, b"\xff" * 10 + b"\1"), "more than ten bytes"),
        (Value(thrift.BINARY, b"\xff\xff\xff\xff\x7f"), "it ends inside a struct"),
        (Value(thrift.BINARY, b"\xff" * 9 + b"\1"), "it ends inside a struct"),
        (Value(thrift.LIST, b"\xfc" + thrift.varint(1 << 40)), "it ends inside a struct"),
        (Value(thrift.MAP, thrift.varint(1 << 62) + b"\x55"), "it ends inside a struct"),
    ],
)
def test_what_nobody_writes_in_a_header_is_damage(more: Value, words: str) -> None:
    content = hand_made(thrift.page_header(1, 0, 0, more=[(20, more)]))
    _, [group] = footer_of(content)
    with pytest.raises(ThriftError, match=words):
        pages_in(content, group.chunks[0])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (thrift.page_header(-1, 0, 0), "does not say what it has"),
        (thrift.page_header(1, -1, 0), "not whole"),
        (thrift.page_header(1, 0, -1), "not whole"),
        (thrift.page_header(1, 1 << 30, 0), "beyond the end of the file"),
        (struct_of([(1, i32(0)), (2, i64(1)), (3, i32(1))]).content, "not whole"),
        (struct_of([(1, Value(thrift.I32, thrift.zigzag(1 << 31)))]).content, "too large for its type"),
        (struct_of([(1, i32(2)), (2, i32(0)), (3, i32(0)), (5, struct_of([(1, i32(1))]))]).content, "another kind"),
        (bytes([thrift.I32]) + thrift.zigzag(-4) + b"\0", "a field has the number -4"),
        (bytes([thrift.I32]) + thrift.zigzag(1 << 20) + b"\0", "a field has the number 1048576"),
    ],
)
def test_a_header_that_is_not_whole_is_damage(header: bytes, words: str) -> None:
    content = hand_made(header)
    _, [group] = footer_of(content)
    with pytest.raises(ThriftError, match=words):
        pages_in(content, group.chunks[0])


def test_pages_of_other_kinds_have_no_values() -> None:
    content = hand_made(thrift.page_header(5, 3, 9, kind=1) + b"abc" + thrift.page_header(1, 0, 0))
    _, [group] = footer_of(content)
    assert [(page.kind, page.values) for page in pages_in(content, group.chunks[0])] == [(1, 0), (0, 1)]


def test_pages_that_begin_behind_the_file_are_damage() -> None:
    chunks = [thrift.chunk(1 << 40, 1) for _ in NAMES]
    content = thrift.file_of(b"", [(2, thrift.schema()), (4, list_of([thrift.row_group(chunks, 1)]))])
    _, [group] = footer_of(content)
    with pytest.raises(ThriftError, match="it ends inside a struct"):
        pages_in(content, group.chunks[0])


GROUP = thrift.row_group([thrift.chunk(4, 1) for _ in NAMES], 1)
NO_METADATA = [struct_of([(2, i64(0))]) for _ in NAMES]
LARGE = [*map(thrift.element, NAMES[:3]), thrift.element("amount", 7, length=1 << 20)]


@pytest.mark.parametrize(
    ("footer", "words"),
    [
        ([], "it has no schema"),
        ([(4, list_of([GROUP]))], "row groups without a schema"),
        ([(2, thrift.schema(names=NAMES[:3]))], "column 'amount' has no values of its own"),
        ([(2, thrift.schema(LARGE))], "column 'amount' has values of 1048576 bytes each"),
        ([(2, list_of([i32(1)]))], "a list has elements of type 5 instead of 12"),
        ([(2, thrift.schema()), (4, list_of([thrift.row_group([thrift.chunk(4, 1)], 1)]))], "1 of 4 columns"),
        ([(2, thrift.schema()), (4, list_of([thrift.row_group(NO_METADATA, 1)]))], "says nothing about its pages"),
        ([(2, thrift.schema()), (4, list_of([struct_of([(1, list_of([thrift.chunk(4, 1)] * 4))])]))], "has -1 rows"),
        ([(2, thrift.schema()), (4, list_of([thrift.row_group([thrift.chunk(-4, 1)] * 4, 1)]))], "is not whole"),
    ],
)
def test_a_footer_that_is_not_whole_is_damage(footer: list[tuple[int, Value]], words: str) -> None:
    with pytest.raises(ThriftError, match=words):
        footer_of(thrift.file_of(b"", footer))


def test_a_nested_column_of_the_same_name_is_another() -> None:
    columns = [
        thrift.element("other", children=2), thrift.element("type"), thrift.element("inner", children=1),
        thrift.element("tx"), *map(thrift.element, NAMES),
    ]  # fmt: skip
    root = thrift.element("schema", children=5)
    leaves, groups = footer_of(thrift.file_of(b"", [(2, list_of([root, *columns]))]))
    assert [leaf.index for leaf in leaves] == [2, 3, 4, 5]
    assert groups == []


@pytest.mark.parametrize("tail", [b"", b"PAR1", b"\xff\xff\xff\xffPAR1", b"\0\0\0\0PARE"])
def test_a_file_without_a_footer_is_damage(tail: bytes) -> None:
    content = b"PAR1" + tail
    with pytest.raises(ThriftError, match="no footer at its end"):
        footer_place(reads_of(content), len(content))


@pytest.mark.parametrize("offset", [-1, 4])
def test_a_struct_begins_inside_the_bytes(offset: int) -> None:
    with pytest.raises(ValueError, match="no struct begins"):
        CompactReader(b"abc", offset)


@given(st.binary(max_size=300), st.integers(0, 5))
def test_any_bytes_are_pages_or_damage(pages: bytes, values: int) -> None:
    content = hand_made(pages, values)
    _, [group] = footer_of(content)
    try:
        found = pages_in(content, group.chunks[0])
    except ThriftError:
        return
    assert all(0 <= page.start <= page.start + page.compressed_bytes <= len(content) for page in found)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_footer_or_damage(footer: bytes) -> None:
    content = b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"
    with pytest.raises(ThriftError):
        footer_of(content)


# ---- Dictionaries ----------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=9)))
def test_the_longest_text_of_a_dictionary_is_found(texts: list[bytes]) -> None:
    page = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    assert longest_text(page) == max(map(len, texts), default=0)
    for damaged in (page + b"\1", page + b"\xff\xff\xff\xff", page + b"\2\0\0\0x"):
        with pytest.raises(ThriftError, match="ends inside a text"):
            longest_text(damaged)
