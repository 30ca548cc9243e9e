"""The reference for dialects: what the bytes of a file mean, under settings as a user gives them.

`read_rows` decodes a file into rows. `reference_dialect_rows` cuts it into rows and fields, `reference_dialect_run`
applies the rows.

It is written from the rules alone, as reference.py is, and must not import `txfast`. Settings are taken to be right:
what a wrong one leads to is not its concern.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tests.support.reference import REJECT_ROW_LIMIT_BYTES, WORDS, parse_id
from tests.support.reference_dialect_json import Fields, cut_json_rows, find_fields
from tests.support.reference_dialect_rows import BLANKS, Field, Shape, cut_rows, split_fields
from tests.support.reference_dialect_values import meaning_of, parse_amount
from tests.support.reference_json import is_json
from tests.support.reference_rows import BYTE_ORDER_MARK, ROW_LIMIT_BYTES, NotTransactions

# What is tried where no delimiter is given.
KNOWN_DELIMITERS = (b",", b";", b"\t", b"|")
IGNORE = "ignore"
# The most bytes of an id that is a text.
ID_LIMIT_BYTES = 255
# The most bytes of a currency's code.
CURRENCY_LIMIT_BYTES = 12
# Without a header and without names, the columns are in this order.
STANDARD_ORDER = ("type", "client", "tx", "amount")


@dataclass
class Dialect:
    """The settings of a run, each with its default."""

    delimiter: bytes | None = None
    quote: bytes | None = b'"'
    decimal: bytes = b"."
    thousands: bytes | None = None
    has_header: bool = True
    skip: int = 0
    comment: bytes | None = None
    encoding: str | None = None
    null: list[bytes] = field(default_factory=list)
    # The column of each role that has one of its own.
    columns: dict[str, bytes] = field(default_factory=dict)
    # What the words of the type column mean: a kind, or "ignore".
    words: dict[bytes, str] = field(default_factory=lambda: {word: kind.decode() for word, kind in WORDS.items()})
    # The kinds of a positive and of a negative amount, where there is no type column.
    positive: str | None = None
    negative: str | None = None
    # The words that rows must have in a column.
    keep: dict[bytes, list[bytes]] = field(default_factory=dict)
    decimals: int = 4
    is_minor: bool = False
    rounding: str = "refuse"
    # Roles whose ids are texts.
    text_ids: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Dialect:
        """The dialect of settings by their names."""
        dialect = cls()
        for name, value in settings.items():
            dialect._set(name, value)
        return dialect

    def _set(self, name: str, value: str) -> None:
        head, _, rest = name.partition(".")
        match head:
            case "delimiter":
                self.delimiter = b"\t" if value == "tab" else value.encode()
            case "quote":
                self.quote = None if value == "none" else value.encode()
            case "decimal":
                self.decimal = value.encode()
            case "thousands":
                self.thousands = value.encode()
            case "header":
                self.has_header = value == "yes"
            case "skip":
                self.skip = int(value)
            case "comment":
                self.comment = value.encode()
            case "encoding":
                self.encoding = value
            case "null":
                self.null = words_of(value)
            case "columns":
                self.columns[rest] = value.encode()
            case "types" if rest == "+":
                self.positive = value
            case "types" if rest == "-":
                self.negative = value
            case "types":
                self.words[rest.encode()] = value
            case "keep":
                self.keep[rest.encode()] = words_of(value)
            case "ids" if rest:
                self.text_ids = self.text_ids | {rest} if value == "text" else self.text_ids - {rest}
            case "ids" if value == "text":
                self.text_ids = {"client", "tx"}
            case "ids":
                pass
            case "decimals":
                self.decimals = int(value)
            case "amounts":
                self.is_minor = value == "minor"
            case "rounding":
                self.rounding = value
            case _:
                raise ValueError(f"no setting: {name}")

    def roles(self) -> tuple[str, ...]:
        """What columns are needed for."""
        currency = ("currency",) if "currency" in self.columns else ()
        if "credit" in self.columns:
            return ("client", "tx", "credit", "debit", *currency)
        if self.positive is not None:
            return ("client", "tx", "amount", *currency)
        return (*STANDARD_ORDER, *currency)

    def column_of(self, role: str) -> bytes:
        """The name of a role's column; its number where there is no header."""
        if role in self.columns:
            return self.columns[role]
        if self.has_header:
            return role.encode()
        return b"%d" % (STANDARD_ORDER.index(role) + 1)

    def is_empty(self, text: bytes) -> bool:
        """Whether a field of one of the roles is empty."""
        return not text or text in self.null


