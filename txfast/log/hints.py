"""Hints: what a malformed row probably meant, in a few words behind its log line.

Each is a guess from the row's text, with the way out. This module must not know how rows are parsed: it looks at texts
that the parser has refused.
"""

from txfast.batch.batch import KINDS
from txfast.batch.header import STANDARD_COLUMNS
from txfast.batch.header_advice import DELIMITERS
from txfast.dialect.likely_names import likely_type
from txfast.dialect.names import CURRENCY_BYTES_MAX
from txfast.text.words import nearest

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.batch.header import Header
    from txfast.dialect.dialect import Dialect

BLANKS = " \t\v\f"
ID_MAX = (1 << 64) - 1
ID_BYTES_MAX = 255  # of one that is a text
AMOUNT_MAX = "922337203685477.5807"
DECIMALS_MAX = 4
DIALECT_DECIMALS_MAX = 9
# Signs of money, before or behind the digits; words such as EUR are found by their letters.
CURRENCY_SIGNS = "$€£¥₹₽₩₺¢"
CURRENCY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
GROUP_DIGITS = 3
APOSTROPHES = ("'", "’")
# Words of other programs for no value.
NO_VALUES = ("null", "none", "n/a", "na", "nil", "\\n", "-")
GROUP_SEPARATORS = "'’_ \u00a0\u202f"

ENDING_HINT = "a line ending in it? leave that out"
TYPE_HINT = f"a type is one of {', '.join(KINDS)}"
ID_HINT = f"an id is a whole number from 0 to {ID_MAX}"
JSON_HINT = 'a line is one object, as {"type":"deposit","client":1,"tx":1,"amount":"1.50"}'
CURRENCY_HINT = f"a currency is a text of 1 to {CURRENCY_BYTES_MAX:,} bytes"
AMOUNT_HINT = "an amount is digits with a decimal point, as 1250.00"
# What each reason asks for, where no row is at hand that says more.
REASON_HINTS = {
    "row_too_long": "a row ends within 1 MiB",
    "bad_quoting": "a quote stands alone? double a quote inside a quoted field",
    "bad_json": JSON_HINT,
    "too_many_fields": "quote a field that has the delimiter in it, such as an amount with a comma",
    "missing_field": "a row has at least type, client and tx, and its currency where the dialect names that column",
    "bad_type": TYPE_HINT,
    "bad_client": ID_HINT,
    "bad_tx": ID_HINT,
    "bad_currency": CURRENCY_HINT,
    "bad_amount": AMOUNT_HINT,
}


def hint_of(reason: str, row: bytes, header: "Header") -> str:
    """The hint for a row that was refused for this reason, under this header; "" where there is none."""
    if header.is_json:
        return hint_of_object(reason, row, header.dialect)
    dialect, delimiter = header.dialect, header.delimiter
    quote = '"' if dialect is None else dialect.part("quote")
    names, texts = fields_of(header.line, delimiter, quote), fields_of(row, delimiter, quote)
    if reason == "too_many_fields":
        return surplus_hint(names, texts) if delimiter == "," and dialect is None else ""
    if len(texts) == 1 and len(names) > 1 and (other := other_delimiter(texts[0], len(names))):
        own = DELIMITERS.get(delimiter, repr(delimiter))
        return f"its fields are separated by {other}, and those of the header by {own}"
    by_name = dict(zip((name.lower() for name in names), texts, strict=False))
    columns = STANDARD_COLUMNS if dialect is None or not dialect.has_header else dialect.columns
    return field_hint(reason, {role: by_name.get(name.lower(), "") for role, name in columns.items()}, dialect)


def hint_of_object(reason: str, row: bytes, dialect: "Dialect | None") -> str:
    """The hint for a line of JSON."""
    from txfast.log.json_hints import Number, json_hint, settings_hint, value_of, values_of_object

    columns = STANDARD_COLUMNS if dialect is None else dialect.columns
    if reason == "bad_json":
        return json_hint(row, columns, () if dialect is None else tuple(dialect.kept))
    values = values_of_object(row)
    fields = {role: value_of(values, name) for role, name in columns.items()}
    if reason == "bad_amount" and dialect is not None and isinstance(fields.get("amount"), Number):
        return dialect_amount_hint(dialect, is_number=True)
    hint = field_hint(reason, fields, dialect)
    settings = settings_hint(values, missing_in(fields)) if reason == "missing_field" and dialect is None else ""
    return f"{hint}; {settings}" if settings else hint


def missing_in(fields: dict[str, str]) -> list[str]:
    """Which of the fields that every row needs are not there, or empty."""
    return [role for role in ("type", "client", "tx", "currency") if role in fields and not fields[role]]


