"""The fast path for quoted rows reads what it takes as the row parser does, and leaves the rest to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import replays
from tests.support.reference import HEADER
from tests.support.replays import Outcome

NOTE_HEADER = b"note,type,client,tx,amount,note\n"
LONG = b"x" * 70

texts = {
    "note": [
        b"", b"x", b'"a, b"', b'"a ""b"" c"', b'""""', b'""', b'"a"', b'"a"b"', b'x"y', b'"x', b' "a,b"', b'"a,b" ',
        b'","', b'",,"","', b'"a""', b'"""', b'"a" "b"', b'"' + LONG + b', z"', b'"' + b'""' * 40 + b'"', b'"a\rb"',
        b'"\n"', b'"a,\r\n"',
    ],
    "type": [b"deposit", b'"deposit"', b'"dispute"', b'" deposit"', b'"fee"', b'""'],
    "client": [b"1", b'"2"', b'"18446744073709551615"', b'"1,2"', b'""', b'"3""4"'],
    "tx": [b"5", b'"6"', b'"123456789012"', b'"+7"'],
    "amount": [b"1.5", b'"2.25"', b'""', b"", b'"-3"', b'"1,5"', b'"1.00001"'],
}  # fmt: skip
names = [name.decode() for name in NOTE_HEADER.strip().split(b",")]
rows = st.tuples(*(st.sampled_from(texts[name]) for name in names)).map(b",".join)


def read(content: bytes, block_bytes: int | None = None) -> Outcome:
    outcome = replays.assert_as_reference([("in.csv", content)], reader="native", block_bytes=block_bytes)
    assert outcome is not None
    return outcome


@given(st.lists(rows, max_size=12), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.integers(1, 400))
def test_rows_with_any_quotes_are_read_as_the_rules_say(lines: list[bytes], ending: bytes, block_bytes: int) -> None:
    read(NOTE_HEADER + ending.join(lines), block_bytes)


@given(st.lists(rows, min_size=1, max_size=6), st.data())
def test_rows_that_are_spoilt_are_read_as_the_rules_say(lines: list[bytes], data: st.DataObject) -> None:
    content = b"\n".join(lines)
    cut = data.draw(st.integers(0, len(content)))
    spoilt = content[:cut] + data.draw(st.sampled_from([b'"', b",", b'""', b" ", b"\r", b'","'])) + content[cut:]
    read(NOTE_HEADER + spoilt)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (HEADER, b'"deposit","1","2","3.5"\n'),
        (b"amount,tx,client,type\n", b'"3.5",2,1,"deposit"\r\n'),
        (NOTE_HEADER, b'"a, b",deposit,1,2,"3.5","say ""x"", y"\n'),
        (NOTE_HEADER, b'"' + LONG + b'","deposit","1","2","3.5","' + LONG + b',"""\r'),
        (NOTE_HEADER, b",deposit,1,2,3.5," + b'"' + b'","' * 3 + b'"\n'),
    ],
)
def test_simple_quotes_are_no_hindrance(header: bytes, row: bytes) -> None:
    outcome = read(header + row)
    assert (outcome.applied, outcome.rejects) == ({"deposit": 1}, [])
