"""The metadata of Arrow files and streams: which messages there are, how large each body is, where its buffers are.

pyarrow takes as much memory for a compressed buffer as the first bytes of the buffer ask for. So txfast reads the
metadata itself, before pyarrow decodes anything. It is in the format of FlatBuffers: a table has its fields at offsets
that a second table, the vtable, gives by the field's number.

This module must not know how much memory there is. https://arrow.apache.org/docs/format/Columnar.html
"""

from struct import Struct

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    # Reads up to so many bytes at an offset: (offset, count).
    ReadAt = Callable[[int, int], bytes]
else:
    from txfast.late import pa

# A message begins with these bytes, where it is not of the oldest format, and the size of its metadata.
CONTINUATION = b"\xff\xff\xff\xff"
SIZE_BYTES = 4
# A file ends with the size of its footer and MAGIC.
MAGIC = b"ARROW1"
TAIL_BYTES = SIZE_BYTES + len(MAGIC)
# Kinds of messages.
DICTIONARY, RECORD_BATCH = 2, 3
# The first bytes of a compressed buffer: its decoded size, or STORED.
PREFIX_BYTES = 8
STORED = -1
# In a message of this name among its metadata buffers are compressed as they were before the format had a field for it.
OLD_COMPRESSION = b"ARROW:experimental_compression"

BYTE, SHORT, INT, LONG = Struct("<B"), Struct("<H"), Struct("<i"), Struct("<q")
# The offset and the size of a buffer; the offset of a message, the size of its metadata, padding, that of its body.
BUFFER, BLOCK = Struct("<qq"), Struct("<qi4xq")


class MessageError(ValueError):
    """The metadata is damaged."""


class Fields:
    """The fields of a table of FlatBuffers, by number. Raises MessageError where they lead out of the content."""

    def __init__(self, content: bytes, start: int) -> None:
        self._content = content
        self._start = start
        self._vtable = start - self._read(INT, start)[0]
        self._vtable_bytes = self._read(SHORT, self._vtable)[0]

    def number(self, field: int, kind: Struct) -> int:
        """A number, 0 where the field is left out."""
        at = self._place(field)
        return self._read(kind, at)[0] if at else 0

    def table(self, field: int) -> "Fields":
        """A table. Raises MessageError where the field is left out."""
        at = self._place(field)
        if not at:
            raise MessageError("its metadata is not whole")
        return Fields(self._content, at + self._read(INT, at)[0])

    def has(self, field: int) -> bool:
        """Whether the field is there."""
        return self._place(field) != 0

    def structs(self, field: int, kind: Struct) -> list[tuple[int, ...]]:
        """A vector of structs or numbers; empty where the field is left out."""
        at = self._place(field)
        if not at:
            return []
        start = at + self._read(INT, at)[0]
        count = self._read(INT, start)[0]
        first = start + INT.size
        if not 0 <= count <= (len(self._content) - first) // kind.size:
            raise MessageError("its metadata is not whole")
        return list(kind.iter_unpack(self._content[first : first + count * kind.size]))

    def _place(self, field: int) -> int:
        """Where a field is; 0 where it is left out."""
        entry = 4 + 2 * field
        if entry + 2 > self._vtable_bytes:
            return 0
        offset = self._read(SHORT, self._vtable + entry)[0]
        return self._start + offset if offset else 0

    def _read(self, kind: Struct, at: int) -> tuple[int, ...]:
        if not 0 <= at <= len(self._content) - kind.size:
            raise MessageError("its metadata leads out of itself")
        return kind.unpack_from(self._content, at)


def root(content: bytes) -> Fields:
    """The outermost table."""
    return Fields(content, int.from_bytes(content[:SIZE_BYTES], "little"))


