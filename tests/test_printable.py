"""Names and messages on a terminal: nothing that the terminal would obey, and no secret."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

import txfast
from tests.support.command import FILE, Folder
from txfast import printable as module
from txfast.errors import UsageError
from txfast.input.location import display_location, keep_secrets_of, location_key
from txfast.printable import ESCAPES, keep_secret, printable, without_secrets

# It would set the terminal's title, begin a line that looks like one of ours, and turn the text around.
HOSTILE = "a\nst_snapshot-1: good: forged \x1b]0;title\x07\u202e\x9b.csv"
SECRET = "S3CR3TW0RD/of?me"


@pytest.fixture(autouse=True)
def no_secrets_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_secrets", {})


# ---- Control characters ---------------------------------------------------------------------------


def test_each_character_that_is_escaped_is_not_printable() -> None:
    """The search by `isprintable` finds all texts that need escapes."""
    every = map(chr, range(sys.maxunicode + 1))
    assert [text for text in every if printable(text) != text.translate(ESCAPES)] == []


def test_a_name_is_shown_on_one_line_that_a_terminal_does_not_obey() -> None:
    assert printable("caf\xe9 \U0001f600.csv") == "caf\xe9 \U0001f600.csv"
    assert printable(HOSTILE) == r"a\x0ast_snapshot-1: good: forged \x1b]0;title\x07\u202e\x9b.csv"
    assert printable("a\udc9b") == r"a\udc9b"


@pytest.mark.parametrize(
    "arguments",
    [
        [HOSTILE],
        [HOSTILE, "trace"],
        [HOSTILE, "--log-format", "json", "trace"],
        ["no" + HOSTILE],
        [HOSTILE, "-o", HOSTILE],
        [HOSTILE, "--rejects", HOSTILE],
        [HOSTILE, "--output-format", HOSTILE],
        [HOSTILE, "--" + HOSTILE],
        [HOSTILE, "--spill-dir", HOSTILE],
        ["--state", "st", HOSTILE],
        ["--state", "st", "--verify"],
        ["--state", HOSTILE, "--verify"],
        ["--state", HOSTILE],
    ],
)
def test_no_name_reaches_a_terminal_as_it_is(folder: Folder, arguments: list[str]) -> None:
    folder.write(HOSTILE, FILE)
    if "--verify" in arguments:
        folder.run(HOSTILE, "--state", "st", "-q")
    run = folder.run(*arguments)
    shown = run.output.decode() + run.errors
    assert set(shown.replace("\n", "")) & {"\x1b", "\x07", "\x9b", "\u202e", "\udc9b"} == set()
    assert not [line for line in shown.splitlines() if line.startswith("st_snapshot-1: good: forged")]


# ---- Secrets --------------------------------------------------------------------------------------


def test_a_secret_is_left_out_of_every_text_encoded_or_not() -> None:
    keep_secret(f"AKIAKEY:{SECRET}", "token=T0KEN-T0KEN&region=eu-west-1")
    for text in (SECRET, "S3CR3TW0RD%2Fof%3Fme", "S3CR3TW0RD/of%3Fme", f"AKIAKEY:{SECRET}", "T0KEN-T0KEN"):
        assert without_secrets(f"no s3://{text}@b") == "no s3://…@b"
    assert without_secrets("region eu-west-1") == "region eu-west-1"


def test_a_short_secret_is_left_out_with_its_user_alone() -> None:
    keep_secret("k:s")
    assert without_secrets("k:s@bucket: access denied") == "…@bucket: access denied"
    keep_secret("hadoop")
    assert without_secrets("user hadoop") == "user hadoop"


def test_what_cannot_be_told_from_a_secret_is_not_shown() -> None:
    for uri, shown in (
        ("s3://key:sec?ret@bucket/a.csv", "s3://bucket/a.csv"), ("s3://key:secret", "s3://…"),
        ("s3://key:secret/bucket/a.csv", "s3://…"), ("s3://key:se@cr?et@bucket/a.csv", "s3://…"),
        ("s3://user?secret@bucket/a.csv", "s3://bucket/a.csv"), ("hdfs://[::1]:8020/a", "hdfs://[::1]:8020/a"),
        ("hdfs://[::1]/a", "hdfs://[::1]/a"), ("hdfs://u@[::1]:8020/a", "hdfs://[::1]:8020/a"),
        ("abfs://box@account/a", "abfs://box@account/a"), ("abfs://box:secret@account/a", "abfs://account/a"),
    ):  # fmt: skip
        assert display_location(uri) == shown


def test_the_key_of_a_location_holds_no_secret() -> None:
    assert location_key("s3://key:secret@bucket/a.csv") == "s3://bucket/a.csv"
    for uri in ("s3://key:sec/ret@bucket/a.csv", "s3://key:sec?ret@bucket/a.csv", "s3://key:secret/a.csv"):
        assert re.fullmatch("s3://[?][0-9a-f]{16}", location_key(uri))


def test_the_secrets_of_an_argument_are_those_of_the_location_at_its_end() -> None:
    keep_secrets_of("--stat=s3://KEYKEY:SECRETWORD@b/k")
    keep_secrets_of("s3://KEYKEY:AN0THERW0RD@b/k")
    keep_secrets_of("no location")
    assert printable("SECRETWORD AN0THERW0RD no location") == "… … no location"


@pytest.mark.parametrize(
    "arguments",
    [
        [f"s3://AKIAKEY:{SECRET}@bucket/in.csv", "debug"],
        [f"gopher://AKIAKEY:{SECRET}@bucket/in.csv", "trace", "--log-format=json"],
        ["--state", f"s3://AKIAKEY:{SECRET}@bucket/st", "in.csv"],
        ["--state", f"s3://AKIAKEY:{SECRET}@bucket/st", "--verify"],
        ["--spill-dir", f"s3://AKIAKEY:{SECRET}@bucket/st", "in.csv"],
        [f"--stat=s3://AKIAKEY:{SECRET}@bucket/x.json"],
        ["--threads", f"s3://AKIAKEY:{SECRET}@bucket/x.json"],
        ["-o", f"s3://AKIAKEY:{SECRET}@bucket/x.csv", "in.csv"],
    ],
)  # fmt: skip
def test_no_secret_is_shown(folder: Folder, arguments: list[str]) -> None:
    run = folder.run(*arguments)
    assert run.exit_code in (1, 2)
    assert [part for part in ("S3CR3TW0RD", "of?me") if part in run.errors] == []
    assert folder.names() == ["in.csv"]


def test_no_secret_of_a_variable_is_shown(folder: Folder) -> None:
    for name in ("STATE", "THREADS", "REJECTS"):
        run = folder.run("in.csv", variables={f"TXFAST_{name}": f"s3://AKIAKEY:{SECRET}@bucket/x"})
        assert run.exit_code == 2
        assert "S3CR3TW0RD" not in run.errors


def test_no_secret_of_a_python_argument_is_shown(folder: Folder) -> None:
    for name in ("spill_dir", "reader", "memory_limit"):
        arguments: dict[str, Any] = {name: f"s3://AKIAKEY:{SECRET}@bucket/x"}
        with pytest.raises(UsageError) as caught:
            txfast.process(folder.path / "in.csv", **arguments)
        assert "S3CR3TW0RD" not in str(caught.value)
