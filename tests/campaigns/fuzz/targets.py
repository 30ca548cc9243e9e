"""The fuzz targets: each makes an input of any bytes, and raises where two answers differ.

One answer is the kernel's. The other is the reference's, or that of another path through the kernel. Every sequence of
bytes is an input, so that no execution is wasted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import permutations

from tests.campaigns.differential import check_rows
from tests.campaigns.fuzz import probe
from tests.campaigns.fuzz.first_lines import FIRST_LINES, HEADERS, JSON_DIALECTS
from tests.campaigns.fuzz.saved_ledgers import SavedAccount, SavedEntry, is_ledger
from tests.campaigns.fuzz.verdicts import Transaction, expected_object, expected_row, objects_in
from tests.support import reference, reference_json, reference_rows, replays
from tests.support.reference import INT64_MAX
from tests.support.reference_policy import SWITCHES
from tests.support.rows import STANDARD_HEADER
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.batch.cursor import report
from txfast.dialect.dialect import Dialect
from txfast.errors import InputError
from txfast.ledger.columns_in import LedgerRestorer
from txfast.ledger.disputes_in import restore_disputes
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.policy import Policy
from txfast.ledger.route import route
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.readers.csv import CsvReader
from txfast.readers.json_lines import JsonLinesReader
from txfast.readers.line_column import copy_lines
from txfast.readers.scan import scan_lines
from txfast.readers.table_rows import TableColumns, parse

Rows = list[Transaction | str]

STANDARD_COLUMNS = reference_rows.Columns(0, 1, 2, 3, width=4)
# Where the four columns may be: the fifth index is another column.
INDEXES = [reference_rows.Columns(*four, width=5) for four in permutations(range(5), 4)]
AMOUNTS = (
    None, 0, 1, 10_000, 25_000, 70_000, 123_456, -1, INT64_MAX, INT64_MAX - 1, INT64_MAX // 2,
    INT64_MAX // 2 + 1, -INT64_MAX, 10_001, 5_000, 20_000,
)  # fmt: skip
# The default, each switch by itself, and combinations that keep much of each payment.
LEDGER_POLICIES = (
    "", "card", "card,direct-chargeback=allow,locked=deposits+disputes",
    *(f"{name}={value}" for name, (_, *values) in SWITCHES.items() for value in values),
    "card,withdrawal-dispute=credit,overdraft=none", "card,withdrawal-dispute=mark,overdraft=all,zero-amount=reject",
    "redispute=after-resolve,direct-chargeback=allow,open-account=valid-row,withdrawal-ids=ignored",
)  # fmt: skip
TX_SHIFTS = (0, 0, 8, 56)
OPERATION_BYTES = 3


def must_be(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"found {found!r}\nwhere the other has {expected!r}")


# ---- Texts ---------------------------------------------------------------------------------------


def row(content: bytes) -> None:
    """The row parser against the reference. Input: a byte for the order of columns, and a text, a row first."""
    columns = INDEXES[(content[0] if content else 0) % len(INDEXES)]
    line = content[1:]
    must_be(probe.parse(line, *columns), expected_row(line[: reference_rows.find_row_end(line, 0)], columns))


def plain(content: bytes) -> None:
    """The fast path against the row parser. Input: a line."""
    must_be(probe.plain_agrees(content), True)


def money(content: bytes) -> None:
    """Numbers from text and to text, against the reference. Input: a text, whose first bytes are a number too."""
    must_be(probe.read_id(content), reference.parse_id(content))
    must_be(probe.read_amount(content), reference.parse_amount(content))
    number = int.from_bytes(content[:8], "little")
    units = number - (number >> 63 << 64)
    must_be(probe.print_number(number), b"%d" % number)
    must_be(probe.print_amount(units), reference.format_amount(units).encode())


# ---- Readers -------------------------------------------------------------------------------------


def expected_file(content: bytes) -> tuple[Rows, list[int]] | None:
    """The rows of a file and the line numbers of malformed rows, by the reference; None for another file."""
    rows, _ = reference_rows.split_rows(content)
    if not rows:
        return None
    try:
        columns = reference_rows.find_columns("in", rows[0][1])
    except reference_rows.NotTransactions:
        return None
    found = [(line, expected_row(row, columns)) for line, row in rows[1:]]
    return [row for _, row in found], [line for line, row in found if isinstance(row, str)]


def scanned_file(
    content: bytes,
    block_bytes: int,
    piece_bytes: int,
    make_reader: Callable[..., CsvReader | JsonLinesReader] = CsvReader,
) -> tuple[Rows, list[int]] | None:
    """The same by the native reader, with blocks of one size and reads of another."""
    pieces = [content[index : index + piece_bytes] for index in range(0, len(content), piece_bytes)]
    reader = make_reader(replays.open_bytes("in", pieces).file, "in", block_bytes)
    batch = TransactionBatch()
    next_line = 1
    rows: Rows = []
    malformed_lines = []
    with suppress(InputError):
        while reader.fill(batch):
            reader.scan(batch)
            next_line = batch.number_lines(next_line)
            rows += probe.rows_of(batch)
            malformed_lines += [line for line, *_ in report(batch, rejected=False)]
        return rows, malformed_lines
    return None


def scanner(content: bytes) -> None:
    """The native reader against the reference. Input: bytes for header, block size and read size, and more lines."""
    header, block, piece = struct.unpack("3B", content[:3].ljust(3, b"\x00"))
    file = HEADERS[header % len(HEADERS)] + content[3:]
    must_be(scanned_file(file, 1 + block, 1 + piece), expected_file(file))


def json(content: bytes) -> None:
    """The reader of JSON lines against the reference. Input: bytes for first lines and dialect, block size and read
    size, and more lines."""
    first, block, piece = struct.unpack("3B", content[:3].ljust(3, b"\x00"))
    choice, lines = divmod(first, len(FIRST_LINES))
    file = FIRST_LINES[lines] + content[3:]
    settings = JSON_DIALECTS[choice % len(JSON_DIALECTS)]
    found = objects_in(file, settings) if settings else [
        (line, expected_object(row)) for line, row in reference_json.split_lines(file)[0]
    ]  # fmt: skip
    expected = [row for _, row in found], [line for line, row in found if isinstance(row, str)]
    make_reader = partial(JsonLinesReader, dialect=Dialect(settings)) if settings else JsonLinesReader
    must_be(scanned_file(file, 1 + block, 1 + piece, make_reader), expected)


def notes(content: bytes) -> None:
    """The native reader against Python's csv, where csv accepts the file. Input: as for `scanner`."""
    header, block = struct.unpack("2B", content[:2].ljust(2, b"\x00"))
    check_rows(HEADERS[header % len(HEADERS)] + content[2:], 1 + block)


