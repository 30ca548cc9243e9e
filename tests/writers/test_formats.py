"""Suffixes of outputs: each means its format, or is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather, parquet

import txfast
from tests.support.command import ACCOUNTS, FILE, Folder
from txfast.errors import UsageError
from txfast.writers.formats import (
    COMPRESSIONS,
    CONTENTS,
    FOREIGN_SUFFIXES,
    FORMATS,
    SUFFIXES,
    TEXTS,
    compression_of,
    format_of,
    usual_suffixes,
)

OUTPUT_OPTIONS = {"accounts": "--output", "rejects": "--rejects", "stats": "--stats"}


# ---- The table -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "account_format", "compression"),
    [
        ("a.csv", "csv", None), ("a.CSV", "csv", None), ("a.csv.gz", "csv", "gzip"), ("A.CSV.GZ", "csv", "gzip"),
        ("a.csv.zst", "csv", "zstd"), ("a.gz", "csv", "gzip"), ("a.parquet", "parquet", None),
        ("a.pq", "parquet", None), ("a.ARROW", "arrow", None), ("a.ipc", "arrow", None), ("a.feather", "arrow", None),
        ("a", "csv", None), ("-", "csv", None), ("a.txt", "csv", None), ("a.out", "csv", None),
        ("a.2026-01", "csv", None), ("a.txt.gz", "csv", "gzip"), ("parquet", "csv", None), ("a.parquet/b", "csv", None),
        (".json", "csv", None), ("/dev/stdout", "csv", None), ("a.xlsx/b", "csv", None), ("a.gz.csv", "csv", None),
    ],
)  # fmt: skip
def test_a_suffix_means_a_format_of_accounts(name: str, account_format: str, compression: str | None) -> None:
    assert format_of("accounts", name) == account_format
    assert compression_of(name) == compression


@pytest.mark.parametrize("content", CONTENTS)
def test_every_known_suffix_means_its_format_or_is_refused(content: str) -> None:
    formats, _ = CONTENTS[content]
    for known, suffixes in SUFFIXES.items():
        for suffix in suffixes:
            if known in formats:
                assert format_of(content, "x" + suffix) == known
            else:
                with pytest.raises(UsageError, match=f"'x\\{suffix}': \\{suffix} means .*: end the name in "):
                    format_of(content, "x" + suffix)


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("after", ["", ".gz", ".zst"])
def test_every_foreign_suffix_is_refused_and_named(content: str, after: str) -> None:
    for suffix, means in FOREIGN_SUFFIXES.items():
        with pytest.raises(UsageError) as refusal:
            format_of(content, f"x{suffix.upper()}{after}")
        assert f"{suffix} means {means}, and {content} are written as " in str(refusal.value)
        assert all(usual in str(refusal.value) for usual in usual_suffixes(content))


def test_no_suffix_means_two_formats() -> None:
    suffixes = [suffix for each in SUFFIXES.values() for suffix in each] + list(COMPRESSIONS) + list(FOREIGN_SUFFIXES)
    assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("table", ["parquet", "pq", "arrow", "feather"])
def test_only_text_is_compressed(table: str, suffix: str) -> None:
    with pytest.raises(UsageError, match=f"{suffix} compresses text, and .* is none: end the name in "):
        format_of("accounts", f"a.{table}{suffix}")
    with pytest.raises(UsageError, match="compresses text, and Parquet is none"):
        format_of("accounts", f"a{suffix}", chosen="parquet")


@pytest.mark.parametrize("chosen", FORMATS)
def test_a_format_in_words_overrides_every_suffix_but_a_compression(chosen: str) -> None:
    for suffix in (".csv", ".parquet", ".xlsx", ".json", ".txt", ""):
        assert format_of("accounts", "a" + suffix, chosen=chosen) == chosen
    assert format_of("accounts", "a.xlsx.gz", chosen="csv") == "csv"


def test_the_usual_suffixes_are_one_for_each_format() -> None:
    assert set(TEXTS).isdisjoint({"parquet", "arrow"})
    assert usual_suffixes("accounts") == [".csv", ".parquet", ".arrow", ".csv.gz", ".csv.zst"]
    assert usual_suffixes("stats") == [".json", ".json.gz", ".json.zst"]


# ---- The command -----------------------------------------------------------------------------------


@pytest.mark.parametrize("content", OUTPUT_OPTIONS)
@pytest.mark.parametrize("name", ["x.xlsx", "x.html", "x.tsv", "x.csv.bz2", "x.sqlite", "x.orc"])
def test_the_command_refuses_a_wrong_suffix_before_it_reads(folder: Folder, content: str, name: str) -> None:
    run = folder.run("missing.csv", OUTPUT_OPTIONS[content], name)
    run.assert_misused(f"'{name}': ", f"and {content} are written as", "end the name in")
    assert folder.names() == ["in.csv"]


def test_the_command_says_how_to_choose_the_format(folder: Folder) -> None:
    run = folder.run("in.csv", "-o", "a.json")
    run.assert_misused(
        "'a.json': .json means JSON, and accounts are written as CSV, Parquet or Arrow: end the name in .csv, "
        ".parquet, .arrow, .csv.gz or .csv.zst, or choose the format with --output-format"
    )
    assert folder.run("in.csv", "-q", "-o", "a.json", "--output-format", "csv").exit_code == 0
    assert folder.read("a.json") == ACCOUNTS


def test_a_variable_is_checked_as_a_flag_is(folder: Folder) -> None:
    for variable in ("TXFAST_OUTPUT", "TXFAST_REJECTS", "TXFAST_STATS"):
        folder.run("in.csv", variables={variable: "x.xlsx"}).assert_misused("'x.xlsx': .xlsx means Excel")


def decompressed(path: Path) -> bytes:
    """The content of a file that gzip or zstd compresses, by a reader that refuses anything after it."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    with pa.OSFile(str(path)) as file, pa.CompressedInputStream(file, "zstd") as stream:
        return bytes(stream.read())


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_all_three_outputs_are_compressed_by_their_suffix(folder: Folder, suffix: str) -> None:
    plain = folder.run("in.csv", "-q", "-o", "a.csv", "--rejects", "r.jsonl")
    compressed = folder.run(
        "in.csv", "-q", "-o", "a.csv" + suffix, "--rejects", "r.jsonl" + suffix, "--stats", "s.json" + suffix
    )
    assert plain.exit_code == compressed.exit_code == 0, compressed.errors
    for name in ("a.csv", "r.jsonl"):
        assert decompressed(folder.path / (name + suffix)) == folder.read(name)
    assert decompressed(folder.path / ("s.json" + suffix)).startswith(b"{")


