"""JSON lines: what each line means, and that blocks, threads and pipes change nothing of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import json_files, replays
from tests.support.profiles import examples
from tests.support.reference_rows import BYTE_ORDER_MARK
from tests.support.replays import THREADS, assert_as_reference
from tests.support.strategies import block_sizes
from txfast.errors import InputError

pytestmark = pytest.mark.unmeasured

DEPOSIT = b'{"type":"deposit","client":1,"tx":1,"amount":"1.50"}'
WITHOUT_BRACE = DEPOSIT[1:]

APPLIED = "applied"
# A line, and what becomes of it: the reason why it is malformed, or APPLIED, which gives 1.5 to client 1.
GOLDEN: dict[str, tuple[bytes, str]] = {
    "texts": (b'{"type":"deposit","client":"1","tx":"1","amount":"1.5"}', APPLIED),
    "numbers": (b'{"type":"deposit","client":1,"tx":1,"amount":1.50}', APPLIED),
    "another order": (b'{"amount":1.5,"tx":1,"client":1,"type":"deposit"}', APPLIED),
    "blanks between tokens": (b' { "type" : "deposit",\t"client": 1 , "tx":1,"amount":1.5 } \t', APPLIED),
    "blanks inside texts": (b'{"type":" deposit ","client":"\\t1","tx":"1\\u000b","amount":" 1.5"}', APPLIED),
    "keys in any case": (b'{"Type":"deposit","CLIENT":1,"tX":1,"Amount":1.5}', APPLIED),
    "lower case wins": (b'{"Type":"x","type":"deposit","TYPE":{},"client":1,"tx":1,"amount":1.5}', APPLIED),
    "a word in any case": (b'{"type":"DEPOSIT","client":1,"tx":1,"amount":1.5}', APPLIED),
    "escapes in a key": (b'{"t\\u0079pe":"deposit","client":1,"tx":1,"amount":1.5}', APPLIED),
    "escapes in a value": (b'{"type":"dep\\u006fs\\u0069t","client":"\\u0031","tx":1,"amount":"1\\u002E5"}', APPLIED),
    "other keys": (b'{"id":"a","type":"deposit","client":1,"tx":1,"amount":1.5,"fee":0.1,"ok":true}', APPLIED),
    "nested values of other keys": (
        b'{"a":{"type":"x","b":[1,{},[]]},"type":"deposit","client":1,"tx":1,"amount":1.5,"c":[{}]}', APPLIED
    ),
    "no UTF-8 in another key": (b'{"\xff":"\xfe","type":"deposit","client":1,"tx":1,"amount":1.5}', APPLIED),
    "signs and zeros in texts": (b'{"type":"deposit","client":"+01","tx":"001","amount":"+01.50000"}', APPLIED),
    "an empty key": (b'{"":1,"type":"deposit","client":1,"tx":1,"amount":1.5}', APPLIED),
    "another key twice": (b'{"a":1,"a":2,"type":"deposit","client":1,"tx":1,"amount":1.5}', APPLIED),
    # Fields.
    "an empty object": (b"{}", "missing_field"),
    "no type": (b'{"client":1,"tx":1,"amount":1}', "missing_field"),
    "no client": (b'{"type":"deposit","tx":1,"amount":1}', "missing_field"),
    "no tx": (b'{"type":"deposit","client":1,"amount":1}', "missing_field"),
    "a null type": (b'{"type":null,"client":1,"tx":1,"amount":1}', "missing_field"),
    "a null client": (b'{"type":"deposit","client":null,"tx":1,"amount":1}', "bad_client"),
    "a null tx": (b'{"type":"deposit","client":1,"tx":null,"amount":1}', "bad_tx"),
    "true as a type": (b'{"type":true,"client":1,"tx":1,"amount":1}', "bad_type"),
    "a number as a type": (b'{"type":1,"client":1,"tx":1,"amount":1}', "bad_type"),
    "false as a client": (b'{"type":"deposit","client":false,"tx":1,"amount":1}', "bad_client"),
    "a client with decimals": (b'{"type":"deposit","client":1.0,"tx":1,"amount":1}', "bad_client"),
    "a negative tx": (b'{"type":"deposit","client":1,"tx":-1,"amount":1}', "bad_tx"),
    "an exponent": (b'{"type":"deposit","client":1,"tx":1,"amount":1.5e0}', "bad_amount"),
    "a text of null": (b'{"type":"deposit","client":1,"tx":1,"amount":"null"}', "bad_amount"),
    "a line ending in a value": (b'{"type":"deposit","client":"1\\n","tx":1,"amount":1}', "bad_client"),
    "a NUL in a value": (b'{"type":"deposit","client":"1\\u0000","tx":1,"amount":1}', "bad_client"),
    "five decimals": (b'{"type":"deposit","client":1,"tx":1,"amount":0.00001}', "bad_amount"),
    # Grammar.
    "an array": (b'["deposit",1,1,1]', "bad_json"),
    "a number alone": (b"1", "bad_json"),
    "a text alone": (b'"deposit"', "bad_json"),
    "a row of CSV": (b"deposit,1,1,1.5", "bad_json"),
    "text behind the object": (DEPOSIT + b" x", "bad_json"),
    "two objects": (DEPOSIT + DEPOSIT, "bad_json"),
    "a comma behind the object": (DEPOSIT + b",", "bad_json"),
    "an open object": (DEPOSIT[:-1], "bad_json"),
    "an open string": (DEPOSIT[:-2], "bad_json"),
    "a trailing comma": (DEPOSIT[:-1] + b",}", "bad_json"),
    "a leading comma": (b"{," + WITHOUT_BRACE, "bad_json"),
    "a key without quotes": (b'{type:"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    "a key without a value": (b'{"type","client":1,"tx":1,"amount":1}', "bad_json"),
    "single quotes": (b"{'type':'deposit','client':1,'tx':1,'amount':1}", "bad_json"),
    "a value without quotes": (b'{"type":deposit,"client":1,"tx":1,"amount":1}', "bad_json"),
    "no value": (b'{"type":"deposit","client":1,"tx":1,"amount":}', "bad_json"),
    "a leading zero": (b'{"type":"deposit","client":01,"tx":1,"amount":1}', "bad_json"),
    "no digit before the point": (b'{"type":"deposit","client":1,"tx":1,"amount":.5}', "bad_json"),
    "no digit after the point": (b'{"type":"deposit","client":1,"tx":1,"amount":1.}', "bad_json"),
    "a plus sign": (b'{"type":"deposit","client":+1,"tx":1,"amount":1}', "bad_json"),
    "NaN": (b'{"type":"deposit","client":1,"tx":1,"amount":NaN}', "bad_json"),
    "a word in upper case": (b'{"type":"deposit","client":1,"tx":1,"amount":NULL}', "bad_json"),
    "a control character": (b'{"type":"dep\tosit","client":1,"tx":1,"amount":1}', "bad_json"),
    "a NUL": (b'{"type":"deposit","client":1,"tx":1,"amount":1}\0', "bad_json"),
    "a vertical tab between tokens": (b'{\v"type":"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    "an unknown escape": (b'{"a":"\\q","type":"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    "a short escape": (b'{"a":"\\u12g4","type":"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    "a comment": (b'{"type":"deposit","client":1,"tx":1,"amount":1} // paid', "bad_json"),
    "a byte order mark inside the file": (BYTE_ORDER_MARK + DEPOSIT, "bad_json"),
    "bad JSON in another key": (b'{"a":[1,],"type":"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    "a wrong bracket": (b'{"a":[1},"type":"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    # Keys.
    "a key twice": (b'{"type":"deposit","type":"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    "a key twice, escaped": (b'{"type":"deposit","typ\\u0065":"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    "a key twice in other cases": (b'{"Type":"deposit","TYPE":"deposit","client":1,"tx":1,"amount":1}', "bad_json"),
    "an object as a client": (b'{"type":"deposit","client":{"id":1},"tx":1,"amount":1}', "bad_json"),
    "an array as an amount": (b'{"type":"deposit","client":1,"tx":1,"amount":[1]}', "bad_json"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_a_line_has_its_outcome(name: str) -> None:
    line, expected = GOLDEN[name]
    outcome = assert_as_reference([("in.jsonl", b'{"type":"dispute","client":9,"tx":9}\n' + line)], reader="native")
    assert outcome is not None
    reasons = [each.reason for each in outcome.rejects[1:]]
    assert reasons == ([] if expected == APPLIED else [expected])
    assert (b"\n1,1.5000,0.0000,1.5000,false\n" in outcome.accounts) == (expected == APPLIED)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_line_has_its_outcome_among_lines_of_any_shape(name: str) -> None:
    """The fast path knows the shape of rows before: of this line, and of one that differs in little."""
    line, _ = GOLDEN[name]
    rows = [DEPOSIT, line, line, DEPOSIT, line.replace(b"1", b"2"), line.replace(b"deposit", b"dispute"), line]
    assert_as_reference([("in.jsonl", b"\n".join([DEPOSIT, *rows]))], reader="native")


@pytest.mark.parametrize("value", [*json_files.NUMBERS, *json_files.WORDS, *json_files.STRINGS, *json_files.NESTED])
@pytest.mark.parametrize("key", ["type", "client", "tx", "amount", "note"])
def test_a_value_means_the_same_in_a_known_shape(key: str, value: str) -> None:
    members = {"note": '"x"', "type": '"deposit"', "client": "1", "tx": "2", "amount": "3"}
    rows = [json_files.joined(list((members | {key: each}).items()), json_files.STYLES[0]) for each in ("7", '"7"')]
    rows.append(json_files.joined(list(members.items()), json_files.STYLES[0]))
    changed = json_files.joined(list((members | {key: value}).items()), json_files.STYLES[0])
    assert_as_reference([("in.jsonl", b"\n".join([*rows, changed, *rows, changed]))], reader="native")


@given(json_files.json_files(), block_sizes, st.sampled_from(THREADS))
@examples(2)
def test_a_file_gives_what_the_rules_say(content: bytes, block_bytes: int, threads: int) -> None:
    assert_as_reference([("in.jsonl", content)], reader="native", block_bytes=block_bytes, threads=threads)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
def test_every_block_size_gives_the_same(ending: bytes) -> None:
    content = ending.join([BYTE_ORDER_MARK, *(line for line, _ in GOLDEN.values()), b"", DEPOSIT])
    content = content.replace(ending, ending + DEPOSIT + ending, 1)
    expected = assert_as_reference([("in.jsonl", content)], reader="native")
    for block_bytes in (*range(1, 80), 127, 128, 1000):
        assert replays.run([("in.jsonl", content)], block_bytes=block_bytes) == expected


@given(json_files.json_files(), st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_a_pipe_that_gives_few_bytes_gives_the_same(content: bytes, sizes: list[int]) -> None:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(content[start : start + size])
        start += size
    pieces.append(content[start:])
    expected = replays.run([("in.jsonl", content)])
    assert replays.run([("in.jsonl", pieces)]) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_encodings_and_compressions_give_the_same(encoding: str, compress: type[bytes], tmp_path: Path) -> None:
    text = "".join(f'{{"type":"deposit","client":{tx % 3},"tx":{tx},"amount":"1.{tx}","é":"ü"}}\n' for tx in range(99))
    path = tmp_path / "in"
    path.write_bytes(compress(text.encode(encoding)))
    expected = replays.run_reference([("in", text.encode())])
    assert replays.run_files([path]) == expected


def test_inputs_of_both_formats_are_one_stream() -> None:
    csv = b"type,client,tx,amount\ndeposit,1,1,5\ndeposit,1,2,1\n"
    lines = b'{"type":"dispute","client":1,"tx":1}\n' + DEPOSIT
    for block_bytes in (1, 20, 1 << 18):
        outcome = assert_as_reference(
            [("a", csv), ("b", lines), ("c", csv), ("d", lines)], reader="native", block_bytes=block_bytes, threads=3
        )
        assert outcome is not None
        assert outcome.rows == 8


# ---- Long lines ------------------------------------------------------------------------------------

LIMIT = 1 << 20


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("block_bytes", [100, 1 << 18, 1 << 22])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r", b""], ids=["LF", "CR LF", "CR", "none"])
def test_a_row_of_more_than_1_mib_is_too_long(over: int, block_bytes: int, ending: bytes) -> None:
    row = b'{"note":"%s",' + WITHOUT_BRACE
    row = row % (b"x" * (LIMIT + over - len(row) + 2))
    assert len(row) == LIMIT + over
    content = DEPOSIT + b"\n" + row + ending + (DEPOSIT if ending else b"")
    outcome = assert_as_reference([("in.jsonl", content)], reader="native", block_bytes=block_bytes)
    assert outcome is not None
    assert outcome.malformed == ({"row_too_long": 1} if over else {})


@pytest.mark.parametrize("block_bytes", [100, 1 << 22])
def test_a_long_first_row_is_a_row(block_bytes: int) -> None:
    content = b'{"note":"%s"}\n%s' % (b"x" * 2 * LIMIT, DEPOSIT)
    outcome = assert_as_reference([("in.jsonl", content)], reader="native", block_bytes=block_bytes)
    assert outcome is not None
    assert outcome.malformed == {"row_too_long": 1}


@pytest.mark.parametrize("block_bytes", [100, 1 << 22])
def test_a_long_blank_line_is_nothing(block_bytes: int) -> None:
    content = DEPOSIT + b"\n" + b" \t" * LIMIT + b"\n" + DEPOSIT + b"\n" + b" " * 2 * LIMIT
    outcome = assert_as_reference([("in.jsonl", content)], reader="native", block_bytes=block_bytes)
    assert outcome is not None
    assert outcome.malformed == {}


# ---- Nested values ---------------------------------------------------------------------------------


# What opens a level and what closes it, in the deepest of them a value, and a value in which one bracket is wrong.
LEVELS = {
    "arrays": (b"[", b"0", b"]"),
    "objects": (b'{"a":', b"null", b"}"),
    "both": (b'[{"a":', b'"]"', b"}]"),
    "others inside": (b"[[],{},", b"[]", b',{"a":[]}]'),
}


@pytest.mark.parametrize("depth", [1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 60_000])
@pytest.mark.parametrize("kind", LEVELS)
def test_nested_values_of_any_depth_are_passed_over(kind: str, depth: int) -> None:
    opening, deepest, closing = LEVELS[kind]
    rest = b"," + WITHOUT_BRACE
    wrong = closing[:-1] + (b"}" if closing.endswith(b"]") else b"]")
    nested = opening * depth + deepest + closing * depth
    rows = [
        nested, opening * depth + deepest + wrong + closing * (depth - 1), nested[: -len(closing)] + wrong,
        nested[: -len(closing)], nested + closing, opening * depth + closing * depth + b"0",
    ]  # fmt: skip
    content = b"\n".join([DEPOSIT, b'{"a":0' + rest, *(b'{"a":' + row + rest for row in rows)])
    outcome = replays.run([("in.jsonl", content)], block_bytes=1 << 22)
    assert outcome.rows == 8
    assert outcome.malformed == {"bad_json": 5}


def test_a_line_of_open_brackets_is_bad_json_in_no_time() -> None:
    content = DEPOSIT + b"\n" + b"[" * (LIMIT - 5) + b"\n" + b'{"a":' * (LIMIT // 5) + b"\n" + b'{"a":' + b"[" * LIMIT
    outcome = replays.run([("in.jsonl", content)], block_bytes=1 << 22)
    assert outcome.malformed == {"bad_json": 2, "row_too_long": 1}


# ---- Shapes ----------------------------------------------------------------------------------------


def test_rows_of_many_keys_and_long_keys_are_read() -> None:
    rows: list[bytes] = []
    for keys in (1, 20, 28, 29, 40, 500):
        for length in (1, 8, 40, 60, 64, 100):
            members = [(f"{'k' * length}{number}", "[]") for number in range(keys)]
            members += [("type", '"deposit"'), ("client", "1"), ("tx", str(len(rows))), ("amount", "1")]
            rows += [json_files.joined(members, style) for style in json_files.STYLES for _ in range(2)]
    outcome = assert_as_reference([("in.jsonl", b"\n".join(rows))], reader="native")
    assert outcome is not None
    assert outcome.malformed == {}


def test_rows_of_ever_other_shapes_are_read() -> None:
    rows = [
        json.dumps({f"k{number % 50}": number, "type": "deposit", "client": 1, "tx": number, "amount": "1"}).encode()
        for number in range(2_000)
    ]
    outcome = assert_as_reference([("in.jsonl", b"\n".join(rows))], reader="native", block_bytes=1 << 16)
    assert outcome is not None
    assert outcome.applied == {"deposit": 2_000}


@pytest.mark.parametrize("cut", range(1, len(DEPOSIT)))
def test_a_row_that_the_file_cuts_short_is_bad_json(cut: int) -> None:
    content = b"\n".join([DEPOSIT, DEPOSIT.replace(b":1", b":2"), DEPOSIT[:cut]])
    outcome = assert_as_reference([("in.jsonl", content)], reader="native")
    assert outcome is not None
    assert outcome.malformed == {"bad_json": 1}


# ---- Readers ---------------------------------------------------------------------------------------


def test_the_arrow_reader_refuses_json_lines() -> None:
    with pytest.raises(InputError, match=r"in\.jsonl: JSON lines, which .*: use --reader native"):
        replays.run([("in.jsonl", DEPOSIT)], reader="arrow")


@pytest.mark.parametrize("reader", replays.READERS)
def test_json_lines_behind_more_blank_bytes_than_are_looked_at_are_refused(reader: str) -> None:
    assert replays.run([("in.jsonl", b"\n" * 511 + DEPOSIT)]).rows == 1
    with pytest.raises(InputError, match=r"begins with more than 512 blank bytes, .*: remove the blank lines"):
        replays.run([("in.jsonl", b"\n" * 512 + DEPOSIT)], reader=reader)