def arrow_lines(content: bytes) -> tuple[list[int], bytes, int, int]:
    """Offsets, text and slice of a binary column, most often valid."""
    shape, first, count, *lengths = content[:16].ljust(4, b"\x00")
    offsets = [0]
    for length in lengths:
        offsets.append(offsets[-1] + length % 32)
    if shape & 1 and lengths:
        offsets[lengths[0] % len(offsets)] += lengths[-1] - 128
    if shape & 2 and lengths:
        offsets[-1] = (lengths[-1] - 128) << 24
    return offsets, content[16:], first % 20 - (shape >> 4 & 1), count % 20 - (shape >> 5 & 1)


def arrow_is_valid(offsets: Sequence[int], text: bytes, first: int, count: int) -> bool:
    """Whether a slice of a binary column lies inside its buffers, and its lines follow each other."""
    if first < 0 or count < 0 or first + count >= len(offsets):
        return False
    used = offsets[first : first + count + 1]
    return used[0] >= 0 and used == sorted(used) and used[-1] <= len(text)


def arrow(content: bytes) -> None:
    """The lines of a binary column, whose buffers may be invalid, against the reference."""
    offsets, text, first, count = arrow_lines(content)
    starts = memoryview(struct.pack(f"<{len(offsets)}i", *offsets)).cast("b")
    batch = TransactionBatch()
    try:
        copy_lines(batch, starts, memoryview(text).cast("b"), first, count)
    except ValueError as error:
        must_be(arrow_is_valid(offsets, text, first, count), False)
        must_be(isinstance(error, InputError), False)
        return
    must_be(arrow_is_valid(offsets, text, first, count), True)
    batch.header = STANDARD_HEADER
    scan_lines(batch)
    batch.number_lines(1)
    # A line of pyarrow's has no ending inside. A line of the fuzzer's may have.
    copied = b"".join(text[offsets[index] : offsets[index + 1]] + b"\n" for index in range(first, first + count))
    # A byte order mark is nothing here: a blank line before it makes it ordinary bytes.
    rows, _ = reference_rows.split_rows(b"\n" + copied)
    expected = [expected_row(row, STANDARD_COLUMNS) for _, row in rows]
    must_be(probe.rows_of(batch), expected)
    reported = [(line, row) for line, _, _, row in report(batch, rejected=False)]
    refused = [each for each, found in zip(rows, expected, strict=True) if isinstance(found, str)]
    must_be(reported, [(line - 1, row) for line, row in refused])