def test_the_command_reads_what_it_has_compressed(folder: Folder) -> None:
    rows = b"".join(b"deposit,%d,1,7\nfee,1,1,1\n" % client for client in range(60_000))
    folder.write("in.csv", b"type,client,tx,amount\n" + rows)
    folder.run("in.csv", "-q", "-o", "a.csv", "--rejects", "r.csv.gz")
    fees = folder.run("r.csv.gz", "-q", "-o", "fees.csv")
    fees.assert_failed("r.csv.gz: all 60,000 rows are malformed: bad_type")


def test_compressed_outputs_have_the_same_bytes_whatever_the_threads(folder: Folder) -> None:
    rows = b"".join(b"deposit,%d,%d,7.25\nfee,1,1,1\n" % (tx * 7919 % 30_011, tx) for tx in range(80_000))
    folder.write("in.csv", b"type,client,tx,amount\n" + rows)
    found = set()
    for threads in ("1", "2", "3"):
        for suffix in ("gz", "zst"):
            arguments = ("-q", "--threads", threads, "-o", f"a.csv.{suffix}", "--rejects", f"r.csv.{suffix}")
            assert folder.run("in.csv", *arguments).exit_code == 0
        found.add(tuple(folder.read(f"{name}.csv.{suffix}") for name in "ar" for suffix in ("gz", "zst")))
    assert len(found) == 1


def test_a_feather_file_is_one(folder: Folder) -> None:
    assert folder.run("in.csv", "-q", "-o", "a.feather").exit_code == 0
    assert folder.run("in.csv", "-q", "-o", "a.pq").exit_code == 0
    assert feather.read_table(folder.path / "a.feather").equals(parquet.read_table(folder.path / "a.pq"))


def test_a_compressed_rejects_file_cannot_be_continued(folder: Folder) -> None:
    run = folder.run("in.csv", "--state", "state", "--checkpoint", "1", "--rejects", "r.csv.gz")
    run.assert_misused("needs rejects that can be cut back", "r.csv.gz")


def test_zstd_needs_memory_for_pyarrow(folder: Folder) -> None:
    for option, name in (("-o", "a.csv.zst"), ("--rejects", "r.csv.zst"), ("--stats", "s.json.zst")):
        folder.run("in.csv", option, name, "--memory-limit", "128MiB").assert_misused("256MiB", "zstd")
    assert folder.run("in.csv", "-q", "-o", "a.csv.gz", "--memory-limit", "128MiB").exit_code == 0


def test_a_pipe_with_a_suffix_is_compressed_too(folder: Folder) -> None:
    import os

    os.mkfifo(folder.path / "a.csv.gz")
    reader = os.open(folder.path / "a.csv.gz", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert folder.run("in.csv", "-q", "-o", "a.csv.gz").exit_code == 0
        assert gzip.decompress(os.read(reader, 1 << 16)) == ACCOUNTS
    finally:
        os.close(reader)


# ---- Python ----------------------------------------------------------------------------------------


def test_accounts_of_a_program_follow_the_same_table(folder: Folder) -> None:
    accounts = txfast.process(folder.path / "in.csv", log_level="error").accounts
    for suffix in (".gz", ".zst"):
        accounts.write(folder.path / f"a.csv{suffix}")
        assert decompressed(folder.path / f"a.csv{suffix}") == ACCOUNTS
    with pytest.raises(UsageError, match=r"\.xlsx means Excel.* or choose the format with format="):
        accounts.write(folder.path / "a.xlsx")
    accounts.write(folder.path / "a.xlsx", format="csv")
    assert folder.read("a.xlsx") == ACCOUNTS
    assert folder.read("in.csv") == FILE
