"""The rejects file: its content in each format, and what happens to it when a run fails."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support import reference, reference_rows, replays, strategies
from tests.support.reference import HEADER
from tests.support.replays import READERS, THREADS, Input
from tests.support.rows import make_batch
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.errors import SourceError, TxfastError, UsageError
from txfast.log.journal import WARN, Journal
from txfast.writers import reject_tables
from txfast.writers.reject_columns import ROWS_MAX, TEXT_BYTES_MAX, RejectColumns
from txfast.writers.reject_text import FORMATS, RejectRows, RejectText
from txfast.writers.rejects import Rejects

COLUMNS = ("file", "line", "status", "reason", "type", "client", "tx", "amount", "row")
TEXTS = ("type", "client", "tx", "amount", "row")
CSV_HEADER = ",".join(COLUMNS).encode() + b"\n"
KIB, MIB = 1 << 10, 1 << 20
PATIENCE_SECONDS = 60

each_reader = pytest.mark.parametrize("reader", READERS)
SUFFIXES = (".csv", ".jsonl", ".parquet")
each_suffix = pytest.mark.parametrize("suffix", SUFFIXES)
thread_counts = st.sampled_from(THREADS)
# A field of a CSV file may be as long as a row.
csv.field_size_limit(16 * MIB)


# ---- Writing and reading back --------------------------------------------------------------------


class WritingJournal(Journal):
    """A journal that writes rejects instead of lines."""

    def __init__(self, rejects: Rejects) -> None:
        super().__init__(WARN, named=True)
        self._rejects = rejects

    def rows(self, file: str, batch: TransactionBatch) -> None:
        self._rejects.add(file, batch)


def write_rejects(
    path: Path | str,
    inputs: Sequence[Input],
    *,
    reader: str = READERS[0],
    block_bytes: int | None = None,
    threads: int = 1,
) -> None:
    """Replay the inputs and put their rejects into a file. Raises TxfastError."""
    rejects = Rejects(str(path))
    try:
        rejects.open()
        journal = WritingJournal(rejects)
        replay = replays.new_replay(journal, reader, block_bytes, threads)
        for name, content in inputs:
            replay.read_source(replays.open_bytes(name, content))
        rejects.finish()
        rejects.publish()
    finally:
        rejects.discard()


def written(suffix: str, *inputs: Input, **settings: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rejects{suffix}"
        write_rejects(path, inputs, **settings)
        assert os.listdir(folder) == [path.name]
        return path.read_bytes()


def read_csv(content: bytes) -> list[dict[str, Any]]:
    """Rows as Python reads CSV. Latin-1 stands for bytes."""
    rows = list(csv.reader(io.StringIO(content.decode("latin-1"), newline=""), strict=True))
    assert rows.pop(0) == list(COLUMNS)
    assert content.endswith(b"\n")
    rejects: list[dict[str, Any]] = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    for reject in rejects:
        reject["line"] = int(reject["line"])
        for name in ("file", *TEXTS):
            reject[name] = reject[name].encode("latin-1")
    return rejects


def read_jsonl(content: bytes) -> list[dict[str, Any]]:
    assert content.decode("utf-8").endswith("\n") or not content
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def read_parquet(content: bytes) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    rejects: list[dict[str, Any]] = parquet.read_table(pa.BufferReader(content)).to_pylist()
    return rejects


READ = {".csv": read_csv, ".jsonl": read_jsonl, ".parquet": read_parquet}

# Characters that spreadsheets strip, then the beginning of a formula; and numbers that look like a formula.
SPACES = rb"(?:[\x00-\x20\x7f]|\xc2[\x85\xa0]|\xe2\x80[\x80-\x8f\xa8-\xaf]|\xe3\x80\x80|\xef\xbb\xbf)*"
FORMULA = re.compile(rb"[\t\r\n]|" + SPACES + rb"(?:[=+@-]|\xef\xbc[\x9d\x8b\x8d\xa0])")
NUMBER = re.compile(rb"(?![\t\r\n])" + SPACES + rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def defused(text: bytes) -> bytes:
    return b"'" + text if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def expected(suffix: str, inputs: Sequence[Input]) -> list[dict[str, Any]]:
    """The reference's rejects, as they are read back from this format."""
    rejects = []
    for reject in reference.replay(*inputs).rejects:
        texts = {"file": os.fsencode(reject.file)} | {name: getattr(reject, name) for name in TEXTS}
        read: dict[str, Any] = {}
        for name, text in texts.items():
            if suffix == ".csv":
                read[name] = defused(text)
            elif suffix == ".jsonl":
                read[name] = text.decode("utf-8", "surrogateescape")
            else:
                read[name] = text if name == "row" else text.decode("utf-8", "backslashreplace")
        read |= {"line": reject.line, "status": reject.status, "reason": reject.reason}
        rejects.append({name: read[name] for name in COLUMNS})
    return rejects


