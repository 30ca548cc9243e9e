"""JSON lines under a dialect: keys and values by example, and in whole runs of the command and of programs."""

from __future__ import annotations

import gzip
import io
import json
import sys
from decimal import Decimal

import pyarrow as pa
import pytest

import txfast
from tests.support.checkpoint_driver import DRIVER
from tests.support.command import Folder
from tests.support.dialect_replays import assert_as_reference, run, shown
from tests.support.reference_dialect import read_rows

KEYS = {"columns.type": "Kind", "columns.client": "payer", "columns.tx": "id", "columns.amount": "Betrag €"}
TEXTS = {"ids": "text"}


def assert_lines(lines: str, settings: dict[str, str], expected: list[str]) -> None:
    """The rows of JSON lines are these, by the reference, and with any blocks and threads."""
    content = lines.encode("utf-8", "surrogateescape")
    assert list(map(shown, read_rows(content, settings))) == expected
    # Each line once more, so that the fast path has learnt its shape.
    for each in (content, content.rstrip(b"\n") + b"\n" + content):
        for threads, block_bytes in ((1, None), (2, 1), (4, 40)):
            assert_as_reference([each], settings, threads=threads, block_bytes=block_bytes)


# ---- Keys ----------------------------------------------------------------------------------------


def test_columns_name_the_keys() -> None:
    lines = """\
{"Kind":"deposit","payer":1,"id":1,"Betrag €":"1.5"}
{"kind":"deposit","PAYER":"1","Id":2,"betrag €":"2.5"}
{"kind":"fee","Kind":"withdrawal","payer":1,"id":3,"Betrag \\u20ac":1}
{"type":"deposit","client":1,"tx":1,"amount":1}
{"KIND":"dispute","kind":"dispute","payer":1,"id":1}
{"Kind":"dispute","payer":1,"id":1,"id":2}
{"Kind":"dispute","payer":[],"id":1}
{"Kind":"dispute","payer":1,"id":1,"type":[],"type":{},"client":null}
{"Kind":"dispute","payer":1,"id":1,"Betrag €":1
"""
    assert_lines(lines, KEYS, [
        "1 deposit 1 1 15000", "2 deposit 1 2 25000", "3 withdrawal 1 3 10000", "4 missing_field", "5 bad_json",
        "6 bad_json", "7 bad_json", "8 dispute 1 1", "9 bad_json",
    ])  # fmt: skip


def test_letters_beyond_a_to_z_count_in_their_own_case_alone() -> None:
    lines = '{"type":"deposit","client":1,"ÄRA":1,"amount":1}\n{"type":"deposit","client":1,"ära":2,"amount":1}\n'
    assert_lines(lines, {"columns.tx": "ära"}, ["1 missing_field", "2 deposit 1 2 10000"])


def test_one_key_for_two_columns_is_no_row() -> None:
    settings = {"columns.client": "ID", "columns.tx": "id"}
    lines = """\
{"type":"deposit","ID":1,"id":2,"amount":1}
{"type":"deposit","Id":1,"amount":1}
{"type":"deposit","id":1,"amount":1}
"""
    assert_lines(lines, settings, ["1 deposit 1 2 10000", "2 bad_json", "3 bad_json"])


def test_one_name_for_two_columns_is_refused(folder: Folder) -> None:
    folder.write("in.jsonl", b'{"type":"deposit","id":1,"amount":1}\n')
    done = folder.run("in.jsonl", "--columns", "client=id,tx=id")
    done.assert_failed("in.jsonl: its column 'id' cannot be both client and tx: name another column for one")


@pytest.mark.parametrize("setting", ["header=no", "skip=1"])
def test_what_needs_a_header_is_refused(folder: Folder, setting: str) -> None:
    """Lines that are skipped in silence would be rows."""
    folder.write("in.jsonl", b'{"type":"deposit","client":1,"tx":1,"amount":1}\n')
    done = folder.run("in.jsonl", "--dialect", setting)
    done.assert_failed(f"in.jsonl: JSON lines, which have no header: leave {setting.partition('=')[0]} out of the")


