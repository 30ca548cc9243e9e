"""Accounts, rejects and stats together: what each run puts out, however it ends."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference, replays, strategies
from tests.support.command import (
    ACCOUNTS,
    COMMAND,
    FILE,
    NO_ACCOUNTS,
    Folder,
    environment,
    finish,
    many_accounts,
    shell,
    unmeasured,
)
from tests.support.reference import HEADER
from tests.support.replays import READERS, THREADS
from txfast.batch.batch import TransactionBatch
from txfast.command.arguments import parse_arguments
from txfast.errors import ConservationError, InputError, SourceError, TooManyMalformedError
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.readers.csv import CsvReader
from txfast.report.stats import decimal_text
from txfast.run.outputs import Outputs
from txfast.run.replay import new_replay

ALL = ("-o", "a.csv", "--rejects", "r.csv", "--stats", "s.json")
NAMES = ["a.csv", "in.csv", "r.csv", "s.json"]


def with_old_outputs(folder: Folder) -> Folder:
    for name in ("a.csv", "r.csv", "s.json"):
        folder.write(name, b"old")
    return folder


def assert_untouched(folder: Folder) -> None:
    assert folder.names() == NAMES
    assert [(folder.path / name).read_bytes() for name in ("a.csv", "r.csv", "s.json")] == [b"old"] * 3


def rejects_of(folder: Folder) -> list[tuple[str, str, str]]:
    with (folder.path / "r.csv").open(newline="") as file:
        return [(row["line"], row["status"], row["reason"]) for row in csv.DictReader(file)]


# ---- What is put out -------------------------------------------------------------------------------


def test_all_outputs_of_a_run_are_published(folder: Folder) -> None:
    run = with_old_outputs(folder).run("in.csv", "-q", *ALL)
    assert (run.exit_code, run.output, run.errors) == (0, b"", "")
    assert folder.names() == NAMES
    assert (folder.path / "a.csv").read_bytes() == ACCOUNTS
    assert rejects_of(folder) == [("3", "rejected", "insufficient_funds"), ("4", "malformed", "bad_type")]
    stats = json.loads((folder.path / "s.json").read_text())
    assert stats["inputs"] == [{"file": "in.csv", "bytes": len(FILE), "rows": 3}]
    assert (stats["rows"], stats["accounts"], stats["locked_accounts"]) == (3, 1, 0)
    assert (stats["available"], stats["held"], stats["total"]) == ("5.0000", "0.0000", "5.0000")
    assert stats["conserved"] is True
    assert set(stats["seconds"]) == {"total", "read", "scan", "apply", "report", "write"}
    assert stats["peak_memory_bytes"] > 1 << 20


@given(st.lists(strategies.hostile_files(), min_size=1, max_size=3), st.sampled_from(THREADS), strategies.block_sizes)
@pytest.mark.parametrize("reader", READERS)
def test_stats_are_what_the_rules_say(reader: str, contents: list[bytes], threads: int, block_bytes: int) -> None:
    inputs = [(f"{number}.csv", HEADER + content) for number, content in enumerate(contents)]
    block_bytes = replays.fit_block(reader, inputs, block_bytes)
    replay = new_replay(None, reader=reader, threads=threads, block_bytes=block_bytes, refuses_malformed=False)
    try:
        for name, content in inputs:
            replay.read_source(replays.open_bytes(name, content))
    except InputError:
        assert not all(replays.can_carry(reader, content, block_bytes) for _, content in inputs)
        return
    stats = replay.stats(replay.collect(), 1.0)
    twin = reference.replay(*inputs)
    for outcome, counts in (("applied", twin.applied), ("rejected", twin.rejected), ("malformed", twin.malformed)):
        assert replays.occurred(stats[outcome]) == dict(counts)
    assert stats["rows"] == twin.rows
    assert stats["accounts"] == len(twin.accounts)
    assert [figures["bytes"] for figures in stats["inputs"]] == [len(content) for _, content in inputs]
    for name in ("available", "held"):
        assert stats[name] == decimal_text(sum(getattr(account, name) for account in twin.accounts.values()))


@pytest.mark.parametrize(
    ("units", "text"),
    [(0, "0.0000"), (-1, "-0.0001"), (123_456, "12.3456"), (10**30, f"{10**26}.0000"), (1 - 10**9, "-99999.9999")],
)
def test_sums_of_any_size_are_exact(units: int, text: str) -> None:
    assert decimal_text(units) == text


def test_sums_beyond_64_bits_are_exact() -> None:
    most = 2**63 - 1
    rows = [f"deposit,{client},1,922337203685477.5807".encode() for client in range(5)]
    replay = new_replay()
    replay.read_source(replays.open_bytes("in.csv", HEADER + b"\n".join(rows)))
    assert replay.collect().available_units == 5 * most


def test_money_that_came_from_nowhere_fails_the_run() -> None:
    replay = new_replay()
    replay.books.ledgers[0].restore_account(1, 10_000, 0)
    with pytest.raises(ConservationError, match="do not add up: they hold 10,000 units"):
        replay.collect()


# ---- Too many malformed rows -------------------------------------------------------------------------

FAULTY_ROWS = [b"fee,1,1,1\n" if tx % 6 == 5 else b"deposit,%d,%d,1\n" % (tx % 7, tx) for tx in range(480)]
FAULTY = HEADER + b"".join(FAULTY_ROWS)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("block_bytes", [40, 300, 1 << 18])
@pytest.mark.parametrize("allowed", [0, 1, 17, 79])
def test_a_run_stops_at_the_first_malformed_row_too_many(
    reader: str, threads: int, block_bytes: int, allowed: int
) -> None:
    block_bytes = replays.fit_block(reader, [("in.csv", FAULTY)], block_bytes)
    replay = new_replay(reader=reader, threads=threads, block_bytes=block_bytes, max_malformed=allowed)
    with pytest.raises(TooManyMalformedError) as failure:
        replay.read_source(replays.open_bytes("in.csv", FAULTY))
    lines = FAULTY.splitlines(keepends=True)
    last = [number for number, line in enumerate(lines, 1) if line.startswith(b"fee")][allowed]
    assert str(failure.value).startswith(f"in.csv:{last}: ")
    twin = reference.replay(("in.csv", b"".join(lines[:last])))
    assert replay.rows == twin.rows
    assert replays.occurred(replay.figures().applied()) == dict(twin.applied)
    assert sum(replay.malformed_rows.counts) == allowed + 1
    assert len(replay.collect()) == len(twin.accounts)


def test_as_many_malformed_rows_as_are_allowed_are_no_failure() -> None:
    replay = new_replay(max_malformed=80)
    replay.read_source(replays.open_bytes("in.csv", FAULTY))
    assert sum(replay.malformed_rows.counts) == 80


def test_rows_cannot_be_cut_where_there_are_none() -> None:
    with pytest.raises(IndexError):
        TransactionBatch().cut(1)


@pytest.mark.parametrize("option", [("--strict",), ("--max-malformed", "0")])
def test_too_many_malformed_rows_publish_why_but_no_accounts(folder: Folder, option: tuple[str, ...]) -> None:
    run = with_old_outputs(folder).run("in.csv", "-q", *option, *ALL)
    assert (run.exit_code, run.output) == (3, b"")
    assert run.error_lines == [
        "txfast: in.csv:4: stopped at malformed row 1 (limit 0); no accounts written: correct the rows, or allow more "
        "of them"
    ]
    assert folder.names() == NAMES
    assert (folder.path / "a.csv").read_bytes() == b"old"
    assert rejects_of(folder)[-1] == ("4", "malformed", "bad_type")
    assert json.loads((folder.path / "s.json").read_text())["malformed"]["bad_type"] == 1


def test_too_many_malformed_rows_leave_standard_output_empty(folder: Folder) -> None:
    run = folder.run("in.csv", "-q", "--strict")
    assert (run.exit_code, run.output) == (3, b"")


# ---- Failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", b"no,header\n", FILE], ids=["empty", "not a transactions file", "full device"]
)
def test_a_failure_publishes_nothing(folder: Folder, content: bytes) -> None:
    folder.write("in.csv", content)
    arguments = [*ALL[2:], "-o", "/dev/full"] if content == FILE else list(ALL)
    with_old_outputs(folder).run("in.csv", "-q", *arguments).assert_failed()
    assert_untouched(folder)


@pytest.mark.parametrize("full", ["--rejects", "--stats"])
def test_a_full_device_for_one_output_publishes_none(folder: Folder, full: str) -> None:
    outputs = dict(zip(ALL[::2], ALL[1::2], strict=True)) | {full: "/dev/full"}
    arguments = [word for output in outputs.items() for word in output]
    with_old_outputs(folder).run("in.csv", "-q", *arguments).assert_failed("/dev/full")
    assert_untouched(folder)


@pytest.mark.untraced
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("delay_seconds", [0.0, 0.05, 0.3])
def test_a_signal_ends_a_run_within_a_second_and_leaves_all_as_it_was(
    folder: Folder, number: signal.Signals, delay_seconds: float
) -> None:
    with with_old_outputs(folder).running("-", "-q", *ALL) as process:
        time.sleep(delay_seconds)
        process.send_signal(number)
        sent = time.monotonic()
        run = finish(process)
        assert time.monotonic() - sent < 1
    assert (run.exit_code, run.output, run.errors) == (-number, b"", "")
    assert_untouched(folder)


def test_a_reader_that_went_away_leaves_the_files_as_they_were(folder: Folder) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        run = with_old_outputs(folder).run("in.csv", "-q", *ALL[2:], stdout=write)
    finally:
        os.close(write)
    assert run.exit_code == -signal.SIGPIPE
    assert_untouched(folder)


def test_an_output_in_a_folder_that_is_not_there_publishes_none(folder: Folder) -> None:
    with_old_outputs(folder).run("in.csv", "-q", *ALL[:4], "--stats", "no/s.json").assert_failed("no/s.json")
    assert_untouched(folder)


def test_no_accounts_are_conserved() -> None:
    assert AccountColumns([]).available_units == AccountColumns([]).held_units == 0
    assert NO_ACCOUNTS


# ---- Standard streams that are closed, full, slow or stopped ---------------------------------------


@pytest.mark.parametrize(
    "others", [("--rejects", "r.csv"), ("--stats", "s.json"), ("--rejects", "r.csv", "--stats", "s.json")]
)
@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_what_is_meant_for_a_closed_standard_output_goes_into_no_other_file(
    folder: Folder, others: tuple[str, ...], closed: str
) -> None:
    run = shell(with_old_outputs(folder), f"$TXFAST -q in.csv {' '.join(others)} {closed}")
    assert run.exit_code == 1
    if "2>" not in closed:
        assert run.error_lines == ["txfast: standard output: cannot be written: it is closed"]
    assert_untouched(folder)


def test_accounts_are_not_printed_where_rejects_cannot_be_written(folder: Folder) -> None:
    folder.run("in.csv", "-q", "--rejects", "/dev/full").assert_failed("/dev/full", "No space left")


@pytest.mark.untraced
def test_a_standard_output_that_does_not_block_is_waited_for(folder: Folder) -> None:
    folder.write("many.csv", many_accounts())
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    found = bytearray()

    def read_late() -> None:
        time.sleep(0.3)
        while block := os.read(read_end, 1 << 16):
            found.extend(block)

    reader = threading.Thread(target=read_late)
    reader.start()
    run = folder.run("many.csv", "-q", stdout=write_end)
    os.close(write_end)
    reader.join()
    os.close(read_end)
    assert (run.exit_code, run.errors) == (0, "")
    assert bytes(found) == folder.run("many.csv", "-q").output


@pytest.mark.untraced
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_failure_that_nobody_reads_of_can_be_ended_by_a_signal(folder: Folder, number: signal.Signals) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write_end, bytes(4096))
    os.set_blocking(write_end, True)
    process = subprocess.Popen(
        [COMMAND, "missing.csv", "-o", "a.csv"], cwd=folder.path, env=unmeasured(environment()), stderr=write_end
    )
    try:
        time.sleep(1)
        assert process.poll() is None, "it did not wait for its line to be read"
        process.send_signal(number)
        assert process.wait(5) == -number
    finally:
        process.kill()
        process.wait()
        os.close(read_end)
        os.close(write_end)
    assert folder.names() == ["in.csv"]


@pytest.mark.parametrize("option", ["-o", "--rejects", "--stats"])
def test_a_name_with_a_slash_at_its_end_is_no_file(folder: Folder, option: str) -> None:
    folder.run("in.csv", option, "results/").assert_misused("results/", "folder")
    assert folder.names() == ["in.csv"]


def test_a_descriptor_of_too_many_digits_is_a_path_like_any_other(folder: Folder) -> None:
    folder.run("in.csv", "-q", "-o", "/dev/fd/99999999999999").assert_failed("/dev/fd/99999999999999")


# ---- Runs that cannot be -----------------------------------------------------------------------------


def test_a_run_of_no_reader_or_no_thread_is_refused() -> None:
    with pytest.raises(ValueError, match="reader 'csv': it is one of native, arrow"):
        new_replay(reader="csv")
    with pytest.raises(ValueError, match="0 threads"):
        new_replay(threads=0)


def test_a_block_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 bytes"):
        CsvReader(io.BytesIO(FILE), "in.csv", 0)


def test_a_file_that_has_nothing_to_read_yet_is_told_of() -> None:
    class NotYet(io.RawIOBase):
        def readinto(self, _: object) -> None:
            return None

    with pytest.raises(SourceError, match=r"in\.csv: cannot be read: it is non-blocking and has nothing"):
        CsvReader(NotYet(), "in.csv").fill(TransactionBatch())


def test_a_run_that_has_stopped_takes_no_more_rows() -> None:
    replay = new_replay(max_malformed=0, threads=1)
    with pytest.raises(TooManyMalformedError):
        replay.read_source(replays.open_bytes("in.csv", FILE))
    rows = replay.rows
    replay.read_source(replays.open_bytes("more.csv", FILE))
    assert (replay.rows, sum(replay.malformed_rows.counts)) == (rows, 1)


# ---- Outputs that are taken back -------------------------------------------------------------------


@pytest.mark.parametrize("there_before", [True, False])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_file_that_does_not_get_its_name_takes_back_those_before_it(
    folder: Folder, failing: int, named: bool, there_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    if there_before:
        with_old_outputs(folder)
    monkeypatch.chdir(folder.path)
    settings = parse_arguments(["in.csv", *ALL])
    outputs = Outputs(settings.output, rejects=settings.rejects, stats=settings.stats, warn=print)
    outputs.open_files()
    assert outputs.stats is not None
    outputs.stats.write(b"{}")
    name = "rename" if there_before or named else "link"
    publish_one, calls = getattr(os, name), 0

    def fail_once(*paths: str, **further: object) -> None:
        nonlocal calls
        calls += bool(further) or name == "rename"  # a link without further arguments is no publication
        if calls == failing:
            raise PermissionError(1, "Operation not permitted")
        publish_one(*paths, **further)

    monkeypatch.setattr(os, name, fail_once)
    with pytest.raises(SourceError, match="cannot be written: Operation not permitted"):
        outputs.publish()
    outputs.discard()
    assert calls >= failing
    if there_before:
        assert_untouched(folder)
    else:
        assert folder.names() == ["in.csv"]
