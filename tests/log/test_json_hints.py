"""Hints about lines of JSON."""

from __future__ import annotations

import pytest

from txfast.batch.header import JSON_HEADER, Header
from txfast.log.hints import hint_of

HINTS = {
    b'{"type":"deposit","client":1,"tx":1,}': "no JSON from column 37 on",
    b'{"type":"deposit","client":01}': "no JSON from column 29 on",
    b'{"type":"deposit","client":1': "it ends too early",
    b'{"type":"deposit"},': "a comma behind the object? leave that out",
    b'{"type":"deposit"} x': "one object a line: there is more from column 20 on",
    b"{'type':'deposit'}": "single quotes? JSON has double quotes",
    b"[1,2]": "an array? put its objects into lines of their own: jq -c '.[]' FILE",
    b"{": "an object of several lines? put each object into a line of its own: jq -c . FILE",
    b'  "type": "deposit",': "an object of several lines? put each object into a line of its own: jq -c . FILE",
    b"1": "an object has braces around it",
    b"deposit,1,1,1": "no JSON from column 1 on",
    b'\xef\xbb\xbf{"type":"deposit"}': "a byte order mark in front of it? leave that out",
    b'{"type":"deposit","amount":NaN}': "NaN is no JSON: write null, or leave the key out",
    b'{"type":"deposit","type":1}': "the key type is there twice",
    b'{"Type":"deposit","TYPE":1,"tYpe":2}': "the key type is there 3 times",
    b'{"client":{}}': "client is an object, not a text or a number",
    b'{"amount":[1]}': "amount is an array, not a text or a number",
    b"[" * 70_000: "",
    b'{"a":' + b"[" * 60_000 + b"}": "",
    b'{"note":"\xff"': "it ends too early",
}


@pytest.mark.parametrize("row", HINTS, ids=lambda row: repr(row[:30]))
def test_a_line_that_is_no_row_is_explained(row: bytes) -> None:
    assert hint_of("bad_json", row, Header(JSON_HEADER, "in")) == HINTS[row]


FIELD_HINTS = {
    ("bad_amount", b'{"amount":"1.250,00"}'): (
        "a decimal comma? write 1250.00, or add --decimal , --dialect thousands=."
    ),
    ("bad_amount", b'{"Amount":1e3}'): "an exponent? write all digits",
    ("bad_client", b'{"client":1.0}'): "a whole number is written without decimals: 1",
    ("bad_client", b'{"client":null}'): "it is empty",
    ("bad_type", b'{"type":"credit"}'): "deposit? correct it, or add --types credit=deposit",
    ("bad_tx", b'{"tx":"ch_1"}'): "ids that are texts? add --ids text",
    ("bad_type", b'{"type":true}'): "",
    ("missing_field", b'{"type":"deposit"}'): "no client and no tx",
    ("missing_field", b'{"kind":"x","customer":1,"tx":1}'): (
        "no type and no client; add --columns type=kind,client=customer"
    ),
    ("row_too_long", b'{"a":'): "",
}  # fmt: skip


@pytest.mark.parametrize(("reason", "row"), FIELD_HINTS, ids=repr)
def test_a_field_is_explained_as_in_csv(reason: str, row: bytes) -> None:
    assert hint_of(reason, row, Header(JSON_HEADER, "in")) == FIELD_HINTS[reason, row]