TABLE_ROWS = 4
TABLE_COLUMN_BYTES = 12
# Sorts of columns, chosen by a byte. The last is text by index.
TABLE_SORTS = ("absent", "unsigned", "signed", "units", "text", "indices")
TABLE_TEXTS = b'depositwithdrawaldisputeresolvechargeback 12.50"1",+7,\n\r,,'

TableColumn = tuple[str, int, bytes | None, bytes | None, bytes | None, bytes | None]


def table_column(shape: bytes, rows: int) -> tuple[TableColumn, list[bytes] | None]:
    """A column of a table, and its fields; None for the fields where the buffers are invalid."""
    sort, first, validity, *rest = shape
    sort_name = TABLE_SORTS[sort % len(TABLE_SORTS)]
    first = first % 6 - (first == 255)
    bits = bytes([validity]) if sort & 64 else None
    indexes = range(first, first + rows)
    nulls = [bits is not None and not validity >> index & 1 for index in indexes] if first >= 0 else []
    is_good = first >= 0 and (bits is None or first + rows <= 8)
    if sort_name == "absent":
        return (sort_name, first, bits, None, None, None), [b""] * rows if is_good else None
    if sort_name in ("unsigned", "signed", "units"):
        width = 2 if sort_name == "units" else 1
        numbers = [int.from_bytes(rest[index % 9 :] + rest[: index % 9], "little") for index in range(width * 8)]
        numbers = [number >> rest[0] % 72 & 2**64 - 1 for number in numbers][: width * (8 - rest[1] % 3)]
        values = struct.pack(f"<{len(numbers)}Q", *numbers)
        if not is_good or len(numbers) < width * (first + rows):
            return (sort_name, first, bits, values, None, None), None
        signed = [number - (number >> 63 << 64) for number in numbers]
        texts: dict[str, Callable[[int], bytes]] = {
            "unsigned": lambda index: b"%d" % numbers[index],
            "signed": lambda index: b"%d" % signed[index],
            "units": lambda index: reference.format_amount(signed[2 * index]).encode(),
        }
        fields = [b"" if null else texts[sort_name](index) for index, null in zip(indexes, nulls, strict=True)]
        return (sort_name, first, bits, values, None, None), fields
    offsets = [0]
    for length in rest:
        offsets.append(offsets[-1] + length % 11)
    if sort & 128:
        offsets[rest[0] % len(offsets)] += rest[1] - 128
    is_large = bool(sort & 32)
    packed = struct.pack(f"<{len(offsets)}{'q' if is_large else 'i'}", *offsets)
    text = TABLE_TEXTS[: len(TABLE_TEXTS) - rest[2] % 4]
    indices = None
    used: Sequence[int] = indexes
    if sort_name == "indices":
        named = [number % (len(offsets) - 1) - (number == 255) for number in rest[: 8 - rest[3] % 2]]
        indices = struct.pack(f"<{len(named)}i", *named)
        is_good = is_good and first + rows <= len(named)
        # Only the texts count that a row names.
        used = [named[index] for index, null in zip(indexes, nulls, strict=True) if not null] if is_good else []
        is_good = is_good and all(at >= 0 and 0 <= offsets[at] <= offsets[at + 1] <= len(text) for at in used)
    else:
        is_good = is_good and first + rows < len(offsets)
        checked = offsets[first : first + rows + 1] if is_good else offsets
        is_good = is_good and checked[0] >= 0 and checked == sorted(checked) and checked[-1] <= len(text)
    column: TableColumn = ("large_text" if is_large else "text", first, bits, text, packed, indices)
    if not is_good:
        return column, None
    if indices is not None:
        used = [named[index] for index in indexes]
    fields = [b"" if null else text[offsets[at] : offsets[at + 1]] for at, null in zip(used, nulls, strict=True)]
    return column, fields


