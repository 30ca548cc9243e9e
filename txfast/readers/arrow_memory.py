"""How much memory the record batches of Arrow files and streams take, known before pyarrow decodes them.

A record batch is in memory whole: its body, and what its compressed buffers become. Dictionaries stay. All that is
there at once must fit the allowance. This module must not know what values mean.
"""

from txfast.input.watched_bytes import WatchedBytes
from txfast.readers.arrow_messages import (
    CONTINUATION,
    DICTIONARY,
    PREFIX_BYTES,
    RECORD_BATCH,
    SIZE_BYTES,
    STORED,
    Message,
    MessageError,
    blocks_of,
    footer_place,
    layout_of,
    metadata_in,
)

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from txfast.input.watched_bytes import Parser
    from txfast.readers.allowance import Allowance
    from txfast.readers.arrow_messages import ReadAt

# Metadata as pyarrow's objects takes so many times its bytes.
METADATA_COPIES = 8
# A dictionary to which texts are added is copied.
DELTA_COPIES = 2
# In the oldest format a message begins with the size of its metadata. What says more than this is no message.
OLD_METADATA_BYTES_MAX = 16 << 20
WAY_OUT = "write it in smaller record batches"


class ArrowMemory:
    """What is in memory of one table: `check` each message before it is decoded.

    `name` is the file's in messages. Raises MemoryLimitError where a message needs more than the allowance, and
    MessageError where the metadata is damaged.
    """

    def __init__(self, name: str, allowance: "Allowance") -> None:
        self._name = name
        self._allowance = allowance
        self._dictionaries: dict[int, int] = {}  # bytes by id
        self._batches = 0

    def check_metadata(self, size: int, part: str = "the metadata of a record batch") -> None:
        """See that metadata of this size can be read."""
        self._allowance.check(METADATA_COPIES * size, self._name, part, WAY_OUT)

    def check(self, message: Message, read_bytes: int, decoded_bytes: int = 0) -> None:
        """See that there is room for a message of which so many bytes are read, and decoded to so many more."""
        part = "a dictionary" if message.kind == DICTIONARY else f"record batch {self._batches + 1}"
        needed = sum(self._dictionaries.values()) + read_bytes + decoded_bytes
        self._allowance.check(needed, self._name, part, WAY_OUT)

    def keep(self, message: Message, read_bytes: int, decoded_bytes: int) -> None:
        """Note that a message was read: what is in memory of it is decoded, if it was compressed."""
        if message.kind == RECORD_BATCH:
            self._batches += 1
        elif message.kind == DICTIONARY:
            size = decoded_bytes if message.is_compressed else read_bytes
            before = self._dictionaries.get(message.id, 0)
            self._dictionaries[message.id] = before + DELTA_COPIES * size if message.is_delta else size


class StreamMemory(ArrowMemory):
    """The messages of a stream: `note` each block of bytes before pyarrow gets it. `begin` once the schema is known.

    `size` is that of the whole input, None where it is not known.
    """

    def __init__(self, name: str, size: int | None, allowance: "Allowance") -> None:
        super().__init__(name, allowance)
        self._size = size
        self._layouts: Sequence[tuple[bool, int, int]] = ()
        self.note = WatchedBytes(self._parse()).note

    def begin(self, schema: "pa.Schema", names: "Sequence[str]") -> None:
        """Begin a stream of this schema, of which these columns are read."""
        self._layouts = layouts_of(schema, names)
        self._dictionaries.clear()

    def _parse(self) -> "Parser":
        """Parses the stream, for WatchedBytes."""
        while True:
            prefix = yield SIZE_BYTES, False
            is_old = prefix != CONTINUATION
            if not is_old:
                prefix = yield SIZE_BYTES, False
            size = int.from_bytes(prefix, "little")
            if is_old and size > OLD_METADATA_BYTES_MAX:
                raise MessageError("what follows is no message")
            if not size:
                continue  # the stream ends here; another may follow
            self.check_metadata(size)
            message = Message((yield size, False))
            if self._size is not None and message.body_bytes > self._size:
                raise MessageError("a message ends beyond the end of the file")
            self.check(message, message.body_bytes)
            decoded_bytes = at = 0
            for offset, count in compressed(message, message.buffers_of(self._layouts)):
                if offset < at:
                    raise MessageError("its buffers overlap")
                yield offset - at, True
                decoded_bytes += decoded_size((yield PREFIX_BYTES, False), count)
                self.check(message, message.body_bytes, decoded_bytes)
                at = offset + PREFIX_BYTES
            yield max(0, message.body_bytes - at), True
            self.keep(message, message.body_bytes, decoded_bytes)


class FileMemory(ArrowMemory):
    """The messages of a file that can be read at any offset: `check_dictionaries` first, as pyarrow reads all of them
    first, then `check_batch` before each record batch is read.

    `footer_start` is the offset of the footer, and `content_end` the end of the last message, as the footer says it.
    """

    def __init__(self, name: str, read_at: "ReadAt", size: int, allowance: "Allowance") -> None:
        super().__init__(name, allowance)
        self._read_at = read_at
        self._size = size
        offset, count = footer_place(read_at, size)
        self.check_metadata(count, "its footer")
        self._dictionary_blocks, self._blocks = blocks_of(read_at(offset, count))
        self.footer_start = offset
        self.content_end = max(map(sum, self._dictionary_blocks + self._blocks), default=0)

    def check_dictionaries(self) -> None:
        """See that there is room for all dictionaries."""
        for block in self._dictionary_blocks:
            self._check_block(block, ())

    def check_batch(self, number: int, layouts: "Sequence[tuple[bool, int, int]]") -> None:
        """See that there is room for the columns that are read of the record batch of this number."""
        self._check_block(self._blocks[number], layouts)

    def _check_block(self, block: tuple[int, ...], layouts: "Sequence[tuple[bool, int, int]]") -> None:
        offset, metadata_bytes, _ = block
        if metadata_bytes < 0 or not 0 <= offset <= self._size - metadata_bytes:
            raise MessageError("a message ends beyond the end of the file")
        self.check_metadata(metadata_bytes)
        message = Message(metadata_in(self._read_at(offset, metadata_bytes)))
        start = offset + metadata_bytes
        if message.body_bytes > self._size - start:
            raise MessageError("a message ends beyond the end of the file")
        buffers = message.buffers_of(layouts)
        read_bytes = sum(count for _, count in buffers)
        self.check(message, read_bytes)
        decoded_bytes = 0
        for at, count in compressed(message, buffers):
            decoded_bytes += decoded_size(self._read_at(start + at, PREFIX_BYTES), count)
            self.check(message, read_bytes, decoded_bytes)
        self.keep(message, read_bytes, decoded_bytes)


def layouts_of(schema: "pa.Schema", names: "Sequence[str]") -> list[tuple[bool, int, int]]:
    """The columns of a schema as `Message.buffers_of` takes them, of which these are read."""
    return [(field.name in names, *layout_of(field.type)) for field in schema]


def compressed(message: Message, buffers: "Iterable[tuple[int, ...]]") -> list[tuple[int, ...]]:
    """Those of these buffers that are compressed, in the order of their offsets."""
    return sorted(each for each in buffers if message.is_compressed and each[1] >= PREFIX_BYTES)


def decoded_size(prefix: bytes, size: int) -> int:
    """The decoded size of a buffer of this size that begins with the prefix."""
    decoded = int.from_bytes(prefix, "little", signed=True)
    return size - PREFIX_BYTES if decoded == STORED else max(0, decoded)
