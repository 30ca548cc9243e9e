"""What makes an Arrow IPC file of pages: the messages around their columns, written by hand.

A file is one message with the schema, one message a page with a record batch, and a footer that says where these are.
Messages are FlatBuffers. pyarrow is not used: it takes 50 us a batch, and its import takes longer than a small run.
Offsets here count from the end of what is written, as FlatBuffers are built from their end.

This module must not know what columns mean.
"""

import struct

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"ARROW1"
# Before a message: this, and the number of its bytes.
CONTINUATION = b"\xff\xff\xff\xff"
PREFIX_BYTES = 8
END_OF_STREAM = CONTINUATION + bytes(4)
# Messages in front of columns have a multiple of so many bytes.
HEADER_STEP_BYTES = 64
BLOCK = struct.Struct("<qi4xq")

# Of Arrow's format: the version, kinds of messages, and kinds of types.
VERSION = 4
SCHEMA, RECORD_BATCH = 1, 3
INT, BINARY = 2, 4
# Types of columns: those of C's integers, and texts of any bytes.
TYPES = {"int64": (64, True), "uint64": (64, False), "uint8": (8, False)}
TEXTS = "binary"


class FlatBuffer:
    """A FlatBuffer, built from its end. An object is named by the number of bytes from its start to the end."""

    __slots__ = ("written",)

    def __init__(self) -> None:
        self.written = b""

    def push(self, content: bytes, alignment: int) -> int:
        """Put an object before what is written, so that it is aligned."""
        padding = -(len(self.written) + len(content)) % alignment
        self.written = content + bytes(padding) + self.written
        return len(self.written)

    def text(self, text: str) -> int:
        encoded = text.encode()
        return self.push(struct.pack("<I", len(encoded)) + encoded + b"\0", 4)

    def tables(self, tables: "Sequence[int]") -> int:
        """A vector of tables."""
        size = 4 + 4 * len(tables)
        start = len(self.written) + -(len(self.written) + size) % 4 + size
        offsets = [start - 4 - 4 * index - table for index, table in enumerate(tables)]
        return self.push(struct.pack(f"<{1 + len(tables)}I", len(tables), *offsets), 4)

    def structs(self, content: bytes, count: int) -> int:
        """A vector of structs, whose content is aligned to words."""
        self.push(content, 8)
        return self.push(struct.pack("<I", count), 4)

    def table(self, *fields: "tuple[str, int] | None") -> int:
        """A table of these fields: each with its struct code and its value, or None for its default. The code of a
        field that names another object is "ref"."""
        sizes = [0 if field is None else 4 if field[0] == "ref" else struct.calcsize(field[0]) for field in fields]
        places = [0] * len(fields)
        end = 4
        for index in sorted(range(len(fields)), key=lambda index: -sizes[index]):
            if sizes[index]:
                places[index] = end + -end % sizes[index]
                end = places[index] + sizes[index]
        size = end + -end % 8
        start = len(self.written) + -len(self.written) % 8 + size
        slots = struct.pack(f"<{2 + len(fields)}H", 4 + 2 * len(fields), size, *places)
        content = bytearray(size)
        struct.pack_into("<i", content, 0, len(slots))
        for field, place in zip(fields, places, strict=True):
            if field is not None:
                code, value = field
                if code == "ref":
                    code, value = "I", start - place - value
                struct.pack_into(f"<{code}", content, place, value)
        self.push(bytes(content), 8)
        self.push(slots, 2)
        return start

    def finished(self, root: int) -> bytes:
        """The whole, with the place of its root before it."""
        size = len(self.written) + 4
        padding = -size % 8
        return struct.pack("<I", size + padding - root) + bytes(padding) + self.written


