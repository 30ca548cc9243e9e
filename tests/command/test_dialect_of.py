"""--dialect-of: looks at one strange file, and prints a profile that reads it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import shlex
import tomllib
import zipfile
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.command import FILE, Folder
from tests.support.project import PROJECT_ROOT
from txfast.run import dialect_look

FORMATS = PROJECT_ROOT / "tests" / "dialect" / "field_formats"
COMMANDS = re.findall(r"\| `(txfast .*)` \|$", (FORMATS / "README.md").read_text(encoding="utf-8"), re.M)

# What a person fills into the profile of a format: the text of the profile, and what to write instead.
FILLED_IN = {
    "giro-export.csv": [('# Hinweis = "…"', 'Hinweis = "ignore"')],
    "latin-1.csv": [
        ("# [types]", "[types]"), ('# "Übertrag" = "…"', '"Übertrag" = "deposit"'),
        ('# "Rückgabe" = "…"', '"Rückgabe" = "refund"'),
    ],
    "only-completed.csv": [("# Payment", "Payment")],
    "cents.csv": [("# [dialect]", "[dialect]\ndecimals = 2"), ("# amounts", "amounts")],
}  # fmt: skip
# Formats of which the command says more than what the bytes can tell: signs that count though there is a type, cents.
MEANT_OTHERWISE = {"wallet-report.csv"}


def profile_of(folder: Folder, content: bytes, name: str = "x.csv") -> str:
    """The profile for a file with this content. It is TOML."""
    folder.write(name, content)
    run = folder.run("--dialect-of", name)
    assert (run.exit_code, run.errors) == (0, "")
    text = run.output.decode()
    tomllib.loads(text)
    assert max(map(len, [line for line in text.split("\n") if "  # " not in line])) <= 120
    return text


def table(text: str) -> dict[str, object]:
    """The settings of a profile."""
    return tomllib.loads(text)


# ---- Round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: shlex.split(command)[1])
def test_the_profile_of_a_format_of_the_field_reads_it(folder: Folder, command: str) -> None:
    name = shlex.split(command)[1]
    text = profile_of(folder, (FORMATS / name).read_bytes(), name)
    for before, after in FILLED_IN.get(name, []):
        assert before in text
        text = text.replace(before, after)
    folder.write("p.toml", text.encode())
    run = folder.run(name, "--profile", "p.toml", "-q")
    assert (run.exit_code, run.errors) == (0, ""), text
    if name not in MEANT_OTHERWISE:
        assert run.output == (FORMATS / name).with_name(f"{name.rpartition('.')[0]}.expected.csv").read_bytes()


def test_a_format_that_no_dialect_reads_is_told(folder: Folder) -> None:
    text = profile_of(folder, (FORMATS / "unquoted-decimal-comma.csv").read_bytes())
    assert "With the default dialect, 0 of 2 rows seen are well-formed; too_many_fields 2." in text
    assert "first in line 2: are these decimal commas without quotes? no dialect reads" in text
    assert table(text) == {}


# ---- What it prints --------------------------------------------------------------------------------


def test_a_profile_has_all_that_a_file_needs(folder: Folder) -> None:
    content = (
        "Auszug vom 1. Mai\n"
        "Datum;Zustand;Buchungsart;Kunde;Beleg-Nr.;Betrag (EUR)\n"
        "2031-05-01;gebucht;Gutschrift;31;501;2.750,00\n"
        "2031-05-01;offen;Gutschrift;31;502;1,00\n"
        "2031-05-02;gebucht;Gebühr;31;503;-4,90\n"
        "2031-05-02;gebucht;Lastschrift;31;504;84,90\n"
        "2031-05-03;gebucht;Lastschrift;32;505;NULL\n"
    )
    assert profile_of(folder, content.encode("cp1252"), "giro.csv") == (
        "# Made by: txfast --dialect-of giro.csv\n"
        "# Look it over, save it as PROFILE, and use it with --profile PROFILE.\n"
        "# With these settings, 3 of 4 rows seen are well-formed, and 1 row ignored; bad_type 1.\n"
        "\n"
        "[columns]\n"
        'type = "Buchungsart"\n'
        'client = "Kunde"\n'
        'tx = "Beleg-Nr."\n'
        'amount = "Betrag (EUR)"\n'
        "\n"
        "[types]\n"
        'Gutschrift = "deposit"  # 2 rows\n'
        'Lastschrift = "withdrawal"  # 2 rows\n'
        '# "Gebühr" = "…"  # 1 row, 1 below zero: deposit, withdrawal, dispute, resolve, chargeback, refund, '
        "reversal or ignore?\n"
        "\n"
        "[dialect]\n"
        'delimiter = ";"\n'
        'skip = 1  # before the header: "Auszug vom 1. Mai"\n'
        'encoding = "cp1252"  # not UTF-8: is "ü" right? else latin-1 or cp1252\n'
        'decimal = ","\n'
        'thousands = "."\n'
        'null = ["NULL"]\n'
        "\n"
        "[dialect.keep]\n"
        'Zustand = ["gebucht"]  # leaves out "offen" (1 row)\n'
        "\n"
        "# 1 amount below zero: such a deposit or withdrawal is rejected. If signs say what rows are, leave type and "
        "its words\n"
        '# out, and set "+" and "-" in [types].\n'
    )


def test_a_file_that_is_read_without_a_profile_is_told(folder: Folder) -> None:
    content = b"Type|Client|Tx|Amount\nDEPOSIT|1|1|5\nwithdraw|1|2|0.25\n"
    assert profile_of(folder, content) == (
        "# x.csv is read without a profile: in the default dialect, all 2 rows seen are well-formed.\n"
        "\n"
        '# Words of types that need no setting: "DEPOSIT" (1 row), "withdraw" (1 row).\n'
    )
    assert "the only row seen is well-formed.\n" in profile_of(folder, b"type,client,tx,amount\ndeposit,1,1,5\n")


def test_what_may_be_meant_is_a_comment_where_the_default_reads_a_file(folder: Folder) -> None:
    content = b"type,client,tx,amount,status\ndeposit,1,1,500,Paid\ndeposit,1,2,700,Failed\n"
    text = profile_of(folder, content)
    assert "It may mean something else all the same: take the # from each line below that is right" in text
    assert "is read without a profile" in text
    assert '# amounts = "minor"  # all amounts are whole numbers: if they are cents, with decimals = 2\n' in text
    assert '# [dialect.keep]\n# status = ["Paid"]  # leaves out "Failed" (1 row)\n' in text
    assert table(text) == {}
    open_lines = ("# [dialect.keep]", "# status")
    lines = [line[2:] if line.startswith(open_lines) else line for line in text.split("\n")]
    folder.write("p.toml", "\n".join(lines).encode())
    assert folder.run("x.csv", "--profile", "p.toml", "-q").output.endswith(b"\n1,500.0000,0.0000,500.0000,false\n")


def test_missing_columns_are_named_and_can_be_filled_in(folder: Folder) -> None:
    text = profile_of(folder, b"type,who,what,amount\ndeposit,1,1,5\n")
    assert "# No column is known for client and tx: fill that in below.\n" in text
    line = '# client = "…"  # not told; not used yet: "who", "what"\n'
    assert f"\n# [columns]\n{line}" in text
    text = text.replace("# [columns]", "[columns]").replace(line, 'client = "who"\n')
    folder.write("p.toml", text.replace('# tx = "…"', 'tx = "what"').encode())
    assert folder.run("x.csv", "--profile", "p.toml", "-q").output.endswith(b"\n1,5.0000,0.0000,5.0000,false\n")


def test_ids_that_are_texts_are_told_as_such(folder: Folder) -> None:
    text = profile_of(folder, b"type,client,tx,amount\ndeposit,cus_A,7,5\ndeposit,cus_B,8,5\n")
    assert '"ids.client" = "text"  # client ids are no whole numbers, such as "cus_A" in line 2' in text
    assert "With these settings, all 2 rows seen are well-formed." in text


def test_a_status_of_more_words_than_a_dialect_takes_is_left_out(folder: Folder) -> None:
    words = "".join(f"deposit,1,{tx},5,w{tx}\n" for tx in range(70))
    text = profile_of(folder, b"type,client,tx,amount,status\nSALE,1,1,5,a\n" + words.encode())
    assert 'SALE = "deposit"  # 1 row\n' in text
    assert "keep" not in text


def test_settings_that_do_not_go_together_are_told(folder: Folder) -> None:
    names = ["Status", "State", "payment status", "Zustand", "Estado", "Statut", "Stato", "Etat", "Buchungsstatus"]
    rows = [f"type,client,tx,amount,{','.join(names)}", "SALE,1,1,5" + ",Paid" * 9, "SALE,1,2,5" + ",Failed" * 9]
    text = profile_of(folder, "\n".join(rows).encode())
    assert "These settings do not go together: dialect: at most 64 words of types and 8 columns in keep." in text


def test_a_file_that_the_settings_do_not_open_says_why(folder: Folder) -> None:
    text = profile_of(folder, b"Customer,Customer,Order,Gross,Type\n1,2,1,5,SALE\n")
    assert "With these settings, it cannot be read: not a transactions file: its header names 'Customer' twice" in (
        " ".join(text.replace("\n#", "").split())
    )


def test_roles_that_nothing_was_found_for_are_listed(folder: Folder) -> None:
    text = profile_of(folder, b"aa,bb,cc,dd\n1,2,x,y\n3,4,z,y\n")
    assert "# No column is known for type, client, tx and amount: fill that in below.\n" in text
    assert "# No column is known for tx: fill" in profile_of(folder, b"type,client,zz,amount\ndeposit,1,1,5\n")


@pytest.mark.parametrize("content", [b"", b"\n \n", b"hello\nworld\n", b"one,two\n", b"," * 3000, b'"' * 99])
def test_a_file_that_is_no_table_says_so(folder: Folder, content: bytes) -> None:
    text = profile_of(folder, content)
    assert "With the default dialect, it cannot be read: not a transactions file: " in text
    assert "Nothing in it is like a header, or like rows of three fields or more." in text


def test_a_name_from_the_file_is_written_as_toml_and_shown_safely(folder: Folder) -> None:
    names = ['"Kunde ""neu"" \\ \x7f\t\u2028\u202e"', '"Beleg\nNr"', "Betrag", "Art"]
    content = (",".join(names) + '\n1,1,5,"Kauf\x1f#"\n').encode()
    text = profile_of(folder, content)
    assert "\x7f" not in text
    assert "\u202e" not in text
    assert '"Kauf\\u001f#" = "…"' in text
    assert "not used yet: " in text


@pytest.mark.parametrize("name", ["Kunde", "a b", 'a"b', "a\\b", "ü", "-x", "a\tb", "a\x85b", "", "'"])
def test_a_key_and_a_text_of_toml_are_what_they_were(name: str) -> None:
    from txfast.dialect.profile_text import toml_key, toml_string

    assert tomllib.loads(f"{toml_key(name)} = {toml_string(name)}") == {name: name}


# ---- Kinds of inputs -------------------------------------------------------------------------------

ORDERS = b"Type,Customer,Order,Gross\nSALE,7,1,5.00\nPAYOUT,7,2,1.50\n"
FOUND = {
    "columns": {"client": "Customer", "tx": "Order", "amount": "Gross"},
    "types": {"SALE": "deposit", "PAYOUT": "withdrawal"},
}


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("orders.csv", content)
    return file.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        bytes, gzip.compress, bz2.compress, lzma.compress, zipped, lambda content: content.decode().encode("utf-16"),
        lambda content: b"\xef\xbb\xbf" + content, lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: bytes(pa.compress(content, "zstd", asbytes=True)),
    ],
    ids=["plain", "gzip", "bz2", "xz", "zip", "utf-16", "mark", "crlf", "zstd"],
)  # fmt: skip
def test_a_file_may_be_packed_and_come_through_a_pipe(folder: Folder, pack: Callable[[bytes], bytes]) -> None:
    content = pack(ORDERS)
    if content.startswith(b"\x28\xb5"):
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(ORDERS)
        content = sink.getvalue().to_pybytes()
    assert table(profile_of(folder, content)) == FOUND
    run = folder.run("--dialect-of", "-", stdin=content)
    assert table(run.output.decode()) == FOUND
    assert "# Made by: txfast --dialect-of -\n" in run.output.decode()


def test_tables_are_told_by_their_schema_and_words(folder: Folder) -> None:
    data = pa.table({
        "Kind": ["SALE", "PAYOUT", None], "Customer": pa.array([7, 7, 7], pa.uint64()), "Order": [1, 2, 3],
        "Gross": [Decimal("5.00"), Decimal("1.50"), None], "lines": [[1], [2], []],
    })  # fmt: skip
    parquet.write_table(data, folder.path / "t.parquet")
    with pa.ipc.new_file(str(folder.path / "t.arrow"), data.schema) as file:
        file.write_table(data)
    with pa.ipc.new_stream(str(folder.path / "t.arrows"), data.schema) as stream:
        stream.write_table(data)
    for name in ("t.parquet", "t.arrow", "t.arrows"):
        run = folder.run("--dialect-of", name)
        text = run.output.decode()
        assert table(text) == {
            "columns": {"type": "Kind", "client": "Customer", "tx": "Order", "amount": "Gross"},
            "types": {"SALE": "deposit", "PAYOUT": "withdrawal"},
        }
        assert "2 of 3 rows seen are well-formed; missing_field 1." in text
        assert '# Columns that are nested, or there twice: "lines".\n' in text
        folder.write("p.toml", run.output)
        assert folder.run(name, "--profile", "p.toml", "-q").output.endswith(b"7,3.5000,0.0000,3.5000,false\n")
    piped = folder.run("--dialect-of", "-", stdin=folder.read("t.parquet")).output.decode()
    assert table(piped) == table(text)


def test_a_table_that_is_read_without_a_profile_or_has_no_row_is_told(folder: Folder) -> None:
    good = pa.table({"type": [b"deposit"], "client": ["7"], "tx": [1], "amount": ["5"]})
    parquet.write_table(good, folder.path / "good.parquet")
    assert b"good.parquet is read without a profile: in the default dialect, the only row seen" in (
        folder.run("--dialect-of", "good.parquet").output
    )
    parquet.write_table(good.rename_columns(["Kind", "User", "id", "sum"]).slice(0, 0), folder.path / "none.parquet")
    text = folder.run("--dialect-of", "none.parquet").output.decode()
    assert table(text)["columns"] == {"type": "Kind", "client": "User", "tx": "id", "amount": "sum"}
    assert "With these settings, it has no row." in text
    floats = pa.table({"type": ["deposit"], "client": [7], "tx": [1], "amount": [0.1]})
    parquet.write_table(floats, folder.path / "floats.parquet")
    assert b"column 'amount' is of type double: floats are not exact" in (
        folder.run("--dialect-of", "floats.parquet").output
    )


def test_a_table_of_nested_columns_alone_is_refused(folder: Folder) -> None:
    with pa.ipc.new_stream(str(folder.path / "t.arrows"), pa.schema([("x", pa.list_(pa.int8()))])) as stream:
        stream.write_table(pa.table({"x": pa.array([[1]], pa.list_(pa.int8()))}))
    run = folder.run("--dialect-of", "t.arrows")
    run.assert_failed("t.arrows: has no column of plain values: choose the table that has the transactions")


def test_json_lines_say_what_their_keys_seem_to_mean(folder: Folder) -> None:
    rows: list[object] = [
        {"kind": "SALE", "user": "u7", "id": 1, "gross": 1.250, "more": {"x": 1}}, {"kind": "FEE", "user": None}, [1],
    ]  # fmt: skip
    content = "".join(json.dumps(row) + "\n" for row in rows) + "{no json\n"
    text = profile_of(folder, content.encode())
    assert '[columns]\ntype = "kind"\nclient = "user"\ntx = "id"\namount = "gross"\n' in text
    assert 'SALE = "deposit"  # 1 row\n# FEE = "…"  # 1 row: ' in text
    assert '"ids.client" = "text"  # client ids are no whole numbers, such as "u7" in line 1\n' in text
    assert "thousands" not in text  # between digits of numbers there is none
    assert "1 of 4 rows seen are well-formed; bad_json 2, missing_field 1" in text
    profile = folder.write("p.toml", text.encode())
    folder.write("rows.jsonl", content.encode())
    done = folder.run("rows.jsonl", "--profile", str(profile), "-q")
    assert done.output.endswith(b"\nu7,1.2500,0.0000,1.2500,false\n")
    good = b'{"type":"deposit","client":1,"tx":1,"amount":"1.50"}\n'
    assert "is read without a profile" in profile_of(folder, good)


def test_only_the_start_of_a_large_file_is_looked_at(folder: Folder) -> None:
    head = b"Type,Customer,Order,Gross\n"
    rows = b"".join(b"SALE,7,%d,5.00\n" % order for order in range(100_000))
    text = profile_of(folder, head + rows + b"LATER,7,1,5\n")
    assert table(text)["types"] == {"SALE": "deposit"}
    assert "LATER" not in text
    seen = re.search(r"all ([0-9,]+) rows seen are well-formed", text)
    assert seen is not None
    assert 50_000 < int(seen[1].replace(",", "")) < 80_000
    lines = b"".join(b'{"type":"deposit","client":1,"tx":%d,"amount":"1"}\n' % tx for tx in range(40_000))
    assert re.search(r"all 19,\d{3} rows seen are well-formed", profile_of(folder, lines))


def test_a_cut_inside_a_row_or_a_letter_spoils_nothing(folder: Folder) -> None:
    head = b"Type,Customer,Order,Gross,Note\n"
    row = 'SALE,7,1,5.00,"zwei\nZeilen ü"\n'.encode()
    size = dialect_look.SAMPLE_BYTES
    for shift in range(len(row)):
        content = head + b"SALE,7,1,1,%s\n" % (b"x" * shift) + row * (size // len(row) + 2)
        folder.write("x.csv", content)
        if shift % 7 == 0:
            text = folder.run("--dialect-of", "x.csv").output.decode()
            assert re.search(r"all [0-9,]+ rows seen are well-formed\.", text), text
            assert "encoding" not in text


# ---- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dialect-of"], "--dialect-of: its value is missing"),
        (["--dialect-of", ""], "--dialect-of: the name of the file is empty"),
        (["--dialect-of", "in.csv", "in.csv"], "--dialect-of looks at one file: leave in.csv out"),
        (["--dialect-of", "in.csv", "-o", "x"], "--dialect-of finds out by itself: leave --output out"),
        (["--dialect-of", "in.csv", "-d", ";"], "--dialect-of finds out by itself: leave --delimiter out"),
        (["--dialect-of", "in.csv", "--profile", "p"], "--dialect-of finds out by itself: leave --profile out"),
        (["--dialect-of", "in.csv", "--verify"], "--dialect-of finds out by itself: leave --verify out"),
    ],
)
def test_nothing_goes_beside_it(folder: Folder, arguments: list[str], words: str) -> None:
    folder.run(*arguments).assert_misused(words)


def test_options_of_the_log_and_variables_go_beside_it(folder: Folder) -> None:
    variables = {"TXFAST_STATE": "st", "TXFAST_OPENING": "x", "TXFAST_LOG_FORMAT": "json", "TXFAST_DELIMITER": "xyz"}
    for arguments in (("info",), ("-q",), ("--color", "never"), ()):
        run = folder.run("--dialect-of", "in.csv", *arguments, variables=variables)
        assert (run.exit_code, run.errors) == (0, "")
    [line] = folder.run("--dialect-of", "missing", variables=variables).error_lines
    assert json.loads(line)["message"] == "missing: cannot be read: No such file or directory"
    assert folder.names() == ["in.csv"]


def test_a_file_that_cannot_be_read_fails(folder: Folder) -> None:
    folder.run("--dialect-of", "missing.csv").assert_failed("missing.csv: cannot be read: No such file or directory")
    folder.write("x.json", b'[{"type": 1}]')
    folder.run("--dialect-of", "x.json").assert_failed("x.json: JSON in an array: put each object into a line")
    folder.write("x.gz", gzip.compress(FILE)[:-9])
    folder.run("--dialect-of", "x.gz").assert_failed("x.gz: ")
    (folder.path / "deep").mkdir()
    folder.run("--dialect-of", "deep").assert_failed("deep: cannot be read: Is a directory")