def test_delimiter_and_quote_mean_nothing_so_that_one_profile_serves_both_formats(folder: Folder) -> None:
    folder.write("p.toml", b'[dialect]\ndelimiter = ";"\nquote = "\'"\ndecimal = ","\n[columns]\nclient = "Kunde"\n')
    folder.write("in.csv", b"type;Kunde;tx;amount\ndeposit;1;1;'1,50'\n")
    folder.write("in.jsonl", b'{"type":"deposit","Kunde":"1","tx":2,"amount":"2,50","note":"it\'s; \\"x"}\n')
    done = folder.run("in.csv", "in.jsonl", "--profile", "p.toml", "-q")
    assert done.output.endswith(b"\n1,4.0000,0.0000,4.0000,false\n"), done.errors


# ---- What values mean ----------------------------------------------------------------------------


def test_marks_are_those_of_texts_and_numbers_have_a_point() -> None:
    """A number 1.500 is one and a half, whatever stands between thousands in texts."""
    values = ['"1.500"', "1.500", '"1,5"', "1.5", '"1.234.567,891"', "1234.5", '"1.5"', "1e3", "-1.5", "null", '"+1"']
    lines = "".join(f'{{"type":"deposit","client":1,"tx":{tx},"amount":{each}}}\n' for tx, each in enumerate(values))
    assert_lines(lines, {"decimal": ",", "thousands": ".", "decimals": "3"}, [
        "1 deposit 1 0 1500000", "2 deposit 1 1 1500", "3 deposit 1 2 1500", "4 deposit 1 3 1500",
        "5 deposit 1 4 1234567891", "6 deposit 1 5 1234500", "7 bad_amount", "8 bad_amount", "9 deposit 1 8 -1500",
        "10 deposit 1 9", "11 deposit 1 10 1000",
    ])  # fmt: skip


def test_numbers_are_rounded_and_minor_as_texts_are() -> None:
    lines = "".join(f'{{"type":"deposit","client":1,"tx":1,"amount":{each}}}\n' for each in ("1250", "2.5", '"3.5"'))
    settings = {"amounts": "minor", "decimals": "2", "rounding": "half-even"}
    assert_lines(lines, settings, ["1 deposit 1 1 1250", "2 deposit 1 1 2", "3 deposit 1 1 4"])


def test_words_mean_types_and_what_is_ignored_is_counted() -> None:
    lines = """\
{"type":"SALE","client":1,"tx":1,"amount":1}
{"type":"sa\\u006ce","client":1,"tx":2,"amount":1}
{"type":7,"client":1,"tx":3,"amount":1}
{"type":"7","client":1,"tx":4,"amount":1}
{"type":"fee","client":{},"tx":1}
{"type":"fee","client":"x"}
{"type":"a\\\\b","client":1,"tx":5,"amount":1}
{"type":"a\\b","client":1,"tx":6,"amount":1}
{"type":"deposit","client":1,"tx":7,"amount":1}
{"type":SALE,"client":1,"tx":8,"amount":1}
{"type":7x,"client":1,"tx":8,"amount":1}
"""
    settings = {"types.SALE": "deposit", "types.7": "withdrawal", "types.fee": "ignore", "types.a\\b": "refund"}
    assert_lines(lines, settings, [
        "1 deposit 1 1 10000", "2 deposit 1 2 10000", "3 withdrawal 1 3 10000", "4 withdrawal 1 4 10000", "5 bad_json",
        "6 ignored", "7 refund 1 5 10000", "8 bad_type", "9 deposit 1 7 10000", "10 bad_json", "11 bad_json",
    ])  # fmt: skip


def test_signs_and_columns_of_credits_are_types() -> None:
    lines = """\
{"client":1,"tx":1,"amount":-1.5}
{"client":1,"tx":2,"amount":"2","type":["ignored"]}
{"client":1,"tx":3,"amount":null}
"""
    signs = {"types.+": "deposit", "types.-": "withdrawal"}
    assert_lines(lines, signs, ["1 withdrawal 1 1 15000", "2 deposit 1 2 20000", "3 missing_field"])
    lines = """\
{"client":1,"tx":1,"in":1.5,"out":null}
{"client":1,"tx":2,"in":0,"out":"2,5"}
{"client":1,"tx":3,"out":1}
{"client":1,"tx":4,"in":1,"out":1}
{"client":1,"tx":5}
{"client":1,"tx":6,"in":"","out":{}}
"""
    pair = {"columns.credit": "in", "columns.debit": "out", "decimal": ","}
    assert_lines(lines, pair, [
        "1 deposit 1 1 15000", "2 withdrawal 1 2 25000", "3 withdrawal 1 3 10000", "4 bad_amount", "5 missing_field",
        "6 bad_json",
    ])  # fmt: skip


