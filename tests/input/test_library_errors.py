"""What a library raises about an input: it becomes an error of txfast that names the input, and nothing else does."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import resource
import struct
import subprocess
import zlib
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

import txfast
from tests.support.command import COMMAND, FILE, Folder, environment, unmeasured
from tests.support.reference import HEADER
from tests.support.tables import NAMES
from txfast.errors import InputError, SourceError, TxfastError
from txfast.input.library_errors import WORDS_LENGTH_MAX, LibraryErrors, LocationErrors, mark_as_callers

ROWS = HEADER + b"".join(b"deposit,%d,%d,%d.5\n" % (row % 7, row, row * 37 % 1000) for row in range(60))


def table() -> pa.Table:
    rows = 60
    columns = [["deposit"] * rows, [row % 7 for row in range(rows)], range(rows), [Decimal(row) for row in range(rows)]]
    kinds = (pa.string(), pa.uint64(), pa.uint64(), pa.decimal128(19, 4))
    return pa.table([pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names=list(NAMES))


def by_arrow(write: Callable[[io.BytesIO], None]) -> bytes:
    sink = io.BytesIO()
    write(sink)
    return sink.getvalue()


def write_ipc(new: Callable[..., pa.ipc.RecordBatchFileWriter], sink: io.BytesIO) -> None:
    with new(sink, table().schema) as writer:
        writer.write_table(table())


CONTENTS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(ROWS, mtime=0),
    "zstd": lambda: bytes(pa.Codec("zstd").compress(ROWS, asbytes=True)),
    "lz4": lambda: bytes(pa.Codec("lz4").compress(ROWS, asbytes=True)),
    "bz2": lambda: bz2.compress(ROWS),
    "parquet": lambda: by_arrow(lambda sink: parquet.write_table(table(), sink)),
    "arrow": lambda: by_arrow(lambda sink: write_ipc(pa.ipc.new_file, sink)),
    "arrows": lambda: by_arrow(lambda sink: write_ipc(pa.ipc.new_stream, sink)),
}


# Of each of these kinds more bits are flipped: damage in the metadata of Parquet once ended the process.
STEPS = {"gzip": 3, "parquet": 11}


@pytest.mark.untraced
@pytest.mark.parametrize("kind", CONTENTS)
def test_a_flipped_bit_is_found_or_does_no_harm(kind: str) -> None:
    """Whatever the library raises, it is an error of txfast that names the input."""
    content = CONTENTS[kind]()
    step = STEPS.get(kind, 31)
    messages = []
    for bit in range(0, 8 * len(content), step):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            txfast.process(io.BytesIO(bytes(damaged)), threads=1)
        except (TxfastError, MemoryError) as error:  # MemoryError: a size that was damaged
            messages.append(str(error))
    assert messages
    assert [message for message in messages if not message.startswith("io.BytesIO") or "\n" in message] == []


# ---- The block -------------------------------------------------------------------------------------


def raised_by(error: Exception, **options: bool) -> BaseException:
    """What leaves a block in which this error is raised."""
    with pytest.raises(BaseException) as caught, LibraryErrors("in.x", "is damaged: {}".format, **options):  # noqa: PT011
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (zlib.error("bad"), "bad"),
        (lzma.LZMAError("bad"), "bad"),
        (struct.error("bad"), "bad"),
        (pa.ArrowNotImplementedError("bad"), "bad"),
        (pa.ArrowKeyError("bad"), "bad"),
        (pa.ArrowTypeError("bad"), "bad"),
        (EOFError(), "EOFError"),
        (ValueError("two\n  lines"), "two lines"),
        (OSError("without a number"), "without a number"),
        (RuntimeError("x" * 9_999), "x" * WORDS_LENGTH_MAX + "…"),
    ],
)
def test_an_exception_of_a_library_becomes_an_input_error(error: Exception, words: str) -> None:
    found = raised_by(error)
    assert (type(found), str(found)) == (InputError, f"in.x: is damaged: {words}")
    assert found.__cause__ is error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(5, "Input/output error"), "in.x: cannot be read: Input/output error"),
        (PermissionError(13, "Permission denied", "other"), "in.x: cannot be read: Permission denied"),
    ],
)
def test_an_error_of_the_system_is_not_called_damage(error: Exception, line: str) -> None:
    found = raised_by(error)
    assert type(found) is SourceError
    assert str(found).startswith(f"{line}: ")  # and what to do


def test_an_error_of_the_network_is_not_called_damage() -> None:
    found = raised_by(OSError("the peer is gone"), is_remote=True)
    assert (type(found), str(found)) == (SourceError, "in.x: cannot be read: the peer is gone")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "in.x: the machine has no more"),
        (pa.ArrowMemoryError("malloc of size 7 failed"), "in.x: malloc of size 7 failed"),
        (
            pa.ArrowException("Failed to launch worker thread: Resource temporarily unavailable"),
            "in.x: Failed to launch worker thread: Resource temporarily unavailable",
        ),
    ],
)
def test_too_little_memory_is_not_called_damage(error: Exception, line: str) -> None:
    found = raised_by(error)
    assert (type(found), str(found)) == (MemoryError, line)


@pytest.mark.parametrize(
    "error",
    [
        InputError("other"), SourceError("other", "other"), TypeError("ours"), AttributeError("ours"),
        AssertionError("ours"), ImportError("libarrow.so"), KeyboardInterrupt(),
    ],
    ids=repr,
)  # fmt: skip
def test_an_error_of_our_own_passes(error: Exception) -> None:
    assert raised_by(error) is error


def test_the_calling_programs_exceptions_pass() -> None:
    marked = ValueError("the program's")
    mark_as_callers(marked)
    assert raised_by(marked) is marked
    for lent in (RuntimeError("the program's"), OSError("the program's"), MemoryError("the program's")):
        assert raised_by(lent, is_lent=True) is lent
    for of_library in (pa.ArrowInvalid("a column"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a name")):
        assert isinstance(raised_by(of_library, is_lent=True), InputError)


def test_an_error_about_a_location_does_not_repeat_its_secret() -> None:
    for error in (OSError("no s3://k:s@b/in"), OSError(2, "no s3://k:s@b/in"), pa.ArrowInvalid("no s3://k:s@b/in")):
        block = LocationErrors("s3://b/in", "s3://k:s@b/in")
        with pytest.raises(SourceError, match=r"^s3://b/in: cannot be read: no s3://b/in$"), block:
            raise error


# ---- The calling program's files and generators -------------------------------------------------------


class Failing(io.BytesIO):
    """A compressed file of the program's, whose second read raises an exception of the program's."""

    def __init__(self, content: bytes, error: Exception) -> None:
        super().__init__(content)
        self._error = error

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self.tell():
            raise self._error
        return super().readinto(buffer[: len(buffer) // 2])


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4", "bz2"])
@pytest.mark.parametrize("error", [ValueError("mine"), RuntimeError("mine"), EOFError("mine")], ids=repr)
def test_what_a_programs_own_file_raises_passes_through_a_decompressor(compression: str, error: Exception) -> None:
    with pytest.raises(type(error), match=r"^mine$") as caught:
        txfast.process(Failing(CONTENTS[compression](), error))
    assert caught.value is error


def test_what_a_programs_own_generator_raises_passes_also_where_it_is_pyarrows() -> None:
    error = pa.ArrowInvalid("mine")

    def batches() -> object:
        yield table()
        raise error

    with pytest.raises(pa.ArrowInvalid, match=r"^mine$") as caught:
        txfast.process(batches())  # type: ignore[call-overload]
    assert caught.value is error


# ---- Libraries that cannot be imported -----------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["in.parquet"], ["in.csv", "--rejects", "r.parquet"]])
def test_a_library_that_cannot_be_mapped_is_one_line(folder: Folder, arguments: list[str]) -> None:
    """With too little address space, pyarrow is not imported."""
    parquet.write_table(table(), folder.path / "in.parquet")
    folder.write("in.csv", FILE)
    space = 60 << 20

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (space, space))

    ended = subprocess.run(
        [COMMAND, "-q", *arguments], capture_output=True, text=True, check=False, cwd=folder.path,
        env=unmeasured(environment()), preexec_fn=limit,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(("txfast: a library cannot be loaded: ", "txfast: pyarrow needs "))
    assert "ulimit -v" in line
    assert "--memory-limit" not in line  # one way out, and the right one


# ---- Negative scales -----------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [pa.decimal128, pa.decimal256])
@pytest.mark.parametrize("scale", [-1, -2, -30])
def test_decimals_of_a_negative_scale_are_whole_numbers(
    folder: Folder, space: Callable[[int, int], pa.DataType], scale: int
) -> None:
    kind = space(38, scale)
    units = [5, 0, 12, 10**37]
    buffer = b"".join(each.to_bytes(kind.bit_width // 8, "little") for each in units)
    amounts = pa.Array.from_buffers(kind, 4, [None, pa.py_buffer(buffer)])
    clients = pa.array(range(4))
    made = pa.table([pa.array(["deposit"] * 4), clients, clients, amounts], names=list(NAMES))
    with pa.ipc.new_file(str(folder.path / "in.arrow"), made.schema) as writer:
        writer.write_table(made)
    run = folder.run("in.arrow", "--rejects", "rejects.csv")
    assert run.exit_code == 0, run.errors
    expected = [each * 10**-scale if scale > -30 else None for each in units]
    expected = [each if each is not None and each < 10**15 else None for each in expected]
    expected[1] = 0
    lines = [
        f"{client},{each}.0000,0.0000,{each}.0000,false" for client, each in enumerate(expected) if each is not None
    ]
    assert run.output.decode().splitlines()[1:] == lines
    reasons = [line.split(",")[:4] for line in folder.read("rejects.csv").decode().splitlines()[1:]]
    assert reasons == [
        ["in.arrow", str(number + 1), "malformed", "bad_amount"] for number, each in enumerate(expected) if each is None
    ]


@pytest.mark.parametrize(
    "kind",
    [
        pa.decimal128(38, -35), pa.decimal128(38, 39), pa.decimal128(19, 4 + (1 << 20)), pa.decimal256(76, -73),
        pa.decimal256(76, 77), pa.decimal64(9, 40), pa.decimal32(9, 10),
    ],
    ids=str,
)  # fmt: skip
def test_a_scale_with_which_pyarrow_would_crash_is_refused(folder: Folder, kind: pa.DataType) -> None:
    amounts = pa.Array.from_buffers(kind, 1, [None, pa.py_buffer(b"\1" + bytes(kind.bit_width // 8 - 1))])
    made = pa.table([pa.array(["deposit"]), pa.array([1]), pa.array([1]), amounts], names=list(NAMES))
    with pa.ipc.new_file(str(folder.path / "in.arrow"), made.schema) as writer:
        writer.write_table(made)
    folder.run("in.arrow").assert_failed(f"in.arrow: column 'amount' is of type {kind}: its scale", "decimal128(19, 4)")


def test_a_file_of_the_command_with_a_flipped_bit_is_named(folder: Folder) -> None:
    content = bytearray(gzip.compress(FILE, mtime=0))
    content[12] ^= 0x40
    folder.write("in.csv.gz", bytes(content))
    folder.run("in.csv.gz").assert_failed("in.csv.gz: gzip cannot be decompressed: it is damaged or cut short")