def field_hint(reason: str, fields: dict[str, str], dialect: "Dialect | None" = None) -> str:
    """What is wrong with the fields of a row, by their roles."""
    if reason == "bad_amount":
        return amount_hint(fields.get("amount", "")) if dialect is None else dialect_amount_hint(dialect)
    if reason in ("bad_client", "bad_tx"):
        name = reason.removeprefix("bad_")
        if dialect is not None and dialect.has_text(name):
            text = fields.get(name, "")
            return text_id_hint("" if text in dialect.words("null") else text)
        return id_hint(fields.get(name, ""))
    if reason == "bad_currency":
        text = fields.get("currency", "")
        return CURRENCY_HINT if text and (dialect is None or text not in dialect.words("null")) else "it is empty"
    if reason == "bad_type":
        return type_hint(fields.get("type", ""))
    if reason == "missing_field":
        missing = missing_in(fields)
        return f"no {' and no '.join(missing)}" if missing else ""
    return ""


def dialect_amount_hint(dialect: "Dialect", *, is_number: bool = False) -> str:
    """What an amount is in a dialect, by an example: as a text, or as a number of JSON."""
    thousands = "none" if is_number else dialect.part("thousands")
    whole = f"1{'' if thousands == 'none' else thousands}250"
    if dialect.part("amounts") == "minor":
        return f"an amount is a whole number of the smallest unit in this dialect, as {whole}"
    decimal = "." if is_number else dialect.part("decimal")
    decimals = f"{decimal}{'0' * dialect.decimals}" if dialect.decimals else ""
    return f"an amount is as {whole}{decimals} in this dialect"


def fields_of(line: bytes, delimiter: str, quote: str) -> list[str]:
    """The texts of a line, trimmed; none where it cannot be cut into fields."""
    import csv

    try:
        text = line.decode("utf-8", "replace")
        if quote == "none":
            reader = csv.reader([text], delimiter=delimiter, quoting=csv.QUOTE_NONE, skipinitialspace=True)
        else:
            reader = csv.reader([text], delimiter=delimiter, quotechar=quote, skipinitialspace=True)
        # Line endings inside quotes stay: they are no blanks.
        return [each.strip(BLANKS) for each in next(reader, [])]
    except csv.Error:
        return []


def other_delimiter(text: str, columns: int) -> str:
    """The delimiter, in words, that cuts a text into so many fields; "" where none does."""
    return next((name for delimiter, name in DELIMITERS.items() if text.count(delimiter) == columns - 1), "")


def surplus_hint(names: list[str], texts: list[str]) -> str:
    """What a row with more fields than the header may be: an amount in the last column, with a comma and no quotes."""
    while len(texts) > len(names) and not texts[-1]:
        texts = texts[:-1]  # a trailing comma
    if not names or names[-1].lower() != "amount" or len(texts) != len(names) + 1:
        return ""
    whole, rest = texts[-2:]
    sign, digits = sign_of(whole)
    if not is_whole(digits.replace(".", "")) or not is_number(rest) or not is_whole(rest.partition(".")[0]):
        return ""
    return comma_hint(sign, f"{digits},{rest}", has_options=False)


def type_hint(text: str) -> str:
    """What a word that is none of the types may mean."""
    meant = likely_type(text) or nearest(text, KINDS)
    setting = f"{text}={meant}"
    if not all(each.isalnum() or each in "=-_." for each in setting):
        setting = f"'{setting}'"
    return f"{meant}? correct it, or add --types {setting}" if meant else ""


def text_id_hint(text: str) -> str:
    """What is wrong with an id that is a text."""
    return f"an id has at most {ID_BYTES_MAX:,} bytes" if text else "it is empty"


def id_hint(text: str) -> str:
    """What is wrong with an id that is a number."""
    if not text:
        return "it is empty"
    if has_ending(text):
        return ENDING_HINT
    whole, point, decimals = text.partition(".")
    if point and is_whole(whole) and not decimals.strip("0"):
        return f"a whole number is written without decimals: {whole}"
    digits = text.removeprefix("+")
    way_out = "ids that are texts? add --ids text" if may_be_text(text) else ""
    largest = f"the largest id is {ID_MAX}" if is_whole(digits) and int(digits) > ID_MAX else ""
    return "; ".join(filter(None, (largest, way_out)))


def may_be_text(text: str) -> bool:
    """Whether an id that is no number may be meant as a text: it has letters, or is a number that is too large."""
    return is_whole(text) or any(each.isalpha() for each in text)


def amount_hint(text: str) -> str:
    """What is wrong with an amount."""
    if has_ending(text):
        return ENDING_HINT
    bare = text.strip()
    if bare.lower() in NO_VALUES:
        return "no value? leave the field empty"
    if bare.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return "no number"
    if bare.startswith(APOSTROPHES) and is_number(sign_of(bare[1:])[1]):
        return f"an apostrophe, which makes a text of it in a spreadsheet? write {bare[1:]}"
    if is_number(bare[1:-1]) and bare[0] + bare[-1] == "()":
        return f"negative? write -{bare[1:-1]}"
    if is_number(bare[:-1]) and bare.endswith("-"):
        return f"negative? write -{bare[:-1]}"
    if any(mark in bare for mark in CURRENCY_SIGNS):
        return "a currency sign? leave it out"
    if is_currency(bare):
        return "a currency? leave it out"
    if bare[:2].lower() == "0x":
        return "a hexadecimal number? write it with decimal digits"
    sign, digits = sign_of(bare)
    if digits[:1] in "+-" and is_number(digits.lstrip("+-")):
        return "one sign at most"
    mantissa, exponent, power = digits.lower().partition("e")
    if exponent and is_number(mantissa) and is_whole(power.lstrip("+-")):
        return "an exponent? write all digits"
    if is_number(digits):
        return largest_hint(digits)
    return separator_hint(sign, digits)


