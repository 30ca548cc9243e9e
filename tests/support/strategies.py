"""Hypothesis strategies: policies, streams of transactions, and files that try the whole format."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st

from tests.support import reference, reference_rows
from tests.support.reference import HEADER, INT64_MAX
from tests.support.reference_policy import PRESETS, SWITCHES, Policy
from tests.support.reference_rows import BYTE_ORDER_MARK
from tests.support.rows import Row
from txfast.batch.batch import KINDS

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

# ---- Streams of well-formed transactions -----------------------------------------------------------

# Deposits are drawn often, so that other rows refer to one.
OFTEN = ("deposit", "deposit", "deposit", "deposit", "withdrawal", "dispute", "dispute")
stream_kinds = st.sampled_from([*KINDS, *OFTEN])
# The same with all kinds of the rules, and more chargebacks and reversals, which need each other.
policy_kinds = st.sampled_from([*(kind.decode() for kind in reference.KINDS), *OFTEN, "chargeback", "reversal"])
# What a payment may live through, one row after the other.
CHAPTERS = (
    *("dispute resolve", "dispute resolve dispute", "dispute chargeback", "dispute chargeback reversal"),
    *("dispute", "resolve", "chargeback", "chargeback reversal", "reversal", "reversal reversal", "refund refund"),
    *("dispute refund resolve", "dispute chargeback reversal dispute", "dispute resolve chargeback", "deposit"),
    *(
        "dispute deposit resolve",
        "dispute deposit chargeback",
        "dispute chargeback deposit reversal",
        "withdrawal refund",
    ),
)
small_amounts = st.sampled_from([10_000, 5_000, 12_345, 1, 0, 100_000, 70_000, -1, None])
one_or_two = st.integers(1, 2)
edge_amounts = st.sampled_from([INT64_MAX, INT64_MAX - 1, INT64_MAX // 2, INT64_MAX // 2 + 1, -INT64_MAX, 1, 0])


def streams(
    clients: SearchStrategy[int] | None = None,
    txs: SearchStrategy[int] | None = None,
    amounts: SearchStrategy[int | None] = small_amounts,
    kinds: SearchStrategy[str] = stream_kinds,
) -> SearchStrategy[list[Row]]:
    """Streams with few clients and few ids: ids repeat, disputes refer to deposits, and accounts are locked."""
    clients = st.integers(1, 3) if clients is None else clients
    txs = st.integers(1, 6) if txs is None else txs
    return short_or_long(st.builds(Row, kinds, clients, txs, amounts), 60)


def policy_streams() -> SearchStrategy[list[Row]]:
    """Streams for any policy: payments that live long, some of them at the limits of 64 bits.

    Amounts of disputes and refunds are often parts of their deposit, as they are drawn from the same few.
    """
    return st.one_of(
        streams(kinds=policy_kinds),
        lives(st.sampled_from([10_000, 70_000])),
        lives(small_amounts),
        lives(st.sampled_from([INT64_MAX, INT64_MAX, INT64_MAX - 1, 1])),
    )


@st.composite
def lives(draw: st.DrawFn, paid: SearchStrategy[int | None]) -> list[Row]:
    """Streams about few payments of these amounts, with rows that refer to one payment again and again."""
    clients, txs = st.sampled_from([1, 1, 1, 1, 1, 2]), st.integers(1, 4)
    kinds = st.sampled_from(["deposit", "deposit", "withdrawal"])
    rows = [Row(draw(kinds), 1, tx, draw(paid)) for tx in range(1, 5)]
    for chapter in draw(st.lists(st.sampled_from(CHAPTERS), min_size=4, max_size=16)):
        client, tx = draw(clients), draw(txs)
        for kind in chapter.split():
            amount = draw(small_amounts | paid if kind in ("dispute", "refund") else paid)
            rows.append(Row(kind, client, tx + 3 if kind in ("deposit", "withdrawal") else tx, amount))
    return rows


# ---- Policies --------------------------------------------------------------------------------------

# A switch and a value, or a preset.
policy_items = st.sampled_from([*PRESETS, *(f"{name}={value}" for name in SWITCHES for value in SWITCHES[name])])


@st.composite
def policies(draw: st.DrawFn) -> str:
    """The texts of policies: the default, each switch or hardly any, presets, and switches that are said again.

    Never withdrawals that have no ids and may be disputed, which no policy can have.
    """
    if draw(st.booleans()):
        items = [f"{name}={draw(st.sampled_from(values))}" for name, values in SWITCHES.items()]
        items = draw(st.permutations(items))
    else:
        items = draw(st.lists(policy_items, max_size=4))
    text = ",".join(items)
    try:
        Policy.parse(text)
    except ValueError:
        text += ",withdrawal-ids=checked"
    return text


def policy_files() -> SearchStrategy[bytes]:
    """Plain files of streams for any policy."""
    return files_of(policy_streams())


def short_or_long(element: SearchStrategy[T], most: int) -> SearchStrategy[list[T]]:
    """Short lists and long lists. Without this, Hypothesis makes few long ones."""
    short = st.lists(element, max_size=most // 6)
    long = st.lists(element, min_size=most // 3, max_size=most)
    return st.one_of(short, long)


# ---- Files that try everything ---------------------------------------------------------------------

ENDINGS = (b"\n", b"\r\n", b"\r")
# Bytes that a reader could misinterpret: control bytes, blanks and line endings of other character sets. Without 0x01,
# which pyarrow cannot carry.
ODD_BYTES = (
    *rb"\ ' ; #".split(),
    *(b"\x00", b"\x02", b"\x1a", b"\x1c", b"\x7f", b"\x85", b"\xa0", b"\xc3", b"\xff"),
    *(b"\xe2\x80\xa8", b"\xc2\xa0", BYTE_ORDER_MARK),
)

# Texts of the four fields. Valid texts are frequent, so that rows are applied.
type_texts = st.sampled_from(
    [kind.encode() for kind in KINDS] * 15
    + [b"deposit"] * 45
    + [b"dispute"] * 25
    + b"depositt deposi chargebac chargebackk transfer withdrawa dispose disputed reverse refunds".split()
    + b"Deposit DEPOSIT withdraw WithDraw RESOLVE Refund reversaL".split()
    + [b"", b"resolv", b"1", b"+", b"with drawal", b"dep\xc3\xb6sit", b"deposit\x00"]
)
id_texts = st.sampled_from(
    [b"1", b"2", b"1", b"2", b"3"] * 25
    + [b"%d" % (2**power + change) for power in (16, 31, 32, 53, 63, 64) for change in (-1, 0, 1)]
    + b"0 00 01 +1 +0002 12345678 123456789 9999999999999999 99999999999999999999".split()
    + b"10000000000000000000 100000000000000000000 0000000000000000000000000000007".split()
    + b"+ - -1 ++1 1.0 1e3 0x1 1_0 one 1-".split()
    + [b"", b"1 2", b"1\x00", b"\xd9\xa1", b"\xef\xbc\x91"]
)
amount_texts = st.sampled_from(
    [b"1", b"2.5", b"0.0001", b"10.00", b"3.1234"] * 20
    + b"0 -0 -1 +1 .5 -.5 5. -5. +5. . - + -. +. 1.00000 1.00001 1.000010 0.99990 00012.3".split()
    + b"12345678.1234 123456789.12 12345678901234.5 123456789012345.5 1234567890123456.5".split()
    + b"922337203685477.5807 922337203685477.5808 -922337203685477.5807 922337203685478".split()
    + b"1.2345000000000000000000000 0000000000000000000000000000001.0000000000000000000".split()
    + b"999999999999999999999999999999 1.12345678 1,5 1_000 1e3 1E-3 nan inf -inf 1.2.3 --1 +-1".split()
    + [b"", b"", b"1.1234567 ", b"$1", b"0x10", b"1-", b"1 000", b"\xd9\xa1", b"1\x00", b"1.5\xff"]
)

# Blanks and quotes around a field that do not change its text.
HARMLESS_DECORATIONS: tuple[Callable[[bytes], bytes], ...] = (
    lambda text: text,
    lambda text: b" " + text,
    lambda text: text + b" \t",
    lambda text: b"\v\f" + text + b"\f\v",
    lambda text: b'"' + text + b'"',
    lambda text: b' \t"  ' + text + b'\v"\f ',
)
# The same, and changes that make another text, or bad quoting.
DECORATIONS: tuple[Callable[[bytes], bytes], ...] = (
    *HARMLESS_DECORATIONS,
    lambda text: b'"' + text,
    lambda text: text + b'"',
    lambda text: b'"' + text + b'""',
    lambda text: b'"' + text + b'"x',
    lambda text: b'""' + text,
    lambda text: b'x"' + text + b'"',
)
decorations = st.sampled_from(DECORATIONS)
harmless_decorations = st.sampled_from(HARMLESS_DECORATIONS)
endings = st.sampled_from(ENDINGS)

other_texts = st.sampled_from(
    [b"", b"note", b"1", b"a b", b'say ""hi""', b"\xff\xfe", b"\x00", b"deposit", b"\xe2\x82\xac 5"]
)
other_names = st.sampled_from([b"", b"note", b"Type", b"TX", b"amounts", b"client id", b"\xff", b'"a, b"', b'"a""b"'])

# Pieces of rows, joined in any order.
soup_pieces = st.sampled_from(
    b'deposit,1,1,1 deposit,1,2, dispute,1,1 resolve,1,1, chargeback,1,1,, "deposit",1,2,1'.split()
    + b'withdrawal,2,9,0.5 1 x , , " " ""'.split()
    + [b" ", b"\t", b"\v", b"\f", *ENDINGS * 3, *ODD_BYTES]
)
soups = st.lists(soup_pieces, max_size=12).map(b"".join)
odd_endings = st.sampled_from([*ENDINGS, b"\n\r", b"\n\n", b" \r"])
run_ons = st.sampled_from([b",", b",x", b',"', b',"a,b"', b",,,,,,", b"\r", b", ", b',"a"b'])


@st.composite
def headers(draw: st.DrawFn) -> tuple[bytes, list[bytes | None]]:
    """A header line, nearly always valid, and the names of its columns; None for other columns."""
    names: list[bytes | None] = list(draw(st.permutations(reference_rows.COLUMN_NAMES)))
    fields: list[bytes] = [draw(harmless_decorations)(name) for name in names if name is not None]
    if draw(one_in(4)):
        fields = [draw(st.sampled_from([bytes.title, bytes.upper, bytes.swapcase]))(field) for field in fields]
    for index, name in draw(st.lists(st.tuples(st.integers(0, 4), other_names), max_size=2)):
        names.insert(index, None)
        fields.insert(index, name)
    match draw(st.integers(0, 39)):
        case 39:
            fields.append(b"amount")
        case 38:
            fields.pop()
        case 37:
            fields[0] = draw(decorations)(fields[0])
        case 36:
            return draw(soups), names
    return b",".join(fields), names


@st.composite
def hostile_files(draw: st.DrawFn) -> bytes:
    """Files that try the whole format: orders of columns, quotes, blanks, endings, ragged rows, odd bytes."""
    header, names = draw(headers())
    ending = draw(endings)
    byte_order_mark = draw(st.sampled_from([b"", b"", BYTE_ORDER_MARK]))
    blank_lines = draw(st.sampled_from([b"", b"", b" \t\n", b"\r\r\n"]))
    parts = [byte_order_mark, blank_lines, header, ending]
    texts = {b"type": type_texts, b"client": id_texts, b"tx": id_texts, b"amount": amount_texts}
    row = st.tuples(*(other_texts if name is None else texts[name] for name in names))
    for fields in draw(short_or_long(row, 24)):
        parts.append(draw(spoilt_rows(fields)))
        parts.append(draw(odd_endings) if draw(one_in(10)) else ending)
    if draw(st.booleans()):
        parts.pop()
    return b"".join(parts)


def one_in(count: int) -> SearchStrategy[bool]:
    return st.integers(1, count).map(lambda number: number == count)


@st.composite
def spoilt_rows(draw: st.DrawFn, fields: tuple[bytes, ...]) -> bytes:
    """The fields as a row: unchanged, decorated, cut short, too long, with an odd byte inside, or random pieces."""
    texts = list(fields)
    if draw(one_in(4)):
        index = draw(st.integers(0, len(texts) - 1))
        texts[index] = draw(decorations)(texts[index])
    row = b",".join(texts)
    match draw(st.integers(0, 19)):
        case 19:
            return row[: draw(st.integers(0, len(row)))]
        case 18:
            return row + draw(run_ons)
        case 17:
            index = draw(st.integers(0, len(row)))
            return row[:index] + draw(st.sampled_from(ODD_BYTES)) + row[index:]
        case 16:
            return draw(soups)
    return row


@st.composite
def plain_files(draw: st.DrawFn) -> bytes:
    """Files of plain rows with a few unusual ones, as most files are."""
    return draw(files_of(streams()))


@st.composite
def files_of(draw: st.DrawFn, rows: SearchStrategy[list[Row]]) -> bytes:
    """Plain files of these rows, with a few unusual lines among them."""
    ending = draw(endings)
    lines = [row.line() for row in draw(rows)]
    for index, line in draw(st.lists(st.tuples(st.integers(0, 60), soups), max_size=3)):
        lines.insert(index, line)
    content = ending.join([HEADER.rstrip(), *lines])
    return content + ending if draw(st.booleans()) else content


wide_texts = st.sampled_from(
    b'x 1 -1.5 x"y "a,b" "a""b"'.split()
    + [b"", b"", b" ", b"a b", b' "a,b"', b' "', b"x\ry", b"\xff", b"\x00"]
    + [b"x" * length for length in (7, 15, 16, 17, 31, 50, 62, 63, 64, 65, 127, 128, 200)]
)


@st.composite
def wide_files(draw: st.DrawFn) -> bytes:
    """Files of up to forty columns, the four columns anywhere, with long and short rows, mostly plain."""
    width = draw(st.integers(4, 40))
    indexes = draw(st.permutations(range(width)))[:4]
    names = [b"column %d" % column for column in range(width)]
    for index, name in zip(indexes, reference_rows.COLUMN_NAMES, strict=True):
        names[index] = name
    ending = draw(endings)
    lines = [b",".join(names)]
    texts = st.lists(wide_texts, min_size=width, max_size=width)
    for row, fields in draw(
        st.lists(st.tuples(st.builds(Row, stream_kinds, one_or_two, one_or_two, small_amounts), texts))
    ):
        for index, text in zip(indexes, row.line().split(b","), strict=True):
            fields[index] = text
        line = b",".join(fields)
        lines.append(line if draw(st.integers(0, 7)) else draw(spoilt_rows((line,))))
    content = ending.join(lines)
    return content + ending if draw(st.booleans()) else content


# Texts with quotes, delimiters and every line ending, and lines that look like rows.
note_pieces = st.sampled_from([*'a,"\n\r', "\r\n", '""', '",', '\n"', "deposit,1,1,1", "\ndispute,1,1,,x\n", "x" * 63])
note_texts = st.lists(note_pieces, max_size=9).map("".join)


@st.composite
def noted_files(draw: st.DrawFn) -> bytes:
    """Files as a writer of CSV makes them, with notes of several lines before and after the four columns. A few rows
    are spoilt."""
    text = io.StringIO(newline="")
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    writer = csv.writer(text, lineterminator=ending, quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])))
    writer.writerow(["note", *(name.decode() for name in reference_rows.COLUMN_NAMES), draw(note_texts)])
    for row in draw(streams()):
        start = text.tell()
        writer.writerow([draw(note_texts), *row.line().decode().split(","), draw(note_texts)])
        if draw(one_in(8)):
            row_text = text.getvalue()[start:]
            cut = draw(st.integers(0, len(row_text)))
            text.seek(start)
            text.truncate()
            text.write(row_text[:cut] + draw(st.sampled_from(["", '"', "\n", ",", "x", '"\n'])) + row_text[cut:])
    content = text.getvalue().encode()
    return content if draw(st.booleans()) else content[: -len(ending)]


# Block sizes that cut a small file anywhere, and some that do not cut it.
block_sizes = st.one_of(st.integers(1, 100), st.sampled_from([200, 1_000, 4_096, 1 << 18]))
