"""Words of messages: counts with their noun, and the nearest of several words.

This module must not know what a message is about.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

# difflib's measure of likeness, from 0 to 1, above which a word is taken for a mistyped one.
LIKENESS_MIN = 0.66
# So many letters at least are taken for the beginning of a word.
BEGINNING_MIN = 3


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: "1 row", "1,234 rows". The plural ends in s unless it is given."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def nearest(word: str, words: "Iterable[str]") -> str | None:
    """The word that was meant by a mistyped one, in any case; None where none is like it."""
    from difflib import get_close_matches

    by_case = {each.lower(): each for each in words}
    longer = [each for each in by_case if len(word) >= BEGINNING_MIN and each.startswith(word.lower())]
    if len(longer) == 1:
        return by_case[longer[0]]
    found = get_close_matches(word.lower(), by_case, n=1, cutoff=LIKENESS_MIN)
    return by_case[found[0]] if found else None


def did_you_mean(word: str, words: "Iterable[str]", prefix: str = "") -> str:
    """The end of a message about a mistyped word: "; did you mean 'x'?", or nothing. A prefix, which all words have
    and which was left out of the comparison, is shown."""
    meant = nearest(word, words)
    return "" if meant is None else f"; did you mean '{prefix}{meant}'?"
