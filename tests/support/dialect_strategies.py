"""Hypothesis strategies: dialects, and files that are written under them.

A drawn dialect never has two bytes that mean the same, and names each column once: what a wrong dialect leads to is
tested by example. How a file is written under a dialect is in `dialect_files`.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

from tests.support import strategies
from tests.support.dialect_files import (
    KEPT_WORDS,
    KIND_NAMES,
    TYPE_WORDS,
    Layout,
    changed_line,
    line_of,
    soup,
    texts_of,
)
from tests.support.reference_dialect import IGNORE
from tests.support.rows import Row

# Names that a role's column may have instead of its own.
NAMES = {
    "type": ["Art", "event type", "TYPE", "Buchungsart (ü)"],
    "client": ["Kunde", "payer id", "CLIENT", "顧客"],
    "tx": ["Beleg-Nr.", "id", "Tx"],
    "amount": ["Betrag", "gross, EUR", "Amount"],
    "credit": ["Haben", "paid in", "credit"],
    "debit": ["Soll", "paid out", "debit"],
    "currency": ["Währung", "ccy", "currency"],
}
OTHER_NAMES = ["note", "", "booked on", "kinds", "clients", "x;y|z", "größe"]
PAIR = ("client", "tx", "credit", "debit")
# Roles that a column has only where the dialect says so.
OPTIONAL = ("credit", "debit", "currency")
KEPT_COLUMN = "State"
ENCODINGS = [None, None, None, "utf-8", "utf-16", "latin-1", "cp1252"]
NULL_WORDS = ["NULL", "-", "n/a", "0", "\\N", "deposit", "leer ü", "1", "."]
DELIMITERS = [*"\t\t;;;,,|:~", "\x1f"]
MARKS = [(None, None)] * 3 + [(",", None), (",", "."), (",", " "), ("/", "_"), (None, ","), (None, "'")]


# ---- Dialects ------------------------------------------------------------------------------------


@st.composite
def layouts(draw: st.DrawFn, *, has_header: bool = False, has_currency: bool | None = None) -> Layout:
    """Dialects of few or many parts, with the columns of their files. `has_header` says that these have names; where
    `has_currency` does not say it, some have a currency."""
    settings = draw(shapes()) | draw(numbers()) | draw(words())
    if has_header:
        settings["header"] = "yes"
    roles = draw(st.sampled_from([("type", "client", "tx", "amount")] * 4 + [("client", "tx", "amount")] * 2 + [PAIR]))
    if "type" not in roles and "amount" in roles:
        settings = {name: value for name, value in settings.items() if not name.startswith("types.")}
        settings |= {"types.+": draw(st.sampled_from(KIND_NAMES)), "types.-": draw(st.sampled_from(KIND_NAMES))}
    if roles == PAIR:
        settings = {name: value for name, value in settings.items() if not name.startswith("types.")}
    if draw(st.sampled_from([False, False, True])) if has_currency is None else has_currency:
        roles = (*roles, "currency")
    columns = list(draw(st.permutations(roles)))
    for _ in range(draw(st.integers(0, 2))):
        columns.insert(draw(st.integers(0, len(columns))), "other")
    if kept := draw(st.sampled_from([[], [], KEPT_WORDS[:1], KEPT_WORDS[:4], KEPT_WORDS[2:]])):
        columns.insert(draw(st.integers(0, len(columns))), "keep")
    header = []
    for column in columns:
        name = draw(st.sampled_from(NAMES[column])) if column in roles else KEPT_COLUMN
        if column == "other":
            name = draw(st.sampled_from(OTHER_NAMES))
        elif column in roles and column not in OPTIONAL and draw(st.booleans()):
            name = column
        if settings.get("quote") == "none" and settings["delimiter"] in name:
            name = name.replace(settings["delimiter"], "_")  # it cannot be written
        header.append(name)
    if settings.get("header") == "no":
        header = [str(number) for number in range(1, len(columns) + 1)]
    names = dict(zip(columns, header, strict=True))
    settings |= {f"columns.{role}": names[role] for role in roles if names[role] != role or role in OPTIONAL}
    if kept:
        settings[f"keep.{names['keep']}"] = ",".join(kept)
    return Layout(settings, tuple(columns), tuple(header))


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, str]:
    """Settings that say what a row is, and how its numbers are marked."""
    decimal, thousands = draw(st.sampled_from(MARKS))
    delimiter = draw(st.sampled_from([None, None, *DELIMITERS]))
    quote = draw(st.sampled_from([None, None, None, "'", "`", "none"]))
    header = draw(st.sampled_from([None, None, None, "yes", "no"]))
    if quote == thousands:
        quote = None
    if quote == "none" and delimiter in (None, decimal, thousands):
        delimiter = ";"  # else no amount could be written
    if header == "no" and delimiter is None:
        delimiter = ","
    skip = draw(st.sampled_from([None, None, "0", "1", "3"]))
    comment = draw(st.sampled_from([None, None, "#", "//", "Ü:"]))
    drawn = {
        "delimiter": "tab" if delimiter == "\t" else delimiter, "quote": quote, "decimal": decimal,
        "thousands": thousands, "header": header, "skip": skip, "comment": comment,
    }  # fmt: skip
    return {name: value for name, value in drawn.items() if value is not None}


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, str]:
    """Settings that say what a number means."""
    drawn = {
        "decimals": draw(st.sampled_from([None, None, None, *"0123456789"])),
        "amounts": draw(st.sampled_from([None, None, None, "minor", "major"])),
        "rounding": draw(st.sampled_from([None, None, "refuse", "truncate", "half-even", "half-up"])),
        "ids": draw(st.sampled_from([None, None, None, "text", "text", "number"])),
        "ids.client": draw(st.sampled_from([None, None, None, None, "text", "number"])),
        "ids.tx": draw(st.sampled_from([None, None, None, None, "text", "number"])),
    }
    return {name: value for name, value in drawn.items() if value is not None}


@st.composite
def words(draw: st.DrawFn) -> dict[str, str]:
    """Settings that say what words mean."""
    meanings = draw(st.dictionaries(st.sampled_from(TYPE_WORDS), st.sampled_from([*KIND_NAMES, IGNORE]), max_size=6))
    settings = {f"types.{word}": meaning for word, meaning in meanings.items()}
    if null := draw(st.one_of(st.just([]), st.lists(st.sampled_from(NULL_WORDS), unique=True, max_size=3))):
        settings["null"] = ",".join(null)
    return settings


# ---- Files ---------------------------------------------------------------------------------------


class Written(NamedTuple):
    """A file under a dialect. `rows` are the transactions that were written; a spoilt file may hold others."""

    settings: dict[str, str]
    content: bytes
    rows: list[Row]


# What is left to chance in one line: as a number, which Hypothesis draws in one go.
chances = st.integers(0, 9_999).map(Random)


@st.composite
def written_files(draw: st.DrawFn, *, spoilt: bool, has_currency: bool | None = None) -> Written:
    """Files as an export writes them under a dialect. Where they are `spoilt`, some rows are changed at random."""
    layout = draw(layouts(has_currency=has_currency))
    dialect = layout.dialect
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines = draw(st.lists(skipped_lines, min_size=dialect.skip, max_size=dialect.skip))
    if dialect.has_header:
        lines.append(line_of(layout, list(layout.header), draw(chances)))
    rows: list[Row | None] = []
    for row in [Row("deposit", 1, 1, 10_000), *draw(strategies.streams(kinds=strategies.policy_kinds))]:
        chance = draw(chances)
        texts, meant = texts_of(layout, row, chance)
        if dialect.comment is not None and chance.random() < 0.1:
            text = soup(layout, chance).replace("\n", "").replace("\r", "")
            lines.append(chance.choice(["", "  "]) + dialect.comment.decode() + text)
        line = line_of(layout, texts, chance)
        # Without a header, the first row says how many columns there are.
        if spoilt and (dialect.has_header or rows) and chance.random() < 0.25:
            line = changed_line(layout, line, chance)
        lines.append(line)
        rows.append(meant)
    content = ending.join(lines) + draw(st.sampled_from(["", ending]))
    settings, data = draw(encoded(layout.settings, content))
    return Written(settings, data, [row for row in rows if row is not None])


skipped_lines = st.sampled_from(['"', "type,client,tx,amount", "", "x;'y"])


@st.composite
def encoded(draw: st.DrawFn, settings: dict[str, str], content: str) -> tuple[dict[str, str], bytes]:
    """The content in an encoding that has all of its letters, and the settings that say so, where it must be said."""
    encoding = draw(st.sampled_from(ENCODINGS))
    if encoding in ("latin-1", "cp1252"):
        try:
            return settings | {"encoding": encoding}, content.encode(encoding)
        except UnicodeEncodeError:
            encoding = "utf-8"
    data = content.encode("utf-16") if encoding == "utf-16" else content.encode()
    if encoding != "utf-16" and draw(st.booleans()):
        data = b"\xef\xbb\xbf" + data
    # UTF-16 has a byte order mark here, so it need not be said.
    if encoding is None or (encoding == "utf-16" and draw(st.booleans())):
        return settings, data
    return settings | {"encoding": encoding}, data


@st.composite
def soup_files(draw: st.DrawFn) -> Written:
    """A header, or a first row, and lines of anything."""
    layout = draw(layouts())
    dialect = layout.dialect
    chance = draw(chances)
    first = list(layout.header) if dialect.has_header else texts_of(layout, Row("deposit", 1, 1, 10_000), chance)[0]
    lines = ["x"] * dialect.skip + [line_of(layout, first, chance)]
    lines += [soup(layout, each) for each in draw(st.lists(chances, max_size=12))]
    settings, data = draw(encoded(layout.settings, "\n".join(lines)))
    if dialect.has_header and "encoding" not in settings and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data += b"\n" + draw(st.binary(max_size=60))
    return Written(settings, data, [])
