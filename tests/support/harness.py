"""Runs inputs through the kernel, in memory, and through the reference, and makes inputs to run.

What the kernel's tests share: the readers and thread counts that they try, one way to replay and one way to
apply rows to a bare ledger, and Hypothesis strategies for files and for streams of transactions. What is
right is said by the tests and by the reference, not here.

HYPOTHESIS_PROFILE=thorough tries many more examples than the default profile, quick fewer.
"""

from __future__ import annotations

import errno
import io
import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TypeVar, cast

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support import reference
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.errors import TxfastError
from txfast.input.source import READERS as READERS
from txfast.input.source import Source
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.log.journal import WARN, Journal
from txfast.readers import arrow_csv as arrow
from txfast.readers.arrow_lines import hold_lines, parse_lines
from txfast.readers.row import MALFORMED_REASONS, Header
from txfast.run.replay import Replay
from txfast.writers.accounts_csv import csv_blocks

if TYPE_CHECKING:
    import pytest
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

# What must give the same bytes: every reader, with one thread for everything, with a scanner and an applier,
# and with several of both.
THREADS = (1, 2, 3, 8)

settings.register_profile(
    "default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile("quick", settings.get_profile("default"), max_examples=5)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def examples(share: float) -> settings:
    """For a test whose examples cost more, or less, than most: this share of the profile's number of them."""
    return settings(max_examples=max(1, round(settings().max_examples * share)))


def failing(number: int) -> Callable[..., NoReturn]:
    """A call of the system that fails with this error."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def fail_renames(patched: pytest.MonkeyPatch, word: str) -> None:
    """Have every rename fail for want of space whose new name has this word in it."""
    rename, fail = os.rename, failing(errno.ENOSPC)

    def fail_on_word(old: str, new: str) -> None:
        (fail if word in new else rename)(old, new)

    patched.setattr(os, "rename", fail_on_word)


# ---- Runs ----------------------------------------------------------------------------------------

HEADER = b"type,client,tx,amount\n"
# Below this pyarrow cannot tell a byte order mark.
ARROW_BLOCK_BYTES_MIN = 4

Input = tuple[str, bytes]


class Reject(NamedTuple):
    """A row that was not applied."""

    file: str
    line: int
    status: str
    reason: str
    row: bytes


class Outcome(NamedTuple):
    """What a run says: all that must be the same whoever ran it."""

    accounts: bytes
    rejects: list[Reject]
    rows: int
    applied: dict[str, int]
    malformed: dict[str, int]
    rejected: dict[str, int]


class RejectsJournal(Journal):
    """A journal that keeps the rows not applied instead of writing lines."""

    def __init__(self) -> None:
        super().__init__(WARN, named=True)
        self.rejects: list[Reject] = []

    def rows(self, file: str, batch: TransactionBatch) -> None:
        for line, malformed, status, row in batch.report():
            reason = MALFORMED_REASONS[malformed] if malformed else STATUSES[status]
            name = "malformed" if malformed else "rejected"
            self.rejects.append(Reject(file, line, name, reason, bytes(row)))


class Reads(io.RawIOBase):
    """A stream whose every read gives one of these pieces or the rest of it, as a pipe does."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__()
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._pieces:
            return 0
        count = min(len(buffer), len(self._pieces[0]))
        buffer[:count] = self._pieces[0][:count]
        self._pieces[0] = self._pieces[0][count:]
        if not self._pieces[0]:
            self._pieces.pop(0)
        return count


def new_replay(journal: Journal, reader: str, block_bytes: int | None, threads: int) -> Replay:
    """A run: the one place that knows how a reader, a block size and a number of threads are asked for."""
    return Replay(journal, reader=reader, block_bytes=block_bytes, threads=threads)


def open_bytes(name: str, content: bytes | Sequence[bytes]) -> Source:
    """An input in memory: bytes, or the pieces in which they are read."""
    stream = io.BytesIO(content) if isinstance(content, bytes) else Reads(content)
    return Source(name, cast(io.FileIO, stream), None)


def accounts_csv(ledgers: Sequence[Ledger]) -> bytes:
    return b"".join(bytes(block) for block in csv_blocks(AccountColumns(ledgers)))


def run(
    inputs: Sequence[tuple[str, bytes | Sequence[bytes]]],
    *,
    reader: str = READERS[0],
    block_bytes: int | None = None,
    threads: int = 1,
) -> Outcome:
    """Replay inputs from memory. Raises TxfastError."""
    journal = RejectsJournal()
    replay = new_replay(journal, reader, block_bytes, threads)
    for name, content in inputs:
        replay.read_source(open_bytes(name, content))
    return outcome_of(replay, journal)


def run_files(
    paths: Sequence[Path], *, reader: str = READERS[0], block_bytes: int | None = None, threads: int = 1
) -> Outcome:
    """Replay files on the disk. Raises TxfastError."""
    journal = RejectsJournal()
    replay = new_replay(journal, reader, block_bytes, threads)
    for path in paths:
        replay.read(str(path))
    return outcome_of(replay, journal)


def occurred(counts: dict[str, int]) -> dict[str, int]:
    """The counts that are not 0."""
    return {name: count for name, count in counts.items() if count}


def outcome_of(replay: Replay, journal: RejectsJournal, save: Callable[[Ledger], object] | None = None) -> Outcome:
    return Outcome(
        accounts=b"".join(map(bytes, csv_blocks(replay.collect(save)))),
        rejects=journal.rejects,
        rows=replay.rows,
        applied=occurred(replay.applied()),
        malformed=occurred(replay.malformed()),
        rejected=occurred(replay.rejected()),
    )


def run_reference(inputs: Sequence[Input]) -> Outcome:
    """The same by the reference. Raises NotTransactions."""
    replay = reference.replay(*inputs)
    rejects = [Reject(each.file, each.line, each.status, each.reason, each.row) for each in replay.rejects]
    return Outcome(
        accounts=replay.accounts_csv(),
        rejects=rejects,
        rows=replay.rows,
        applied=dict(replay.applied),
        malformed=dict(replay.malformed),
        rejected=dict(replay.rejected),
    )


def can_carry(reader: str, content: bytes, block_bytes: int | None) -> bool:
    """Whether the reader must read this content; else it may stop with an error that says why."""
    if reader != "arrow":
        return True
    if block_bytes is None:
        block_bytes = arrow.BLOCK_BYTES
    longest = max(map(len, content.splitlines()), default=0)
    return b"\x01" not in content and block_bytes >= max(longest, ARROW_BLOCK_BYTES_MIN)


def fit_block(reader: str, inputs: Sequence[Input], block_bytes: int) -> int:
    """A block of this size, for a reader that needs blocks as long as the longest line by so much longer."""
    if reader != "arrow":
        return block_bytes
    longest = max((len(line) for _, content in inputs for line in content.splitlines()), default=0)
    return max(longest, ARROW_BLOCK_BYTES_MIN) + block_bytes - 1


def assert_as_reference(
    inputs: Sequence[Input], *, reader: str, block_bytes: int | None = None, threads: int = 1
) -> Outcome | None:
    """Replay the inputs and have it agree with the reference in everything; None where both refuse them."""
    expected: Outcome | None = None
    outcome: Outcome | None = None
    refusal = ""
    with suppress(reference.NotTransactions):
        expected = run_reference(inputs)
    try:
        outcome = run(inputs, reader=reader, block_bytes=block_bytes, threads=threads)
    except TxfastError as error:
        refusal = str(error)
    if outcome is None and not all(can_carry(reader, content, block_bytes) for _, content in inputs):
        assert expected is None or "--reader native" in refusal
        return None
    assert outcome == expected, f"{refusal or outcome}\nwhere the reference has\n{expected}"
    return outcome


# ---- Rows and ledgers ----------------------------------------------------------------------------


class Row(NamedTuple):
    """A well-formed transaction; the amount in units of 0.0001, None where it has none."""

    kind: str
    client: int
    tx: int
    amount: int | None = None

    def line(self) -> bytes:
        amount = "" if self.amount is None else reference.format_amount(self.amount)
        return f"{self.kind},{self.client},{self.tx},{amount}".encode()


STANDARD_HEADER = Header(HEADER.rstrip(), "in memory")


def make_file(rows: Iterable[Row]) -> bytes:
    return HEADER + b"".join(row.line() + b"\n" for row in rows)


def make_batch(lines: Sequence[bytes]) -> TransactionBatch:
    """A batch of raw lines of type, client, tx and amount, as a reader makes it."""
    ends = array("i", [0])
    for line in lines:
        ends.append(ends[-1] + len(line))
    batch = TransactionBatch()
    offsets = memoryview(ends.tobytes()).cast("b")
    text = memoryview(b"".join(lines)).cast("b")
    hold_lines(batch, STANDARD_HEADER, offsets, text, 0, len(lines), "in memory")
    parse_lines(batch, STANDARD_HEADER)
    return batch


def apply_lines(ledger: Ledger, lines: Sequence[bytes]) -> list[str]:
    """Apply well-formed lines as one batch: the status of each."""
    batch = make_batch(lines)
    rejected_rows = ledger.apply(batch)
    statuses = [STATUSES[status] for _, _, status, _ in batch.report(applied=True)]
    assert len(statuses) == len(batch) == len(lines), "a line was malformed"
    assert rejected_rows == len(statuses) - statuses.count("applied")
    return statuses


def apply_rows(ledger: Ledger, rows: Sequence[Row]) -> list[str]:
    """Apply the rows as one batch: the status of each."""
    return apply_lines(ledger, [row.line() for row in rows])


def status_counts(ledger: Ledger) -> dict[tuple[str, str], int]:
    """The ledger's rows by type and status, those that occurred."""
    counts = {}
    for kind_code, kind in enumerate(KINDS):
        for status_code, status in enumerate(STATUSES):
            if count := ledger.count(kind_code, status_code):
                counts[kind, status] = count
    return counts


class Account(NamedTuple):
    """An account as a ledger gives it out, in units of 0.0001."""

    client: int
    available: int
    held: int
    locked: bool = False


def parse_accounts(text: bytes) -> list[Account]:
    """The accounts in their text, after a look at its form and its sums."""
    header, *lines = text.decode().split("\n")[:-1]
    assert header == "client,available,held,total,locked"
    accounts = []
    for line in lines:
        client, *amounts, locked = line.split(",")
        available, held, total = (int(amount.replace(".", "")) for amount in amounts)
        assert available + held == total
        assert all(amount[-5] == "." for amount in amounts)
        accounts.append(Account(int(client), available, held, {"true": True, "false": False}[locked]))
    return accounts


def accounts_of(ledger: Ledger) -> list[Account]:
    """The ledger's accounts, in the order in which they are put out."""
    return parse_accounts(accounts_csv([ledger]))


# ---- Streams of well-formed transactions -----------------------------------------------------------

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
UINT64_MAX = 2**64 - 1

# Deposits are drawn often enough for the others to meet one.
stream_kinds = st.sampled_from([*KINDS, *["deposit"] * 4, "withdrawal", "dispute", "dispute"])
small_amounts = st.sampled_from([10_000, 5_000, 12_345, 1, 0, 100_000, 70_000, -1, None])
one_or_two = st.integers(1, 2)
edge_amounts = st.sampled_from([INT64_MAX, INT64_MAX - 1, INT64_MAX // 2, INT64_MAX // 2 + 1, -INT64_MAX, 1, 0])


def streams(
    clients: SearchStrategy[int] | None = None,
    txs: SearchStrategy[int] | None = None,
    amounts: SearchStrategy[int | None] = small_amounts,
) -> SearchStrategy[list[Row]]:
    """Streams in which few clients use few ids: ids repeat, disputes meet deposits and accounts lock."""
    clients = st.integers(1, 3) if clients is None else clients
    txs = st.integers(1, 6) if txs is None else txs
    return short_or_long(st.builds(Row, stream_kinds, clients, txs, amounts), 60)


def ids_of_one_home(count: int, lows: Sequence[int] = range(256)) -> list[int]:
    """Ids that the index's first hash, a multiplication by a known number, puts into one place.

    Where `lows`, their low bytes, are all, they lie in the 64 groups of a neighbourhood, else in fewer.
    """
    inverse = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
    low_bytes = np.array(lows, np.uint64)
    found = [np.empty(0, np.uint64)]
    places = np.arange(1 << 20, dtype=np.uint64)
    while sum(map(len, found)) * len(lows) < count:
        highs = places * inverse
        found.append(highs[highs < np.uint64(1 << 56)])
        places += np.uint64(len(places))
    ids = np.concatenate(found)[:, None] << np.uint64(8) | low_bytes
    return [int(tx) for tx in ids.ravel()[:count]]


def short_or_long(element: SearchStrategy[T], most: int) -> SearchStrategy[list[T]]:
    """Lists of both sorts: left to itself, Hypothesis makes few long ones."""
    short = st.lists(element, max_size=most // 6)
    long = st.lists(element, min_size=most // 3, max_size=most)
    return st.one_of(short, long)


# ---- Files that try everything ---------------------------------------------------------------------

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ENDINGS = (b"\n", b"\r\n", b"\r")
# Bytes that some reader could take for more than they are: control bytes, other languages' blanks and line
# endings. The byte 0x01 is not among them, since pyarrow cannot carry it.
ODD_BYTES = (
    *rb"\ ' ; #".split(),
    *(b"\x00", b"\x02", b"\x1a", b"\x1c", b"\x7f", b"\x85", b"\xa0", b"\xc3", b"\xff"),
    *(b"\xe2\x80\xa8", b"\xc2\xa0", BYTE_ORDER_MARK),
)

# Texts of the four fields: good ones often enough for rows to be applied.
type_texts = st.sampled_from(
    [kind.encode() for kind in KINDS] * 15
    + [b"deposit"] * 45
    + [b"dispute"] * 25
    + b"Deposit DEPOSIT depositt deposi chargebac chargebackk transfer withdrawa dispose disputed".split()
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

# What can stand around a field's text and not count,
HARMLESS_DECORATIONS: tuple[Callable[[bytes], bytes], ...] = (
    lambda text: text,
    lambda text: b" " + text,
    lambda text: text + b" \t",
    lambda text: b"\v\f" + text + b"\f\v",
    lambda text: b'"' + text + b'"',
    lambda text: b' \t"  ' + text + b'\v"\f ',
)
# and what makes it another text, or none.
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

# Pieces of rows, joined any way.
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
    """A header line, right nearly always, and its columns' names, None for those that do not matter."""
    names: list[bytes | None] = list(draw(st.permutations(reference.COLUMN_NAMES)))
    fields: list[bytes] = [draw(harmless_decorations)(name) for name in names if name is not None]
    for place, name in draw(st.lists(st.tuples(st.integers(0, 4), other_names), max_size=2)):
        names.insert(place, None)
        fields.insert(place, name)
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
    """The fields as a row: as they are, decorated, cut short, run on, with an odd byte in it, or all soup."""
    texts = list(fields)
    if draw(one_in(4)):
        place = draw(st.integers(0, len(texts) - 1))
        texts[place] = draw(decorations)(texts[place])
    row = b",".join(texts)
    match draw(st.integers(0, 19)):
        case 19:
            return row[: draw(st.integers(0, len(row)))]
        case 18:
            return row + draw(run_ons)
        case 17:
            place = draw(st.integers(0, len(row)))
            return row[:place] + draw(st.sampled_from(ODD_BYTES)) + row[place:]
        case 16:
            return draw(soups)
    return row


@st.composite
def plain_files(draw: st.DrawFn) -> bytes:
    """Files of plain rows with here and there one that is not, as most files are."""
    ending = draw(endings)
    lines = [row.line() for row in draw(streams())]
    for place, line in draw(st.lists(st.tuples(st.integers(0, 60), soups), max_size=3)):
        lines.insert(place, line)
    content = ending.join([HEADER.rstrip(), *lines])
    return content + ending if draw(st.booleans()) else content


wide_texts = st.sampled_from(
    b'x 1 -1.5 x"y "a,b" "a""b"'.split()
    + [b"", b"", b" ", b"a b", b' "a,b"', b' "', b"x\ry", b"\xff", b"\x00"]
    + [b"x" * length for length in (7, 15, 16, 17, 31, 50, 62, 63, 64, 65, 127, 128, 200)]
)


@st.composite
def wide_files(draw: st.DrawFn) -> bytes:
    """Files of up to forty columns: rows of any length, the four columns anywhere, mostly plain."""
    width = draw(st.integers(4, 40))
    places = draw(st.permutations(range(width)))[:4]
    names = [b"column %d" % column for column in range(width)]
    for place, name in zip(places, reference.COLUMN_NAMES, strict=True):
        names[place] = name
    ending = draw(endings)
    lines = [b",".join(names)]
    texts = st.lists(wide_texts, min_size=width, max_size=width)
    for row, fields in draw(
        st.lists(st.tuples(st.builds(Row, stream_kinds, one_or_two, one_or_two, small_amounts), texts))
    ):
        for place, text in zip(places, row.line().split(b","), strict=True):
            fields[place] = text
        line = b",".join(fields)
        lines.append(line if draw(st.integers(0, 7)) else draw(spoilt_rows((line,))))
    content = ending.join(lines)
    return content + ending if draw(st.booleans()) else content


# Sizes that cut a small file anywhere, and some that do not cut it.
block_sizes = st.one_of(st.integers(1, 100), st.sampled_from([200, 1_000, 4_096, 1 << 18]))