def words_of(value: str) -> list[bytes]:
    """The words of a list. Blanks around them do not count, as around fields."""
    return [word.strip(BLANKS) for word in value.encode().split(b",")]


# ---- Columns -------------------------------------------------------------------------------------


class Columns(NamedTuple):
    """The index of each role's column, the words to keep by the index of their column, and the number of columns."""

    by_role: dict[str, int]
    keep: list[tuple[int, list[bytes]]]
    width: int


def find_columns(dialect: Dialect, first_row: bytes, delimiter: bytes) -> Columns:
    """The columns of a file, from its first row. Raises NotTransactions where they are not in it."""
    if len(first_row) > ROW_LIMIT_BYTES:
        raise NotTransactions("the header is over 1 MiB")
    fields = split_fields(first_row, delimiter, dialect.quote)
    if fields is None:
        raise NotTransactions("the header is badly quoted")
    if dialect.has_header:
        names = [each.text for each in fields]
        if has_control_bytes(first_row.replace(delimiter, b"")):
            raise NotTransactions("the header has a control byte")
    else:
        names = [b"%d" % number for number in range(1, len(fields) + 1)]
    by_role = {role: find_column(names, dialect.column_of(role)) for role in dialect.roles()}
    keep = [(find_column(names, name), words) for name, words in dialect.keep.items()]
    return Columns(by_role, keep, len(fields))


def find_column(names: Sequence[bytes], name: bytes) -> int:
    """The index of the column of this name; else of the only one that has it in other case."""
    exact = [index for index, each in enumerate(names) if each == name]
    fitting = exact or [index for index, each in enumerate(names) if each.lower() == name.lower()]
    if len(fitting) != 1:
        raise NotTransactions(f"{len(fitting)} columns are called {name.decode()}")
    return fitting[0]


def has_control_bytes(text: bytes) -> bool:
    return any((byte < 0x20 and byte not in b"\t\n\v\f\r") or byte == 0x7F for byte in text)


# ---- Rows ----------------------------------------------------------------------------------------


class Transaction(NamedTuple):
    """A well-formed row. `amount` is in units, None if the row has none, as `currency` where accounts have none."""

    kind: str
    client: int | str
    tx: int | str
    amount: int | None
    currency: str | None = None


class Ignored(NamedTuple):
    """A row that is left out because the dialect says so."""


class Malformed(NamedTuple):
    reason: str


Outcome = Transaction | Ignored | Malformed


class DecodedRow(NamedTuple):
    """A row with the number of its first line, what it is, and its text up to 64 KiB.

    `texts` are those of type, client, tx and amount, unquoted and trimmed; b"" where there is none. The text of an
    amount is None where a dialect has two columns of amounts: the rules do not say which of them it is.
    """

    line: int
    outcome: Outcome
    texts: tuple[bytes, bytes, bytes, bytes | None]
    row: bytes


def read_rows(content: bytes, settings: Mapping[str, str]) -> list[DecodedRow]:
    """The rows of a file after its header. Raises NotTransactions."""
    dialect = Dialect.of(settings)
    text = decode(content, dialect.encoding)
    if is_json(text):
        return read_json_rows(text, dialect)
    delimiter, columns = find_delimiter(text, dialect)
    rows = cut_rows(text, shape_of(dialect, delimiter))
    return [
        decode_row(dialect, columns, delimiter, line, row) for line, row in (rows[1:] if dialect.has_header else rows)
    ]


