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
)
