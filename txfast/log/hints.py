"""Hints: what a malformed row probably meant, in a few words behind its log line.

Each is a guess from the row's text, with the way out. This module must not know how rows are parsed: it looks at texts
that the parser has refused.
"""

from txfast.batch.batch import KINDS
from txfast.batch.header import COLUMN_NAMES
from txfast.text.words import nearest

ID_MAX = (1 << 64) - 1
AMOUNT_MAX = "922337203685477.5807"
DECIMALS_MAX = 4
# Signs of money, before or behind the digits; words such as EUR are found by their letters.
CURRENCY_SIGNS = "$€£¥₹₽₩₺¢"
CURRENCY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
GROUP_SEPARATORS = "'’_ \u00a0\u202f"
# Words of other programs for the five types.
OTHER_WORDS = {"credit": "deposit", "debit": "withdrawal", "withdraw": "withdrawal", "charge_back": "chargeback"}

TYPE_HINT = f"a type is one of {', '.join(KINDS)}"
ID_HINT = f"an id is a whole number from 0 to {ID_MAX}"
AMOUNT_HINT = "an amount is digits with a decimal point, as 1250.00"
# What each reason asks for, where no row is at hand that says more.
REASON_HINTS = {
    "row_too_long": "a row ends within 1 MiB",
    "bad_quoting": "a quote stands alone? double a quote inside a quoted field",
    "too_many_fields": "quote a field that has the delimiter in it, such as an amount with a comma",
    "missing_field": "a row has at least type, client and tx",
    "bad_type": TYPE_HINT,
    "bad_client": ID_HINT,
    "bad_tx": ID_HINT,
    "bad_amount": AMOUNT_HINT,
}


def hint_of(reason: str, row: bytes, header: bytes) -> str:
    """The hint for a row that was refused for this reason, under this header line; "" where there is none."""
    names, texts = fields_of(header), fields_of(row)
    if reason == "too_many_fields":
        return surplus_hint(names, texts)
    fields = dict(zip(names, texts, strict=False))
    if reason == "bad_amount":
        return amount_hint(fields.get("amount", ""))
    if reason in ("bad_client", "bad_tx"):
        return id_hint(fields.get(reason.removeprefix("bad_"), ""))
    if reason == "bad_type":
        return type_hint(fields.get("type", ""))
    if reason == "missing_field":
        missing = [name for name in COLUMN_NAMES if name != "amount" and not fields.get(name)]
        return f"no {' and no '.join(missing)}" if missing else ""
    return ""


def fields_of(line: bytes) -> list[str]:
    """The texts of a line, trimmed; none where it cannot be cut into fields."""
    import csv

    try:
        return [text.strip() for text in next(csv.reader([line.decode("utf-8", "replace")], skipinitialspace=True), [])]
    except csv.Error:
        return []


def surplus_hint(names: list[str], texts: list[str]) -> str:
    """What a row with more fields than the header may be: an amount in the last column, with a comma and no quotes."""
    if not names or names[-1] != "amount" or len(texts) != len(names) + 1:
        return ""
    whole, rest = texts[-2:]
    digits, point, _ = rest.partition(".")
    if whole.isdigit() and len(digits) == 3 and is_number(rest):
        return f"a thousands separator? write {whole}{rest}"
    return f"a decimal comma? write {whole}.{rest}" if whole.isdigit() and rest.isdigit() and not point else ""


def type_hint(text: str) -> str:
    """What a word that is none of the types may mean."""
    meant = OTHER_WORDS.get(text.lower()) or nearest(text, KINDS)
    return f"{meant}?" if meant else ""


def id_hint(text: str) -> str:
    """What is wrong with an id."""
    if not text:
        return "it is empty"
    whole, point, decimals = text.partition(".")
    if point and whole.isdigit() and not decimals.strip("0"):
        return f"a whole number is written without decimals: {whole}"
    if text.lstrip("+").isascii() and text.lstrip("+").isdigit():
        return f"the largest id is {ID_MAX}"
    return ""


def amount_hint(text: str) -> str:
    """What is wrong with an amount."""
    digits = text.strip("+-() ")
    if (text.startswith("(") and text.endswith(")")) or text.endswith("-"):
        return f"negative? write -{digits}"
    if any(sign in text for sign in CURRENCY_SIGNS):
        return "a currency sign? leave it out"
    for separator in GROUP_SEPARATORS:
        if separator in digits and digits.replace(separator, "").replace(".", "").isdigit():
            return f"a thousands separator? write {digits.replace(separator, '')}"
    if "," in digits:
        return separator_hint(digits)
    mantissa, exponent, power = digits.lower().partition("e")
    if exponent and is_number(mantissa) and power.lstrip("+-").isdigit():
        return "an exponent? write all digits"
    if is_number(digits) and digits == text.lstrip("+-") and len(text) <= len(digits) + 1:
        decimals = digits.partition(".")[2].rstrip("0")
        return (
            f"more than {DECIMALS_MAX} decimals"
            if len(decimals) > DECIMALS_MAX
            else f"the largest amount is {AMOUNT_MAX}"
        )
    if digits.lower() in ("nan", "inf", "infinity"):
        return "no number"
    if digits and digits[-1].isalpha() and is_number(digits.rstrip(CURRENCY_LETTERS).strip()):
        return "a currency? leave it out"
    return ""


def separator_hint(digits: str) -> str:
    """What commas in an amount may be: decimal commas, or between thousands."""
    without = digits.replace(",", "")
    if digits.rfind(".") < digits.rfind(",") and digits.count(",") == 1:
        whole, _, decimals = digits.partition(",")
        if is_number(whole.replace(".", "")) and decimals.isdigit() and ("." in whole or len(decimals) != 3):
            return f"a decimal comma? write {whole.replace('.', '')}.{decimals}"
    if is_number(without):
        return f"a thousands separator? write {without}"
    return ""


def is_number(text: str) -> bool:
    """Whether a text is ASCII digits with at most one decimal point."""
    return text.isascii() and text.replace(".", "", 1).isdigit()