def quoted(field: bytes) -> bytes:
    escaped = field.replace(b"\n", b"\\n").replace(b"\r", b"\\r").replace(b'"', b'""')
    return b'"%s"' % escaped


def table(content: bytes) -> None:
    """Columns of a table, valid or not, against the reference's rows of a file with the same fields."""
    rows = (content[0] if content else 0) % (TABLE_ROWS + 1)
    shapes = content[1:].ljust(4 * TABLE_COLUMN_BYTES, b"\x04")
    columns = [table_column(shapes[index * TABLE_COLUMN_BYTES :][:TABLE_COLUMN_BYTES], rows) for index in range(4)]
    is_good = all(fields is not None for _, fields in columns)
    for keep_text in (True, False):
        batch = TransactionBatch()
        found: Rows = []
        try:
            held = TableColumns(rows, [column for column, _ in columns])
        except ValueError:
            must_be(is_good, False)
            return
        must_be(is_good, True)
        while held.hold(batch):
            parse(batch, STANDARD_HEADER, keep_text=keep_text)
            found += probe.rows_of(batch)
        expected = [
            expected_row(b",".join(map(quoted, fields)), STANDARD_COLUMNS)
            for fields in zip(*(fields or [] for _, fields in columns), strict=True)
        ]
        must_be(found, expected)


# ---- The ledger ----------------------------------------------------------------------------------

Operation = tuple[int, int, int, int | None]


