"""The shape of a text that may be a transactions file: its delimiter, quotes, comments, header and rows.

All of it is a guess from the text alone. This module must not know what a row means.
"""

import re

from txfast.dialect.likely_names import NAMES_MAX, STATUS_NAMES, likely_columns, plain

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BLANKS = " \t\v\f"
# What may separate fields, and stand around them, the likeliest first.
DELIMITERS = (",", ";", "\t", "|", "~", "^", "\x1f", ":")
QUOTES = ('"', "'", "`")
NO_QUOTE = "none"
COMMENTS = ("#", "//", "%", "--", ";")
# A header stands within so many lines; so many rows tell whether a delimiter fits.
HEADER_LINES_MAX = 64
ROWS_TRIED = 200
# So many lines at most are taken for one row.
SPANNED_LINES_MAX = 500
ROLES = ("type", "client", "tx", "amount", "credit", "debit")

# A row: the index of its first line, its fields (None where it is badly quoted), and the index of the line after it.
Row = tuple[int, "list[str] | None", int]


class Shape:
    """A text as lines and rows.

    `header` has the names of the columns, None where no line names them; `header_line` is the index of its line, and of
    the first row where there is none. `rows` are those behind it, without comments and blank lines. `comment` is the
    beginning of lines that are nothing, "" where there are none, and `skip` the number of lines before the header that
    are no comments and no blanks.
    """

    __slots__ = ("comment", "delimiter", "header", "header_line", "lines", "quote", "rows", "skip")

    def __init__(self, lines: list[str], delimiter: str, quote: str, header_line: int, *, has_header: bool) -> None:
        self.lines = lines
        self.delimiter = delimiter
        self.quote = quote
        self.header_line = header_line
        self.header: list[str] | None = None
        first = header_line
        if has_header:
            _, self.header, first = row_at(lines, header_line, delimiter, quote)
        rows = list(rows_from(lines, first, delimiter, quote))
        self.comment = comment_of(lines[:header_line], rows, self.width or width_of(rows), delimiter)
        self.rows = [row for row in rows if not self.is_comment(lines[row[0]])]
        before = [line for line in lines[:header_line] if line.strip(BLANKS) and not self.is_comment(line)]
        self.skip = header_line if before else 0

    @property
    def width(self) -> int:
        """The number of columns that the header names; 0 where there is none."""
        return len(self.header or ())

    def is_comment(self, line: str) -> bool:
        """Whether a line is a comment."""
        return bool(self.comment) and line.lstrip(BLANKS).startswith(self.comment)


def lines_of(text: str) -> list[str]:
    """The lines of a text, without their endings."""
    lines = re.split(r"\r\n|\n|\r", text)
    return lines if lines[-1] else lines[:-1]


def shape_of(text: str, *, is_whole: bool = True) -> Shape | None:
    """The shape of a text, or of the beginning of one that is not whole, whose last row is left out. None where nothing
    in it is like a row."""
    lines = lines_of(text)
    found = best_header(lines)
    delimiter, quote, line, has_header = found or best_rows(lines)
    if not delimiter:
        return None
    while True:
        shape = Shape(lines, delimiter, quote, line, has_header=has_header)
        if not is_whole:
            del shape.rows[first_cut(shape) :]
        other = other_quote(shape)
        if other == quote or quote != QUOTES[0]:
            return shape
        quote = other


def first_cut(shape: Shape) -> int:
    """The index of the first row that may go on behind the end of a text that is not whole: one whose quotes are not
    closed within it, or else the last."""
    unclosed = max(0, len(shape.lines) - SPANNED_LINES_MAX)
    cut = (index for index, (line, fields, _) in enumerate(shape.rows) if fields is None and line >= unclosed)
    return next(cut, max(0, len(shape.rows) - 1))


def best_header(lines: "Sequence[str]") -> "tuple[str, str, int, bool] | None":
    """The delimiter, quote and line by which most columns have likely names; None where fewer than two have."""
    best: tuple[tuple[int, float, int, int], tuple[str, str, int, bool]] | None = None
    for order, (delimiter, quote) in enumerate((delimiter, quote) for quote in QUOTES for delimiter in DELIMITERS):
        for line, text in enumerate(lines[:HEADER_LINES_MAX]):
            if not 0 < text.count(delimiter) < NAMES_MAX:
                continue
            if quote != QUOTES[0] and not text.lstrip(BLANKS).startswith(quote):
                continue
            _, names, after = row_at(lines, line, delimiter, quote)
            if names is None or has_numbers(names):
                continue
            roles = likely_columns(names, ROLES)
            if len(roles) < 2:
                continue
            standard = sum(name.lower() == role for role, name in roles.items())
            fitting = share_of_width(lines, after, delimiter, quote, len(names))
            score = (len(roles), fitting, standard, -order * HEADER_LINES_MAX - line)
            if best is None or score > best[0]:
                best = score, (delimiter, quote, line, True)
    return None if best is None else best[1]


def best_rows(lines: "Sequence[str]") -> tuple[str, str, int, bool]:
    """The delimiter, quote and first line of rows of one width, of which the first may be a header with unknown names;
    "" for the delimiter where nothing is like rows."""
    best: tuple[tuple[float, int, int], tuple[str, str, int, bool]] | None = None
    for order, delimiter in enumerate(DELIMITERS):
        for line in first_lines(lines):
            if not 1 < lines[line].count(delimiter) < NAMES_MAX:
                continue
            _, fields, after = row_at(lines, line, delimiter, QUOTES[0])
            if fields is None:
                continue
            fitting = share_of_width(lines, after, delimiter, QUOTES[0], len(fields))
            is_header = not has_numbers(fields) and next_has_numbers(lines, after, delimiter)
            if not is_header and not (has_numbers(fields) and fitting > 1 / 2):
                continue
            score = (round(fitting, 1), len(fields), -order * HEADER_LINES_MAX - line)
            if best is None or score > best[0]:
                best = score, (delimiter, QUOTES[0], line, is_header)
    return ("", "", 0, False) if best is None else best[1]


