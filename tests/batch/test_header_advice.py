"""Advice about a header that cannot be read: what it seems to be, and what to do about it."""

import pytest

from txfast.batch.header import Header
from txfast.errors import InputError

MIB = 1024 * 1024


def short(value: object) -> str:
    """A test's id: some of these texts are long."""
    return repr(value)[:40]


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        (
            b"tx | amount | currency",
            "no column type, client: it needs type, client, tx, amount, and has 'tx', 'amount',",
        ),
        (
            b"Konto;Art;Nr",
            "and has 'Konto', 'Art', 'Nr': add --columns type=Art,client=Konto,tx=Nr,amount=COLUMN; if lines stand "
            "before the header, add --dialect skip=N, their number; txfast --dialect-of FILE prints a profile for it",
        ),
        (b'"type,client,tx,amount"', "it is one field in quotes: leave the quotes around the whole line out"),
        (
            b"# made by the nightly export",
            "its first line, '# made by the nightly export', is a comment: add --dialect comment='#'",
        ),
        (
            b"deposit,1,1,10.00",
            "its first line is a row, 'deposit,1,1,10.00': add --dialect header=no, or a line in front",
        ),
        (b"type,customer,id,amount", "add --columns client=customer,tx=id"),
        (
            b"Transaction Type,USER_ID,txn-id,Value",
            "add --columns 'type=Transaction Type',client=USER_ID,tx=txn-id,amount=Value",
        ),
        (
            b"Date,Account,Reference,Amount",
            "name the column of types, as in --columns type=COLUMN; or, if the sign of an amount is its type, add "
            "--columns client=Account,tx=Reference --types +=deposit,-=withdrawal",
        ),
        (b"type,cleint,tx,amonut", "add --columns client=cleint,amount=amonut"),
        (b"Date,Account,Reference,Debit,Credit", "add --columns client=Account,tx=Reference,credit=Credit,debit=Debit"),
        (
            b"Datum;Konto;Beleg;Soll;Haben",
            "no column type, client, tx, amount: add --columns client=Konto,tx=Beleg,credit=Haben,debit=Soll",
        ),
        (b"Tipo;Cliente;Referencia;Monto", "add --columns type=Tipo,client=Cliente,tx=Referencia,amount=Monto"),
        (
            b"type,client,who,amount",
            "no column tx: it needs type, client, tx, amount, and has 'type', 'client', 'who', 'amount': add --columns "
            "NAME=COLUMN; txfast --dialect-of FILE prints a profile for it",
        ),
        (b"Account:,1234", "it needs type, client, tx, amount, and has 'Account:', '1234': add --columns"),
        (b"type,client,tx,zzz", "it needs type, client, tx, amount, and has 'type', 'client', 'tx', 'zzz'"),
        (
            b"x" * 300,
            "it needs type, client, tx, amount, and has '" + "x" * 79 + "\u2026: add --columns NAME=COLUMN; if",
        ),
    ],
    ids=short,
)
def test_a_header_without_the_four_columns_gets_advice(header: bytes, advice: str) -> None:
    with pytest.raises(InputError) as caught:
        Header(header, "in.csv")
    message = str(caught.value)
    assert message.startswith("in.csv: not a transactions file: its header has no column ")
    assert advice in message


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("€type,client".encode("utf-16-le"), "0x00: it may be UTF-16 without a byte order mark: iconv -f UTF-16LE -t"),
        ("€type,client".encode("utf-16-be"), "0x00: it may be UTF-16 without a byte order mark: iconv -f UTF-16BE -t"),
        (b"x\0y,type,client,tx,amount", "0x00: it is no text, but perhaps an archive or a database: take the CSV out"),
        (b"\x1b[31mtype,client", "0x1b: it is no text, but perhaps"),
    ],
    ids=short,
)
def test_a_header_with_control_bytes_gets_advice(header: bytes, advice: str) -> None:
    with pytest.raises(InputError, match="its header has a control byte") as caught:
        Header(header, "in.csv")
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"type,client,tx,amount,type", "its header names 'type' twice, in columns 1 and 5: leave one out"),
        (
            b'type,client,tx,"amount',
            "its header is badly quoted: close each quote before a delimiter, or add --dialect quote=none where quotes "
            "mean nothing",
        ),
        (b"x" * (MIB + 1), "its header is longer than 1 MiB: is it text, in lines?"),
    ],
    ids=short,
)
def test_a_header_that_cannot_be_read_says_what_to_do(header: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Header(header, "in.csv")
    assert str(caught.value) == f"in.csv: not a transactions file: {message}"