def assert_as_reference(suffix: str, *inputs: Input, **settings: Any) -> None:
    assert READ[suffix](written(suffix, *inputs, **settings)) == expected(suffix, inputs)


# ---- Against the reference -----------------------------------------------------------------------

# Pieces of fields: beginnings of formulas, parts of numbers, bytes that must be quoted, and odd bytes.
pieces = st.sampled_from(
    [*rb"= + - @ = - 1 5 . e E x 0 ' \ / ; cmd|' /C'!A0".split(), b'"', b'""', b" "]
    + [b"\t", b"\v", b"\x00", b"\x1f", b"\x7f", b"\xff", b"\x80", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80"]
    + [mark.encode() for mark in "＝＋－＠　\u00a0\u0085\u2028\u200b\ufeffé€😀"]
    + [b"\xc0\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xe0\x9f\xbf", b"\xf4\x8f\xbf\xbf"]
)
odd_texts = st.lists(pieces, max_size=12).map(b"".join)
odd_fields = st.one_of(odd_texts, odd_texts.map(lambda text: b'"' + text.replace(b'"', b'""') + b'"'))


@st.composite
def odd_files(draw: st.DrawFn) -> bytes:
    """Files in which nearly every row is malformed."""
    ending = draw(strategies.endings)
    rows = st.lists(st.one_of(odd_fields, strategies.type_texts, strategies.amount_texts), min_size=1, max_size=6)
    lines = [b",".join(row) for row in draw(st.lists(rows, max_size=10))]
    return ending.join([HEADER.rstrip(), *lines, b""])


any_files = st.one_of(strategies.hostile_files(), strategies.plain_files(), strategies.wide_files(), odd_files())


@each_suffix
@each_reader
@given(st.lists(any_files, max_size=3), strategies.block_sizes, thread_counts)
def test_rejects_are_those_of_the_reference(
    reader: str, suffix: str, contents: list[bytes], block_bytes: int, threads: int
) -> None:
    inputs = [(f"{index}.csv", content) for index, content in enumerate(contents)]
    try:
        reference.replay(*inputs)
    except reference_rows.NotTransactions:
        return
    block_bytes = replays.fit_block(reader, inputs, block_bytes)
    assume(all(replays.can_carry(reader, content, block_bytes) for content in contents))
    assert_as_reference(suffix, *inputs, reader=reader, block_bytes=block_bytes, threads=threads)


@pytest.mark.untraced
@each_suffix
@each_reader
@pytest.mark.parametrize("ending", strategies.ENDINGS)
def test_rejects_of_a_long_file_are_those_of_the_reference(reader: str, suffix: str, ending: bytes) -> None:
    rng = random.Random(8)
    odd = [b"", b" ", b"x" * 300, b"deposit,1,1,1e3", b",,,", b"=1+1", b'"a""b",1', b"\xff\xfe,\x00,-1"]
    # Two quotes alone are one row of several lines, which the arrow reader cannot carry.
    odd.append(b'"x' if reader == "arrow" else b'"')
    rows = [
        rng.choice(odd)
        if rng.random() < 0.1
        else b"%s,%d,%d,%d.5" % (rng.choice(KINDS).encode(), rng.randrange(40), rng.randrange(60), rng.randrange(99))
        for _ in range(9_000)
    ]
    inputs = [("in.csv", ending.join([HEADER.rstrip(), *rows, b""]))]
    for block_bytes in (1_000, 65_536):
        assert_as_reference(suffix, *inputs, reader=reader, block_bytes=block_bytes)


@pytest.mark.untraced
@each_suffix
@each_reader
def test_long_rows_are_cut_but_not_their_fields(reader: str, suffix: str) -> None:
    rows = [b"deposit,1,1,%sx" % (b"9" * (length - 13)) for length in (64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB)]
    rows += [b"\xff" * length for length in (64 * KIB + 1, MIB, MIB + 1, 3 * MIB)]
    rows += [b'deposit,"%s",1,1' % (b'""' * 200_000), b"=" * (MIB + 1), b'"' * (MIB + 1), b"x"]
    content = b"\n".join([HEADER.rstrip(), *rows])
    assert_as_reference(suffix, ("in.csv", content), reader=reader, block_bytes=4 * MIB if reader == "arrow" else None)


@each_suffix
def test_line_numbers_count_blank_lines_and_headers(suffix: str) -> None:
    content = b"\n\n \n" + HEADER + b"x\n\n\r\ny\r\rz\r\n" + b"\n" * 200 + b"last"
    rejects = READ[suffix](written(suffix, ("a.csv", content), ("b.csv", HEADER + b"x"), block_bytes=50))
    assert [reject["line"] for reject in rejects] == [5, 8, 10, 211, 2]


@each_suffix
@pytest.mark.parametrize("name", ["=1+1.csv", 'a,"b"\n.csv', "\udcff€\\.csv", "-5", "@"])
def test_a_file_may_have_any_name(suffix: str, name: str) -> None:
    assert_as_reference(suffix, (name, HEADER + b"x\ny\n"), ("plain.csv", HEADER + b"z\n"), (name, HEADER + b"x\n"))


# ---- CSV -----------------------------------------------------------------------------------------


def csv_lines(*rows: bytes) -> list[bytes]:
    header, *lines = written(".csv", ("f", HEADER + b"\n".join(rows))).split(b"\n")[:-1]
    assert header + b"\n" == CSV_HEADER
    return lines


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b"=1+1", b"'=1+1"),
        (b"=", b"'="),
        (b"@SUM(A1)", b"'@SUM(A1)"),
        (b"+cmd|' /C calc'!A0", b"'+cmd|' /C calc'!A0"),
        (b"-2+3", b"'-2+3"),
        (b"+", b"'+"),
        (b"-", b"'-"),
        (b"--5", b"'--5"),
        (b"-5.", b"-5."),
        (b"-.5", b"-.5"),
        (b"-.", b"'-."),
        (b"-5.00", b"-5.00"),
        (b"+3", b"+3"),
        (b"-1e3", b"-1e3"),
        (b"+1.5E-7", b"+1.5E-7"),
        (b"-1e", b"'-1e"),
        (b"-1e+", b"'-1e+"),
        (b"-1e3+1", b"'-1e3+1"),
        (b"-5.00.0", b"'-5.00.0"),
        (b"-5x", b"'-5x"),
        (b"\x00=1+1", b"'\x00=1+1"),
        (b"\xc2\xa0=1+1", b"'\xc2\xa0=1+1"),
        ("\ufeff=1+1".encode(), "'\ufeff=1+1".encode()),
        ("　=1".encode(), "'　=1".encode()),
        ("＝1+1".encode(), "'＝1+1".encode()),
        ("＋1".encode(), "'＋1".encode()),
        ("－1".encode(), "'－1".encode()),
        ("＠x".encode(), "'＠x".encode()),
        ("，x".encode(), "，x".encode()),
        (b"\xef\xbc", b"\xef\xbc"),
        (b"1=1", b"1=1"),
        (b"x=", b"x="),
        (b"'=1", b"'=1"),
        (b"", b""),
    ],
)
def test_a_formula_is_defused_and_a_number_is_not(text: bytes, field: bytes) -> None:
    assert csv_lines(b"fee,%s,2,%s" % (text, text)) == [
        b'f,2,malformed,bad_type,fee,%s,2,%s,"fee,%s,2,%s"' % (field, field, text, text)
    ]


