"""The arrow reader: it reads the same rows as the native one, and stops at a row that pyarrow cannot carry."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference_rows, replays, strategies
from tests.support.reference import HEADER
from tests.support.reference_rows import BYTE_ORDER_MARK
from tests.support.replays import Outcome
from tests.support.rows import STANDARD_HEADER
from txfast import late
from txfast.batch.batch import TransactionBatch
from txfast.batch.cursor import report
from txfast.batch.header import Header
from txfast.errors import InputError, TxfastError
from txfast.input.ref import resolve
from txfast.readers.arrow_csv import ArrowCsvReader, explain
from txfast.readers.csv import take_header
from txfast.readers.line_column import copy_lines
from txfast.readers.scan import scan_lines

MIB = 1024 * 1024
ACCOUNTS_HEADER = b"client,available,held,total,locked\n"


def run(content: bytes | Sequence[bytes], block_bytes: int | None = None, threads: int = 1) -> Outcome:
    return replays.run([("in.csv", content)], reader="arrow", block_bytes=block_bytes, threads=threads)


def lines_and_reasons(outcome: Outcome) -> list[tuple[int, str]]:
    return [(reject.line, reject.reason) for reject in outcome.rejects]


def refusal(content: bytes, block_bytes: int | None = None) -> str:
    with pytest.raises(InputError) as raised:
        run(content, block_bytes)
    assert isinstance(raised.value, TxfastError)
    assert isinstance(raised.value, ValueError)
    message = str(raised.value)
    assert message.startswith("in.csv: ")
    assert "\n" not in message
    return message


def assert_as_reference(content: bytes, block_bytes: int | None = None, threads: int = 1) -> Outcome:
    outcome = replays.assert_as_reference(
        [("in.csv", content)], reader="arrow", block_bytes=block_bytes, threads=threads
    )
    assert outcome is not None
    return outcome


# ---- Rows that pyarrow cannot carry --------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        HEADER + b"deposit,1,1,\x01\n",
        HEADER + b"deposit,1,1,1\ndeposit,1,2,1,\x01",
        HEADER + b'deposit,1,1,1,"\x01"\r\n',
        HEADER + b"\x01\n",
        HEADER + b"\n \x01\n\n",
        HEADER + b"deposit,1,1,1\n" * 1000 + b"\x01\x01\x01\n",
        b"type,client,tx,amount,\x01\n",
        b"\x01\n" + HEADER,
        HEADER + b"deposit,1,1,\xff\x00\x01\xfe\n",
    ],
    ids=lambda content: repr(content[-30:]),
)
def test_a_byte_0x01_stops_the_run_and_the_message_names_the_way_out(content: bytes) -> None:
    for block_bytes in (64, None):
        message = refusal(content, block_bytes)
        assert "a row with a byte 0x01" in message
        assert "--reader native" in message


@pytest.mark.parametrize("text", [b"Empty CSV file", b"straddling object straddles", b"columns, got"])
def test_the_message_about_a_byte_0x01_does_not_depend_on_its_row(text: bytes) -> None:
    assert "a byte 0x01" in refusal(HEADER + b"deposit,1,1,1," + text + b"\x01\n")


@pytest.mark.parametrize("block_bytes", [32, 100, 4_096])
def test_a_row_longer_than_the_block_stops_the_run_and_the_message_names_the_way_out(block_bytes: int) -> None:
    long_row = b"deposit,1,1,1," + b"x" * 2 * block_bytes
    for content in (
        HEADER + long_row,
        HEADER + long_row + b"\n",
        HEADER + b" " * (2 * block_bytes + 1) + b"\n",
    ):
        message = refusal(content, block_bytes)
        assert f"a row longer than the arrow reader's block of {block_bytes:,} bytes" in message
        assert "--reader native" in message


@pytest.mark.parametrize("ending", strategies.ENDINGS)
def test_a_row_as_long_as_the_block_is_read_wherever_it_begins(ending: bytes) -> None:
    block_bytes = 40
    long_row = b"deposit,1,%d,1," + b" " * (block_bytes - len(b"deposit,1,1,1,"))
    for blanks in range(block_bytes):
        content = ending.join([HEADER.rstrip(), b" " * blanks, long_row % 1, long_row % 2])
        outcome = assert_as_reference(content, block_bytes)
        assert outcome.applied == {"deposit": 2}


def test_a_row_over_one_mib_is_malformed_where_the_block_holds_it() -> None:
    row = b"deposit,1,1,1,"
    rows = [
        row + b" " * (MIB - len(row)),
        row + b"y" * (MIB - len(row) + 1),
        b" " * (2 * MIB),
        b"deposit,1,1,1",
    ]
    outcome = assert_as_reference(HEADER + b"\n".join(rows))
    assert lines_and_reasons(outcome) == [(3, "row_too_long"), (5, "duplicate_transaction")]


# ---- Lines ---------------------------------------------------------------------------------------

# Each line that is a row is malformed, and says its number.
NUMBERED = [
    b"",
    b"row 2",
    b" \t",
    b"row 4",
    b"row 5",
    b"\v\f",
    b"",
    b"",
    b"row 9",
    b"\x00 row 10",
    b"\xff row 11",
]


@pytest.mark.parametrize("ending", [*strategies.ENDINGS, b"\r\n\n", b"\n\r", b"\r\r\n"])
@pytest.mark.parametrize("byte_order_mark", [b"", BYTE_ORDER_MARK], ids=["", "byte order mark"])
def test_a_row_has_its_line_number_wherever_the_blocks_are_cut(ending: bytes, byte_order_mark: bytes) -> None:
    content = byte_order_mark + ending.join([b" ", b"", HEADER.rstrip(), *NUMBERED])
    expected = assert_as_reference(content)
    assert expected.malformed == {"missing_field": 6}
    for block_bytes in range(len(HEADER), len(content) + 2):
        assert run(content, block_bytes) == expected
        assert run(content + ending, block_bytes) == expected


def test_line_numbers_go_on_through_blocks_without_rows() -> None:
    content = b"\n" * 300 + HEADER + b"\n" * 300 + b"x\n" + b" \n" * 300 + b"y\n" + b"\r\n" * 300 + b"z"
    for block_bytes in (32, 33, 64, 1_000, 1 << 20):
        outcome = assert_as_reference(content, block_bytes)
        assert [reject.line for reject in outcome.rejects] == [602, 903, 1204]


@pytest.mark.untraced
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_many_blocks_stay_in_order(threads: int) -> None:
    rows = [b"deposit,1,%d,1" % index if index % 3 else b"x%d" % index for index in range(3_000)]
    outcome = assert_as_reference(HEADER + b"\n".join(rows), 256, threads)
    assert [int(reject.row[1:]) for reject in outcome.rejects] == list(range(0, 3_000, 3))


@pytest.mark.untraced
def test_a_file_of_several_default_blocks_is_read_whole() -> None:
    filler = b"x" * 1_000
    rows = [b"deposit,%d,%d,1,%s" % (index % 7, index, filler) for index in range(9_000)]
    rows[1_234] = b"first," + filler
    rows[8_765] = b"second," + filler
    outcome = assert_as_reference(b"\r\n".join([b"type,client,tx,amount,note", *rows]))
    assert lines_and_reasons(outcome) == [(1_236, "missing_field"), (8_767, "missing_field")]


@given(
    st.lists(
        st.sampled_from([b"\n", b"\r", b"\r\n", b" ", b"x", b"row", b"\x00", b"\xff", b'"', b","]),
        max_size=40,
    ),
    st.integers(len(HEADER), 64),
)
def test_pyarrow_cuts_lines_as_the_rules_do(pieces: list[bytes], block_bytes: int) -> None:
    content = HEADER + b"".join(pieces)
    longest = max(map(len, content.splitlines()))
    replays.assert_as_reference([("in", content)], reader="arrow", block_bytes=max(longest, block_bytes))


# ---- Byte order marks ----------------------------------------------------------------------------


def test_a_byte_order_mark_is_not_part_of_the_first_line() -> None:
    for content in (HEADER, b"\n" + HEADER, b" \n\r\n" + HEADER):
        outcome = assert_as_reference(BYTE_ORDER_MARK + content + b"deposit,1,1,1\nx")
        assert outcome.accounts == ACCOUNTS_HEADER + b"1,1.0000,0.0000,1.0000,false\n"
        assert lines_and_reasons(outcome) == [(content.count(b"\n") + 2, "missing_field")]


def test_a_byte_order_mark_elsewhere_is_ordinary_bytes() -> None:
    outcome = assert_as_reference(HEADER + BYTE_ORDER_MARK + b"deposit,1,1,1\n" + BYTE_ORDER_MARK + b"\n")
    assert lines_and_reasons(outcome) == [(2, "bad_type"), (3, "missing_field")]
    assert "no column type" in refusal(BYTE_ORDER_MARK * 2 + HEADER)
    assert "no column type" in refusal(b"\n" + BYTE_ORDER_MARK + HEADER)


def test_every_input_may_have_a_byte_order_mark() -> None:
    inputs = [(name, BYTE_ORDER_MARK + HEADER + b"deposit,1,%d,1" % tx) for tx, name in enumerate("abc")]
    outcome = replays.assert_as_reference(inputs, reader="arrow")
    assert outcome is not None
    assert outcome.applied == {"deposit": 3}


# ---- Not transactions files ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (BYTE_ORDER_MARK, "it has no header"),
        (b"\n", "it has no header"),
        (b" ", "it has no header"),
        (b"\r", "it has no header"),
        (b"\r\n \t\v\f\r\n", "it has no header"),
        (BYTE_ORDER_MARK + b"\n", "it has no header"),
        (b"\n" * 10_000, "it has no header"),
        (b"deposit,1,1,1\n", "its header has no column"),
        (b"type,client,tx\n", "its header has no column amount"),
        (b"type,client,tx,amount,type\n", "its header names 'type' twice"),
        (b'type,client,tx,amount,"\n', "its header is badly quoted"),
        (b'"type\n,client,tx,amount', "its header is badly quoted"),
        (b"\n\n\nnonsense\n" + HEADER, "its header has no column"),
        (b"\x00" + HEADER, "its header has a control byte, 0x00"),
        (HEADER.decode().encode("utf-16"), "its header has a control byte, 0x00"),
        (b"PK\x03\x04", "its header has a control byte, 0x03"),
        (HEADER.rstrip() + b"," + b"x" * MIB + b"\n", "its header is longer than 1 MiB"),
    ],
    ids=lambda value: repr(value[:30]),
)
def test_a_file_of_something_else_is_refused_with_the_reason(content: bytes, why: str) -> None:
    message = refusal(content)
    assert "not a transactions file: " in message
    assert why in message


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'type,client,tx,amount,"\n"', 1),
        (b'\n"type\n",client,tx,amount', 2),
        (HEADER + b'deposit,1,1,"5\n"\n', 2),
        (HEADER + b'deposit,1,1,"x\ndeposit,1,1,1\n\ndeposit,1,2,"\n', 2),
        (HEADER + b'deposit,1,1,1\ndeposit,1,2,"' + b"x\n" * 1_000 + b'"\n', 3),
    ],
)
def test_a_row_that_goes_on_over_a_line_ending_is_refused_by_its_line(content: bytes, line: int) -> None:
    for block_bytes in (32, 100, None):
        with pytest.raises(InputError) as raised:
            run(content, block_bytes)
        assert str(raised.value).startswith(f"in.csv:{line}: a row goes on over a line ending in quotes")


@given(
    st.lists(
        st.sampled_from([b'"', b'""', b",", b" ", b"\n", b"\r\n", b"\r", b"x", b"deposit,1,1,1", b'"\n']), max_size=40
    ),
    st.sampled_from([32, 64, None]),
)
def test_stray_quotes_are_read_as_the_native_reader_reads_them_or_refused(
    pieces: list[bytes], block_bytes: int | None
) -> None:
    content = HEADER + b"".join(piece[: 32 if block_bytes else None] for piece in pieces)
    rows = [row for _, row in reference_rows.split_rows(content)[0]]
    if any(len(line) > 30 for line in content.splitlines()):
        return
    if any(b"\n" in row or b"\r" in row for row in rows):
        with pytest.raises(InputError, match="goes on over a line ending"):
            run(content, block_bytes)
        return
    assert_as_reference(content, block_bytes)


def test_a_reader_has_its_header_once_it_was_found() -> None:
    reader = ArrowCsvReader(replays.open_bytes("in.csv", b"\n" * 100 + b"amount,tx,client,type,note\nx"), 50)
    assert reader.header is None
    batch = TransactionBatch()
    while reader.fill(batch):
        pass
    assert reader.header is not None
    assert reader.header.width == 5


def test_a_header_may_come_after_many_blocks() -> None:
    content = b"\n" * 500 + b" \n" * 500 + HEADER + b"deposit,1,1,1\n"
    for block_bytes in (24, 25, 100, 1_000):
        assert assert_as_reference(content, block_bytes).applied == {"deposit": 1}
    assert "no header" in refusal(b"\n" * 500 + b" \n" * 500, 24)
    assert "no column" in refusal(b"\n" * 500 + b"nonsense\n" + HEADER, 24)


@pytest.mark.parametrize("content", [HEADER, HEADER.rstrip(), HEADER + b"\n", HEADER + b"\n \n\r\n" * 500])
def test_a_file_with_only_a_header_has_no_accounts(content: bytes) -> None:
    for block_bytes in (32, None):
        assert assert_as_reference(content, block_bytes).accounts == ACCOUNTS_HEADER


def test_a_refused_input_leaves_the_ones_before_it_counted() -> None:
    with pytest.raises(InputError, match=r"^b\.csv: not a transactions file"):
        replays.run([("a.csv", HEADER + b"deposit,1,1,1"), ("b.csv", b"nonsense")], reader="arrow")


# ---- Sources -------------------------------------------------------------------------------------

IN_PIECES = BYTE_ORDER_MARK + HEADER.replace(b"\n", b"\r\n") + b"deposit,1,1,1\r\n\r\nx\r\n\ny\n\n\rdeposit,1,2,2\r\n"


def cut(content: bytes, *cuts: int) -> list[bytes]:
    return [content[start:end] for start, end in pairwise([0, *cuts, len(content)])]


@pytest.mark.parametrize("index", range(1, len(IN_PIECES)))
def test_a_read_may_end_anywhere(index: int) -> None:
    assert run(cut(IN_PIECES, index)) == run(IN_PIECES)


def test_a_line_feed_may_come_alone_after_its_carriage_return() -> None:
    index = IN_PIECES.index(b"\r\n") + 1
    assert run(cut(IN_PIECES, index, index + 1)) == run(IN_PIECES)


def test_a_row_may_come_in_many_reads() -> None:
    start = IN_PIECES.index(b"deposit")
    assert run(cut(IN_PIECES, start + 2, start + 4, start + 6)) == run(IN_PIECES)


@pytest.mark.parametrize("read_bytes", [1, 2, 3, 7])
def test_reads_may_be_of_any_length(read_bytes: int) -> None:
    assert run(cut(IN_PIECES, *range(read_bytes, len(IN_PIECES), read_bytes))) == run(IN_PIECES)


def test_a_file_on_disk_is_read_as_one_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(IN_PIECES)
    expected = run(IN_PIECES)
    rejects = [reject._replace(file=str(path)) for reject in expected.rejects]
    for block_bytes in (24, 25, 26, None):
        outcome = replays.run_files([path], reader="arrow", block_bytes=block_bytes)
        assert outcome == expected._replace(rejects=rejects)


def test_the_bytes_of_a_file_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(IN_PIECES)
    replay = replays.new_replay(replays.RejectsJournal(), "arrow", None, 1)
    replay.read(resolve(str(path)))
    assert replay.inputs[0].bytes == len(IN_PIECES)


# ---- The lines of a column -----------------------------------------------------------------------


def hold(
    batch: TransactionBatch,
    header: Header | None,
    lines: Sequence[bytes],
    first: int = 0,
    count: int | None = None,
) -> Header | None:
    """Put a column's lines into the batch, from buffers like pyarrow's; return the header, given or found."""
    ends = array("i", [0])
    for line in lines:
        ends.append(ends[-1] + len(line))
    offsets = memoryview(ends.tobytes()).cast("b")
    text = memoryview(b"".join(lines)).cast("b")
    copy_lines(batch, offsets, text if ends[-1] else None, first, len(lines) if count is None else count)
    batch.header = take_header(batch, "in") if header is None else header
    return batch.header


LINES = [b"skipped", b"", b"deposit,1,1,1", b"", b"x", b"dispute,1,1", b"skipped too"]


def test_a_slice_of_a_column_is_scanned_alone() -> None:
    batch = TransactionBatch()
    assert hold(batch, STANDARD_HEADER, LINES, 1, 5) is STANDARD_HEADER
    scan_lines(batch)
    assert (batch.rows, batch.malformed_rows, batch.lines) == (2, 1, 5)
    assert batch.number_lines(10) == 15
    assert [(line, bytes(row)) for line, _, _, row in report(batch, rejected=False)] == [(13, b"x")]


def test_a_reused_batch_keeps_nothing_of_its_old_rows() -> None:
    batch = TransactionBatch()
    for lines in (LINES, [b"deposit,1,1,1"], [b"", b""], [], LINES * 1000):
        hold(batch, STANDARD_HEADER, lines)
        scan_lines(batch)
        assert batch.rows == sum(line.startswith(b"d") for line in lines)
        assert batch.malformed_rows == sum(line in (b"x", b"skipped", b"skipped too") for line in lines)
        assert len(list(report(batch, rejected=False))) == batch.malformed_rows


def test_empty_lines_are_neither_rows_nor_a_header() -> None:
    batch = TransactionBatch()
    assert hold(batch, None, [b"", b"", b""]) is None
    hold(batch, STANDARD_HEADER, [b"", b"", b""])
    scan_lines(batch)
    assert (batch.rows, batch.malformed_rows, batch.lines) == (0, 0, 3)


def test_buffers_too_short_for_their_lines_are_refused() -> None:
    batch = TransactionBatch()
    for first, count in ((0, 8), (7, 1), (8, 0)):
        with pytest.raises(ValueError, match="offsets too short"):
            hold(batch, STANDARD_HEADER, LINES, first, count)
    offsets = memoryview(array("i", [0, 5]).tobytes()).cast("b")
    for text in (memoryview(b"1234").cast("b"), None):
        with pytest.raises(ValueError, match="text too short"):
            copy_lines(batch, offsets, text, 0, 1)


@pytest.mark.parametrize(
    ("starts", "first", "count"),
    [
        ([0, 5], -1, 1),
        ([0, 5], 0, -1),
        ([0, 5], 1 << 62, 1 << 62),
        ([0, 5, 3, 5], 0, 3),
        ([0, -5, 5], 0, 2),
        ([-5, 0, 5], 0, 2),
        ([-10, -5], 0, 1),
    ],
)
def test_offsets_that_lead_out_of_the_text_are_refused(starts: list[int], first: int, count: int) -> None:
    offsets = memoryview(array("i", starts).tobytes()).cast("b")
    with pytest.raises(ValueError, match=r"do not ascend|lines begin at line|offsets too short"):
        copy_lines(TransactionBatch(), offsets, memoryview(b"12345").cast("b"), first, count)


@pytest.mark.parametrize("first", range(5))
def test_a_header_is_found_after_blank_lines(first: int) -> None:
    batch = TransactionBatch()
    lines = [b"nonsense", b"", b" \t", b"", HEADER.rstrip(), b"deposit,1,1,1", b"x"]
    if first == 0:
        with pytest.raises(InputError, match=r"^in: not a transactions file"):
            hold(batch, None, lines)
        return
    header = hold(batch, None, lines, first, 7 - first)
    assert header is not None
    scan_lines(batch)
    assert (batch.rows, batch.malformed_rows, batch.lines) == (1, 1, 2)
    assert batch.number_lines(1) == 8 - first
    assert [line for line, *_ in report(batch, rejected=False)] == [7 - first]


# ---- The file that pyarrow reads -----------------------------------------------------------------


def test_a_file_that_cannot_be_opened_twice_is_read_through_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_there(path: str) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(late.pa, "OSFile", not_there)
    path = tmp_path / "in.csv"
    path.write_bytes(HEADER + b"deposit,1,1,1\n")
    assert replays.run_files([path], reader="arrow").applied == {"deposit": 1}


def test_an_unknown_message_of_pyarrow_is_passed_on() -> None:
    assert explain(10, "it rains") == "pyarrow cannot read it: it rains"
