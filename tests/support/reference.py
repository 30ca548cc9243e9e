"""The reference: a slow, obvious implementation of all rules, in plain Python. The oracle of the property tests.

`reference_rows` cuts files into rows, `reference_policy` knows the choices, `reference_ledger` applies rows. This
module reads the texts of a row and counts what becomes of it.

It is written from the rules alone. It must not import `txfast`, nor know how the package reads, stores or orders
anything. If the two differ, one of them breaks a rule, and this one is short enough to read in full.

Amounts are Python integers, in units of 0.0001. Python integers do not overflow, so sums are exact, and the 64-bit
limits of the rules are explicit comparisons.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.reference_json import find_json_texts, is_json, split_lines
from tests.support.reference_ledger import INT64_MAX as INT64_MAX
from tests.support.reference_ledger import INT64_MIN as INT64_MIN
from tests.support.reference_ledger import Account as Account
from tests.support.reference_ledger import Ledger
from tests.support.reference_policy import Policy
from tests.support.reference_rows import (
    ROW_LIMIT_BYTES,
    Columns,
    NotTransactions,
    Texts,
    find_columns,
    find_texts,
    has_surplus,
    split_fields,
    split_rows,
)

HEADER = b"type,client,tx,amount\n"
KINDS = (b"deposit", b"withdrawal", b"dispute", b"resolve", b"chargeback", b"refund", b"reversal")
# What the words of the type column mean, in lower case. All of them count in any case.
WORDS = {kind: kind for kind in KINDS} | {b"withdraw": b"withdrawal"}

REJECT_ROW_LIMIT_BYTES = 64 * 1024

UNITS_PER_ONE = 10_000
UINT64_MAX = 2**64 - 1

# An optional sign, digits, optionally a point and digits. The pattern lets both groups be empty, so parse_amount checks
# that there is a digit.
AMOUNT_PATTERN = re.compile(rb"([+-]?)([0-9]*)(?:\.([0-9]*))?")

ACCOUNTS_HEADER = b"client,available,held,total,locked\n"

NO_TEXTS: Texts = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that was not applied: malformed or rejected."""

    file: str
    line: int
    status: str
    reason: str
    type: bytes
    client: bytes
    tx: bytes
    amount: bytes
    row: bytes


# ---- Texts ---------------------------------------------------------------------------------------


def parse_id(text: bytes) -> int | None:
    """The id in a text; None if the rules refuse the text."""
    digits = text[1:] if text.startswith(b"+") else text
    # bytes.isdigit() is true for one or more ASCII digits.
    if not digits.isdigit():
        return None
    digits = digits.lstrip(b"0") or b"0"
    # 2^64 - 1 has 20 digits. Check the length first, because Python refuses to convert thousands of digits.
    if len(digits) > 20:
        return None
    number = int(digits)
    return number if number <= UINT64_MAX else None


def parse_amount(text: bytes) -> int | None:
    """The amount in a text, in units of 0.0001; None if the rules refuse it. b"" is not an amount."""
    match = AMOUNT_PATTERN.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction = match[1], match[2], match[3] or b""
    if not whole and not fraction:
        return None
    if fraction[4:].strip(b"0"):
        return None
    whole = whole.lstrip(b"0") or b"0"
    # 922337203685477.5807 has 15 digits before the point. As for ids, check the length first.
    if len(whole) > 15:
        return None
    units = int(whole) * UNITS_PER_ONE + int(fraction[:4].ljust(4, b"0"))
    if units > INT64_MAX:
        return None
    return -units if sign == b"-" else units