def largest_hint(digits: str) -> str:
    """What is wrong with an amount of digits and at most one decimal point."""
    from decimal import Decimal

    if len(digits.partition(".")[2].rstrip("0")) > DECIMALS_MAX:
        places = len(digits.partition(".")[2].rstrip("0"))
        way_out = f"add --decimals {places}" if places <= DIALECT_DECIMALS_MAX else "round it"
        return f"more than {DECIMALS_MAX} decimals: {way_out}"
    return f"the largest amount is {AMOUNT_MAX}" if Decimal(digits) > Decimal(AMOUNT_MAX) else ""


def separator_hint(sign: str, digits: str) -> str:
    """What an amount may be that has something between its digits: between thousands, or before its decimals."""
    for separator in GROUP_SEPARATORS:
        if separator in digits:
            whole, *groups = digits.split(separator)
            last, mark, decimals = groups[-1].partition("," if "," in groups[-1] else ".")
            if is_grouped(whole, [*groups[:-1], last]) and (not mark or is_whole(decimals)):
                rest = f".{decimals}" if mark else ""
                way_out = ""
                if separator.isascii():
                    way_out = f""", or add {"--decimal , " if mark == "," else ""}--dialect "thousands={separator}\""""
                return f"a thousands separator? write {sign}{whole}{''.join(groups[:-1])}{last}{rest}{way_out}"
            return ""
    if "," in digits:
        return comma_hint(sign, digits, has_options=True)
    whole, *groups = digits.split(".")
    return f"points between thousands? write {sign}{whole}{''.join(groups)}" if is_grouped(whole, groups) else ""


def comma_hint(sign: str, digits: str, *, has_options: bool) -> str:
    """What commas in an amount may be: decimal commas, or between thousands; both where nothing tells.

    It `has_options` where they help: not where the delimiter is a comma, and the amount has no quotes.
    """
    whole, *rest = digits.split(",")
    groups = [*rest[:-1], rest[-1].partition(".")[0]]
    is_thousands = is_grouped(whole, groups) and is_number(digits.replace(",", ""))
    points = whole.split(".")
    is_decimal = len(rest) == 1 and is_whole(rest[0]) and (
        is_whole(whole) if len(points) == 1 else is_grouped(points[0], points[1:])
    )  # fmt: skip
    thousands, decimal = sign + digits.replace(",", ""), f"{sign}{whole.replace('.', '')}.{rest[-1]}"
    if is_thousands and is_decimal:
        way_out = ", or add --dialect thousands=, or --decimal ," if has_options else ""
        return f"a thousands separator, or a decimal comma? write {thousands} or {decimal}{way_out}"
    if is_thousands:
        way_out = ", or add --dialect thousands=," if has_options else ""
        return f"a thousands separator? write {thousands}{way_out}"
    way_out = f", or add --decimal ,{' --dialect thousands=.' if '.' in whole else ''}" if has_options else ""
    return f"a decimal comma? write {decimal}{way_out}" if is_decimal else ""


def is_grouped(whole: str, groups: list[str]) -> bool:
    """Whether these are the groups of a number with separators between thousands: each of three digits, but the first,
    which begins with no zero."""
    is_first = is_whole(whole) and len(whole) <= GROUP_DIGITS and not whole.startswith("0")
    return is_first and bool(groups) and all(is_whole(each) and len(each) == GROUP_DIGITS for each in groups)


def is_currency(text: str) -> bool:
    """Whether a text is a number with a word before or behind it."""
    number = text.strip(CURRENCY_LETTERS)
    words = text.replace(number, " ", 1).split() if number else []
    return len(words) == 1 and 2 <= len(words[0]) <= 4 and is_number(sign_of(number.strip())[1].replace(",", ""))


def sign_of(text: str) -> tuple[str, str]:
    """A sign before a text, and the rest: "-" or "", a plus being none."""
    if text[:1] in ("+", "-"):
        return text[0].replace("+", ""), text[1:]
    return "", text


def has_ending(text: str) -> bool:
    """Whether a text has a line ending in it, which is no blank."""
    return "\n" in text or "\r" in text


def is_whole(text: str) -> bool:
    """Whether a text is ASCII digits."""
    return text.isascii() and text.isdigit()


def is_number(text: str) -> bool:
    """Whether a text is ASCII digits with at most one decimal point."""
    return text.isascii() and text.replace(".", "", 1).isdigit()