def test_a_raw_row_is_defused_and_quoted_where_it_must_be() -> None:
    assert csv_lines(b"=1+1", b" =1", b"\t=1", b"\tx", b"-5", b" -5", b"\t-5", b"=A,B", b"plain", b'x"y') == [
        b"f,2,malformed,missing_field,'=1+1,,,,'=1+1",
        b"f,3,malformed,missing_field,'=1,,,,' =1",
        b"f,4,malformed,missing_field,'=1,,,,'\t=1",
        b"f,5,malformed,missing_field,x,,,,'\tx",
        b"f,6,malformed,missing_field,-5,,,,-5",
        b"f,7,malformed,missing_field,-5,,,, -5",
        b"f,8,malformed,missing_field,-5,,,,'\t-5",
        b"f,9,malformed,missing_field,'=A,B,,,\"'=A,B\"",
        b"f,10,malformed,missing_field,plain,,,,plain",
        b'f,11,malformed,missing_field,"x""y",,,,"x""y"',
    ]


def test_texts_are_unquoted_trimmed_and_quoted_again() -> None:
    assert csv_lines(b' "a""b" , " c , d " ,x"y,"=""1"', b'"open', b'fee,"",2,') == [
        b'f,2,malformed,bad_type,"a""b","c , d","x""y","\'=""1",'
        b'" ""a""""b"" , "" c , d "" ,x""y,""=""""1"""',
        b'f,3,malformed,bad_quoting,,,,,"""open"',
        b'f,4,malformed,bad_type,fee,,2,,"fee,"""",2,"',
    ]  # fmt: skip