def read_json_rows(text: bytes, dialect: Dialect) -> list[DecodedRow]:
    """The rows of JSON lines, which have no header."""
    columns = {role: dialect.column_of(role) for role in dialect.roles()}
    if not dialect.has_header or dialect.skip or len(set(columns.values())) < len(columns):
        raise NotTransactions("JSON lines have no header, and a key for each column")
    decoded = []
    for line, row in cut_json_rows(text, dialect.comment):
        outcome: Outcome = Malformed("row_too_long")
        found: Fields = {}
        if len(row) <= ROW_LIMIT_BYTES:
            outcome = Malformed("bad_json")
            cut = find_fields(row, columns, dialect.keep)
            if cut is not None:
                found, kept = cut
                outcome = outcome_of(dialect, found, list(zip(kept, dialect.keep.values(), strict=True)))
        decoded.append(DecodedRow(line, outcome, texts_of(dialect, found), row[:REJECT_ROW_LIMIT_BYTES]))
    return decoded


def decode(content: bytes, encoding: str | None) -> bytes:
    """The text of a file in UTF-8, without a byte order mark. The mark of UTF-16 counts, whatever is said."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16").encode()
    if encoding in ("latin-1", "cp1252"):
        # Windows reads a byte to which cp1252 gives no character as a control character.
        return "".join(bytes([byte]).decode(encoding, "ignore") or chr(byte) for byte in content).encode()
    return content.removeprefix(BYTE_ORDER_MARK)


def shape_of(dialect: Dialect, delimiter: bytes) -> Shape:
    return Shape(delimiter, dialect.quote, dialect.comment, dialect.skip)


def find_delimiter(text: bytes, dialect: Dialect) -> tuple[bytes, Columns]:
    """The delimiter under which the first row names all columns that are needed, and the columns."""
    tried = KNOWN_DELIMITERS if dialect.delimiter is None else (dialect.delimiter,)
    if dialect.delimiter is None and not dialect.has_header:
        tried = (b",",)  # numbers fit under any delimiter that is there often enough
    found = []
    refusals = []
    for delimiter in tried:
        rows = cut_rows(text, shape_of(dialect, delimiter))
        if not rows:
            raise NotTransactions("there is no header")
        try:
            found.append((delimiter, find_columns(dialect, rows[0][1], delimiter)))
        except NotTransactions as refusal:
            refusals.append(str(refusal))
    if not found:
        raise NotTransactions("; ".join(refusals))
    if len(found) > 1:
        raise NotTransactions("the header names the columns under several delimiters")
    return found[0]


def decode_row(dialect: Dialect, columns: Columns, delimiter: bytes, line: int, row: bytes) -> DecodedRow:
    outcome: Outcome
    found: Fields = {}
    if len(row) > ROW_LIMIT_BYTES:
        outcome = Malformed("row_too_long")
    elif (fields := split_fields(row, delimiter, dialect.quote)) is None:
        outcome = Malformed("bad_quoting")
    else:
        found = {role: field_at(fields, index) for role, index in columns.by_role.items()}
        kept = [(field_at(fields, index) or Field(b"", False), words) for index, words in columns.keep]
        has_surplus = any(each.text for each in fields[columns.width :])
        outcome = outcome_of(dialect, found, kept, has_surplus=has_surplus)
    return DecodedRow(line, outcome, texts_of(dialect, found), row[:REJECT_ROW_LIMIT_BYTES])


def field_at(fields: Sequence[Field], index: int) -> Field | None:
    """The field of a column; None where the row ends before it."""
    return fields[index] if index < len(fields) else None


def texts_of(dialect: Dialect, found: Fields) -> tuple[bytes, bytes, bytes, bytes | None]:
    """The texts of type, client, tx and amount, as they are shown of a row that was not applied."""

    def shown(role: str) -> bytes:
        field = found.get(role)
        return b"" if field is None else field.shown(dialect.quote)

    amount = None if "credit" in found else shown("amount")
    return shown("type"), shown("client"), shown("tx"), amount


def id_of(dialect: Dialect, role: str, field: Field) -> int | str | None:
    """The id in a field: a number, or the bytes of a text as a str; None where it is none."""
    if dialect.is_empty(field.text):
        return None
    if role not in dialect.text_ids:
        return parse_id(field.text)
    text = field.text
    if field.is_quoted and dialect.quote is not None:
        text = text.replace(dialect.quote * 2, dialect.quote)
    return text.decode("utf-8", "surrogateescape") if len(text) <= ID_LIMIT_BYTES else None


def currency_of(dialect: Dialect, field: Field) -> str | None:
    """The code of the currency in a field, as it is; None where it is none."""
    if dialect.is_empty(field.text):
        return None
    text = field.text
    if field.is_quoted and dialect.quote is not None:
        text = text.replace(dialect.quote * 2, dialect.quote)
    return text.decode("utf-8", "surrogateescape") if len(text) <= CURRENCY_LIMIT_BYTES else None


def amount_of(dialect: Dialect, field: Field) -> int | None:
    """The amount in a field. A number of JSON has a decimal point, whatever the marks in texts are."""
    return parse_amount(field.text, replace(dialect, decimal=b".", thousands=None) if field.is_number else dialect)


def outcome_of(
    dialect: Dialect,
    found: Fields,
    kept: Sequence[tuple[Field, Sequence[bytes]]],
    *,
    has_surplus: bool = False,
) -> Outcome:
    """What a row of these fields is. The order of the questions is the order of the reasons.

    `found` has None for a role whose field is not there, `kept` the fields that must have one of these words.
    """
    type_, client_field, tx_field = found.get("type"), found["client"], found["tx"]
    has_type_column = "type" in found
    if any(field.text not in words for field, words in kept):
        return Ignored()
    has_type = type_ is not None and not dialect.is_empty(type_.text)
    kind = meaning_of(type_.text, dialect.words) if type_ is not None and has_type else None
    if kind == IGNORE:
        return Ignored()
    if has_surplus:
        return Malformed("too_many_fields")
    if client_field is None or tx_field is None or (has_type_column and not has_type):
        return Malformed("missing_field")
    if "currency" in found and found["currency"] is None:
        return Malformed("missing_field")
    # Without a type column, the amount says the kind: a row needs one.
    amounts = {
        role: amount_of(dialect, field)
        for role in ("amount", "credit", "debit")
        if (field := found.get(role)) and not dialect.is_empty(field.text)
    }
    if not has_type_column and not amounts:
        return Malformed("missing_field")
    if has_type_column and kind is None:
        return Malformed("bad_type")
    client = id_of(dialect, "client", client_field)
    if client is None:
        return Malformed("bad_client")
    tx = id_of(dialect, "tx", tx_field)
    if tx is None:
        return Malformed("bad_tx")
    currency = None
    if (field := found.get("currency")) is not None:
        currency = currency_of(dialect, field)
        if currency is None:
            return Malformed("bad_currency")
    if None in amounts.values():
        return Malformed("bad_amount")
    outcome: Outcome
    if "credit" in found:
        outcome = two_columns(client, tx, amounts.get("credit"), amounts.get("debit"))
    elif kind is None:
        outcome = by_sign(dialect, client, tx, amounts.get("amount"))
    else:
        outcome = Transaction(kind, client, tx, amounts.get("amount"))
    return outcome._replace(currency=currency) if isinstance(outcome, Transaction) else outcome


def by_sign(dialect: Dialect, client: int | str, tx: int | str, amount: int | None) -> Transaction:
    """Without a type column, the sign of the amount says the kind, and the amount is its size."""
    assert amount is not None
    assert dialect.positive is not None
    assert dialect.negative is not None
    return Transaction(dialect.positive if amount >= 0 else dialect.negative, client, tx, abs(amount))


def two_columns(client: int | str, tx: int | str, credit: int | None, debit: int | None) -> Outcome:
    """With two columns of amounts, the one that is neither empty nor zero counts."""
    if credit and debit:
        return Malformed("bad_amount")
    if credit or debit is None or (credit == 0 and debit == 0):
        return Transaction("deposit", client, tx, credit)
    return Transaction("withdrawal", client, tx, debit)
