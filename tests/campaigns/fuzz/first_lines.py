"""What the fuzzed files begin with: a byte of the input chooses."""

from __future__ import annotations

# Of CSV files.
HEADERS = (
    b"",
    b"type,client,tx,amount\n",
    b"type,client,tx,amount\r\n",
    b"amount,tx,client,type\n",
    b"type,note,client,tx,amount\n",
    b"\xef\xbb\xbf\n type , client,\"tx\",amount\r",
    b",".join([b"type,client,tx", *[b""] * 35, b"amount\n"]),
)  # fmt: skip
# Of JSON lines: rows whose shape the fast path then knows.
FIRST_LINES = (
    b"{}\n",
    b'{"type":"deposit","client":1,"tx":1,"amount":"1.0000"}\n',
    b'{"type": "deposit", "client": 1, "tx": 2, "amount": 1.5}\r\n{"type": "dispute", "client": 1, "tx": 1}\r',
    b'\xef\xbb\xbf\n{"id":"a","amount":null,"tx":"1","client":"1","type":"dispute","note":[]}\n',
    b'{"t":"S","c":"a\\u00e9","x":7,"a":"1.000,5"}\n{"t":"S","c":"b","x":"7","a":1000.5}\n{"t":"7","c":"b","x":"7"}\n',
)
# The dialects of JSON lines: the default one, and some in which each part has a meaning.
KEYS = {"columns.type": "t", "columns.client": "c", "columns.tx": "x", "columns.amount": "a"}
JSON_DIALECTS: tuple[dict[str, str], ...] = (
    {},
    {**KEYS, "types.S": "deposit", "types.7": "refund", "types.N": "ignore", "decimal": ",", "thousands": "."},
    {**KEYS, "ids": "text", "types.S": "deposit", "decimals": "2", "rounding": "half-even", "comment": "#"},
    {"ids.tx": "text", "keep.type": "deposit,dispute", "keep.note": "x", "null": "0,n/a"},
    {"columns.client": "c", "columns.tx": "C", "types.+": "deposit", "types.-": "withdrawal", "amounts": "minor"},
    {"columns.credit": "a", "columns.debit": "A", "ids.client": "text"},
)
