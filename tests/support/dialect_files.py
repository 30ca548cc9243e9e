"""Writes transactions as lines under a dialect, with whatever the dialect leaves to chance.

This module must not know how a dialect is drawn, nor how a file is read.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.support.reference import KINDS
from tests.support.reference_dialect import CURRENCY_LIMIT_BYTES, Dialect
from tests.support.reference_dialect_values import meaning_of
from tests.support.rows import Row

KIND_NAMES = [kind.decode() for kind in KINDS]
KEPT_WORDS = ["done", "COMPLETED", "a b", "NULL", "erledigt ü", "0"]
TYPE_WORDS = [
    *("SALE", "sale", "Sale", "Pay-in", "a b", "Überweisung", "1", "in, out", "x;y", "it's", "refund", "deposit"),
    *("Deposit", "withdraw", "RESOLVE", "CB_LOST", "NULL", "dep", "deposits", "支払い"),
]
# Texts of columns that mean nothing.
OTHER_TEXTS = [
    "",
    "note",
    "1",
    "a b",
    "x,y",
    "x;y",
    "it's",
    'say "x"',
    "# x",
    "-5",
    "two\nlines",
    "a\r\nb",
    "ü",
    "NULL",
]
# Bytes that mean something under some dialect, or that a reader could misinterpret.
STRANGE = [*" \t\v\f;,|'\"`x15-+.é0", "\n", "\r\n", "\r", "\x00", "\x7f"]


# Ids that are texts, each with a number in it, and how many of them need no quotes.
ID_FORMS = [
    *("cus_{}", "{:036d}", "x{:0254d}", "Ref.{}é", "#{}", "{}", "a {} b", "{:020d}x"),
    *('a"{}"', "'{}", "x,{};y", "two\n{}", "\r\n{}\t|", '"{}', "`{}``", "{}:~"),
]
SIMPLE_ID_FORMS = 8


# Codes of currencies, by what a row's client is: several for each. The last are none.
CURRENCIES = [
    *("EUR", "USD", "usd", "€", "abcdefghijkl", "x y", "#1", "A", "AB", 'U"D', "a,b;c|", "a\nb", "NULL", "'q'", "0"),
    *("", "abcdefghijklm"),
]
SIMPLE_CURRENCIES = 9


class Layout(NamedTuple):
    """A dialect, and the columns of its files in order: roles, "keep" or "other"."""

    settings: dict[str, str]
    columns: tuple[str, ...]
    header: tuple[str, ...]

    @property
    def dialect(self) -> Dialect:
        return Dialect.of(self.settings)


def texts_of(layout: Layout, row: Row, chance: Random) -> tuple[list[str], Row | None]:
    """The texts of a row in the order of the columns, and what the row means, with numbers for ids; None where it is
    ignored or malformed."""
    dialect = layout.dialect
    kind, amount = row.kind, row.amount
    if dialect.positive is not None and dialect.negative is not None and amount is not None:
        kind = dialect.positive if amount >= 0 else dialect.negative
    client, tx = id_written(dialect, "client", row.client), id_written(dialect, "tx", row.tx)
    texts = {"client": str(client), "tx": str(tx), "keep": kept_word(dialect, chance)}
    texts["currency"] = currency_written(dialect, chance)
    texts["amount"] = "" if amount is None else amount_text(dialect, amount, chance)
    if "credit" in layout.columns:
        kind = "withdrawal" if kind == "withdrawal" else "deposit"
        texts |= {"credit": "", "debit": ""} | {"debit" if kind == "withdrawal" else "credit": texts["amount"]}
    fitting = fitting_words(dialect, kind)
    texts["type"] = chance.choice(fitting or ["no such word"])
    ordered = [chance.choice(OTHER_TEXTS) if name == "other" else texts[name] for name in layout.columns]
    has_type = "type" in layout.columns
    is_kept = all(texts["keep"].encode() in words for words in dialect.keep.values())
    needed = ["client", "tx", *(["type"] if has_type else []), *(["currency"] if "currency" in layout.columns else [])]
    if not is_kept or any(dialect.is_empty(texts[name].encode()) for name in needed) or (has_type and not fitting):
        return ordered, None
    if "currency" in layout.columns and len(texts["currency"].encode()) > CURRENCY_LIMIT_BYTES:
        return ordered, None
    if dialect.is_empty(texts["amount"].encode()):
        amount = None
    if not has_type and amount is None:
        return ordered, None
    if dialect.positive is not None and amount is not None:
        amount = abs(amount)
    return ordered, Row(kind, row.client, row.tx, amount)


def id_written(dialect: Dialect, role: str, number: int) -> int | str:
    """The id that is written for a number: itself, or a text of its own that every dialect can hold."""
    if role not in dialect.text_ids:
        return number
    forms = ID_FORMS[:SIMPLE_ID_FORMS] if dialect.quote is None else ID_FORMS
    return forms[number % len(forms)].format(number)


def currency_written(dialect: Dialect, chance: Random) -> str:
    """A code, mostly one of the first few, that the dialect can hold."""
    codes = CURRENCIES[:SIMPLE_CURRENCIES] if dialect.quote is None else CURRENCIES
    code = chance.choice(codes[:3] if chance.random() < 0.7 else codes)
    return code.replace((dialect.delimiter or b",").decode(), "_") if dialect.quote is None else code


def kept_word(dialect: Dialect, chance: Random) -> str:
    """A word of the column that rows are kept by, mostly one of those to keep."""
    words = [word.decode() for each in dialect.keep.values() for word in each]
    return chance.choice(words if words and chance.random() < 0.8 else KEPT_WORDS)


def fitting_words(dialect: Dialect, kind: str) -> list[str]:
    """Words of the type column that mean this, without such as cannot be written or change when they are quoted."""
    words = [word for word in [*KIND_NAMES, *TYPE_WORDS] if meaning_of(word.encode(), dialect.words) == kind]
    barred = (dialect.delimiter or b",") if dialect.quote is None else dialect.quote
    return [word for word in words if barred.decode() not in word]


def amount_text(dialect: Dialect, units: int, chance: Random) -> str:
    """A text of so many units: with or without zeros, groups, further decimals that rounding takes away."""
    places = 0 if dialect.is_minor else dialect.decimals
    whole, fraction = divmod(abs(units), 10**places)
    digits, decimals = str(whole), f"{fraction:0{places}}" if places else ""
    if chance.random() < 0.5:
        decimals = decimals.rstrip("0")
    elif dialect.rounding != "refuse":
        decimals += chance.choice(["", "0", "1", "49", "4999999999999999999999"])
    if dialect.thousands is not None and chance.random() < 0.5:
        digits = f"{whole:,}".replace(",", dialect.thousands.decode())
    sign = "-" if units < 0 else chance.choice(["", "", "", "+"])
    mark = dialect.decimal.decode() if decimals or chance.random() < 0.1 else ""
    return sign + digits + mark + decimals


def line_of(layout: Layout, texts: list[str], chance: Random) -> str:
    """The texts as a line: quoted where they need it, or at random."""
    dialect = layout.dialect
    delimiter = (dialect.delimiter or b",").decode()
    blanks = [""] * 10 + ([" ", "\v\f"] if delimiter == "\t" else [" ", "\t"])
    fields = []
    for number, text in enumerate(texts):
        begins_comment = number == 0 and dialect.comment is not None and text.startswith(dialect.comment.decode())
        field = without_quotes(text, delimiter, begins_comment)
        if dialect.quote is not None:
            quote = dialect.quote.decode()
            needs_quotes = field != text or quote in text
            field = text
            if needs_quotes or chance.random() < 0.25:
                field = quote + text.replace(quote, quote * 2) + quote
        fields.append(chance.choice(blanks) + field + chance.choice(blanks))
    return delimiter.join(fields)


def without_quotes(text: str, delimiter: str, begins_comment: bool) -> str:
    """The text changed so that it needs no quotes."""
    text = "".join("_" if each in delimiter + "\r\n" else each for each in text)
    return f"_{text}" if begins_comment else text


def changed_line(layout: Layout, line: str, chance: Random) -> str:
    """The line cut short, run on, with pieces inside, without a byte, or replaced."""
    at = chance.randrange(len(line) + 1)
    pieces = soup(layout, chance)
    return chance.choice([line[:at], line[:at] + pieces + line[at:], line + pieces, line[:at] + line[at + 1 :], pieces])


def soup(layout: Layout, chance: Random) -> str:
    """Pieces that mean something under the dialect or under others, in any order."""
    dialect = layout.dialect
    own = [dialect.delimiter or b",", dialect.quote or b'"', dialect.decimal, dialect.thousands or b"."]
    own += [dialect.comment or b"#", *dialect.null, *list(dialect.words)[-3:]]
    pieces = [each.decode() for each in own] * 2 + KIND_NAMES + STRANGE
    return "".join(chance.choices(pieces, k=chance.randrange(11)))
