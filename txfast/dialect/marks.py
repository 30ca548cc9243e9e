"""The marks of amounts, told from their texts: decimal mark, thousands, decimals, signs, words for no amount.

This module must not know where the texts come from.
"""

import re

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

DECIMALS = (".", ",")
THOUSANDS = (None, ",", ".", "'", " ", "_")
# Words of other programs for no value.
NO_VALUES = {"null", "none", "n/a", "na", "nil", "\\n", "-", "--"}
# A text that some marks may make a number of.
NUMERIC = re.compile(r"[+-]?(?=[.,]?[0-9])[0-9.,'_ ]*")


class Marks:
    """What the texts of amounts show.

    `decimal` and `thousands` are the marks by which most texts are numbers, None for thousands without a mark.
    `choices` are all pairs of marks that fit as well and mean something else: where there are some, nothing tells which
    is right. `places` is the largest number of decimals, without zeros at the end. `negative` and `numbers` count
    texts. `nulls` are words for no amount. `unread` are texts that no marks make a number of, with their numbers of
    lines.
    """

    __slots__ = ("choices", "decimal", "negative", "nulls", "numbers", "places", "thousands", "unread", "whole")

    def __init__(self, texts: "Sequence[tuple[int, str]]") -> None:
        """Take each text with the number of its line. Empty ones do not count."""
        self.nulls = list(dict.fromkeys(text for _, text in texts if text.lower() in NO_VALUES))
        others = [(line, text) for line, text in texts if text and text.lower() not in NO_VALUES]
        numeric = [text for _, text in others if NUMERIC.fullmatch(text)]
        self.decimal, self.thousands, self.choices = marks_of(numeric)
        form = form_of(self.decimal, self.thousands)
        fitting = [text for text in numeric if form.fullmatch(text)]
        self.unread = [(line, text) for line, text in others if not form.fullmatch(text)]
        self.numbers = len(fitting)
        self.negative = sum(text.startswith("-") for text in fitting)
        decimals = [text.partition(self.decimal)[2].rstrip("0") for text in fitting]
        self.places = max(map(len, decimals), default=0)
        self.whole = bool(fitting) and not any(self.decimal in text for text in fitting)

    @property
    def has_both_signs(self) -> bool:
        """Whether some amounts are below zero, and others are not."""
        return 0 < self.negative < self.numbers


def form_of(decimal: str, thousands: str | None) -> "re.Pattern[str]":
    """What a number is with these marks."""
    mark = re.escape(decimal)
    groups = "" if thousands is None else f"|[1-9][0-9]{{0,2}}(?:{re.escape(thousands)}[0-9]{{3}})+"
    return re.compile(rf"[+-]?(?:(?:[0-9]+{groups})(?:{mark}[0-9]*)?|{mark}[0-9]+)")


def marks_of(texts: "Sequence[str]") -> "tuple[str, str | None, list[tuple[str, str | None]]]":
    """The decimal mark and the mark between thousands by which most texts are numbers, the default ones where they do
    as well as others; and the pairs that do as well and mean other numbers, where the default ones do not."""
    pairs = [(decimal, thousands) for decimal in DECIMALS for thousands in THOUSANDS if thousands != decimal]
    counts = {pair: sum(map(bool, map(form_of(*pair).fullmatch, texts))) for pair in pairs}
    most = max(counts.values())
    best = [pair for pair in pairs if counts[pair] == most]
    if best[0] == pairs[0]:
        return (*best[0], [])
    # A mark that no text needs makes no difference.
    meanings = {tuple(value_of(text, *pair) for text in texts): pair for pair in reversed(best)}
    choices = [pair for pair in best if pair in meanings.values()]
    return (*choices[0], choices if len(choices) > 1 else [])


def value_of(text: str, decimal: str, thousands: str | None) -> str:
    """A number in the default marks, without a plus; "" where it is none."""
    if not form_of(decimal, thousands).fullmatch(text):
        return ""
    if thousands is not None:
        text = text.replace(thousands, "")
    return text.lstrip("+").replace(decimal, ".")


def may_be_thousands(texts: "Sequence[str]") -> bool:
    """Whether each point in these texts may stand between thousands, and some text has one."""
    grouped = form_of(",", ".")
    with_points = [text for text in texts if "." in text]
    return bool(with_points) and all(grouped.fullmatch(text) for text in with_points)
