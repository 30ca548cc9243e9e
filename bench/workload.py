"""The rows of a stress-test file: a mix of kinds, patterns of transaction ids, and clients, made block by block.

Of the rows 49 % are deposits, 49 % withdrawals, 0.5 % disputes, 0.4 % resolves, 0.1 % chargebacks and 1 % faulty. The
same plan gives the same bytes. Rows are made in blocks, so memory does not grow with their number: numpy lays out 98
rows in 100 in a matrix of bytes, and the others are formatted one by one.

This module knows the text of a transaction row, not how a row is applied: it must not import txfast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

import numpy as np

# Imported by name here: numpy loads this module at its first use, and a Ctrl-C during that would be lost.
from numpy.random import default_rng
from numpy.typing import NDArray

DEFAULT_ROWS = 1_000_000
DEFAULT_CLIENTS = 10_000

ID_PATTERNS = ("dense", "random", "per-client", "strided", "snowflake")
ID_STRIDE = 4_096
# A snowflake id: a time in milliseconds, then 10 bits for the machine, then 12 bits that count from 0 in each
# millisecond. Here a machine makes one id in a millisecond, as most machines do in practice.
SNOWFLAKE_MACHINES = 8
SNOWFLAKE_START_MS = 60_000_000_000

HEADER = b"type,client,tx,amount\n"
UNITS = 10_000  # One unit is 0.0001.
DEPOSIT_LIMIT_UNITS = 10_000 * UNITS
WITHDRAWAL_LIMIT_UNITS = 5_000 * UNITS
NEGATIVE_SHARE = 0.05
ZIPF_EXPONENT = 1.1

# Three rows in four have all four decimals; the others have fewer, as people type them.
DECIMALS = np.array([4] * 12 + [2, 2, 1, 0], dtype=np.int64)

# Caps on the deposits that may be disputed: of one block, and of all blocks so far. A block disputes 1,000.
CANDIDATES_PER_BLOCK = 8_192
DISPUTABLE_LIMIT = 100_000

Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Indexes = NDArray[np.int64]
Numbers = NDArray[np.uint64]


class Kind(IntEnum):
    """The kinds of row: two plain ones, three about disputes, eight faulty ones."""

    DEPOSIT = 0
    WITHDRAWAL = 1
    DISPUTE = 2
    RESOLVE = 3
    CHARGEBACK = 4
    WORD_FOR_CLIENT = 5
    WORD_FOR_TX = 6
    UNKNOWN_TYPE = 7
    EMPTY_AMOUNT = 8
    NO_AMOUNT = 9
    FIFTH_FIELD = 10
    BLANKS = 11
    JUNK = 12


# Rows of each kind in 4,000 rows: the smallest number for which each share is a whole number.
ROWS_OF_KIND = [1960, 1960, 20, 16, 4, 5, 5, 5, 5, 5, 5, 5, 5]
BLOCK_ROWS = 200_000
KINDS_OF_BLOCK = np.tile(np.repeat(np.arange(13, dtype=np.uint8), ROWS_OF_KIND), BLOCK_ROWS // 4_000)

# A row takes the next id if its text has both an id and a client (ids may be counted per client).
TAKES_ID = np.ones(len(Kind), dtype=np.bool_)
TAKES_ID[[Kind.DISPUTE, Kind.RESOLVE, Kind.CHARGEBACK]] = False
TAKES_ID[[Kind.WORD_FOR_CLIENT, Kind.WORD_FOR_TX, Kind.JUNK]] = False

WORDS = ("copper", "lantern", "meadow", "orbit", "pebble", "saffron", "thistle", "willow")
UNKNOWN_TYPES = ("deposed", "fee", "payment", "return", "reversed", "transfer", "withdrew", "wire")
JUNK_FIELDS = ("#REF!", "%%%", "-", "0x1F", "1e5", "<null>", "NaN", "???")

POWERS_OF_TEN = np.array([10**exponent for exponent in range(20)], dtype=np.uint64)
FOUR_DIGITS = np.frombuffer(b"".join(b"%04d" % number for number in range(10_000)), dtype=np.uint32)
PLAIN_TYPES = np.array([b"deposit", b"withdrawal"], dtype="S10").view(np.uint8).reshape(2, 10)

# The minimum width of a client and of an id, so that a word fits there too; and the width of the rest of a row.
WORD_WIDTH = 8
AMOUNT_WIDTH = len(",-12345.6789,5\n")


@dataclass(frozen=True)
class Plan:
    """The parameters of a file. They determine its bytes."""

    rows: int = DEFAULT_ROWS
    clients: int = DEFAULT_CLIENTS
    seed: int = 1
    ids: str = "dense"
    distribution: str = "uniform"


@dataclass(frozen=True)
class Columns:
    """One block of rows, before it is text. Every row has client, id and amount here, even if its text does not."""

    kinds: Bytes
    clients: Numbers
    ids: Numbers
    amounts_units: Numbers
    decimals: Indexes
    negative: Flags

    def amount_text(self, row: int) -> str:
        whole, fraction = divmod(int(self.amounts_units[row]), UNITS)
        digits = f"{fraction:04}"[: self.decimals[row]]
        return f"{'-' if self.negative[row] else ''}{whole}{'.' if digits else ''}{digits}"


class Disputes:
    """The deposits that may be disputed, and the open disputes, each as (client, id)."""

    def __init__(self) -> None:
        self._disputable: list[tuple[int, int]] = []
        self._open: list[tuple[int, int]] = []

    def add_deposits(self, deposits: Iterable[tuple[int, int, float]]) -> None:
        """Remember deposits, each as (client, id, chance in [0, 1)).

        At the cap, a new deposit replaces the one that its chance picks.
        """
        for client, tx, chance in deposits:
            if len(self._disputable) < DISPUTABLE_LIMIT:
                self._disputable.append((client, tx))
            else:
                self._disputable[int(chance * DISPUTABLE_LIMIT)] = (client, tx)

    def dispute(self, chance: float) -> tuple[int, int] | None:
        """Dispute the deposit that `chance` picks; None if there is no deposit. No deposit is disputed twice."""
        picked = _take(self._disputable, chance)
        if picked is not None:
            self._open.append(picked)
        return picked

    def close(self, chance: float) -> tuple[int, int] | None:
        """End the open dispute that `chance` picks; None if no dispute is open."""
        return _take(self._open, chance)


def _take(pool: list[tuple[int, int]], chance: float) -> tuple[int, int] | None:
    if not pool:
        return None
    index = int(chance * len(pool))
    pool[index], pool[-1] = pool[-1], pool[index]
    return pool.pop()


class Generator:
    """Makes the rows of a plan, block after block."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = default_rng(plan.seed)
        self._disputes = Disputes()
        self._last_id = 0
        # Memory that grows with the number of clients, allocated only for the patterns that need it.
        per_client = plan.clients + 1 if plan.ids == "per-client" else 0
        self._last_ids_of_clients: Numbers = np.zeros(per_client, dtype=np.uint64)
        ranked = plan.clients if plan.distribution == "skewed" else 0
        self._client_of_rank = self._random.permutation(ranked).astype(np.uint64) + np.uint64(1)

    def blocks(self) -> Iterator[bytes]:
        """Yield the file in pieces: its header, then `BLOCK_ROWS` rows at a time."""
        yield HEADER
        for first_row in range(0, self._plan.rows, BLOCK_ROWS):
            columns = self._columns(min(BLOCK_ROWS, self._plan.rows - first_row))
            cells, shown = lay_out(columns)
            self._overlay_special_rows(columns, cells, shown)
            yield cells[shown].tobytes()

    def _columns(self, row_count: int) -> Columns:
        # A whole block has the exact share of each kind, in random order; the last block is the start of one.
        kinds = self._random.permutation(KINDS_OF_BLOCK)[:row_count]
        clients = self._clients(row_count)
        limits_units = np.where(kinds == Kind.WITHDRAWAL, WITHDRAWAL_LIMIT_UNITS, DEPOSIT_LIMIT_UNITS)
        decimals = DECIMALS[self._random.integers(0, len(DECIMALS), row_count)]
        steps = POWERS_OF_TEN[4 - decimals]
        amounts_units = (self._random.random(row_count) * limits_units).astype(np.uint64) + np.uint64(1)
        return Columns(
            kinds=kinds,
            clients=clients,
            ids=self._ids(kinds, clients),
            amounts_units=np.maximum(amounts_units // steps * steps, steps),
            decimals=decimals,
            negative=self._random.random(row_count) < NEGATIVE_SHARE,
        )

    def _clients(self, row_count: int) -> Numbers:
        if self._plan.distribution == "uniform":
            return self._random.integers(1, self._plan.clients, row_count, dtype=np.uint64, endpoint=True)
        # Zipf's law by its inverse function: it needs no table, and no rank exceeds the number of clients.
        flattening = 1.0 - ZIPF_EXPONENT
        span = (self._plan.clients + 1.0) ** flattening - 1.0
        ranks = (1.0 + self._random.random(row_count) * span) ** (1.0 / flattening)
        rank_indexes = np.minimum(ranks.astype(np.int64), self._plan.clients) - 1
        clients: Numbers = self._client_of_rank[rank_indexes]
        return clients

    def _ids(self, kinds: Bytes, clients: Numbers) -> Numbers:
        """Number the rows that take an id; give the others ids that no row of the file takes."""
        ids = self._unknown_ids(len(kinds))
        takers = np.flatnonzero(TAKES_ID[kinds])
        if self._plan.ids == "per-client":
            ids[takers] = self._next_ids_of(clients[takers])
        elif self._plan.ids != "random":
            counted = np.arange(self._last_id + 1, self._last_id + 1 + len(takers), dtype=np.uint64)
            ids[takers] = counted_ids(self._plan.ids, counted)
            self._last_id += len(takers)
        return ids

    def _next_ids_of(self, clients: Numbers) -> Numbers:
        """The next ids of each client, in row order."""
        ids = self._last_ids_of_clients[clients] + ranks_among_equals(clients).astype(np.uint64) + np.uint64(1)
        # numpy keeps the last assignment: each client's last id in this block, which is its highest.
        self._last_ids_of_clients[clients] = ids
        return ids

    def _unknown_ids(self, count: int) -> Numbers:
        """Ids that no row takes: greater than all counted ids, or other random 64-bit numbers."""
        if self._plan.ids == "random":
            return self._random.integers(0, 2**64 - 1, count, dtype=np.uint64, endpoint=True)
        lowest, highest = self._plan.rows + 1, 2 * self._plan.rows
        unreached = self._random.integers(lowest, highest, count, dtype=np.uint64, endpoint=True)
        return counted_ids(self._plan.ids, unreached)

    def _overlay_special_rows(self, columns: Columns, cells: Bytes, shown: Flags) -> None:
        """Write the rows that are no deposits or withdrawals over what `lay_out` wrote for them."""
        rows = np.flatnonzero(columns.kinds > Kind.WITHDRAWAL)
        texts = self._special_texts(columns, rows)
        width = cells.shape[1]
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        # numpy would truncate a longer text silently.
        assert lengths.max(initial=0) <= width
        padded = np.array(texts, dtype=f"S{width}")
        cells[rows] = padded.view(np.uint8).reshape(len(rows), width)
        shown[rows] = np.arange(width) < lengths[:, None]

    def _special_texts(self, columns: Columns, rows: Indexes) -> list[bytes]:
        """Format `rows` (ascending). A dispute may name any deposit above it."""
        candidates = self._disputable_rows(columns)
        deposits = zip(
            columns.clients[candidates].tolist(),
            columns.ids[candidates].tolist(),
            self._random.random(len(candidates)).tolist(),
            strict=True,
        )
        new_deposits = np.diff(np.searchsorted(candidates, rows), prepend=0).tolist()
        chances = self._random.random(len(rows)).tolist()
        texts = []
        for row, new, chance in zip(rows.tolist(), new_deposits, chances, strict=True):
            self._disputes.add_deposits(islice(deposits, new))
            kind = Kind(int(columns.kinds[row]))
            if kind > Kind.CHARGEBACK:
                texts.append(faulty_text(columns, row, kind, chance))
                continue
            picked = self._disputes.dispute(chance) if kind == Kind.DISPUTE else self._disputes.close(chance)
            client, tx = picked if picked is not None else (columns.clients[row], columns.ids[row])
            texts.append(f"{kind.name.lower()},{client},{tx},\n".encode())
        self._disputes.add_deposits(deposits)
        return texts

    def _disputable_rows(self, columns: Columns) -> Indexes:
        """The rows of a sample of the block's deposits, ascending, with about the same number for each client.

        Otherwise the largest clients of a skewed file would be charged back, and so locked, within the first few
        thousand rows, and most of the file would be rejected.
        """
        deposits = np.flatnonzero((columns.kinds == Kind.DEPOSIT) & ~columns.negative)
        sampled = deposits[:: len(deposits) // CANDIDATES_PER_BLOCK + 1]
        rows_of_client_limit = -(-CANDIDATES_PER_BLOCK // self._plan.clients)
        return sampled[ranks_among_equals(columns.clients[sampled]) < rows_of_client_limit]


def ranks_among_equals(numbers: Numbers) -> Indexes:
    """For each number, the count of equal numbers before it."""
    order = np.argsort(numbers, kind="stable")
    grouped = numbers[order]
    starts_group = np.ones(len(numbers), dtype=np.bool_)
    starts_group[1:] = grouped[1:] != grouped[:-1]
    sorted_ranks = np.arange(len(numbers))
    group_starts = np.maximum.accumulate(np.where(starts_group, sorted_ranks, 0))
    ranks = np.empty(len(numbers), dtype=np.int64)
    ranks[order] = sorted_ranks - group_starts
    return ranks


def counted_ids(pattern: str, counts: Numbers) -> Numbers:
    """The ids at these ranks (from 1) of a pattern that counts. Different ranks have different ids."""
    if pattern == "strided":
        return counts * np.uint64(ID_STRIDE)
    if pattern == "snowflake":
        milliseconds = np.uint64(SNOWFLAKE_START_MS) + counts // np.uint64(SNOWFLAKE_MACHINES)
        return milliseconds << np.uint64(22) | counts % np.uint64(SNOWFLAKE_MACHINES) << np.uint64(12)
    return counts


def lay_out(columns: Columns) -> tuple[Bytes, Flags]:
    """Write every row as a deposit or withdrawal into a matrix of bytes, one line of the matrix for each row.

    Returns the matrix, and a mask of the same shape: which of its bytes are text.
    """
    client_digits = max(WORD_WIDTH, len(str(columns.clients.max())))
    id_digits = max(WORD_WIDTH, len(str(columns.ids.max())))
    width = 10 + 1 + client_digits + 1 + id_digits + AMOUNT_WIDTH
    cells = np.empty((len(columns.kinds), width), dtype=np.uint8)
    shown = np.ones(cells.shape, dtype=np.bool_)

    plain = (columns.kinds == Kind.WITHDRAWAL).astype(np.int64)
    cells[:, :10] = PLAIN_TYPES[plain]
    shown[:, :10] = (PLAIN_TYPES > 0)[plain]
    column = 10
    for numbers, digits in ((columns.clients, client_digits), (columns.ids, id_digits)):
        cells[:, column] = ord(",")
        column += 1
        cells[:, column : column + digits] = digits_of(numbers, digits)
        shown[:, column : column + digits] = significant(numbers, digits)
        column += digits

    whole = columns.amounts_units // np.uint64(UNITS)
    cells[:, column] = ord(",")
    cells[:, column + 1] = ord("-")
    shown[:, column + 1] = columns.negative
    cells[:, column + 2 : column + 7] = digits_of(whole, 5)
    shown[:, column + 2 : column + 7] = significant(whole, 5)
    cells[:, column + 7] = ord(".")
    shown[:, column + 7] = columns.decimals > 0
    cells[:, column + 8 : column + 12] = digits_of(columns.amounts_units - whole * np.uint64(UNITS), 4)
    shown[:, column + 8 : column + 12] = np.arange(4) < columns.decimals[:, None]
    cells[:, column + 12] = ord("\n")
    # Only faulty rows use the space for a fifth field.
    shown[:, column + 13 :] = False
    return cells, shown


def digits_of(numbers: Numbers, digits: int) -> Bytes:
    """The last `digits` decimal digits of each number as ASCII, one line of the matrix for each number."""
    groups = -(-digits // 4)
    fours = np.empty((len(numbers), groups), dtype=np.uint32)
    rest = numbers
    for group in reversed(range(groups)):
        # Division by a constant and multiplication are vectorised; the remainder operator is not.
        quotient = rest // np.uint64(10_000)
        fours[:, group] = FOUR_DIGITS[rest - quotient * np.uint64(10_000)]
        rest = quotient
    return fours.view(np.uint8)[:, 4 * groups - digits :]


def significant(numbers: Numbers, digits: int) -> Flags:
    """A mask: which of the `digits` digits are not leading zeros. The last digit is always shown."""
    flags = np.empty((len(numbers), digits), dtype=np.bool_)
    for index in range(digits - 1):
        flags[:, index] = numbers >= POWERS_OF_TEN[digits - 1 - index]
    flags[:, digits - 1] = True
    return flags


def faulty_text(columns: Columns, row: int, kind: Kind, chance: float) -> bytes:
    """The text of a faulty row. `chance`, in [0, 1), picks its words."""
    pick = int(chance * 4096)
    word = WORDS[pick % 8]
    name = ("deposit", "withdrawal")[pick // 8 % 2]
    client = columns.clients[row]
    tx = columns.ids[row]
    amount = columns.amount_text(row)
    if kind == Kind.WORD_FOR_CLIENT:
        text = f"{name},{word},{tx},{amount}"
    elif kind == Kind.WORD_FOR_TX:
        text = f"{name},{client},{word},{amount}"
    elif kind == Kind.UNKNOWN_TYPE:
        text = f"{UNKNOWN_TYPES[pick % 8]},{client},{tx},{amount}"
    elif kind == Kind.EMPTY_AMOUNT:
        text = f"{name},{client},{tx},"
    elif kind == Kind.NO_AMOUNT:
        text = f"{name},{client},{tx}"
    elif kind == Kind.FIFTH_FIELD:
        text = f"{name},{client},{tx},{amount},{pick % 10}"
    elif kind == Kind.BLANKS:
        text = f"  ,{client},{tx}, "
    else:
        text = ",".join(JUNK_FIELDS[pick >> shift & 7] for shift in (0, 3, 6, 9))
    return f"{text}\n".encode()
