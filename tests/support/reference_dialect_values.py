"""The reference for dialects: what the texts of amounts and of types mean.

It is written from the rules alone, as reference.py is, and must not import `txfast`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tests.support.reference_ledger import INT64_MAX

if TYPE_CHECKING:
    from tests.support.reference_dialect import Dialect


def parse_amount(text: bytes, dialect: Dialect) -> int | None:
    """The amount in a text, in units of 10^-decimals; None if the rules refuse it."""
    is_negative = text.startswith(b"-")
    unsigned = text[1:] if text[:1] in (b"+", b"-") else text
    whole, _, fraction = unsigned.partition(dialect.decimal)
    if dialect.thousands is not None and dialect.thousands in whole:
        groups = whole.split(dialect.thousands)
        if not are_groups(groups):
            return None
        whole = b"".join(groups)
    digits = whole + fraction
    if not digits.isdigit():  # true for one or more ASCII digits
        return None
    units = round_digits(whole, fraction, 0 if dialect.is_minor else dialect.decimals, dialect.rounding)
    if units is None or units > INT64_MAX:
        return None
    return -units if is_negative else units


def are_groups(groups: Sequence[bytes]) -> bool:
    """Whether digits are grouped as thousands are: 1 to 3 digits that do not begin with 0, then three each."""
    first, *others = groups
    if not first.isdigit() or len(first) > 3 or first.startswith(b"0"):
        return False
    return all(each.isdigit() and len(each) == 3 for each in others)


def round_digits(whole: bytes, fraction: bytes, places: int, rounding: str) -> int | None:
    """The number of units of 10^-places. None if further decimals are refused, or if there are far too many digits."""
    kept = (whole + fraction[:places].ljust(places, b"0")).lstrip(b"0")
    further = fraction[places:].rstrip(b"0")
    if len(kept) > 19:  # as for ids: Python refuses to convert thousands of digits
        return None
    units = int(kept or b"0")
    if not further or rounding == "truncate":
        return units
    if rounding == "refuse":
        return None
    if further == b"5":  # exactly between two units
        return units + 1 if rounding == "half-up" or units % 2 == 1 else units
    return units + 1 if further >= b"5" else units


def meaning_of(word: bytes, words: Mapping[bytes, str]) -> str | None:
    """What a word of the type column means; None if that is nothing, or several things."""
    if word in words:
        return words[word]
    meanings = {meaning for each, meaning in words.items() if each.lower() == word.lower()}
    return meanings.pop() if len(meanings) == 1 else None
