"""Writes Thrift's compact protocol, and with it the metadata of Parquet files, for tests that need them damaged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

TRUE, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)
MAGIC = b"PAR1"
NAMES = ("type", "client", "tx", "amount")


@dataclass(frozen=True)
class Value:
    """A value of a type: its bytes as they stand after the field's head."""

    kind: int
    content: bytes


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def i32(number: int) -> Value:
    return Value(I32, zigzag(number))


def i64(number: int) -> Value:
    return Value(I64, zigzag(number))


def binary(content: bytes) -> Value:
    return Value(BINARY, varint(len(content)) + content)


def list_of(elements: Sequence[Value], kind: int | None = None) -> Value:
    kind = elements[0].kind if kind is None else kind
    count = len(elements)
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + varint(count)
    return Value(LIST, head + b"".join(each.content for each in elements))


def map_of(pairs: Sequence[tuple[Value, Value]]) -> Value:
    if not pairs:
        return Value(MAP, b"\0")
    kinds = pairs[0][0].kind << 4 | pairs[0][1].kind
    return Value(MAP, varint(len(pairs)) + bytes([kinds]) + b"".join(key.content + each.content for key, each in pairs))


def struct_of(fields: Iterable[tuple[int, Value]]) -> Value:
    """A struct. Fields in ascending order get short heads, all others the number in full."""
    out = bytearray()
    before = 0
    for number, value in fields:
        step = number - before
        out += bytes([step << 4 | value.kind]) if 0 < step < 16 else bytes([value.kind]) + zigzag(number)
        out += value.content
        before = number
    return Value(STRUCT, bytes(out) + b"\0")


# ---- Parquet's metadata ------------------------------------------------------------------------------


def page_header(
    values: int, compressed: int, uncompressed: int, *, kind: int = 0, encoding: int = 0, more: Any = ()
) -> bytes:
    """The header of a page; `more` are further fields."""
    details = {0: 5, 2: 7, 3: 8}.get(kind)
    encoding_field = 4 if kind == 3 else 2
    fields = [(1, i32(kind)), (2, i32(uncompressed)), (3, i32(compressed))]
    if details is not None:
        fields.append((details, struct_of([(1, i32(values)), (encoding_field, i32(encoding))])))
    return struct_of([*fields, *more]).content


def element(name: str, physical: int = 6, *, children: int = 0, length: int = 0) -> Value:
    """An element of a schema: of texts, unless it is said."""
    fields = [] if children else [(1, i32(physical))]
    fields += [(2, i32(length))] if length else []
    fields.append((4, binary(name.encode())))
    fields += [(5, i32(children))] if children else []
    return struct_of(fields)


def schema(columns: Sequence[Value] = (), names: Sequence[str] = NAMES) -> Value:
    columns = columns or [element(name) for name in names]
    return list_of([element("schema", children=len(columns)), *columns])


def chunk(start: int, values: int, codec: int = 0, *, dictionary: int | None = None, more: Any = ()) -> Value:
    """A column chunk; `more` are further fields of its metadata."""
    fields = [(4, i32(codec)), (5, i64(values)), (9, i64(start))]
    fields += [] if dictionary is None else [(11, i64(dictionary))]
    return struct_of([(2, i64(0)), (3, struct_of([*fields, *more]))])


def row_group(chunks: Sequence[Value], rows: int) -> Value:
    return struct_of([(1, list_of(chunks, STRUCT)), (2, i64(0)), (3, i64(rows))])


def file_of(pages: bytes, footer: Iterable[tuple[int, Value]]) -> bytes:
    """A file with these bytes after the magic ones, and with these fields of a footer."""
    content = struct_of(footer).content
    return MAGIC + pages + content + len(content).to_bytes(4, "little") + MAGIC