def format_amount(units: int) -> str:
    """The text of units of 0.0001, always with four decimals."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), UNITS_PER_ONE)
    return f"{sign}{whole}.{fraction:04d}"


# ---- The run -------------------------------------------------------------------------------------


class Replay:
    """A run. Call `read` for each input in order, then look at the attributes.

    `policy` is a text such as `card,overdraft=none`. Raises ValueError where it is none.

    accounts    by client; a test may put a forged Account here
    payments    applied deposits and withdrawals, by (client, tx)
    rejects     the rows that `read` found malformed or rejected, in input order
    rows        malformed + rejected + applied
    lines       the number of lines of each input that was read to its end
    applied     counts by type, without zeros
    malformed   counts by reason, without zeros
    rejected    counts by reason, without zeros

    By the rules, an input whose rows are all malformed fails the run. A run that `takes_malformed` goes on, so that
    tests see what becomes of such rows.
    """

    def __init__(self, policy: str = "", *, takes_malformed: bool = True) -> None:
        self.takes_malformed = takes_malformed
        self._ledger = Ledger(Policy.parse(policy))
        self.accounts = self._ledger.accounts
        self.payments = self._ledger.payments
        self.rejects: list[Reject] = []
        self.rows = 0
        self.lines: list[int] = []
        self.applied: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()

    def open(self, openings: Mapping[int, int]) -> None:
        """Begin with these balances, by client, in units of 0.0001. Raises ValueError for a client that is known."""
        for client, units in openings.items():
            if not self._ledger.open(client, units):
                raise ValueError(f"client {client} has an account already")

    def read(self, name: str, content: bytes) -> None:
        """Apply one input, which has its own header. After a NotTransactions the run cannot be used."""
        columns = None
        rows, lines = split_lines(content) if is_json(content) else split_rows(content)
        if not is_json(content):
            if not rows:
                raise NotTransactions(f"{name}: there is no header")
            columns = find_columns(name, rows.pop(0)[1])
        rows_before, malformed_before = self.rows, self.malformed.copy()
        for line, row in rows:
            self._read_row(name, line, row, columns)
        self.lines.append(lines)
        malformed = self.malformed - malformed_before
        if not self.takes_malformed and self.rows > rows_before and self.rows - rows_before == malformed.total():
            [(reason, count), *_] = malformed.most_common()
            raise NotTransactions(f"{name}: all {malformed.total()} rows are malformed: {reason} in {count} of them")

    def _read_row(self, file: str, line: int, row: bytes, columns: Columns | None) -> None:
        """Read a row under these columns, or a line of JSON where there are none."""
        texts = NO_TEXTS
        if len(row) > ROW_LIMIT_BYTES:
            status, reason = "malformed", "row_too_long"
        elif columns is None:
            found = find_json_texts(row)
            texts = NO_TEXTS if found is None else found
            status, reason = ("malformed", "bad_json") if found is None else self._read_texts(found)
        elif (fields := split_fields(row)) is None:
            status, reason = "malformed", "bad_quoting"
        else:
            texts = find_texts(fields, columns)
            status, reason = self._read_fields(fields, columns)
        if status == "malformed":
            self.rows += 1
            self.malformed[reason] += 1
        if status != "applied":
            type_, client, tx, amount = (text or b"" for text in texts)
            row_shown = row[:REJECT_ROW_LIMIT_BYTES]
            self.rejects.append(Reject(file, line, status, reason, type_, client, tx, amount, row_shown))

    def _read_fields(self, fields: Sequence[bytes], columns: Columns) -> tuple[str, str]:
        """(status, reason) of a row with these fields."""
        if has_surplus(fields, columns):
            return "malformed", "too_many_fields"
        return self._read_texts(find_texts(fields, columns))

    def _read_texts(self, texts: Texts) -> tuple[str, str]:
        """(status, reason) of a row with these texts."""
        type_text, client_text, tx_text, amount_text = texts
        if not type_text or client_text is None or tx_text is None:
            return "malformed", "missing_field"
        # bytes.lower() changes ASCII letters alone.
        kind = WORDS.get(type_text.lower())
        if kind is None:
            return "malformed", "bad_type"
        client = parse_id(client_text)
        if client is None:
            return "malformed", "bad_client"
        tx = parse_id(tx_text)
        if tx is None:
            return "malformed", "bad_tx"
        amount = parse_amount(amount_text) if amount_text else None
        if amount_text and amount is None:
            return "malformed", "bad_amount"
        outcome = self.apply(kind.decode(), client, tx, amount)
        return ("applied", "") if outcome == "applied" else ("rejected", outcome)

    def apply(self, kind: str, client: int, tx: int, amount: int | None) -> str:
        """Apply one well-formed row and count it. Returns "applied" or the reason of the rejection.

        `amount` is in units of 0.0001, None if the row has none. `read` adds to `rejects`, because it knows the line.
        """
        outcome = self._ledger.apply(kind, client, tx, amount)
        self.rows += 1
        if outcome == "applied":
            self.applied[kind] += 1
        else:
            self.rejected[outcome] += 1
        return outcome

    def accounts_csv(self) -> bytes:
        """The accounts, byte for byte as the command prints them."""
        printed = [ACCOUNTS_HEADER]
        for client, account in sorted(self.accounts.items()):
            available = format_amount(account.available)
            held = format_amount(account.held)
            total = format_amount(account.total)
            locked = "true" if account.locked else "false"
            printed.append(f"{client},{available},{held},{total},{locked}\n".encode())
        return b"".join(printed)

    def conserved(self) -> bool:
        """Whether available + held of every client is what its applied rows brought in, less what they took out."""
        return self._ledger.conserved()


def replay(*inputs: tuple[str, bytes], policy: str = "", takes_malformed: bool = True) -> Replay:
    """A run over inputs, each a name and its content, in the order given. Raises NotTransactions."""
    run = Replay(policy, takes_malformed=takes_malformed)
    for name, content in inputs:
        run.read(name, content)
    return run
