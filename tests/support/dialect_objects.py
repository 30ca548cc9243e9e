"""Hypothesis strategies: JSON lines that are written under a dialect, with whatever the dialect leaves to chance.

How a dialect is drawn is in `dialect_strategies`.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from random import Random

from hypothesis import strategies as st

from tests.support import strategies
from tests.support.dialect_files import OTHER_TEXTS, Layout, soup, texts_of
from tests.support.dialect_strategies import Written, chances, encoded, layouts
from tests.support.json_files import NESTED, NUMBERS, STRINGS, STYLES, WORDS, joined
from tests.support.reference_dialect import Dialect
from tests.support.reference_dialect_values import parse_amount
from tests.support.rows import Row

JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
AMOUNTS = ("amount", "credit", "debit")
OTHER_VALUES = ["{}", "[]", "null", "true", "1.5e3", '[{"type":"deposit"}]', '"\\u00e9"']
SPOILING = [*'"\\{}[],:\v1\x1f\x7fe', "\\u"]


@st.composite
def written_objects(draw: st.DrawFn, *, spoilt: bool, has_currency: bool | None = None) -> Written:
    """Files of JSON lines as a program writes them under a dialect. Where they are `spoilt`, some lines are changed at
    random."""
    layout = without_header(draw(layouts(has_header=True, has_currency=has_currency)))
    order = draw(st.permutations(range(len(layout.columns))))
    style = draw(st.sampled_from(STYLES))
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines: list[str] = []
    rows: list[Row | None] = []
    for row in [Row("deposit", 1, 1, 10_000), *draw(strategies.streams(kinds=strategies.policy_kinds))]:
        chance = draw(chances)
        if layout.dialect.comment is not None and lines and chance.random() < 0.1:
            text = soup(layout, chance).replace("\n", "").replace("\r", "")
            lines.append(chance.choice(["", " \t"]) + layout.dialect.comment.decode() + text)
        texts, meant = texts_of(layout, row, chance)
        drawn = members_of(layout, texts, chance)
        members = [each for index in order if (each := drawn[index]) is not None]
        if chance.random() < 0.1:
            chance.shuffle(members)
        if spoilt and chance.random() < 0.1:
            index = chance.randrange(len(members) + 1)
            key = members[index - 1][0] if chance.random() < 0.7 else chance.choice(layout.header)
            members[index : index + chance.randrange(2)] = [(key, odd_value(layout, chance))]
        line = joined(members, style).decode()
        if spoilt and lines and chance.random() < 0.1:
            start = chance.randrange(len(line) + 1)
            line = line[:start] + chance.choice(SPOILING) + line[start + chance.randrange(2) :]
        lines.append(line)
        rows.append(meant)
    content = ending.join(lines) + draw(st.sampled_from(["", ending, f"{ending} {ending}"]))
    settings, data = draw(encoded(layout.settings, content))
    return Written(settings, data, [row for row in rows if row is not None])


def without_header(layout: Layout) -> Layout:
    """A layout without what JSON lines do not have."""
    settings = {name: value for name, value in layout.settings.items() if name not in ("header", "skip")}
    return layout._replace(settings=settings)


def members_of(layout: Layout, texts: list[str], chance: Random) -> list[tuple[str, str] | None]:
    """The keys of the columns and their values, in the order of the columns; None for one that is left out."""
    members: list[tuple[str, str] | None] = []
    for column, name, text in zip(layout.columns, layout.header, texts, strict=True):
        key = name if chance.random() < 0.9 or column == "other" else swapped(name)
        if column == "other":
            value = chance.choice([json.dumps(text), chance.choice(OTHER_VALUES)])
        elif not text:
            value = chance.choice(["null", '""', '" \\t"', ""])
        else:
            value = value_of(layout.dialect, column, text, chance)
        members.append((json.dumps(key, ensure_ascii=chance.random() < 0.2)[1:-1], value) if value else None)
    return members


def swapped(name: str) -> str:
    """A name in which letters A to Z are in the other case."""
    return "".join(each.swapcase() if each.isascii() else each for each in name)


def value_of(dialect: Dialect, column: str, text: str, chance: Random) -> str:
    """A text as a value that means the same: a string, or a number."""
    if chance.random() < 0.4:
        number = number_of(dialect, text) if column in AMOUNTS else text
        if JSON_NUMBER.fullmatch(number) and dialect.is_empty(number.encode()) == dialect.is_empty(text.encode()):
            return number
    blanks = [""] * 8 + [" ", "\\t", "\\u000b \\u0020"]
    return '"' + chance.choice(blanks) + escaped(text, chance) + chance.choice(blanks) + '"'


def number_of(dialect: Dialect, text: str) -> str:
    """The amount of a text as a number of JSON, which has a point before its decimals; "" where it is none."""
    units = parse_amount(text.encode(), dialect)
    if units is None:
        return ""
    places = 0 if dialect.is_minor else dialect.decimals
    whole, fraction = divmod(abs(units), 10**places)
    number = f"{'-' * (units < 0)}{whole}" + (f".{fraction:0{places}}" if places else "")
    exact = replace(dialect, decimal=b".", thousands=None)
    assert parse_amount(number.encode(), exact) == units
    return number


def escaped(text: str, chance: Random) -> str:
    """The inside of a string: what must be escaped is, and sometimes all, or some of it."""
    written = json.dumps(text, ensure_ascii=chance.random() < 0.2)[1:-1]
    if chance.random() < 0.9:
        return written
    return "".join(json.dumps(each)[1:-1] if chance.random() < 0.5 else f"\\u{ord(each):04X}" for each in text)


def odd_value(layout: Layout, chance: Random) -> str:
    """Any value, or what is none."""
    return chance.choice([
        *NUMBERS, *WORDS, *NESTED, *STRINGS, json.dumps(soup(layout, chance)), json.dumps(chance.choice(OTHER_TEXTS)),
    ])  # fmt: skip
