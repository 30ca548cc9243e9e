"""Headers: they find the four columns among any others, and a line that is no header is refused."""

from __future__ import annotations

import io
import itertools

import pytest

import txfast
from tests.support import replays
from txfast.batch.header import COLUMN_NAMES, Header
from txfast.errors import InputError, TxfastError
from txfast.readers.parse_line import parse_line

pytestmark = pytest.mark.unmeasured

MIB = 1024 * 1024
ONE_DEPOSIT = ("deposit", 1, 2, 15_000)


def short(value: object) -> str:
    """A test's id: some of these texts are long."""
    return repr(value)[:40]


@pytest.mark.parametrize("names", list(itertools.permutations(COLUMN_NAMES)))
def test_columns_stand_in_any_order(names: tuple[str, ...]) -> None:
    texts = {"type": "deposit", "client": "1", "tx": "2", "amount": "1.5"}
    header = Header(",".join(names).encode(), "in")
    assert header.width == 4
    assert parse_line(",".join(texts[name] for name in names).encode(), header) == ONE_DEPOSIT


@pytest.mark.parametrize(
    ("header", "row"),
    [
        (b"type,client,tx,amount,note", b'deposit,1,2,1.5,"x, y"'),
        (b"note,type,client,tx,amount", b'"x, ""y""",deposit,1,2,1.5'),
        (b"a,type,b,client,c,tx,d,amount,e", b",deposit,,1,,2,,1.5,"),
        (b",type,,client,tx,,amount,", b"x,deposit,x,1,2,x,1.5"),
        (b" type , client\t,\vtx\f,amount ", b"deposit,1,2,1.5"),
        (b'"type","client","tx","amount"', b"deposit,1,2,1.5"),
        (b' "type" ,\t" client "\t,"tx","\vamount\f"', b"deposit,1,2,1.5"),
        (b'"a, b","say ""type""",type,client,tx,amount', b"x,x,deposit,1,2,1.5"),
        (b"Type,TYPE,type,client,tx,amount", b"x,x,deposit,1,2,1.5"),
        (b"Type,Client,Tx,Amount", b"deposit,1,2,1.5"),
        (b'TYPE,"cLIENT",\ttX,aMOUNT', b"deposit,1,2,1.5"),
        (b"Amount,Type,Client,Tx,amount", b"x,deposit,1,2,1.5"),
        (b"note,note,type,client,tx,amount", b"x,x,deposit,1,2,1.5"),
        (b"types,clients,txs,amounts,type,client,tx,amount", b"x,x,x,x,deposit,1,2,1.5"),
        (b"\xff\xfe,\xc2\x80,type,client,tx,amount", b"x,x,deposit,1,2,1.5"),
        (b"caf\xc3\xa9,type,client,tx,amount", b"x,deposit,1,2,1.5"),
        (b"x," * 1000 + b"type,client,tx,amount", b"," * 1000 + b"deposit,1,2,1.5"),
        (b"type," + b"x," * 40 + b"client,tx,amount", b"deposit," + b"y," * 40 + b"1,2,1.5"),
    ],
    ids=short,
)
def test_the_four_columns_stand_among_any_others(header: bytes, row: bytes) -> None:
    assert parse_line(row, Header(header, "in")) == ONE_DEPOSIT
    content = header + b"\n" + row
    for reader in replays.READERS:
        outcome = replays.assert_as_reference([("in", content)], reader=reader)
        assert outcome is not None
        assert outcome.accounts.endswith(b"\n1,1.5000,0.0000,1.5000,false\n")


@pytest.mark.parametrize(
    ("header", "row", "delimiter"),
    [
        (b"type;client;tx;amount", b"deposit;1;2;1.5", ";"),
        (b"type\tclient\ttx\tamount", b"deposit\t1\t2\t1.5", "\t"),
        (b"note|type|client|tx|amount", b"a,b|deposit|1|2|1.5", "|"),
        (b"a,b;client;tx;amount;type", b"a,b;1;2;1.5;deposit", ";"),
        (b'"a;b",type,client,tx,amount', b"x,deposit,1,2,1.5", ","),
    ],
    ids=short,
)
def test_the_delimiter_is_the_one_that_makes_the_header_name_the_four_columns(
    header: bytes, row: bytes, delimiter: str
) -> None:
    found = Header(header, "in")
    assert found.delimiter == delimiter
    assert parse_line(row, found) == ONE_DEPOSIT
    for accounts in (
        txfast.process(io.BytesIO(header + b"\n" + row)).accounts,
        txfast.process(io.BytesIO(header + b"\n" + row), reader="arrow").accounts,
    ):
        assert [(each.client, str(each.total)) for each in accounts] == [(1, "1.5000")]


def test_a_row_may_end_before_its_last_columns() -> None:
    header = Header(b"amount,note,tx,client,type", "in")
    assert parse_line(b"1.5,,2,1,deposit", header) == ONE_DEPOSIT
    assert parse_line(b"1.5,,2,1", header) == "missing_field"
    assert parse_line(b"1.5", header) == "missing_field"
    assert parse_line(b"deposit,1,2,note", Header(b"type,client,tx,note,amount", "in")) == ("deposit", 1, 2, None)


def test_the_width_of_a_header_is_its_number_of_columns() -> None:
    assert Header(b"type,client,tx,amount", "in").width == 4
    assert Header(b'type,client,tx,amount,"a,b",', "in").width == 6


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "no column type, client, tx, amount"),
        (b"nonsense", "no column type, client, tx, amount"),
        (b"type,client,tx", "no column amount"),
        (b"type,tx,amount", "no column client"),
        (b"client,tx,amount", "no column type"),
        (b"type,client,amount", "no column tx"),
        (b"Type,TYPE,client,tx,amount", "names 'type' twice"),
        (b"type,client,TX,tX,amount", "names 'tx' twice"),
        (b"type,type,TYPE,client,tx,amount", "names 'type' twice"),
        (b"Types,client,tx,amount", "no column type"),
        ("\u0442ype,client,tx,amount".encode(), "no column type"),
        (b"type:client:tx:amount", "no column"),
        (b"x;type;client;tx;amount;,type,client,tx,amount", "by ',' and by ';'"),
        (b"ty pe,client,tx,amount", "no column type"),
        (b"type\xc2\xa0,client,tx,amount", "no column type"),
        (b"\xef\xbb\xbftype,client,tx,amount", "no column type"),
        (b"type\x00,client,tx,amount", "a control byte, 0x00"),
        (b'"""type""",client,tx,amount', "no column type"),
        (b'ty"pe",client,tx,amount', "no column type"),
        (b"deposit,1,1,1.0", "no column"),
        (b"type,type,client,tx,amount", "twice"),
        (b"type,client,tx,amount,amount", "twice"),
        (b'type,client,tx,amount," tx "', "twice"),
        (b'type,client,tx,"amount', "badly quoted"),
        (b'type,client,tx,amount,"note', "badly quoted"),
        (b'"type"x,client,tx,amount', "badly quoted"),
        (b"type,client,tx,amount," + b"x" * MIB, "longer than 1 MiB"),
    ],
    ids=short,
)
def test_a_line_that_is_no_header_is_refused_with_file_and_reason(line: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why) as raised:
        Header(line, "folder/in.csv")
    assert str(raised.value).startswith("folder/in.csv: not a transactions file: ")
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, TxfastError)
    assert isinstance(raised.value, ValueError)


def test_a_header_of_exactly_one_mib_is_read() -> None:
    line = b"type,client,tx,amount,"
    assert parse_line(b"deposit,1,2,1.5", Header(line + b"x" * (MIB - len(line)), "in")) == ONE_DEPOSIT
