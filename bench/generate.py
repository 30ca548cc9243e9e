"""Write a transactions file of any size for stress tests and benchmarks.

    python bench/generate.py [ROWS [CLIENTS]] [-o FILE] [--seed N]
                             [--ids PATTERN] [--clients uniform|skewed]

Of the rows 49 % are deposits, 49 % withdrawals, 0.5 % disputes, 0.4 % resolves, 0.1 % chargebacks and
1 % faulty. The same arguments give the same bytes. Rows are made in blocks, so that memory does not grow
with their number: numpy lays out 98 rows in 100 in a matrix of bytes, the others are formatted one by one.

This file knows what a transaction row looks like and nothing of how one is applied: it must not import
txfast.
"""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

# By name, since numpy loads this module at its first use, and a Ctrl-C that falls into that is lost.
from numpy.random import default_rng
from numpy.typing import NDArray

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_OUTPUT = PROJECT_ROOT / "samples" / "stress_test.csv"
DEFAULT_ROWS = 1_000_000
DEFAULT_CLIENTS = 10_000
CLIENTS_LIMIT = 100_000_000  # What is kept for each client still fits in the memory of a small machine.

ID_PATTERNS = ("dense", "random", "per-client", "strided", "snowflake")
ID_STRIDE = 4_096
# A snowflake is a time in milliseconds, the number of a machine in 10 bits, and a number of 12 bits that starts anew
# each millisecond. Here each machine makes one id in a millisecond, as most do in practice.
SNOWFLAKE_MACHINES = 8
SNOWFLAKE_START_MS = 60_000_000_000

HEADER = b"type,client,tx,amount\n"
UNITS = 10_000  # One unit is 0.0001.
DEPOSIT_LIMIT_UNITS = 10_000 * UNITS
WITHDRAWAL_LIMIT_UNITS = 5_000 * UNITS
NEGATIVE_SHARE = 0.05
ZIPF_EXPONENT = 1.1

# Three rows in four carry all four decimals; the others are cut, as people type them.
DECIMALS = np.array([4] * 12 + [2, 2, 1, 0], dtype=np.int64)

# At most so many deposits of one block, and of the whole past, may be disputed. A block disputes 1,000.
CANDIDATES_PER_BLOCK = 8_192
DISPUTABLE_LIMIT = 100_000

Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Indexes = NDArray[np.int64]
Numbers = NDArray[np.uint64]


class Kind(IntEnum):
    """What a row is: the two plain kinds, the three about disputes, and the eight faulty ones."""

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