def test_bytes_that_are_not_utf8_stay_in_csv() -> None:
    text = b"\xff\x80\x00\xe2\x82"
    assert csv_lines(text) == [b"f,2,malformed,missing_field,%s,,,,%s" % (text, text)]


# ---- JSON lines ------------------------------------------------------------------------------------


def test_a_json_line_is_as_short_as_it_can_be() -> None:
    assert written(".jsonl", ("f", HEADER + b"withdrawal,1,2,9.5\n")) == (
        b'{"file":"f","line":2,"status":"rejected","reason":"insufficient_funds","type":"withdrawal","client":"1",'
        b'"tx":"2","amount":"9.5","row":"withdrawal,1,2,9.5"}\n'
    )


def test_every_byte_and_every_sort_of_bad_utf8_survives_in_json() -> None:
    texts = [bytes([byte]) * length for byte in range(256) if byte not in b"\r\n" for length in (1, 7, 8, 9)]
    characters = [character.encode() for character in "aé€😀\ud7ff\ue000\U0010ffff"]
    # The first and last bytes of the ranges that UTF-8 allows at each place of a character.
    edges = b"\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xec\xed\xee\xef\xf0\xf3\xf4\xf5"
    rng = random.Random(9)
    for _ in range(5_000):
        text = bytearray(rng.choice(characters))
        for _ in range(rng.randrange(5)):
            text.insert(rng.randrange(len(text) + 1), rng.choice(edges))
        texts.append(bytes(text) * rng.randrange(1, 4))
    rows = [b"fee,1,2,q" + text for text in texts]
    rejects = read_jsonl(written(".jsonl", ("f", HEADER + b"\n".join(rows))))
    assert [reject["row"] for reject in rejects] == [row.decode("utf-8", "surrogateescape") for row in rows]


# ---- Parquet ---------------------------------------------------------------------------------------


def test_a_parquet_file_has_the_documented_schema() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(pa.BufferReader(written(".parquet", ("f", HEADER + b"x\n"))))
    types = {name: pa.string() for name in COLUMNS} | {"line": pa.uint64(), "row": pa.binary()}
    assert {field.name: field.type for field in file.schema_arrow} == types
    assert [field.name for field in file.schema_arrow if field.nullable] == []


@pytest.mark.parametrize("module", ["polars", "duckdb"])
def test_other_libraries_read_the_parquet_file_as_pyarrow_does(module: str, tmp_path: Path) -> None:
    other = pytest.importorskip(module)
    path = tmp_path / "rejects.parquet"
    inputs = [("a.csv", HEADER + b"\xff\x00,1\nwithdrawal,1,1,5\n"), ("b.csv", HEADER + b"=x\n")]
    write_rejects(path, inputs)
    if module == "polars":
        rows = other.read_parquet(path).to_dicts()
    else:
        found = other.sql(f"SELECT * FROM '{path}'")
        rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    assert rows == expected(".parquet", inputs)


def test_row_groups_hold_all_rows_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reject_tables, "RejectColumns", lambda: RejectColumns(3))
    assert_as_reference(".parquet", *((name, HEADER + b"x\ny\n" * count) for count, name in enumerate("abcd")))


@pytest.mark.untraced
def test_a_large_file_has_several_row_groups() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = b"x\n" * (ROWS_MAX + 5)
    file = parquet.ParquetFile(pa.BufferReader(written(".parquet", ("f", HEADER + rows))))
    assert [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)] == [ROWS_MAX, 5]
    assert file.read(columns=["line"]).column(0).to_pylist() == list(range(2, ROWS_MAX + 7))


@pytest.mark.untraced
def test_a_row_group_of_long_rows_has_fewer() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = b"".join(b"%d%s\n" % (index, b"x" * 60_000) for index in range(300))
    file = parquet.ParquetFile(pa.BufferReader(written(".parquet", ("f", HEADER + rows))))
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    assert sum(sizes) == 300
    assert max(sizes) <= TEXT_BYTES_MAX // 120_000 + 1