class Message:
    """A message, from its metadata: its `kind`, and of a record batch or a dictionary, the buffers.

    `body_bytes` is the size of the body. `buffers` are (offset in the body, size). A dictionary has an `id`, and with
    `is_delta` its texts are added to those that have the id already.
    """

    def __init__(self, metadata: bytes) -> None:
        message = root(metadata)
        self.kind = message.number(1, BYTE)
        self.body_bytes = message.number(3, LONG)
        self.id = 0
        self.is_delta = self.is_compressed = False
        self.buffers: list[tuple[int, ...]] = []
        self._views: list[tuple[int, ...]] = []
        if self.kind not in (DICTIONARY, RECORD_BATCH):
            return
        batch = message.table(2)
        if self.kind == DICTIONARY:
            self.id, self.is_delta = batch.number(0, LONG), batch.number(2, BYTE) != 0
            batch = batch.table(1)
        self.buffers = batch.structs(2, BUFFER)
        self.is_compressed = batch.has(3) or OLD_COMPRESSION in metadata
        self._views = batch.structs(4, LONG)
        if self.body_bytes < 0 or any(offset < 0 or size < 0 for offset, size in self.buffers):
            raise MessageError("a message has a size below zero")

    def buffers_of(self, layouts: "Sequence[tuple[bool, int, int]]") -> list[tuple[int, ...]]:
        """The buffers of the columns that are read; all of them in a dictionary, or where the columns have others.

        Each column is given as (whether it is read, its number of buffers, and of arrays of views).
        """
        if self.kind == DICTIONARY:
            return self.buffers
        found = []
        start = views_start = 0
        for is_read, count, views in layouts:
            views_end = views_start + views
            end = start + count + sum(each for (each,) in self._views[views_start:views_end])
            if is_read:
                found += self.buffers[start:end]
            start, views_start = end, views_end
        return found if start == len(self.buffers) else self.buffers


def layout_of(kind: "pa.DataType") -> tuple[int, int]:
    """How many buffers an array of this type has, beside the texts of views; and how many arrays of views it has."""
    types = pa.types
    if types.is_dictionary(kind):
        return layout_of(kind.index_type)
    if isinstance(kind, pa.BaseExtensionType):
        return layout_of(kind.storage_type)
    is_view = types.is_string_view(kind) or types.is_binary_view(kind)
    buffers, views = own_buffers(kind), int(is_view)
    for index in range(kind.num_fields):
        inner_buffers, inner_views = layout_of(kind.field(index).type)
        buffers, views = buffers + inner_buffers, views + inner_views
    return buffers, views


def own_buffers(kind: "pa.DataType") -> int:
    """How many buffers an array of this type has, beside those of its children. The count of a type that is not known
    here may be wrong: `buffers_of` compares."""
    types = pa.types
    if types.is_null(kind) or types.is_run_end_encoded(kind):
        return 0
    if types.is_struct(kind) or types.is_fixed_size_list(kind) or (types.is_union(kind) and kind.mode == "sparse"):
        return 1
    three = (
        types.is_string, types.is_binary, types.is_large_string, types.is_large_binary, types.is_list_view,
        types.is_large_list_view,
    )  # fmt: skip
    return 3 if any(test(kind) for test in three) else 2


def footer_place(read_at: "ReadAt", size: int) -> tuple[int, int]:
    """(offset, size) of the footer of a file of this size. Raises MessageError."""
    tail = read_at(max(0, size - TAIL_BYTES), TAIL_BYTES)
    count = int.from_bytes(tail[:SIZE_BYTES], "little")
    if tail[SIZE_BYTES:] != MAGIC or not 0 < count <= size - TAIL_BYTES - len(MAGIC):
        raise MessageError("it has no footer at its end")
    return size - TAIL_BYTES - count, count


def blocks_of(footer: bytes) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """The dictionaries and the record batches of a file: (offset, size of metadata and prefix, size of body)."""
    fields = root(footer)
    return fields.structs(2, BLOCK), fields.structs(3, BLOCK)


def metadata_place(content: bytes) -> tuple[int, int]:
    """(offset, size) of the metadata of a message that begins the content."""
    start = SIZE_BYTES if content.startswith(CONTINUATION) else 0
    return start + SIZE_BYTES, int.from_bytes(content[start : start + SIZE_BYTES], "little")


def metadata_in(content: bytes) -> bytes:
    """The metadata of a message that begins the content."""
    start, size = metadata_place(content)
    return content[start : start + size]
