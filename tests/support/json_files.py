"""Hypothesis strategies: files of JSON lines, from what programs write to what breaks the grammar."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.support.reference_rows import BYTE_ORDER_MARK
from tests.support.strategies import amount_texts, endings, id_texts, one_in, small_amounts, streams, type_texts

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# How programs put blanks between the parts of an object: before and after the colon, after the comma, at both ends.
STYLES = (("", "", "", ""), ("", " ", " ", ""), (" ", "\t", "  ", " "))
KEYS = ("type", "client", "tx", "amount")
OTHER_KEYS = (
    "note", "Type", "CLIENT", "id", "", "t", "ty\\u0070e", "\\u0054X", "amoun\\u0074", "tx ", "Ämount", "types",
)  # fmt: skip
NUMBERS = (
    "0", "-0", "1", "7", "01", "1.50", "1.5e3", "1E+2", "-1.25", "+1", ".5", "5.", "1.00001", "00", "0.0001", "-", "1e",
    "18446744073709551615", "18446744073709551616", "922337203685477.5807", "12345678901234567890123", "1_0", "0x1",
)  # fmt: skip
WORDS = ("null", "true", "false", "nul", "True", "NaN", "Infinity", "-Infinity", "deposit", "")
NESTED = (
    "{}", "[]", '{"type":"x"}', '[1,{"a":[]},"]"]', "[1,]", "{,}", '{"a":}', '{"a" 1}', "[1 2]", "[[}]", '{"a":"}',
)  # fmt: skip
STRINGS = (
    '"1"', '" 2 "', '"\\u0031"', '"dep\\u006Fsit"', '"\\t1"', '"1\\n"', '"a\\"b"', '"\\\\"', '"\\/"', '"\\x"',
    '"\\u12"',
    '"\\ud83d\\ude00"', '"\\ud83d"', '"\\udc80"', '"\\ude00\\ud83d"', '"a\tb"', '"a', "'1'", '"1"2', '"null"', '""',
    '"\\u00e9"', '"é"', '"\\ud83d\\u0041"', '"{"', '"},"', '"' + "x" * 70 + '"',
)  # fmt: skip

odd_values = st.sampled_from([*NUMBERS, *WORDS, *NESTED, *STRINGS])
good_values = st.sampled_from(
    [value for value in (*NUMBERS, *WORDS, *NESTED, *STRINGS) if value in ("null", "true", "7", "{}", '"a\\"b"', '"é"')]
)
styles = st.sampled_from(STYLES)
# Bytes that are put into a line, or take the place of one.
spoiling = st.sampled_from([*(bytes([byte]) for byte in b'"\\{}[],:\0\xff\t\v1\x1f\x7fe'), b"\\u"])


def quoted(text: bytes) -> str:
    """A text as a string: bytes that are no UTF-8 as the surrogates that stand for them."""
    return json.dumps(text.decode("utf-8", "surrogateescape"))


@st.composite
def values(draw: st.DrawFn, texts: SearchStrategy[bytes]) -> str:
    """The value of one of the four keys: most often a text, or the same as a number."""
    if draw(one_in(6)):
        return draw(odd_values)
    text = draw(texts)
    return text.decode() if draw(st.booleans()) and text.isdigit() else quoted(text)


def joined(members: list[tuple[str, str]], style: tuple[str, str, str, str]) -> bytes:
    """An object of keys, without their quotes, and values."""
    before, after, between, at_ends = style
    inside = f",{between}".join(f'"{key}"{before}:{after}{value}' for key, value in members)
    return f"{at_ends}{{{at_ends}{inside}{at_ends}}}{at_ends}".encode("utf-8", "surrogateescape")


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A line of any kind."""
    members = [
        ("type", draw(values(type_texts))), ("client", draw(values(id_texts))), ("tx", draw(values(id_texts))),
        ("amount", draw(values(amount_texts))),
    ]  # fmt: skip
    if draw(one_in(4)):
        members.pop(draw(st.integers(0, 3)))
    for _ in range(draw(st.integers(0, 2)) if draw(one_in(2)) else 0):
        key = draw(st.sampled_from([*OTHER_KEYS, *KEYS]))
        members.insert(draw(st.integers(0, len(members))), (key, draw(odd_values)))
    if draw(one_in(4)):
        members = draw(st.permutations(members))
    line = joined(members, draw(styles))
    while draw(one_in(5)):
        start = draw(st.integers(0, len(line)))
        line = line[:start] + draw(spoiling | st.just(b"")) + line[start + draw(st.integers(0, 2)) :]
    return line


@st.composite
def alike_lines(draw: st.DrawFn) -> list[bytes]:
    """Well-formed rows as one program writes them, with rows among them that differ a little."""
    style, order = draw(styles), draw(st.permutations(KEYS))
    others = draw(st.lists(st.sampled_from(["note", "id", "Meta"]), max_size=2, unique=True))
    are_numbers, has_null = draw(st.booleans()), draw(st.booleans())
    found = []
    for row in draw(streams(amounts=small_amounts)):
        amount = None if row.amount is None else f"{row.amount / 10_000:.4f}"
        texts = {"type": f'"{row.kind}"', "client": str(row.client), "tx": str(row.tx), "amount": amount}
        if not are_numbers:
            texts |= {name: f'"{text}"' for name, text in texts.items() if text is not None and name != "type"}
        if has_null:
            texts["amount"] = texts["amount"] or "null"
        members = [(key, text) for key in order if (text := texts[key]) is not None]
        members = [*((key, draw(good_values)) for key in others), *members]
        line = joined(members, style)
        if draw(one_in(8)):
            start = draw(st.integers(0, len(line)))
            line = line[:start] + draw(spoiling) + line[start + draw(st.integers(0, 1)) :]
        found.append(line)
    return found


@st.composite
def json_files(draw: st.DrawFn) -> bytes:
    """A file whose first byte that is not blank is `{`."""
    found = draw(st.lists(lines(), max_size=8) | alike_lines())
    content = draw(st.sampled_from([b"", b"", b"\n \r\n", b"  "])) + b"{"
    content = content + draw(st.sampled_from([b"}", b"", b'"type":"deposit","client":1,"tx":1,"amount":5}']))
    for line in found:
        content += draw(endings) + line
    content += draw(st.sampled_from([b"", b"\n", b"\r\n", b"\r", b"\n\n", b" ", b"\n \t"]))
    return (BYTE_ORDER_MARK if draw(one_in(5)) else b"") + content
