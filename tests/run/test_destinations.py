"""Where outputs go: each to a file of its own, and never over an input."""

from __future__ import annotations

import os

import pytest

from tests.support.arguments import parse
from tests.support.command import FILE, Folder, shell
from txfast.run.destinations import identities_of


@pytest.mark.parametrize("flags", [("-o", "in.csv"), ("--rejects", "in.csv"), ("--stats", "link"), ("-o", "./link")])
def test_an_input_is_never_overwritten(folder: Folder, flags: tuple[str, str]) -> None:
    (folder.path / "link").symlink_to("in.csv")
    folder.run("in.csv", *flags).assert_misused(f"{flags[1]} would overwrite the input in.csv")
    folder.run("other.csv", "link", *flags).assert_misused("would overwrite the input link")
    variable = {"-o": "OUTPUT"}.get(flags[0], flags[0][2:].upper())
    run = folder.run("in.csv", variables={f"TXFAST_{variable}": flags[1]})
    run.assert_misused(f"TXFAST_{variable}={flags[1]} would overwrite the input in.csv")
    assert (folder.path / "in.csv").read_bytes() == FILE


def test_a_hard_link_is_the_same_file(folder: Folder) -> None:
    os.link(folder.path / "in.csv", folder.path / "hard.csv")
    folder.run("in.csv", "-o", "hard.csv").assert_misused("--output hard.csv would overwrite the input in.csv")


def test_a_redirected_input_or_output_is_checked_like_a_named_file(folder: Folder) -> None:
    shell(folder, "$TXFAST - -o in.csv < in.csv").assert_misused("would overwrite the input standard input")
    shell(folder, "$TXFAST in.csv >> in.csv").assert_misused("standard output would overwrite the input in.csv")
    run = shell(folder, "$TXFAST in.csv --rejects r.csv > r.csv")
    run.assert_misused("standard output and --rejects r.csv are the same file")
    assert (folder.path / "in.csv").read_bytes() == FILE


@pytest.mark.parametrize(
    "flags",
    [
        ("-o", "new.csv", "--rejects", "new.csv"),
        ("-o", "new", "--stats", "folder/../new"),
        ("--rejects", "old.csv", "--stats", "link.json"),
        ("--rejects", "new.csv", "--stats", "dangling.json"),
    ],
)
def test_two_outputs_are_two_files(folder: Folder, flags: tuple[str, ...]) -> None:
    (folder.path / "folder").mkdir()
    folder.write("old.csv", b"old")
    (folder.path / "link.json").symlink_to("old.csv")
    (folder.path / "dangling.json").symlink_to("new.csv")
    folder.run("in.csv", *flags).assert_misused(f"{flags[1]} and ", f"{flags[3]} are the same file")
    assert (folder.path / "old.csv").read_bytes() == b"old"


@pytest.mark.parametrize(
    "flags", [("--stats", "-"), ("--stats=/dev/stdout",), ("-o/dev/stdout", "--stats", "/dev/fd/1")]
)
def test_one_output_at_most_goes_to_standard_output(folder: Folder, flags: tuple[str, ...]) -> None:
    folder.run("in.csv", *flags).assert_misused("the stats and the accounts would both go to standard output")


def test_stats_may_go_to_standard_output_without_the_accounts() -> None:
    settings = parse("-o", "a.csv", "--stats", "-", "in.csv")
    assert (settings.output, settings.stats) == ("a.csv", "-")


def test_inputs_and_outputs_may_share_devices_and_pipes(folder: Folder) -> None:
    settings = parse("/dev/null", "-o", "/dev/null", "--stats", "/dev/null")
    assert (settings.output, settings.stats) == ("/dev/null", "/dev/null")
    os.mkfifo(folder.path / "pipe.csv")
    pipe = str(folder.path / "pipe.csv")
    assert parse(pipe, "-o", pipe, "--rejects", pipe).rejects == pipe


def test_a_missing_input_is_no_usage_error(folder: Folder) -> None:
    folder.run("missing.csv", "-o", "missing.csv").assert_failed("missing.csv: cannot be read")


def test_a_closed_descriptor_is_identified_by_its_number() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    os.close(write_end)
    assert list(identities_of(f"/dev/fd/{write_end}")) == [write_end]
