"""Advice about a header that does not name the four columns: what it seems to be, and what to do about it.

Each advice is a guess from the text of one line. This module must not know where the line comes from.
"""

from txfast.dialect.likely_names import likely_columns
from txfast.dialect.names import COLUMN_NAMES
from txfast.text.words import nearest

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

    from txfast.dialect.dialect import Dialect

# Words for delimiters in messages.
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}
# The end of a message about a file that needs several settings, or settings that nothing here tells.
PROFILE_HINT = "txfast --dialect-of FILE prints a profile for it"
STANDARD_HEADER = ",".join(COLUMN_NAMES)
SHOWN_LENGTH_MAX = 80
# How advice begins that leaves something to find out.
OPEN_ADVICE = ("it needs", "name the column of types")


def header_advice(line: bytes, names: list[str], missing: list[str], dialect: "Dialect | None" = None) -> str:
    """What to do about a header line with these names, of which the columns of `missing` roles are not there."""
    text = line.decode("utf-8", "replace")
    if names[0].lower() == STANDARD_HEADER:
        if '"' not in text:
            return "it is separated by commas: leave the delimiter out of the dialect"
        return "it is one field in quotes: leave the quotes around the whole line out"
    if text.lstrip().startswith("#"):
        return f"its first line, {shown(text)}, is a comment: add --dialect comment='#'"
    if is_row(names):
        return f"its first line is a row, {shown(text)}: add --dialect header=no, or a line in front of it"
    advice = column_advice(names, missing, dialect)
    if len(missing) == (len(COLUMN_NAMES) if dialect is None else len(dialect.roles)):
        advice += "; if lines stand before the header, add --dialect skip=N, their number"
    return advice if dialect is not None or not advice.startswith(OPEN_ADVICE) else f"{advice}; {PROFILE_HINT}"


def control_advice(line: bytes) -> str:
    """What to do about a header line with bytes that no text has."""
    for encoding, first in (("UTF-16LE", 1), ("UTF-16BE", 0)):
        # Every other byte of ASCII characters in UTF-16 is NUL.
        zeros = line[first::2].count(0)
        if zeros == line.count(0) and 4 * zeros > len(line):
            return f"it may be UTF-16 without a byte order mark: iconv -f {encoding} -t UTF-8 FILE | txfast"
    return "it is no text, but perhaps an archive or a database: take the CSV out of it, and read that"


def column_advice(names: list[str], missing: list[str], dialect: "Dialect | None" = None) -> str:
    """What to do about columns with these names, of which the columns of `missing` roles are not there."""
    wanted = COLUMN_NAMES if dialect is None else tuple(dialect.columns.values())
    if dialect is not None and not dialect.has_header:
        return f"its first row has {len(names)} fields: the dialect names a column behind them"
    needed = list(missing)
    found: dict[str, str] = {}
    if "amount" in needed:
        pair = likely_columns(names, ("credit", "debit"))
        if len(pair) == 2 and not likely_columns(names, ("amount",)):
            found = pair
            needed = [role for role in needed if role not in ("type", "amount")]
    renames = None if dialect is not None else renames_of(names, needed)
    if renames is None and dialect is None and "type" in needed:
        renames = renames_of(names, [role for role in needed if role != "type"])
        if renames is not None:
            columns = f"{columns_option(renames)} " if renames else ""
            return (
                f"{OPEN_ADVICE[1]}, as in --columns type=COLUMN; or, if the sign of an amount is its type, add "
                f"{columns}--types +=deposit,-=withdrawal"
            )
    if renames is not None and (found or renames):
        return f"add {columns_option({**renames, **found})}"
    setting = "NAME=COLUMN" if dialect is not None else open_setting(names, needed)
    there = shortened(", ".join(map(repr, names)))
    return f"{OPEN_ADVICE[0]} {', '.join(wanted)}, and has {there}: add --columns {setting}"


def columns_option(names: "Mapping[str, str]") -> str:
    """The option that names the column of each role."""
    return f"--columns {','.join(quoted(*each) for each in names.items())}"


def open_setting(names: list[str], missing: list[str]) -> str:
    """The likely columns of the `missing` roles as a setting, in which COLUMN stands for those that are not known."""
    likely = likely_columns([name for name in names if name.lower() not in COLUMN_NAMES], missing)
    if not likely:
        return "NAME=COLUMN"
    return ",".join(quoted(role, likely[role]) if role in likely else f"{role}=COLUMN" for role in missing)


def is_row(texts: list[str]) -> bool:
    """Whether these are the fields of a row, not names: two of them are numbers."""
    return sum(text.lstrip("+-").replace(".", "", 1).isdigit() for text in texts) > 1


def quoted(role: str, name: str) -> str:
    """A setting as a shell takes it."""
    setting = f"{role}={shortened(name)}"
    return setting if all(each.isalnum() or each in "=-_." for each in setting) else f"'{setting}'"


def renames_of(names: list[str], missing: list[str]) -> "dict[str, str] | None":
    """The likely name of each of the `missing` columns; None where one has none."""
    free = [name for name in names if name.lower() not in COLUMN_NAMES]
    likely = likely_columns(free, missing)
    free = [name for name in free if name not in likely.values()]
    found = {}
    for column in missing:
        name = likely.get(column) or nearest(column, free)
        if name is None:
            return None
        if name in free:
            free.remove(name)
        found[column] = name
    return found


def shown(text: str) -> str:
    """A text of the file in a message."""
    return repr(shortened(text))


def shortened(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "…"