def test_rows_are_kept_by_keys() -> None:
    lines = """\
{"type":"deposit","client":1,"tx":1,"amount":1,"state":"done"}
{"type":"deposit","client":1,"tx":2,"amount":1,"State":"d\\u006fne "}
{"type":"deposit","client":1,"tx":3,"amount":1}
{"type":"deposit","client":1,"tx":4,"amount":1,"state":null}
{"type":"deposit","client":1,"tx":5,"amount":1,"state":true}
{"type":"deposit","client":1,"tx":6,"amount":1,"state":1.0}
{"type":"deposit","client":1,"tx":7,"amount":1,"state":{}}
{"type":"nonsense","state":"open"}
{"type":"dispute","client":1,"tx":1,"state":"done"}
"""
    settings = {"keep.state": "done,true,1.0", "keep.type": "deposit,withdrawal"}
    assert_lines(lines, settings, [
        "1 deposit 1 1 10000", "2 deposit 1 2 10000", "3 ignored", "4 ignored", "5 deposit 1 5 10000",
        "6 deposit 1 6 10000", "7 bad_json", "8 ignored", "9 ignored",
    ])  # fmt: skip


def test_a_long_value_that_many_names_are_for_has_room() -> None:
    names = ["state", "State", "STATE", "sTate", "stAte", "staTe", "statE", "STate"]
    settings = {f"keep.{name}": "x" for name in names} | {"columns.amount": "sTATE"}
    value = "\\u0078" * 170_000
    lines = f'{{"type":"deposit","client":1,"tx":1,"stATE":"{value}"}}\n'
    assert_lines(lines, settings, ["1 ignored"])
    line = f'{{"type":"deposit","client":"{value}","tx":"{value}"}}\n'.replace("0078", "0031")
    assert_lines(line[: 1 << 20], {"columns.amount": "Client"}, ["1 bad_json"])


def test_null_words_are_empty_and_so_is_null() -> None:
    lines = """\
{"type":"deposit","client":1,"tx":1,"amount":"n/a"}
{"type":"dispute","client":1,"tx":1,"amount":"n\\/a"}
{"type":"deposit","client":"n/a","tx":1,"amount":0}
{"type":null,"client":1,"tx":1,"amount":1}
{"type":"deposit","client":1,"tx":2,"amount":0}
"""
    assert_lines(lines, {"null": "n/a,0"}, [
        "1 deposit 1 1", "2 dispute 1 1", "3 bad_client", "4 missing_field", "5 deposit 1 2",
    ])  # fmt: skip


# ---- Ids that are texts --------------------------------------------------------------------------


def test_ids_are_texts_of_strings_and_numbers() -> None:
    lines = """\
{"type":"deposit","client":"cus_A","tx":"ch_1","amount":1}
{"type":"deposit","client":" cus_A ","tx":"ch_2","amount":1}
{"type":"deposit","client":"\\u0063us_A","tx":"\\t\\u000bch_3\\u0020\\f","amount":1}
{"type":"deposit","client":7,"tx":7.0,"amount":1}
{"type":"deposit","client":"07","tx":true,"amount":1}
{"type":"deposit","client":-1e5,"tx":false,"amount":1}
{"type":"deposit","client":null,"tx":1,"amount":1}
{"type":"deposit","client":"\\t \\u0020","tx":1,"amount":1}
{"type":"deposit","client":"a","tx":"","amount":1}
{"type":"deposit","client":cus,"tx":"ch_1","amount":1}
{"type":"deposit","client":"a\tb","tx":"ch_1","amount":1}
{"type":"deposit","client":"a","tx":"ch_1"x,"amount":1}
{"type":"deposit","client":00,"tx":"ch_1","amount":1}
{"type":"deposit","client":1.,"tx":"ch_1","amount":1}
"""
    assert_lines(lines, TEXTS, [
        "1 deposit cus_A ch_1 10000", "2 deposit cus_A ch_2 10000", "3 deposit cus_A ch_3 10000",
        "4 deposit 7 7.0 10000", "5 deposit 07 true 10000", "6 deposit -1e5 false 10000", "7 bad_client",
        "8 bad_client", "9 bad_tx", "10 bad_json", "11 bad_json", "12 bad_json", "13 bad_json", "14 bad_json",
    ])  # fmt: skip


