"""Small files in the shapes that people replay: each with the one command that gives its accounts, or with the line
that says why it is refused.

Shapes that need a query of DuckDB have it here; docs/cookbook/ explains them.
"""

from __future__ import annotations

import io
import zipfile
from typing import NamedTuple

import pytest

from tests.support.command import Folder
from tests.support.reference import ACCOUNTS_HEADER

HEADER = "type,client,tx,amount\n"
BY_SIGN = ("--dialect", "types.+=deposit", "--dialect", "types.-=withdrawal")


class Shape(NamedTuple):
    """The content of in.csv, the arguments of the command, and the accounts that it prints.

    Where `said` is given, standard error has a line with this text. `code` is the exit code.
    """

    content: str | bytes
    arguments: tuple[str, ...]
    accounts: str
    said: str = ""
    code: int = 0


def zipped(name: str, text: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, text)
    return content.getvalue()


SHAPES = {
    # ---- Words and columns
    "account-money-upper": Shape(
        "TRANSACTION_TYPE,REFERENCE,USER_ID,SOURCE_ID,NET\nSETTLEMENT,A,77,31,55.00\nSETTLEMENT,B,77,32,21.00\n"
        "DISPUTE,A,77,31,-55.00\nCHARGEBACK,A,77,31,0.00\nWITHDRAWAL,,77,33,-9.00\n",
        ("in.csv", "--columns", "client=USER_ID,tx=SOURCE_ID,amount=NET", *BY_SIGN, "--policy",
         "withdrawal-ids=ignored,overdraft=all", "--dialect", "keep.TRANSACTION_TYPE=SETTLEMENT,DISPUTE,WITHDRAWAL"),
        "77,12.0000,0.0000,12.0000,false",
    ),
    "header-case": Shape(
        "Type,Client,Tx,Amount\ndeposit,2,1,11.00\nwithdrawal,2,2,4.00\n", ("in.csv",), "2,7.0000,0.0000,7.0000,false"
    ),
    "words-case": Shape(
        HEADER + "DEPOSIT,2,1,6.00\nDeposit,3,2,5.00\nWithdrawal,2,3,1.50\nDISPUTE,3,2,\n",
        ("in.csv",),
        "2,4.5000,0.0000,4.5000,false\n3,0.0000,5.0000,5.0000,false",
    ),
    "no-header": Shape(
        "deposit,2,1,9.00\nwithdrawal,2,2,2.50\n", ("in.csv", "--dialect", "header=no"), "2,6.5000,0.0000,6.5000,false"
    ),
    "debit-credit-columns": Shape(
        "Date,Account,Reference,Text,Debit,Credit\n2031-05-01,22,81,wages,,1200.00\n2031-05-02,22,82,flat,650.25,\n",
        ("in.csv", "--columns", "client=Account,tx=Reference,credit=Credit,debit=Debit"),
        "22,549.7500,0.0000,549.7500,false",
    ),
    "signed-amount": Shape(
        "Date,Account,Reference,Amount\n2031-05-01,22,81,130.00\n2031-05-02,22,82,-29.95\n2031-05-02,23,83,4.00\n",
        ("in.csv", "--columns", "client=Account,tx=Reference", *BY_SIGN),
        "22,100.0500,0.0000,100.0500,false\n23,4.0000,0.0000,4.0000,false",
    ),
    "stripe-activity": Shape(
        "id,created_utc,currency,gross,fee,net,reporting_category\nt1,2031-05-01,usd,60.00,2.04,57.96,charge\n"
        "t2,2031-05-02,usd,-10.00,0.00,-10.00,refund\nt3,2031-05-03,usd,-60.00,15.00,-75.00,dispute\n"
        "t4,2031-05-09,usd,60.00,0.00,60.00,dispute_reversal\n",
        ("--sql", "SELECT 1 AS client, row_number() OVER () AS tx, net AS amount, currency FROM 'in.csv'", *BY_SIGN,
         "--dialect", "keep.currency=usd", "--policy", "overdraft=withdrawals"),
        "1,32.9600,0.0000,32.9600,false",
    ),
    # ---- Delimiters, numbers and text around the rows
    "pipe-separated": Shape(
        "type|client|tx|amount\ndeposit|2|1|12.00\nwithdrawal|2|2|5.00\n", ("in.csv",), "2,7.0000,0.0000,7.0000,false"
    ),
    "semicolon-decimal-comma": Shape(
        "type;client;tx;amount\ndeposit;2;1;3.210,55\nwithdrawal;2;2;10,55\n",
        ("in.csv", "--decimal", ",", "--dialect", "thousands=."),
        "2,3200.0000,0.0000,3200.0000,false",
    ),
    "decimal-comma-unquoted": Shape(
        HEADER + "deposit,2,1,17,50\ndeposit,3,2,8,25\n", ("in.csv",), "", "too_many_fields", 1
    ),
    "apostrophe-thousands": Shape(
        HEADER + "deposit,2,1,21'040.50\nwithdrawal,2,2,1'040.00\n",
        ("in.csv", "--dialect", "thousands='"),
        "2,20000.5000,0.0000,20000.5000,false",
    ),
    "thousands-quoted": Shape(
        HEADER + 'deposit,2,1,"4,000.00"\nwithdrawal,2,2,"1,250.50"\n',
        ("in.csv", "--dialect", "thousands=,"),
        "2,2749.5000,0.0000,2749.5000,false",
    ),
    "currency-symbol": Shape(
        HEADER + 'deposit,2,1,$310.25\ndeposit,2,2,"$2,004.75"\nwithdrawal,2,3,15.00 USD\n',
        ("--sql", "SELECT * REPLACE (regexp_replace(amount, '[$, ]|USD', '', 'g') AS amount) FROM 'in.csv'"),
        "2,2300.0000,0.0000,2300.0000,false",
    ),
    "negative-styles": Shape(
        HEADER + "payment,2,1,400.00\npayment,2,2,(60.00)\npayment,2,3,15.00-\npayment,2,4,--$9.75\n",
        ("--sql", "SELECT CASE WHEN regexp_matches(amount, '^([(]|-[^-])|-$') THEN 'withdrawal' ELSE 'deposit' END "
         "AS type, client, tx, regexp_replace(amount, '[-()$]', '', 'g') AS amount FROM 'in.csv'"),
        "2,334.7500,0.0000,334.7500,false",
    ),
    "exponent": Shape(
        HEADER + "deposit,2,1,3.5E+2\ndeposit,2,2,5e-1\n",
        ("--sql", "SELECT * REPLACE (CAST(amount AS DECIMAL(38, 10)) AS amount) FROM 'in.csv'"),
        "2,350.5000,0.0000,350.5000,false",
    ),
    "eight-decimals": Shape(
        HEADER + "deposit,2,1,0.00481220\ndeposit,2,2,3.2500000000\nwithdrawal,2,3,0.00000220\n",
        ("in.csv", "--decimals", "8"),
        "2,3.25481000,0.00000000,3.25481000,false",
    ),
    "preamble": Shape(
        f'"Account:","55 / savings"\n"Printed:","2031-05-31"\n\n{HEADER}deposit,2,1,14.00\nwithdrawal,2,2,6.00\n',
        ("in.csv", "--dialect", "skip=2"),
        "2,8.0000,0.0000,8.0000,false",
    ),
    "comment-rows": Shape(
        f"# nightly\n{HEADER}# one\ndeposit,2,1,14.00\n# two\ndeposit,3,2,1.00\n",
        ("in.csv", "--dialect", "comment=#"),
        "2,14.0000,0.0000,14.0000,false\n3,1.0000,0.0000,1.0000,false",
    ),
    "lone-cr": Shape(
        "type,client,tx,amount\rdeposit,2,1,8.00\rwithdrawal,2,2,3.00\r", ("in.csv",), "2,5.0000,0.0000,5.0000,false"
    ),
    "utf16-comma": Shape(
        (HEADER + "deposit,2,1,8.00\r\n").encode("utf-16"), ("in.csv",), "2,8.0000,0.0000,8.0000,false"
    ),
    "utf16-tab": Shape(
        (HEADER + "deposit,2,1,8.00\r\n").replace(",", "\t").encode("utf-16"),
        ("in.csv",),
        "2,8.0000,0.0000,8.0000,false",
    ),
    "zipped": Shape(
        zipped("may.csv", HEADER + "deposit,2,1,8.00\n"), ("in.csv",), "2,8.0000,0.0000,8.0000,false"
    ),
    "json-lines": Shape(
        '{"type":"deposit","client":2,"tx":1,"amount":"8.00"}\n{"type":"dispute","client":2,"tx":1}\n',
        ("in.csv",),
        "2,0.0000,8.0000,8.0000,false",
    ),
    # ---- Fields over several lines
    "quoted-newline": Shape(
        'type,client,tx,amount,note\ndeposit,2,1,70.00,"one\ntwo"\nwithdrawal,2,2,20.00,"a ""b""\r\nc"\n',
        ("in.csv",),
        "2,50.0000,0.0000,50.0000,false",
    ),
    "quoted-newline-first": Shape(
        'note,type,client,tx,amount\n"by\nphone",deposit,2,1,70.00\nplain,withdrawal,2,2,20.00\n',
        ("in.csv",),
        "2,50.0000,0.0000,50.0000,false",
    ),
    "note-injects-row": Shape(
        'type,client,tx,amount,note\ndeposit,2,1,4.00,"hello\ndeposit,13,99,5000.00,x"\ndeposit,3,2,6.00,ok\n',
        ("in.csv",),
        "2,4.0000,0.0000,4.0000,false\n3,6.0000,0.0000,6.0000,false",
        "looks like a row, but is part of a quoted field",
    ),
    # ---- Disputes and settled facts
    "chargeback-direct": Shape(
        HEADER + "deposit,2,1,80.00\ndeposit,2,2,30.00\nchargeback,2,1,\n",
        ("in.csv", "--policy", "direct-chargeback=allow"),
        "2,30.0000,0.0000,30.0000,true",
    ),
    "chargeback-reversed": Shape(
        HEADER + "deposit,2,1,80.00\ndispute,2,1,\nchargeback,2,1,\nwon,2,1,\nwithdrawal,2,2,30.00\n",
        ("in.csv", "--types", "won=reversal"),
        "2,50.0000,0.0000,50.0000,false",
    ),
    "credit-after-lock": Shape(
        HEADER + "deposit,2,1,80.00\ndispute,2,1,\nchargeback,2,1,\ndeposit,2,2,15.00\nwithdrawal,2,3,5.00\n",
        ("in.csv", "--policy", "locked=deposits", "warn"),
        "2,15.0000,0.0000,15.0000,true",
        "rejected: in.csv:6: account_locked",
    ),
    "dispute-again": Shape(
        HEADER + "deposit,2,1,80.00\ndispute,2,1,\nresolve,2,1,\ndispute,2,1,\nchargeback,2,1,\n",
        ("in.csv", "--policy", "redispute=after-resolve"),
        "2,0.0000,0.0000,0.0000,true",
    ),
    "dispute-partial": Shape(
        HEADER + "deposit,2,1,80.00\ndispute,2,1,25.00\n",
        ("in.csv", "--policy", "dispute-amount=partial"),
        "2,55.0000,25.0000,80.0000,false",
    ),
    # No policy takes more than the payment: the row is refused, and somebody must look at it.
    "dispute-larger": Shape(
        HEADER + "deposit,2,1,80.00\ndispute,2,1,83.40\n",
        ("in.csv", "--policy", "dispute-amount=partial", "warn"),
        "2,80.0000,0.0000,80.0000,false",
        "rejected: in.csv:3: amount_too_large",
    ),
    "withdrawal-disputed": Shape(
        HEADER + "deposit,2,1,80.00\nwithdrawal,2,2,25.00\ndispute,2,2,\n",
        ("in.csv", "--policy", "withdrawal-dispute=hold"),
        "2,55.0000,25.0000,80.0000,false",
    ),
    "refund-linked": Shape(
        HEADER + "deposit,2,1,80.00\nrefund,2,1,25.00\ndeposit,2,2,10.00\nrefund,2,2,10.00\n",
        ("in.csv",),
        "2,55.0000,0.0000,55.0000,false",
    ),
    "overdraft": Shape(
        HEADER + "deposit,2,1,80.00\nwithdrawal,2,2,300.25\ndeposit,2,3,200.00\n",
        ("in.csv", "--policy", "overdraft=withdrawals"),
        "2,-20.2500,0.0000,-20.2500,false",
    ),
    "fee-column": Shape(
        "type,client,tx,amount,fee\ndeposit,2,1,300.00,0.00\nwithdrawal,2,2,120.00,0.45\n",
        ("--sql", "SELECT type, client, tx, CAST(amount AS DECIMAL(18, 4)) + CASE type WHEN 'withdrawal' THEN 1 "
         "ELSE -1 END * CAST(fee AS DECIMAL(18, 4)) AS amount FROM 'in.csv'"),
        "2,179.5500,0.0000,179.5500,false",
    ),
    # ---- Order, time and repeats
    "newest-first": Shape(
        "date,type,client,tx,amount\n2031-05-03,withdrawal,2,3,25.00\n2031-05-02,withdrawal,2,2,40.00\n"
        "2031-05-01,deposit,2,1,90.00\n",
        ("--sql", "FROM 'in.csv' ORDER BY date"),
        "2,25.0000,0.0000,25.0000,false",
    ),
    "as-of": Shape(
        "time,type,client,tx,amount\n2031-05-30T10:00:00Z,deposit,2,1,90.00\n2031-05-31T23:59:59Z,withdrawal,2,2,30.00\n"
        "2031-06-01T00:00:00Z,dispute,2,1,\n2031-06-02T08:00:00Z,chargeback,2,1,\n",
        ("--sql", "FROM 'in.csv' WHERE CAST(time AS TIMESTAMP) < TIMESTAMP '2031-06-01'"),
        "2,60.0000,0.0000,60.0000,false",
    ),
    "overlap": Shape(
        HEADER + "deposit,2,1,80.00\nwithdrawal,2,2,25.00\ndeposit,2,1,80.00\nwithdrawal,2,2,25.00\ndeposit,2,3,5.00\n",
        ("in.csv",),
        "2,60.0000,0.0000,60.0000,false",
        "3 applied, 2 rejected",
    ),
    "same-id-other-amount": Shape(
        HEADER + "deposit,2,1,80.00\ndeposit,2,1,8.00\n",
        ("in.csv", "warn"),
        "2,80.0000,0.0000,80.0000,false",
        "rejected: in.csv:3: duplicate_transaction",
    ),
    "nothing-applied": Shape(
        HEADER + "CREDIT,2,1,80.00\nDEBIT,2,2,8.00\n", ("in.csv",), "", "all 2 rows are malformed: bad_type", 1
    ),
    "running-balance": Shape(
        "type,client,tx,amount,balance\ndeposit,2,1,90.00,90.00\nwithdrawal,2,2,20.00,70.00\ndeposit,2,4,5.00,85.00\n",
        ("in.csv", "--expect", "last.sql"),
        "",
        "difference: client 2: total: expected 85.0000, found 75.0000",
        4,
    ),
    # ---- Ids, currencies, transfers
    "ids-prefixed": Shape(
        HEADER + "deposit,cus_Z,ch_1,33.00\ndeposit,cus_Y,ch_2,12.00\nwithdrawal,cus_Z,po_3,3.00\n"
        "dispute,cus_Y,ch_2,\n",
        ("in.csv", "--ids", "text"),
        "cus_Y,0.0000,12.0000,12.0000,false\ncus_Z,30.0000,0.0000,30.0000,false",
    ),
    "ids-uuid": Shape(
        HEADER + "deposit,6f000000-0000-4000-8000-00000000000b,1a000000-0000-4000-8000-000000000001,9.00\n"
        "deposit,6f000000-0000-4000-8000-00000000000a,1a000000-0000-4000-8000-000000000002,4.00\n",
        ("in.csv", "--ids", "text"),
        "6f000000-0000-4000-8000-00000000000a,4.0000,0.0000,4.0000,false\n"
        "6f000000-0000-4000-8000-00000000000b,9.0000,0.0000,9.0000,false",
    ),
    "ids-128-bit": Shape(
        HEADER + "deposit,340282366920938463463374607431768211455,1,9.00\ndeposit,5,2,4.00\n",
        ("in.csv", "--ids", "text"),
        "340282366920938463463374607431768211455,9.0000,0.0000,9.0000,false\n5,4.0000,0.0000,4.0000,false",
    ),
    "two-currencies": Shape(
        "type,client,tx,amount,currency\ndeposit,2,1,80.00,USD\ndeposit,2,2,60.00,EUR\nwithdrawal,2,3,100.00,USD\n",
        ("in.csv", "--columns", "currency=currency", "warn"),
        "2,EUR,60.0000,0.0000,60.0000,false\n2,USD,80.0000,0.0000,80.0000,false",
        "rejected: in.csv:4: insufficient_funds",
    ),
    "transfer-between": Shape(
        "step,type,amount,nameOrig,nameDest\n1,CASH_IN,400.00,C5,M1\n1,TRANSFER,150.00,C5,C6\n2,CASH_OUT,20.00,C6,C7\n",
        ("--sql", "WITH moves AS (SELECT *, row_number() OVER () AS line FROM 'in.csv') "
         "SELECT CASE type WHEN 'CASH_IN' THEN 'deposit' ELSE 'withdrawal' END AS type, "
         "replace(nameOrig, 'C', '') AS client, 2 * line AS tx, amount FROM moves "
         "UNION ALL SELECT 'deposit', replace(nameDest, 'C', ''), 2 * line + 1, amount FROM moves "
         "WHERE type = 'TRANSFER' ORDER BY tx"),
        "5,250.0000,0.0000,250.0000,false\n6,130.0000,0.0000,130.0000,false",
    ),
}  # fmt: skip
# The last balance that each account has in the file.
LAST = (
    "SELECT client, arg_max(balance, line) AS total "
    "FROM (SELECT *, row_number() OVER () AS line FROM 'in.csv') GROUP BY client"
)


@pytest.mark.parametrize("name", SHAPES)
def test_one_command_replays_a_shape_of_the_field_or_says_why_not(folder: Folder, name: str) -> None:
    shape = SHAPES[name]
    folder.write("in.csv", shape.content if isinstance(shape.content, bytes) else shape.content.encode())
    folder.write("last.sql", LAST.encode())
    run = folder.run(*shape.arguments)
    assert run.exit_code == shape.code, run.errors
    header = ACCOUNTS_HEADER.decode()
    if "currency=currency" in shape.arguments:
        header = header.replace("client,", "client,currency,")
    assert run.output.decode() == (f"{header}{shape.accounts}\n" if shape.accounts else "")
    if shape.said:
        assert shape.said in run.errors + run.outcome
    else:
        assert (run.errors, run.outcome) == ("", "")