# In every 4,000 rows, the fewest that hold each share as a whole number.
ROWS_OF_KIND = [1960, 1960, 20, 16, 4, 5, 5, 5, 5, 5, 5, 5, 5]
BLOCK_ROWS = 200_000
KINDS_OF_BLOCK = np.tile(np.repeat(np.arange(13, dtype=np.uint8), ROWS_OF_KIND), BLOCK_ROWS // 4_000)

# A row takes the next id when it shows both an id and, since ids may be counted per client, its client.
TAKES_ID = np.ones(len(Kind), dtype=np.bool_)
TAKES_ID[[Kind.DISPUTE, Kind.RESOLVE, Kind.CHARGEBACK]] = False
TAKES_ID[[Kind.WORD_FOR_CLIENT, Kind.WORD_FOR_TX, Kind.JUNK]] = False

WORDS = ("copper", "lantern", "meadow", "orbit", "pebble", "saffron", "thistle", "willow")
UNKNOWN_TYPES = ("Deposit", "fee", "payment", "refund", "reversal", "transfer", "withdraw", "wire")
JUNK_FIELDS = ("#REF!", "%%%", "-", "0x1F", "1e5", "<null>", "NaN", "???")

POWERS_OF_TEN = np.array([10**exponent for exponent in range(20)], dtype=np.uint64)
FOUR_DIGITS = np.frombuffer(b"".join(b"%04d" % number for number in range(10_000)), dtype=np.uint32)
PLAIN_TYPES = np.array([b"deposit", b"withdrawal"], dtype="S10").view(np.uint8).reshape(2, 10)

# The least room for a client and an id, so that a word fits in its place, and that for the rest of a row.
WORD_WIDTH = 8
AMOUNT_WIDTH = len(",-12345.6789,5\n")


@dataclass(frozen=True)
class Plan:
    """What decides the bytes of the file."""

    rows: int = DEFAULT_ROWS
    clients: int = DEFAULT_CLIENTS
    seed: int = 1
    ids: str = "dense"
    distribution: str = "uniform"


@dataclass(frozen=True)
class Columns:
    """One block of rows before it is text. A row that shows no client, id or amount has one here too."""

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
    """The deposits that may be disputed and the disputes that are open, each as (client, id)."""

    def __init__(self) -> None:
        self._disputable: list[tuple[int, int]] = []
        self._open: list[tuple[int, int]] = []

    def add_deposits(self, deposits: Iterable[tuple[int, int, float]]) -> None:
        """Remember deposits, each as client, id and a chance in [0, 1).

        Beyond the limit a deposit takes the place of the one that its chance picks.
        """
        for client, tx, chance in deposits:
            if len(self._disputable) < DISPUTABLE_LIMIT:
                self._disputable.append((client, tx))
            else:
                self._disputable[int(chance * DISPUTABLE_LIMIT)] = (client, tx)

    def dispute(self, chance: float) -> tuple[int, int] | None:
        """Dispute the deposit that `chance` picks, or none where there is none. None is disputed twice."""
        picked = _take(self._disputable, chance)
        if picked is not None:
            self._open.append(picked)
        return picked

    def close(self, chance: float) -> tuple[int, int] | None:
        """End the open dispute that `chance` picks, or none where none is open."""
        return _take(self._open, chance)


def _take(pool: list[tuple[int, int]], chance: float) -> tuple[int, int] | None:
    if not pool:
        return None
    place = int(chance * len(pool))
    pool[place], pool[-1] = pool[-1], pool[place]
    return pool.pop()


class Generator:
    """Makes the rows of a plan, block after block."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = default_rng(plan.seed)
        self._disputes = Disputes()
        self._last_id = 0
        # The memory that grows with the number of clients, each only where it is needed.
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
        # A whole block holds each kind's exact share, in random order; the last block is cut from one.
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
        # Zipf's law by its inverse: no table to search, and the ranks are bounded by the number of clients.
        flattening = 1.0 - ZIPF_EXPONENT
        span = (self._plan.clients + 1.0) ** flattening - 1.0
        ranks = (1.0 + self._random.random(row_count) * span) ** (1.0 / flattening)
        rank_indexes = np.minimum(ranks.astype(np.int64), self._plan.clients) - 1
        clients: Numbers = self._client_of_rank[rank_indexes]
        return clients

    def _ids(self, kinds: Bytes, clients: Numbers) -> Numbers:
        """Number the rows that take an id, and give the others ids that no row of the file takes."""
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
        """Count on within each client, in row order."""
        ids = (
            self._last_ids_of_clients[clients] + places_among_equals(clients).astype(np.uint64) + np.uint64(1)
        )
        # Of the ids of one client in this block the last, its highest, is the one that stays.
        self._last_ids_of_clients[clients] = ids
        return ids

    def _unknown_ids(self, count: int) -> Numbers:
        """Ids no row takes: above all counted ones, or, among random 64-bit ids, just others."""
        if self._plan.ids == "random":
            return self._random.integers(0, 2**64 - 1, count, dtype=np.uint64, endpoint=True)
        lowest, highest = self._plan.rows + 1, 2 * self._plan.rows
        unreached = self._random.integers(lowest, highest, count, dtype=np.uint64, endpoint=True)
        return counted_ids(self._plan.ids, unreached)

    def _overlay_special_rows(self, columns: Columns, cells: Bytes, shown: Flags) -> None:
        """Replace what `lay_out` wrote for all rows but deposits and withdrawals by their own text."""
        rows = np.flatnonzero(columns.kinds > Kind.WITHDRAWAL)
        texts = self._special_texts(columns, rows)
        width = cells.shape[1]
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        # numpy would cut a longer text without a word.
        assert lengths.max(initial=0) <= width
        padded = np.array(texts, dtype=f"S{width}")
        cells[rows] = padded.view(np.uint8).reshape(len(rows), width)
        shown[rows] = np.arange(width) < lengths[:, None]

    def _special_texts(self, columns: Columns, rows: Indexes) -> list[bytes]:
        """Format `rows`, ascending, each dispute among them after the deposits above it are known."""
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
        """Return, ascending, the rows of a sample of the block's deposits, with about as many of each client.

        Otherwise the clients with most rows of a skewed file would be charged back, and so locked, within its
        first few thousand rows, and most of the file would be rejected.
        """
        deposits = np.flatnonzero((columns.kinds == Kind.DEPOSIT) & ~columns.negative)
        sampled = deposits[:: len(deposits) // CANDIDATES_PER_BLOCK + 1]
        rows_of_client_limit = -(-CANDIDATES_PER_BLOCK // self._plan.clients)
        return sampled[places_among_equals(columns.clients[sampled]) < rows_of_client_limit]


def places_among_equals(numbers: Numbers) -> Indexes:
    """Return for each number how many equal ones stand before it."""
    order = np.argsort(numbers, kind="stable")
    grouped = numbers[order]
    starts_group = np.ones(len(numbers), dtype=np.bool_)
    starts_group[1:] = grouped[1:] != grouped[:-1]
    sorted_places = np.arange(len(numbers))
    group_starts = np.maximum.accumulate(np.where(starts_group, sorted_places, 0))
    places = np.empty(len(numbers), dtype=np.int64)
    places[order] = sorted_places - group_starts
    return places


def counted_ids(pattern: str, counts: Numbers) -> Numbers:
    """The ids with these places in a pattern that counts, from 1; ids of different places differ."""
    if pattern == "strided":
        return counts * np.uint64(ID_STRIDE)
    if pattern == "snowflake":
        milliseconds = np.uint64(SNOWFLAKE_START_MS) + counts // np.uint64(SNOWFLAKE_MACHINES)
        return milliseconds << np.uint64(22) | counts % np.uint64(SNOWFLAKE_MACHINES) << np.uint64(12)
    return counts


def lay_out(columns: Columns) -> tuple[Bytes, Flags]:
    """Write every row as a deposit or withdrawal into a matrix of bytes, one row of it per row.

    Returns the matrix and the mask of the same shape that says which of its bytes are text.
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
    # Only a faulty row needs the room for a fifth field.
    shown[:, column + 13 :] = False
    return cells, shown


def digits_of(numbers: Numbers, digits: int) -> Bytes:
    """Return the last `digits` decimal digits of each number as ASCII, a row of the matrix each."""
    groups = -(-digits // 4)
    fours = np.empty((len(numbers), groups), dtype=np.uint32)
    rest = numbers
    for group in reversed(range(groups)):
        # Dividing by a constant and multiplying back is vectorised; the remainder alone is not.
        quotient = rest // np.uint64(10_000)
        fours[:, group] = FOUR_DIGITS[rest - quotient * np.uint64(10_000)]
        rest = quotient
    return fours.view(np.uint8)[:, 4 * groups - digits :]


def significant(numbers: Numbers, digits: int) -> Flags:
    """Tell which of `digits` digits are no leading zeros. The last one always counts."""
    flags = np.empty((len(numbers), digits), dtype=np.bool_)
    for place in range(digits - 1):
        flags[:, place] = numbers >= POWERS_OF_TEN[digits - 1 - place]
    flags[:, digits - 1] = True
    return flags


def faulty_text(columns: Columns, row: int, kind: Kind, chance: float) -> bytes:
    """One faulty row; `chance`, in [0, 1), picks its words."""
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


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing so that it is replaced whole, by a temporary file beside it, or not at all.

    What exists and is no regular file, `/dev/null` or a named pipe, is written to and never replaced.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with target.open("wb") as existing:
            yield existing
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_blocks(blocks: Iterable[bytes], rows: int, file: BinaryIO) -> None:
    """Write a header and blocks of rows, with progress on standard error where that is a terminal."""
    watched = sys.stderr.isatty()
    for number, block in enumerate(blocks):
        file.write(block)
        if watched:
            done = min(number * BLOCK_ROWS, rows)
            print(f"\r{done:,} of {rows:,} rows", end="", file=sys.stderr, flush=True)
    file.flush()
    if watched:
        print(file=sys.stderr)


def whole_number(lowest: int, highest: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not lowest <= number <= highest:
        raise argparse.ArgumentTypeError(f"{text} is not between {lowest:,} and {highest:,}")
    return number


def parse_arguments(arguments: Sequence[str] | None = None) -> tuple[Plan, Path | None]:
    """Return the plan and where to write it: a path, or None for standard output."""
    parser = argparse.ArgumentParser(
        description="Write a transactions file for stress tests and benchmarks.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "rows",
        metavar="ROWS",
        nargs="?",
        type=lambda text: whole_number(0, 10**15, text),
        default=DEFAULT_ROWS,
        help=f"rows to write, without the header (default: {DEFAULT_ROWS:,})",
    )
    parser.add_argument(
        "client_count",
        metavar="CLIENTS",
        nargs="?",
        type=lambda text: whole_number(1, CLIENTS_LIMIT, text),
        default=DEFAULT_CLIENTS,
        help=f"clients are numbered 1 to CLIENTS (default: {DEFAULT_CLIENTS:,})",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default=str(DEFAULT_OUTPUT),
        help="where to write; - is standard output (default: samples/stress_test.csv of this project)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=lambda text: whole_number(0, 2**64 - 1, text),
        default=1,
        help="the same seed gives the same bytes (default: 1)",
    )
    parser.add_argument(
        "--ids",
        choices=ID_PATTERNS,
        default="dense",
        help="transaction ids: counted from 1 over the whole file, random 64-bit numbers, counted from 1"
        f" within each client, counted in steps of {ID_STRIDE}, or of the time and a machine (default: dense)",
    )
    parser.add_argument(
        "--clients",
        dest="distribution",
        choices=("uniform", "skewed"),
        default="uniform",
        help="how rows spread over clients: evenly, or a few clients have most of them (default: uniform)",
    )
    options = parser.parse_args(arguments)
    plan = Plan(options.rows, options.client_count, options.seed, options.ids, options.distribution)
    if not options.output:
        parser.error("argument -o/--output: expected the name of a file")
    return plan, None if options.output == "-" else Path(options.output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    plan, path = parse_arguments(arguments)
    try:
        blocks = Generator(plan).blocks()
        if path is None:
            write_blocks(blocks, plan.rows, sys.stdout.buffer)
        else:
            with replacing(path) as file:
                write_blocks(blocks, plan.rows, file)
    except BrokenPipeError:
        # Python flushes standard output once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (OSError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not enough memory for that many clients"
        print(f"generate.py: {path or 'standard output'}: {reason}", file=sys.stderr)
        return 1
    return 0


def _end_on_sigterm(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end_on_sigterm)
    sys.exit(main())
