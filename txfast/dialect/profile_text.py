"""Findings as the text of a profile: TOML, with a comment for all that a person has to look at.

The standard library reads TOML and does not write it: this writes what a profile needs. This module must not know where
the findings come from.
"""

import re

from txfast.dialect.findings import UNKNOWN
from txfast.printable import ESCAPES, printable

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from txfast.dialect.findings import Findings, Setting

COLUMNS_MAX = 120
# Parts that are lists of words, and parts that are numbers.
WORD_LISTS = ("null", "keep.")
NUMBERS = ("skip", "decimals")
SWITCH = {"yes": "true", "no": "false"}
# The tables of a profile in their order, and the beginning of the names of the parts that each has.
TABLES = (("columns", "columns."), ("types", "types."), ("dialect", ""), ("dialect.keep", "keep."))


def profile_text(findings: "Findings", head: "Iterable[str]") -> str:
    """A profile with these settings. The sentences of `head`, and the remarks, are comments before and after them."""
    lines = [line for sentence in head for line in comment_lines(sentence)]
    for table, prefix in TABLES:
        settings = [each for each in findings.settings if table_of(each.name) == table]
        if not settings:
            continue
        is_open = all(each.is_open for each in settings)
        lines += ["", f"{'# ' if is_open else ''}[{table}]"]
        lines += [setting_line(each, each.name.removeprefix(prefix)) for each in settings]
    if findings.remarks:
        lines += ["", *(line for remark in findings.remarks for line in comment_lines(remark))]
    return "\n".join(lines) + "\n"


def table_of(name: str) -> str:
    """The table in which a part of a dialect stands."""
    return next((table for table, prefix in TABLES if prefix and name.startswith(prefix)), "dialect")


def setting_line(setting: "Setting", key: str) -> str:
    """A setting as a line; a comment where it is open."""
    line = f"{toml_key(key)} = {toml_value(setting.name, setting.value)}"
    if setting.note:
        line += f"  # {printable(setting.note)}"
    return f"# {line}" if setting.is_open else line


def toml_value(name: str, value: str) -> str:
    """The value of a part of a dialect in TOML."""
    if value != UNKNOWN:
        if name.startswith(WORD_LISTS):
            return f"[{', '.join(map(toml_string, value.split(',')))}]"
        if name in NUMBERS:
            return value
        if name == "header":
            return SWITCH[value]
    return toml_string(value)


def toml_key(key: str) -> str:
    """A key: bare where it can be, else in quotes."""
    return key if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", key) else toml_string(key)


def toml_string(text: str) -> str:
    """A basic string of TOML. What a terminal would obey is escaped."""
    escapes = {code: f"\\u{code:04x}" for code in ESCAPES} | {ord("\t"): r"\t", ord("\n"): r"\n", ord("\r"): r"\r"}
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').translate(escapes) + '"'


def comment_lines(sentence: str) -> "Iterator[str]":
    """A sentence as lines of comments."""
    line = "#"
    for word in printable(sentence).split(" "):
        if len(line) + 1 + len(word) > COLUMNS_MAX and line != "#":
            yield line
            line = "#"
        line += f" {word}"
    yield line