ODD_IDS = [
    "a\nb", "\r\n", '"', '"\n"', "\\", "\\n", "a\u0000", "\u0000", "é", "e\u0301", "😀", "\ud83d", "\udc80", "\ud83dx",
    "x" * 255, "é" * 127 + "x", "/", "\u007f", "ch_1", "ch_1\u0000", " a", "a\u00a0", "\u2028",
]  # fmt: skip


@pytest.mark.parametrize("is_ascii", [True, False])
def test_an_id_is_its_bytes_however_it_is_escaped(is_ascii: bool) -> None:
    """The same bytes as in CSV: one of each, and each duplicate is found."""

    def quoted(text: str) -> str:
        return "".join(f"\\u{unit:04x}" for unit in units_of(text)) if is_ascii else json.dumps(text)

    lines = [f'{{"type":"deposit","client":{q},"tx":{q},"amount":1}}' for q in map(json.dumps, ODD_IDS)]
    again = [f'{{"type":"deposit","client":"{quoted(each)}","tx":"{quoted(each)}","amount":2}}' for each in ODD_IDS]
    if not is_ascii:
        again = [json.dumps({"type": "deposit", "client": each, "tx": each, "amount": 2}) for each in ODD_IDS]
    outcome = assert_as_reference(["\n".join([*lines, *again]).encode()], TEXTS)
    assert outcome is not None
    assert len(outcome.accounts) == len({each.strip(" ") for each in ODD_IDS})
    assert outcome.rejected == {"duplicate_transaction": len(ODD_IDS)}
    clean = [each for each in ODD_IDS if not any("\ud800" <= letter <= "\udfff" for letter in each)]
    csv = "".join(f'deposit,"{each}","{each}",1\n' for each in (text.replace('"', '""') for text in clean))
    same = [line for line, each in zip(lines, ODD_IDS, strict=True) if each in clean]
    from_csv = run([b"type,client,tx,amount\n" + csv.encode()], TEXTS)
    assert run(["\n".join(same).encode()], TEXTS).accounts == from_csv.accounts


def units_of(text: str) -> list[int]:
    """The UTF-16 code units of a text."""
    data = text.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(data[at : at + 2], "little") for at in range(0, len(data), 2)]


