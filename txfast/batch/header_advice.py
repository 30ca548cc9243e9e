"""Advice about a header that does not name the four columns: what it seems to be, and what to do about it.

Each advice is a guess from the text of one line. This module must not know where the line comes from.
"""

from txfast.text.words import nearest

DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "pipes"}
# Names that other programs give to the four columns; blanks, hyphens, underscores and case do not count.
OTHER_NAMES = {
    "type": {"action", "category", "event", "kind", "operation", "transactiontype", "txtype"},
    "client": {
        "account",
        "accountid",
        "accountnumber",
        "clientid",
        "customer",
        "customerid",
        "member",
        "user",
        "userid",
    },
    "tx": {"id", "ref", "reference", "transaction", "transactionid", "txid", "txn", "txnid"},
    "amount": {"amt", "gross", "money", "quantity", "sum", "value"},
}
COLUMN_NAMES = tuple(OTHER_NAMES)
STANDARD_HEADER = ",".join(COLUMN_NAMES)
SHOWN_LENGTH_MAX = 80


def header_advice(line: bytes, names: list[str], missing: list[str]) -> str:
    """What to do about a header line with these names, of which the names of `missing` columns are not there."""
    text = line.decode("utf-8", "replace")
    delimiter = delimiter_of(text)
    if delimiter is not None:
        return delimiter_advice(delimiter)
    if names[0].lower() == STANDARD_HEADER:
        return "it is one field in quotes: leave the quotes around the whole line out"
    if text.lstrip().startswith("#"):
        return f"its first line is a comment: remove the lines before the header {STANDARD_HEADER}"
    if is_row(names):
        return f"its first line is a row, {shown(text)}: put a line in front of it, {STANDARD_HEADER}"
    advice = column_advice(names, missing)
    return f"{advice}; if lines stand before the header, remove them" if len(missing) == len(COLUMN_NAMES) else advice


def control_advice(line: bytes) -> str:
    """What to do about a header line with bytes that no text has."""
    for encoding, first in (("UTF-16LE", 1), ("UTF-16BE", 0)):
        # Every other byte of ASCII characters in UTF-16 is NUL.
        zeros = line[first::2].count(0)
        if zeros == line.count(0) and 4 * zeros > len(line):
            return f"it may be UTF-16 without a byte order mark: iconv -f {encoding} -t UTF-8 FILE | txfast"
    return "it is no text, but perhaps an archive or a database: take the CSV out of it, and read that"


def quoting_advice(line: bytes) -> str:
    """What to do about a header line with a quote that is not closed before a comma."""
    delimiter = delimiter_of(line.decode("utf-8", "replace"))
    if delimiter is not None:
        return delimiter_advice(delimiter)
    return "close each quote before a comma, or leave the quotes out"


def column_advice(names: list[str], missing: list[str]) -> str:
    """What to do about columns with these names, of which the names of `missing` columns are not there."""
    if "amount" in missing and {"debit", "credit"} <= {name.lower() for name in names}:
        return "make one column amount of debit and credit, and let the column type say deposit or withdrawal"
    renames = renames_of(names, missing)
    if renames:
        return renames
    return f"it needs {', '.join(COLUMN_NAMES)}, and has {shortened(', '.join(map(repr, names)))}"


def delimiter_of(text: str) -> str | None:
    """Another delimiter than a comma, by which the line has two of the four names or more."""
    for delimiter in DELIMITERS:
        words = {word.strip(' "').lower() for word in text.split(delimiter)}
        if len(words.intersection(COLUMN_NAMES)) > 1:
            return delimiter
    return None


def delimiter_advice(delimiter: str) -> str:
    return f"its fields are separated by {DELIMITERS[delimiter]}: separate them by commas, where the file is made"


def is_row(texts: list[str]) -> bool:
    """Whether these are the fields of a row, not names: two of them are numbers."""
    return sum(text.lstrip("+-").replace(".", "", 1).isdigit() for text in texts) > 1


def renames_of(names: list[str], missing: list[str]) -> str:
    """Which columns to rename, so that all of `missing` are there; "" where some have no likely name."""
    free = [name for name in names if name.lower() not in COLUMN_NAMES]
    found = []
    for column in missing:
        alike = [name for name in free if plain(name) in OTHER_NAMES[column]]
        name = alike[0] if alike else nearest(column, free)
        if name is None:
            return ""
        free.remove(name)
        found.append(f"{shown(name)} to {column}")
    return f"rename {', '.join(found)}"


def plain(name: str) -> str:
    return name.lower().replace(" ", "").replace("-", "").replace("_", "")


def shown(text: str) -> str:
    """A text of the file in a message."""
    return repr(shortened(text))


def shortened(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "…"
