"""Findings: the settings that a strange file seems to need, and what could not be told of it.

This module must not know how they are found, nor how they are shown.
"""

from txfast.dialect.dialect import Dialect

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

# Where a value is not known.
UNKNOWN = "…"
# So many names, words or texts are shown in one remark.
SHOWN_MAX = 12
TEXT_LENGTH_MAX = 60


class Setting:
    """One part of a dialect: its full name, its value, and a note for a person. One that `is_open` is for a person to
    choose: its value is a proposal, or UNKNOWN."""

    __slots__ = ("is_open", "name", "note", "value")

    def __init__(self, name: str, value: str, note: str = "", *, is_open: bool = False) -> None:
        self.name = name
        self.value = value
        self.note = note
        self.is_open = is_open


class Findings:
    """What the start of a file shows.

    `settings` are in the order in which they were found, `missing` the roles of columns that nothing was found for, and
    `remarks` sentences for a person, in their order. `rows` is the number of rows that were seen, and `end` how many
    lines of the text these are, where it may go on behind them; else None.
    """

    __slots__ = ("end", "missing", "remarks", "rows", "settings")

    def __init__(self) -> None:
        self.settings: list[Setting] = []
        self.missing: list[str] = []
        self.remarks: list[str] = []
        self.rows = 0
        self.end: int | None = None

    def add(self, name: str, value: str, note: str = "", *, is_open: bool = False) -> None:
        """Add a setting."""
        self.settings.append(Setting(name, value, note, is_open=is_open))

    @property
    def parts(self) -> dict[str, str]:
        """The settings that are not open, by the name of the part."""
        return {each.name: each.value for each in self.settings if not each.is_open}

    def dialect(self) -> Dialect:
        """The dialect of the settings that are not open. Raises UsageError where a column or a part is missing."""
        return Dialect(self.parts)


def listed(texts: "Sequence[str]") -> str:
    """Texts of a file in a remark, each quoted and cut; not all of many."""
    shown = ", ".join(map(shown_text, texts[:SHOWN_MAX]))
    return shown if len(texts) <= SHOWN_MAX else f"{shown} and {len(texts) - SHOWN_MAX:,} others"


def shown_text(text: str) -> str:
    """A text of a file in a remark: quoted, on one line, and cut where it is long."""
    cut = text if len(text) <= TEXT_LENGTH_MAX else text[:TEXT_LENGTH_MAX] + "…"
    cut = cut.replace("\r", " ").replace("\n", " ")
    return f"'{cut}'" if '"' in cut else f'"{cut}"'