@pytest.mark.parametrize("written", ["x", "\\u0078", "\\u00e9", "\\udcff", "\\ud83d\\ude00", "\\ud83d", "\\n"])
def test_an_id_has_at_most_255_bytes_escapes_undone(written: str) -> None:
    one = json.loads(f'"{written}"')
    size = len(one.encode("utf-8", "surrogateescape" if one == "\udcff" else "surrogatepass"))
    for count in (255 // size, 255 // size + 1):
        line = f'{{"type":"deposit","client":1,"tx":"\\t{written * count}\\u0020","amount":1}}\n'
        outcome = assert_as_reference([(line * 3).encode()], {"ids.tx": "text"})
        assert outcome is not None
        fits = {"rejected": 2, "malformed": 0} if size * count <= 255 else {"rejected": 0, "malformed": 3}
        assert {"rejected": sum(outcome.rejected.values()), "malformed": sum(outcome.malformed.values())} == fits


def test_text_ids_and_numbers_mix() -> None:
    lines = '{"type":"deposit","client":"a","tx":"1","amount":1}\n{"type":"deposit","client":"b","tx":"x","amount":1}\n'
    assert_lines(lines, {"ids.client": "text"}, ["1 deposit a 1 10000", "2 bad_tx"])
    assert_lines(lines, {"ids.tx": "text"}, ["1 bad_client", "2 bad_client"])


# ---- Lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_comments_are_nothing_and_count_as_lines(ending: str) -> None:
    row = '{"type":"deposit","client":1,"tx":%d,"amount":1}'
    lines = ending.join([row % 1, "// note", "  //{", row % 2, "/ no", "//", row % 3, "// the end"])
    settings = {"comment": "//"}
    assert_lines(lines, settings, ["1 deposit 1 1 10000", "4 deposit 1 2 10000", "5 bad_json", "7 deposit 1 3 10000"])


def test_a_comment_may_look_like_a_row() -> None:
    row = '{"type":"deposit","client":1,"tx":1,"amount":1}\n'
    assert_lines(row + row.replace("{", "{ ") + row, {"comment": "{ "}, ["1 deposit 1 1 10000", "3 deposit 1 1 10000"])


@pytest.mark.parametrize("block_bytes", [100, 1 << 18, 1 << 22])
@pytest.mark.parametrize("blanks", [0, 1 << 20])
def test_a_comment_of_any_length_is_nothing(block_bytes: int, blanks: int) -> None:
    row = b'{"type":"deposit","client":1,"tx":%d,"amount":1}'
    long = b" " * blanks + b"##" + b"x" * (2 << 20)
    content = b"\n".join([row % 1, long, row % 2, long])
    outcome = assert_as_reference([content], {"comment": "##"}, block_bytes=block_bytes)
    assert outcome is not None
    assert (outcome.rows, outcome.malformed) == (2, {})


def test_a_comment_before_the_first_object_is_told_of(folder: Folder) -> None:
    folder.write("in.jsonl", b'# made by x\n{"type":"deposit","client":1,"tx":1,"amount":1}\n')
    done = folder.run("in.jsonl", "--dialect", "comment=#")
    done.assert_failed("behind the lines that the dialect leaves out it goes on as JSON lines do: remove these lines")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_other_encodings_are_read(folder: Folder, encoding: str, compress: type[bytes]) -> None:
    text = '{"type":"deposit","client":"Jörg","tx":"\\u00e9","amount":"1"}\n{"type":"x","client":"é"}\n' * 99
    folder.write("in", compress(text.encode(encoding)))
    done = folder.run("in", "-q", "--ids", "text", "--dialect", f"encoding={encoding}", "--rejects", "r.csv")
    assert done.output == "client,available,held,total,locked\nJörg,1.0000,0.0000,1.0000,false\n".encode()
    assert (
        folder.read("r.csv").splitlines()[1]
        == 'in,2,malformed,missing_field,x,é,,,"{""type"":""x"",""client"":""é""}"'.encode()
    )


# ---- Whole runs ----------------------------------------------------------------------------------

EVENTS = b"""\
{"id":"evt_1","kind":"SALE","user":"u-1","gross":"1.250,50","status":"ok"}
{"id":"evt_2","kind":"SALE","user":"u-2","gross":20.25,"status":"ok"}
{"id":"evt_3","kind":"PAYOUT","user":"u-1","gross":"50","status":"ok"}
{"id":"evt_4","kind":"PAYOUT","user":"u-1","gross":"5.0","status":"ok"}
{"id":"evt_2","kind":"SALE","user":"u-2","gross":20.25,"status":"ok","currency":"EUR"}
{"id":"evt_5","kind":"SALE","user":"u-2","gross":9,"status":"open"}
"""
PROFILE = b"""\
[columns]
client = "user"
type = "kind"
tx = "id"
amount = "gross"
[types]
SALE = "deposit"
PAYOUT = "withdrawal"
[dialect]
decimal = ","
thousands = "."
decimals = 2
ids = "text"
[dialect.keep]
status = "ok"
"""
SETTINGS: dict[str, str | int] = {
    "columns.client": "user", "columns.type": "kind", "columns.tx": "id", "columns.amount": "gross",
    "types.SALE": "deposit", "types.PAYOUT": "withdrawal", "decimal": ",", "thousands": ".", "decimals": 2,
    "ids": "text", "keep.status": "ok",
}  # fmt: skip
ACCOUNTS = b"""\
client,available,held,total,locked
u-1,1200.50,0.00,1200.50,false
u-2,20.25,0.00,20.25,false
"""


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_profile_is_for_json_lines_too(folder: Folder, threads: str) -> None:
    folder.write("p.toml", PROFILE)
    folder.write("in.jsonl", EVENTS)
    outputs = ("--rejects", "r.jsonl", "--stats", "s.json")
    done = folder.run("in.jsonl", "--profile", "p.toml", "--threads", threads, *outputs)
    assert done.output == ACCOUNTS
    found = [json.loads(line) for line in folder.read("r.jsonl").splitlines()]
    assert [(each["line"], each["reason"], each["tx"], each["amount"]) for each in found] == [
        (4, "bad_amount", "evt_4", "5.0"), (5, "duplicate_transaction", "evt_2", "20.25"),
    ]  # fmt: skip
    assert "(an amount is as 1.250,00 in this dialect)" in done.errors
    assert json.loads(folder.read("s.json"))["ignored"] == 1
    assert folder.run("-", "--profile", "p.toml", "-q", stdin=EVENTS).output == ACCOUNTS
    folder.write("in.gz", gzip.compress(EVENTS))
    assert folder.run("in.gz", "--profile", "p.toml", "-q").output == ACCOUNTS


def test_programs_read_json_lines_under_a_dialect(folder: Folder) -> None:
    path = folder.write("in.jsonl", EVENTS)
    result = txfast.process(path, dialect=SETTINGS, rejects=True)
    assert [(each.client, each.total) for each in result.accounts] == [
        ("u-1", Decimal("1200.50")), ("u-2", Decimal("20.25")),
    ]  # fmt: skip
    table = txfast.read(io.BytesIO(EVENTS), dialect=SETTINGS).read_all()
    assert table.column("tx").to_pylist() == ["evt_1", "evt_2", "evt_3", "evt_2"]
    assert table.column("client").type == pa.string()
    ledger = txfast.Ledger(dialect=SETTINGS)
    ledger.apply(path)
    assert ledger["u-1"].total == Decimal("1200.50")


def test_a_key_that_is_read_is_not_told_of_as_ignored(folder: Folder) -> None:
    folder.write("p.toml", PROFILE)
    folder.write("in.jsonl", b"".join(reversed(EVENTS.splitlines(keepends=True)[1:5])))
    errors = folder.run("in.jsonl", "--profile", "p.toml").errors
    assert "column 'currency' is ignored" in errors
    assert "'status'" not in errors


def test_a_state_keeps_the_dialect_of_json_lines(folder: Folder) -> None:
    numbers = EVENTS.replace(b"evt_", b"").replace(b"u-", b"")
    folder.write("p.toml", PROFILE.replace(b'ids = "text"\n', b""))
    path = folder.write("in.jsonl", numbers)
    options = ("in.jsonl", "--profile", "p.toml", "-q", "--state", "st")
    first = folder.run(*options).output
    assert first == ACCOUNTS.replace(b"u-", b"")
    assert folder.run(*options).output == first
    path.write_bytes(numbers + b'{"id":9,"kind":"SALE","user":1,"gross":"0,50","status":"ok"}\n')
    assert folder.run(*options).output == first.replace(b"1200.50", b"1201.00")
    done = folder.run("in.jsonl", "-q", "--state", "st")
    done.assert_failed("in another dialect")


@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_killed_run_goes_on_in_its_dialect(folder: Folder, threads: str) -> None:
    row = b'{"id":%d,"kind":"SALE","user":%d,"gross":"1,50","status":"ok"}\n// note\n'
    folder.write("in.jsonl", b"".join(row % (tx, tx % 40) for tx in range(2000)))
    folder.write("p.toml", PROFILE.replace(b'ids = "text"\n', b'comment = "//"\n'))
    run = ("in.jsonl", "-q", "--profile", "p.toml", "-o", "out.csv", "--threads", threads)
    command = (sys.executable, "-c", DRIVER)
    assert folder.run(*run, command=command).exit_code == 0
    expected = folder.read("out.csv")
    state = ("--state", "state", "--checkpoint", "0")
    for takes in ("3", "5"):
        assert folder.run(*run, *state, command=command, variables={"TAKES": takes}).exit_code == 9
    assert folder.run(*run, *state, command=command).exit_code == 0
    assert folder.read("out.csv") == expected


def test_a_last_comment_is_not_held_back(folder: Folder) -> None:
    row = b'{"type":"deposit","client":1,"tx":1,"amount":1}\n'
    folder.write("in.jsonl", row + b"# being written")
    run = ("in.jsonl", "--state", "st", "--dialect", "comment=#", "--last-line", "hold")
    assert "held back" not in folder.run(*run).errors
    folder.write("in.jsonl", row + b"# being written\n" + row.replace(b"1,", b"2,") + b'{"type')
    done = folder.run(*run)
    assert "held back" in done.errors
    assert done.output.endswith(b"\n2,1.0000,0.0000,1.0000,false\n")
