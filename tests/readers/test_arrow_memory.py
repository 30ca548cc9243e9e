"""How much memory an Arrow file or stream takes is known before it is decoded: what takes too much is refused."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import txfast
from tests.support import replays
from tests.support.command import Folder
from tests.support.peaks import peak_bytes
from tests.support.tables import NAMES, ROWS, of_texts, reads_of
from txfast.batch.batch import TransactionBatch
from txfast.errors import InputError, MemoryLimitError
from txfast.input.open import open_source
from txfast.readers.allowance import Allowance
from txfast.readers.arrow_memory import FileMemory, StreamMemory, layouts_of
from txfast.readers.arrow_messages import Message, MessageError, blocks_of, footer_place, metadata_in, root
from txfast.readers.table import TableReader

MIB = 1 << 20
FORMATS = ("arrow", "arrows")
LONG = "x" * 3000


def columns(tx: pa.Array) -> pa.Table:
    rows = len(tx)
    return pa.table([pa.array(["deposit"] * rows), pa.array(range(rows)), tx, pa.array([1] * rows)], names=list(NAMES))


def written(table: pa.Table, suffix: str, compression: str | None = "zstd", **options: Any) -> bytes:
    sink = io.BytesIO()
    new = pa.ipc.new_file if suffix == "arrow" else pa.ipc.new_stream
    with new(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression, **options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def batches(path: Path, allowed: int, threads: int = 1) -> Iterator[TransactionBatch]:
    source = open_source(str(path))
    reader = TableReader(source, allowance=Allowance(allowed), threads=threads)
    batch = TransactionBatch()
    try:
        while reader.fill(batch):
            reader.scan(batch)
            yield batch
    finally:
        source.close()


def rows_read(path: Path, allowed: int, threads: int = 1) -> int:
    return sum(batch.lines for batch in batches(path, allowed, threads))


# ---- Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("compression", ["zstd", "lz4", None])
def test_a_record_batch_that_takes_too_much_is_refused(folder: Folder, suffix: str, compression: str | None) -> None:
    path = folder.path / f"in.{suffix}"
    path.write_bytes(written(columns(pa.array([LONG] * 1000)), suffix, compression))
    assert rows_read(path, 4 * MIB) == 1000
    held = pa.total_allocated_bytes()
    with pytest.raises(
        MemoryLimitError, match=rf"in\.{suffix}: record batch 1 takes 3MiB of memory .* smaller record b"
    ):
        rows_read(path, 2 * MIB)
    assert pa.total_allocated_bytes() - held < MIB


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_column_that_is_not_read_does_not_count_decoded(folder: Folder, suffix: str) -> None:
    path = folder.path / f"in.{suffix}"
    table = columns(pa.array(range(1000))).add_column(1, "note", pa.array([LONG] * 1000))
    path.write_bytes(written(table, suffix))
    assert rows_read(path, MIB) == 1000


@pytest.mark.parametrize("suffix", FORMATS)
def test_dictionaries_stay_and_count(folder: Folder, suffix: str) -> None:
    path = folder.path / f"in.{suffix}"
    texts = pa.array([LONG + str(row) for row in range(1000)]).dictionary_encode()
    path.write_bytes(written(columns(texts), suffix))
    assert rows_read(path, 4 * MIB) == 1000
    with pytest.raises(MemoryLimitError, match=r"a dictionary takes 3MiB"):
        rows_read(path, 2 * MIB)
    more = pa.array([LONG + str(row) for row in range(2000)]).dictionary_encode()
    grows = pa.concat_tables([columns(texts), columns(more)])
    path.write_bytes(written(grows, suffix, emit_dictionary_deltas=True))
    assert rows_read(path, 10 * MIB) == 3000
    with pytest.raises(MemoryLimitError, match=r"a dictionary takes \dMiB|record batch 2 takes 9MiB"):
        rows_read(path, 5 * MIB)


@pytest.mark.parametrize("suffix", FORMATS)
def test_metadata_that_takes_too_much_is_refused(folder: Folder, suffix: str) -> None:
    path = folder.path / f"in.{suffix}"
    table = columns(pa.array(range(2))).replace_schema_metadata({"note": LONG})
    path.write_bytes(written(table, suffix))
    assert rows_read(path, MIB) == 2
    with pytest.raises(MemoryLimitError, match=r"(metadata of a record batch|its footer) takes 1MiB of memory"):
        rows_read(path, 8 * len(LONG))


@pytest.mark.unmeasured
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("piped", [False, True])
def test_a_small_file_that_becomes_large_is_refused_by_the_command(folder: Folder, suffix: str, piped: bool) -> None:
    content = written(columns(pa.array(["x" * 1_000_000] * 400 + ["1"], pa.large_string())), suffix)
    assert len(content) < MIB
    name = folder.write(f"in.{suffix}", content).name
    arguments = ["-q", name, "--memory-limit", "256MiB"]
    peak, code, errors = peak_bytes(folder, *arguments[piped * 2 :], stdin=name if piped else None)
    named = "standard input" if piped else name
    assert errors.startswith(
        f"txfast: {named}: record batch 1 takes 382MiB of memory to read, and the memory limit of 25"
    )
    assert code == 1
    assert peak < 200 * MIB
    limit = errors.rpartition(" ")[2]
    if not piped:
        peak, code, errors = peak_bytes(folder, "-q", name, "--memory-limit", limit)
        assert (code, errors) == (0, "")


# ---- One record batch at a time --------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("threads", [1, 8])
def test_one_large_record_batch_is_in_memory_at_a_time(folder: Folder, suffix: str, threads: int) -> None:
    path = folder.path / f"in.{suffix}"
    table = columns(pa.array([LONG] * 1000))
    path.write_bytes(written(pa.concat_tables([table] * 4), suffix))
    one = table.nbytes
    before = pa.total_allocated_bytes()
    held = []
    for batch in batches(path, one + one // 8, threads):
        assert len(batch) + batch.malformed_rows == batch.lines
        held.append(pa.total_allocated_bytes() - before)
    assert len(held) > 4
    assert max(held) < one + one // 4
    assert replays.run_files([path], threads=threads).rows == 4000


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_texts_that_share_their_bytes_are_not_all_copied(folder: Folder, suffix: str, kind: pa.DataType) -> None:
    """A thousand rows share a text of a million bytes."""
    text = "x" * MIB
    if pa.types.is_dictionary(kind):
        tx = pa.DictionaryArray.from_arrays(pa.array([0] * 1000 + [1], pa.int32()), pa.array([text, None]))
    else:
        view = MIB.to_bytes(4, "little") + b"xxxx" + bytes(8)
        tx = pa.Array.from_buffers(kind, 1001, [None, pa.py_buffer(view * 1001), pa.py_buffer(text.encode())])
    path = folder.path / f"in.{suffix}"
    path.write_bytes(written(columns(tx), suffix, None))
    before, most = pa.total_allocated_bytes(), 0
    for batch in batches(path, 12 * MIB):
        most = max(most, pa.total_allocated_bytes() - before)
        assert batch.lines == batch.malformed_rows
    assert most < 11 * MIB
    if not pa.types.is_dictionary(kind):
        with pytest.raises(MemoryLimitError, match=r"a text takes 11MiB of memory .*: cast its column to text"):
            rows_read(write_views(path, 9), 9 * MIB + 1000)


def write_views(path: Path, mebibytes: int) -> Path:
    """A dictionary of views that share one text: nine times a text of a MiB."""
    view = MIB.to_bytes(4, "little") + b"xxxx" + bytes(8)
    buffers = [None, pa.py_buffer(view * mebibytes), pa.py_buffer(b"x" * MIB)]
    texts = pa.Array.from_buffers(pa.string_view(), mebibytes, buffers)
    indices = pa.array(range(mebibytes), pa.int32())
    path.write_bytes(written(columns(pa.DictionaryArray.from_arrays(indices, texts)), path.suffix[1:], None))
    return path


def test_dictionaries_of_views_are_read(folder: Folder) -> None:
    path = write_views(folder.path / "in.arrow", 9)
    assert rows_read(path, 12 * MIB) == 9


def test_a_dictionary_may_be_larger_than_its_rows_sliced_and_have_nulls() -> None:
    texts = pa.array(["fee", "deposit", None, "withdrawal", *map(str, range(50))]).slice(1)
    types = pa.DictionaryArray.from_arrays(pa.array([0, 2, 1, None], pa.int8()), texts)
    none = pa.DictionaryArray.from_arrays(pa.nulls(4, pa.int8()), texts.slice(0, 0))
    table = pa.table([types, pa.array([1] * 4), pa.array(range(4)), none], names=list(NAMES))
    result = txfast.process(table, rejects=True)
    assert result.rejects is not None
    assert [(each.line, each.reason, each.type) for each in result.rejects] == [
        (1, "amount_required", "deposit"), (2, "amount_required", "withdrawal"), (3, "missing_field", ""),
        (4, "missing_field", ""),
    ]  # fmt: skip


# ---- Messages --------------------------------------------------------------------------------------

KINDS: Sequence[pa.DataType] = [
    pa.null(), pa.bool_(), pa.int8(), pa.float64(), pa.decimal256(50, 3), pa.string(), pa.large_binary(),
    pa.string_view(), pa.binary(7), pa.list_(pa.string()), pa.large_list(pa.int8()), pa.list_(pa.string_view(), 2),
    pa.list_view(pa.int8()), pa.map_(pa.string(), pa.int8()), pa.struct([("a", pa.string()), ("b", pa.null())]),
    pa.dictionary(pa.int8(), pa.string()), pa.run_end_encoded(pa.int32(), pa.string()), pa.uuid(),
    pa.sparse_union([pa.field("a", pa.int8())]), pa.dense_union([pa.field("a", pa.string())]), pa.timestamp("s"),
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_buffers_of_a_column_are_found_whatever_stands_before_it(kind: pa.DataType) -> None:
    schema = pa.schema([("before", kind), ("read", pa.large_string()), ("after", kind)])
    before = pa.nulls(0, kind)
    arrays = [before, pa.array([], pa.large_string()), before]
    message = pa.record_batch(arrays, schema=schema).serialize()
    found = Message(metadata_in(bytes(message)))
    assert len(found.buffers_of(layouts_of(schema, ["read"]))) == 3
    assert len(found.buffers_of(layouts_of(schema, ["read", "before", "after"]))) == len(found.buffers)
    assert found.buffers_of([(True, 1, 0)]) == found.buffers


def views(count: int) -> pa.Array:
    return pa.array([LONG + str(row) for row in range(count)], pa.string_view())


def test_the_buffers_after_views_are_found() -> None:
    schema = pa.schema([("before", pa.string_view()), ("read", pa.string())])
    batch = pa.record_batch([views(100), pa.array(["12345678"] * 100)], schema=schema)
    found = Message(metadata_in(bytes(batch.serialize())))
    assert len(found.buffers) > 5
    assert [size for _, size in found.buffers_of(layouts_of(schema, ["read"]))] == [0, 404, 800]


def noted(content: bytes, step: int, size: int | None = None) -> None:
    memory = StreamMemory("in", size, Allowance(MIB))
    schema = pa.ipc.open_stream(content).schema
    memory.begin(schema, NAMES)
    for at in range(0, len(content), step):
        memory.note(content[at : at + step])


@pytest.mark.parametrize("step", [1, 7, 1000, MIB])
def test_a_stream_is_looked_at_in_blocks_of_any_size(step: int) -> None:
    small = written(columns(pa.array(["1"] * 500)), "arrows")
    noted(small * 3, step)
    large = written(columns(pa.array([LONG] * 1000)), "arrows")
    with pytest.raises(MemoryLimitError, match="record batch 2 takes 3MiB"):
        noted(small + large, step)


def test_streams_of_the_oldest_format_are_looked_at() -> None:
    options = {"use_legacy_format": True, "metadata_version": pa.ipc.MetadataVersion.V4}
    noted(written(columns(pa.array(["1"] * 500)), "arrows", None, **options) * 2, 100)
    with pytest.raises(MemoryLimitError, match="record batch 1 takes 3MiB"):
        noted(written(columns(pa.array([LONG] * 1000)), "arrows", None, **options), 100)


@pytest.mark.parametrize("compression", ["zstd", None])
@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_metadata_ends_in_an_error_of_the_input(folder: Folder, suffix: str, compression: str | None) -> None:
    content = written(of_texts(ROWS, pa.string()), suffix, compression)
    path = folder.path / f"in.{suffix}"
    for at in range(8, len(content)):
        for bits in (0x01, 0x80, 0xFF):
            path.write_bytes(content[:at] + bytes([content[at] ^ bits]) + content[at + 1 :])
            try:
                rows_read(path, MIB)
            except (InputError, MemoryLimitError):
                continue


def test_metadata_that_leads_out_of_itself_is_damaged() -> None:
    content = bytes(written(columns(pa.array(range(5))), "arrow", None))
    offset, size = footer_place(reads_of(content), len(content))
    footer = content[offset : offset + size]
    _, [block] = blocks_of(footer)
    metadata = metadata_in(content[block[0] :])
    damaged = 0
    for cut in range(len(metadata)):
        try:
            Message(metadata[:cut])
        except MessageError:
            damaged += 1
    assert damaged > len(metadata) // 2
    # A record batch without its content: a vtable, then a table with a kind alone.
    with pytest.raises(MessageError, match="not whole"):
        Message(struct.pack("<I4HiB3x", 12, 8, 8, 0, 4, 8, 3))
    with pytest.raises(MessageError, match="leads out"):
        root(b"")
    for wrong in (b"", b"x" * 30, content[:-6] + b"MAGIC!", content[-9:]):
        with pytest.raises(MessageError, match="no footer"):
            FileMemory("in", reads_of(wrong), len(wrong), Allowance(MIB))


def forged(content: bytes, before: bytes, after: bytes) -> bytes:
    assert content.count(before) >= 1
    return content.replace(before, after)


def test_sizes_that_cannot_be_are_damage(folder: Folder) -> None:
    path = folder.path / "in.arrows"
    table = columns(pa.array([LONG] * 3))
    stream = written(table, "arrows")
    for suffix in FORMATS:
        content = written(table, suffix, None)
        message = table.to_batches()[0].serialize()
        body = Message(metadata_in(bytes(message))).body_bytes
        for size, words in ((1 << 50, "ends beyond the end"), (-8, "below zero")):
            path.write_bytes(forged(content, body.to_bytes(8, "little"), size.to_bytes(8, "little", signed=True)))
            with pytest.raises(InputError, match=words):
                rows_read(path, MIB)
    found = Message(metadata_in(stream[stream.index(b"\xff\xff\xff\xff", 8) :]))
    offset = next(offset for offset, size in found.buffers if offset and size)
    path.write_bytes(forged(stream, offset.to_bytes(8, "little"), (4).to_bytes(8, "little")))
    with pytest.raises(InputError, match=r"overlap|cannot be read"):
        rows_read(path, MIB)


def test_a_message_that_a_footer_puts_beyond_the_end_is_damage() -> None:
    content = written(columns(pa.array(range(5))), "arrow")
    memory = FileMemory("in", reads_of(content), len(content), Allowance(MIB))
    memory._blocks = [(len(content), 8, 8)]
    with pytest.raises(MessageError, match="ends beyond the end"):
        memory.check_batch(0, [])


def test_a_table_of_a_program_with_long_views_is_read() -> None:
    text = "x" * MIB
    view = MIB.to_bytes(4, "little") + b"xxxx" + bytes(8)
    tx = pa.Array.from_buffers(pa.string_view(), 20, [None, pa.py_buffer(view * 20), pa.py_buffer(text.encode())])
    with pytest.raises(InputError, match="malformed"):
        txfast.process(columns(tx))