# ---- Blocks ----------------------------------------------------------------------------------------

MALFORMED_LINES = [b"fee,%d,%d,%s" % (index, index % 7, b"=" * (index % 90)) for index in range(400)]


@pytest.mark.parametrize("text_format", FORMATS)
@pytest.mark.parametrize("block_bytes", [0, 1, 100, 1_000, 4_096])
def test_blocks_of_any_size_make_the_same_text(text_format: str, block_bytes: int) -> None:
    batch = make_batch(MALFORMED_LINES)
    whole = RejectText(text_format)
    assert list(whole.blocks(b"f", batch)) == []
    text = RejectText(text_format, block_bytes)
    blocks = [bytes(block) for _ in range(2) for block in text.blocks(b"f", batch)]
    assert len(blocks) > 10
    # A block keeps room for the longest form of the next line.
    assert max(map(len, blocks)) <= max(block_bytes, 2_000)
    content = bytes(whole.rest())
    again = content.removeprefix(CSV_HEADER)
    assert b"".join(blocks) + bytes(text.rest()) == content + again
    assert bytes(text.rest()) == b""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_texts_may_be_longer_than_the_first_buffer(suffix: str) -> None:
    rows = [b"fee,%s,%d,1" % (b"=" * 9_000, index) for index in range(30)]
    assert_as_reference(suffix, ("in.csv", HEADER + b"\n".join(rows)))


@pytest.mark.parametrize("rows_max", [1, 2, 7, 399, 400, 401])
def test_groups_of_any_size_hold_the_same_rows(rows_max: int) -> None:
    columns = RejectColumns(rows_max)
    lines: list[int] = []
    sizes = []
    for name in ("a", "b"):
        for rows, _, buffers in columns.groups(name, make_batch(MALFORMED_LINES)):
            sizes.append(rows)
            lines += buffers[1].cast("Q")
    assert set(sizes) <= {rows_max}
    rows, _, buffers = columns.rest()
    lines += buffers[1].cast("Q")
    assert 1 <= rows <= rows_max
    assert lines == [*range(1, 401)] * 2


@pytest.mark.parametrize(("rows_max", "text_bytes_max"), [(0, 1), (-1, 1), (ROWS_MAX + 1, 1), (1, TEXT_BYTES_MAX + 1)])
def test_a_group_without_room_is_refused(rows_max: int, text_bytes_max: int) -> None:
    with pytest.raises(ValueError, match="groups of"):
        RejectColumns(rows_max, text_bytes_max)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="csv, jsonl"):
        RejectText("xml")


# ---- Files -----------------------------------------------------------------------------------------

ONE_REJECT: Input = ("f", HEADER + b"x\n")


@pytest.mark.parametrize(
    "path",
    [
        "rejects",
        "rejects.txt",
        "rejects.csv.bz2",
        "rejects.gz",
        "rejects.json",
        "rejects.xlsx",
        ".csv",
        "",
        ".",
        "/dev/null.x",
    ],
)
def test_a_path_with_an_unknown_suffix_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        Rejects(str(tmp_path / path) if path and path[0] != "/" else path)
    assert all(suffix in str(refusal.value) for suffix in SUFFIXES)
    assert isinstance(refusal.value, TxfastError)
    assert os.listdir(tmp_path) == []


def test_a_suffix_may_be_in_upper_case(tmp_path: Path) -> None:
    write_rejects(tmp_path / "R.JSONL", [ONE_REJECT])
    assert len(read_jsonl((tmp_path / "R.JSONL").read_bytes())) == 1


@each_suffix
def test_without_rejects_there_is_a_file_too(suffix: str) -> None:
    content = written(suffix, ("f", HEADER + b"deposit,1,1,1\n"))
    assert READ[suffix](content) == []
    assert content == {".csv": CSV_HEADER, ".jsonl": b""}.get(suffix, content)


@each_suffix
@pytest.mark.parametrize("added", [False, True])
def test_discarding_leaves_the_old_file(suffix: str, added: bool, tmp_path: Path) -> None:
    path = tmp_path / f"rejects{suffix}"
    path.write_bytes(b"before")
    rejects = Rejects(str(path))
    rejects.discard()
    rejects.open()
    if added:
        rejects.add("f", make_batch(MALFORMED_LINES))
    rejects.discard()
    rejects.discard()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == [path.name]