def operations(content: bytes) -> Iterator[tuple[bool, Operation]]:
    """Transactions of few clients and few ids, three bytes each; and for each, whether a batch ends before it."""
    whole = content[: len(content) // OPERATION_BYTES * OPERATION_BYTES]
    for what, tx, amount in struct.iter_unpack(f"{OPERATION_BYTES}B", whole):
        transaction = (
            (what & 7) % len(KINDS),
            what >> 3 & 3,
            (tx & 63) << TX_SHIFTS[tx >> 6],
            AMOUNTS[amount & 15] if amount < 128 else amount << (amount & 15),
        )
        yield what >= 192, transaction


def ledger(content: bytes) -> None:
    """Ledgers against the reference. Input: a byte for policy and number of shards, and transactions."""
    policy_number, shard_index = divmod(content[0] if content else 0, 3)
    policy, shard_count = LEDGER_POLICIES[policy_number % len(LEDGER_POLICIES)], 1 + shard_index
    ledgers = [Ledger(Policy(policy)) for _ in range(shard_count)]
    replay = reference.Replay(policy)
    pending: list[Operation] = []

    def apply() -> None:
        batch = probe.make_batch(pending)
        if shard_count > 1:
            route(batch, shard_count)
        for shard, each in enumerate(ledgers):
            each.apply(batch, shard=shard)
        expected = [replay.apply(KINDS[kind], client, tx, amount) for kind, client, tx, amount in pending]
        must_be([STATUSES[status] for status in probe.statuses_of(batch)], expected)
        pending.clear()

    for ends_batch, operation in operations(content[1:]):
        if ends_batch:
            apply()
        pending.append(operation)
    apply()
    accounts = sorted(replay.accounts.values(), key=lambda account: account.client)
    expected = [(account.client, account.available, account.held, account.locked) for account in accounts]
    must_be(probe.accounts_of(AccountColumns(ledgers)), expected)
    must_be(sum(each.balance_units for each in ledgers), sum(account.total for account in accounts))


SAVED_BYTES = 4
SCALES = (1, 1, 1, 1 << 56)


def saved_rows(content: bytes) -> tuple[list[SavedAccount], list[SavedEntry]]:
    """Accounts and entries of few clients and ids, four bytes each. The first byte is the number of accounts."""
    rows = list(struct.iter_unpack("BBbb", content[1 : 1 + (len(content) - 1) // SAVED_BYTES * SAVED_BYTES]))
    accounts = rows[: content[0] % 4] if content else []
    entries = rows[len(accounts) :]
    return (
        [
            (what & 3, available * SCALES[scales & 3], held * SCALES[scales >> 2 & 3], bool(what & 4))
            for what, scales, available, held in accounts
        ],
        [
            (what & 3, what >> 2 & 7, amount * SCALES[tail & 3], scales % 5 // 2, tail >> 2 & 15)
            for what, scales, amount, tail in entries
        ],
    )


def saved(content: bytes) -> None:
    """Restoring, against the rules of restoring; and the restored accounts, against those that were given."""
    accounts, entries = saved_rows(content)
    ledgers = [Ledger() for _ in range(1 + len(content) % 2)]

    def column(form: str, numbers: Sequence[int]) -> memoryview:
        return memoryview(struct.pack(f"{len(numbers)}{form}", *numbers) or bytes(8))

    def columns(rows: Sequence[tuple[int, ...]], forms: str) -> list[memoryview]:
        return [column(form, [row[index] for row in rows]) for index, form in enumerate(forms)]

    # In a snapshot that shares its entries with others, the states of disputes stand apart.
    states_apart = bool(content and content[0] & 64)
    disputes = [(client, tx, state) for client, tx, _, _, state in entries if state] if states_apart else []
    entries_added = [(*entry[:4], 0) for entry in entries] if states_apart else entries
    flags = sum(locked << index for index, (_, _, _, locked) in enumerate(accounts))
    refused = False
    try:
        for shard, each in enumerate(ledgers):
            restorer = LedgerRestorer(each, shard, len(ledgers))
            clients, available, held = columns(accounts, "Qqq")
            restorer.add_accounts(len(accounts), clients, available, held, memoryview(bytes([flags, *bytes(7)])))
            owners, txs, amounts, kinds, states = columns(entries_added, "QQqBB")
            restorer.add_entries(len(entries), owners, txs, amounts, kinds, states)
            restore_disputes(restorer, len(disputes), *columns(disputes, "QQB"))
            restorer.finish()
    except ValueError:
        refused = True
    must_be(refused, not is_ledger(accounts, entries))
    if not refused:
        must_be(probe.accounts_of(AccountColumns(ledgers)), sorted(accounts))
        must_be(sum(each.entries for each in ledgers), len(entries))


def canary(content: bytes) -> None:
    """A planted bug: a fuzzer that does not find it would find no other."""
    probe.run_over(content)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "row": row,
    "plain": plain,
    "money": money,
    "scanner": scanner,
    "json": json,
    "notes": notes,
    "arrow": arrow,
    "table": table,
    "ledger": ledger,
    "saved": saved,
    "canary": canary,
}