def put_schema(buffer: FlatBuffer, columns: "Sequence[tuple[str, str]]") -> int:
    """Write a schema with these names and types of columns."""
    fields = []
    for name, kind in columns:
        if kind == TEXTS:
            type_kind, column_type = BINARY, buffer.table()
        else:
            bits, is_signed = TYPES[kind]
            type_kind, column_type = INT, buffer.table(("i", bits), ("B", is_signed))
        children = buffer.tables([])
        text = buffer.text(name)
        fields.append(
            buffer.table(("ref", text), None, ("B", type_kind), ("ref", column_type), None, ("ref", children))
        )
    return buffer.table(None, ("ref", buffer.tables(fields)))


def message(buffer: FlatBuffer, kind: int, header: int, body_bytes: int) -> bytes:
    """The message of this kind."""
    return buffer.finished(buffer.table(("h", VERSION), ("B", kind), ("ref", header), ("q", body_bytes)))


def framed(content: bytes, byte_count: int) -> bytes:
    """A message with its prefix, padded to this many bytes in total."""
    assert PREFIX_BYTES + len(content) <= byte_count
    prefix = CONTINUATION + struct.pack("<i", byte_count - PREFIX_BYTES)
    return (prefix + content).ljust(byte_count, b"\0")


def start_of_file(columns: "Sequence[tuple[str, str]]", byte_count: int) -> bytes:
    """The start of a file, of so many bytes: its magic bytes and its schema."""
    buffer = FlatBuffer()
    content = message(buffer, SCHEMA, put_schema(buffer, columns), 0)
    magic = MAGIC.ljust(8, b"\0")
    return magic + framed(content, byte_count - len(magic))


def page_header(columns: "Sequence[tuple[str, str]]", page_bytes: int) -> bytes:
    """The message before the columns of a page, which is one record batch without rows. `places` says where the numbers
    are that each page needs."""
    byte_count = 0
    while True:
        buffer = FlatBuffer()
        buffers = sum(3 if kind == TEXTS else 2 for _, kind in columns)
        buffer_vector = buffer.structs(bytes(16 * buffers), buffers)
        nodes = buffer.structs(bytes(16 * len(columns)), len(columns))
        batch = buffer.table(("q", 0), ("ref", nodes), ("ref", buffer_vector))
        content = message(buffer, RECORD_BATCH, batch, page_bytes - byte_count)
        needed = PREFIX_BYTES + len(content)
        needed += -needed % HEADER_STEP_BYTES
        if needed == byte_count:
            return framed(content, byte_count)
        byte_count = needed


def places(header: bytes) -> tuple[int, int, int]:
    """Where, in such a message, are its number of rows, the first column's node and the first buffer.

    A node is the number of rows and 0; a buffer is its offset behind the message, and its bytes.
    """
    root = at(header, PREFIX_BYTES)
    batch = at(header, field_at(header, root, 2))
    nodes = at(header, field_at(header, batch, 1)) + 4
    return field_at(header, batch, 0), nodes, at(header, field_at(header, batch, 2)) + 4


def at(content: bytes, place: int) -> int:
    """Where an offset leads."""
    return place + int(struct.unpack_from("<I", content, place)[0])


def field_at(content: bytes, table: int, number: int) -> int:
    """Where the field of this number is of a table that has it."""
    slots = table - int(struct.unpack_from("<i", content, table)[0])
    return table + int(struct.unpack_from("<H", content, slots + 4 + 2 * number)[0])


def footer(
    columns: "Sequence[tuple[str, str]]", pages: int, header_bytes: int, page_bytes: int, first_bytes: int
) -> bytes:
    """The end of a file that has so many pages behind its first bytes."""
    buffer = FlatBuffer()
    blocks = b"".join(
        BLOCK.pack(first_bytes + page * page_bytes, header_bytes, page_bytes - header_bytes) for page in range(pages)
    )
    batches = buffer.structs(blocks, pages)
    dictionaries = buffer.structs(b"", 0)
    schema = put_schema(buffer, columns)
    content = buffer.finished(buffer.table(("h", VERSION), ("ref", schema), ("ref", dictionaries), ("ref", batches)))
    return content + struct.pack("<i", len(content)) + MAGIC