@each_suffix
def test_a_full_disk_is_one_clear_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rejects{suffix}"
    path.symlink_to("/dev/full")
    with pytest.raises(
        SourceError, match=rf"^{re.escape(str(path))}: cannot be written: No space left on device: free some"
    ):
        write_rejects(path, [ONE_REJECT])
    assert path.is_symlink()
    assert stat.S_ISCHR(path.stat().st_mode)


@each_suffix
def test_a_missing_folder_is_one_clear_error(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be written: No such file or directory"):
        Rejects(str(tmp_path / "none" / f"rejects{suffix}")).open()


@each_suffix
def test_rejects_go_through_a_pipe(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rejects{suffix}"
    os.mkfifo(path)
    contents: list[bytes] = []
    reading = threading.Thread(target=lambda: contents.append(path.read_bytes()), daemon=True)
    reading.start()
    inputs = [("f", HEADER + b"\n".join(MALFORMED_LINES))]
    write_rejects(path, inputs)
    reading.join(PATIENCE_SECONDS)
    assert READ[suffix](contents[0]) == expected(suffix, inputs)


@each_suffix
def test_a_pipe_without_a_reader_raises_broken_pipe(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rejects{suffix}"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    rejects = Rejects(str(path))
    rejects.open()
    os.close(reader)
    rejects.add("f", make_batch(MALFORMED_LINES))
    with pytest.raises(BrokenPipeError):
        rejects.finish()
    rejects.discard()


def test_a_device_or_descriptor_without_a_suffix_gets_csv(tmp_path: Path) -> None:
    write_rejects("/dev/null", [ONE_REJECT])
    with open(tmp_path / "held", "w+b") as file:
        write_rejects(f"/dev/fd/{file.fileno()}", [ONE_REJECT])
    assert (tmp_path / "held").read_bytes() == CSV_HEADER + b"f,2,malformed,missing_field,x,,,,x\n"


def test_pyarrow_is_imported_for_parquet_alone(tmp_path: Path) -> None:
    program = """
import sys
from txfast.writers.rejects import Rejects
for name in sys.argv[1:]:
    Rejects(name).open()
    print("pyarrow" in sys.modules)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, "a.csv", "a.jsonl", "a.parquet"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    assert ended.stdout.split() == ["False", "False", "True"]


# ---- Columns -------------------------------------------------------------------------------------

OFFSETS = struct.pack("2i", 0, 1)
COLUMNS_OF_A_ROW = [(0, OFFSETS, b"x")] + [(0, None, struct.pack("Q", 7))] + [(0, OFFSETS, b"x")] * 7


def test_rejects_that_are_columns_become_lines() -> None:
    text = RejectText("csv", 1)
    rows = RejectRows(1, COLUMNS_OF_A_ROW)
    made = b"".join(map(bytes, text.column_blocks(rows))) + bytes(text.rest())
    assert made == CSV_HEADER + b"x,7,x,x,x,x,x,x,x\n"
    assert list(text.column_blocks(rows)) == []
    assert list(text.column_blocks(RejectRows(0, [(0, None, None)] * 9))) == []


@pytest.mark.parametrize(
    ("rows", "number", "column", "message"),
    [
        (-1, 0, (0, OFFSETS, b"x"), "-1 rows"),
        (1, 0, (-1, OFFSETS, b"x"), "no values begin at -1"),
        (1, 1, (-1, None, struct.pack("Q", 7)), "no values begin at -1"),
        (1, 0, (1, OFFSETS, b"x"), "a column of 8 bytes, where 12 are needed"),
        (1, 1, (1, None, struct.pack("Q", 7)), "a column of 8 bytes, where 16 are needed"),
        (1, 8, (0, OFFSETS, b""), "lead out of their text"),
        (1, 8, (0, OFFSETS, None), "lead out of their text"),
        (1, 8, (0, struct.pack("2i", 1, 0), b"x"), "lead out of their text"),
        (1, 8, (0, struct.pack("2i", -1, 0), b"x"), "lead out of their text"),
    ],
)
def test_columns_that_lead_out_of_their_buffers_are_refused(
    rows: int, number: int, column: tuple[int, bytes | None, bytes | None], message: str
) -> None:
    columns: list[tuple[int, bytes | None, bytes | None]] = [*COLUMNS_OF_A_ROW]
    columns[number] = column
    with pytest.raises(ValueError, match=message):
        RejectRows(rows, columns)
    with pytest.raises(ValueError, match="1 rows of 8 columns"):
        RejectRows(1, columns[:8])