def first_lines(lines: "Sequence[str]") -> "Iterator[int]":
    """The indexes of the first lines that are not blank."""
    return (line for line, text in enumerate(lines[:HEADER_LINES_MAX]) if text.strip(BLANKS))


def next_has_numbers(lines: "Sequence[str]", line: int, delimiter: str) -> bool:
    """Whether the next row has numbers."""
    row = next(rows_from(lines, line, delimiter, QUOTES[0]), None)
    return row is not None and has_numbers(row[1] or [])


def share_of_width(lines: "Sequence[str]", line: int, delimiter: str, quote: str, width: int) -> float:
    """The share of the rows from a line on, of the first of them, that have so many fields."""
    rows = fitting = 0
    for row in rows_from(lines, line, delimiter, quote):
        rows += 1
        fitting += len(row[1] or ()) == width
        if rows == ROWS_TRIED:
            break
    return fitting / rows if rows else 1.0


def width_of(rows: "Sequence[Row]") -> int:
    """The number of fields that most rows have; 0 where there is none."""
    widths = [len(fields) for _, fields, _ in rows if fields is not None]
    return max(set(widths), key=widths.count, default=0)


def has_numbers(fields: "Sequence[str]") -> bool:
    """Whether these are fields of a row, not names: two of them are numbers."""
    return sum(bool(re.fullmatch(r"[+-]?[0-9][0-9.,']*", field)) for field in fields) > 1


def comment_of(before: "Sequence[str]", rows: "Sequence[Row]", width: int, delimiter: str) -> str:
    """What comments begin with, among the lines before the header and rows of another width; "" where there are
    none."""
    for mark in COMMENTS:
        if mark == delimiter:
            continue
        if any(line.lstrip(BLANKS).startswith(mark) for line in before):
            return mark
        if any(fields is None or len(fields) != width for _, fields, _ in rows if starts_with(fields, mark)):
            return mark
    return ""


def starts_with(fields: "list[str] | None", mark: str) -> bool:
    """Whether a row begins with this mark. One that is badly quoted is not known to."""
    return fields is not None and fields[0].startswith(mark)


def other_quote(shape: Shape) -> str:
    """The quote of a shape's rows, where it is another than the one by which they were cut."""
    fields = [field for _, row, _ in shape.rows[:ROWS_TRIED] for field in row or ()]
    for quote in QUOTES:
        around = sum(len(field) > 1 and field[0] == field[-1] == quote for field in fields)
        if quote != shape.quote and around > len(shape.rows[:ROWS_TRIED]) / 2:
            return quote
    bad = [line for line, row, _ in shape.rows if row is None]
    if bad and not any(quoted_well(shape.lines[line], shape) for line, row, _ in shape.rows if row is not None):
        unquoted = [row_at(shape.lines, line, shape.delimiter, NO_QUOTE)[1] or [] for line in bad]
        if all(len(row) == (shape.width or width_of(shape.rows)) for row in unquoted):
            return NO_QUOTE
    return shape.quote


def quoted_well(line: str, shape: Shape) -> bool:
    """Whether a good row has a field in quotes."""
    return any(field.strip(BLANKS).startswith(shape.quote) for field in line.split(shape.delimiter))


# ---- Rows ----------------------------------------------------------------------------------------


def rows_from(lines: "Sequence[str]", line: int, delimiter: str, quote: str) -> "Iterator[Row]":
    """The rows from a line on, without blank lines."""
    while line < len(lines):
        if not lines[line].strip(BLANKS):
            line += 1
            continue
        row = row_at(lines, line, delimiter, quote)
        yield row
        line = row[2]


def row_at(lines: "Sequence[str]", line: int, delimiter: str, quote: str) -> Row:
    """The row that begins with a line. One that is badly quoted is that line alone."""
    text, after = lines[line], line + 1
    blanks = BLANKS.replace(delimiter, "")
    if quote == NO_QUOTE or quote not in text:
        return line, [field.strip(blanks) for field in text.split(delimiter)], after
    fields: list[str] = []
    at = 0
    while True:
        at += len(text[at:]) - len(text[at:].lstrip(blanks))
        if text[at : at + 1] != quote:
            end = text.find(delimiter, at)
            fields.append((text[at:] if end < 0 else text[at:end]).strip(blanks))
            at = len(text) if end < 0 else end
        else:
            end = closing(text, at + 1, quote)
            while end < 0 and after < min(len(lines), line + SPANNED_LINES_MAX):
                text += "\n" + lines[after]
                after += 1
                end = closing(text, at + 1, quote)
            rest = text[end + 1 :].lstrip(blanks)
            if end < 0 or (rest and rest[0] != delimiter):
                return line, None, line + 1
            fields.append(text[at + 1 : end].strip(blanks))
            at = len(text) - len(rest)
        if at >= len(text):
            return line, fields, after
        at += 1


def closing(text: str, at: int, quote: str) -> int:
    """Where a quoted field ends: at the first quote that is not doubled. -1 where it stays open."""
    while True:
        end = text.find(quote, at)
        if end < 0 or text[end + 1 : end + 2] != quote:
            return end
        at = end + 2


def status_columns(names: "Sequence[str]") -> list[str]:
    """The columns whose names say that they tell whether a row counts."""
    return [name for name in names if plain(name) in STATUS_NAMES]
