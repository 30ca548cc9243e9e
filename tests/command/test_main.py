"""The command as a user runs it: the real program in a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import (
    ACCOUNTS,
    APPLIED_LINE,
    COMMAND,
    FILE,
    MALFORMED_LINE,
    MANY,
    NO_ACCOUNTS,
    PATIENCE_SECONDS,
    REJECTED_LINE,
    Folder,
    environment,
    finish,
    many_accounts,
    shell,
)
from tests.support.project import PROJECT_ROOT
from tests.support.reference import ACCOUNTS_HEADER, HEADER
from txfast.errors import describe_failure

SAMPLES = PROJECT_ROOT / "samples"
SAMPLE_NAMES = sorted(path.name.removesuffix(".accounts.csv") for path in SAMPLES.glob("*.accounts.csv"))


# ---- Inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLE_NAMES)
def test_a_sample_gives_the_accounts_beside_it(folder: Folder, name: str) -> None:
    run = folder.run(SAMPLES / f"{name}.csv")
    assert run.exit_code == 0
    assert run.output == (SAMPLES / f"{name}.accounts.csv").read_bytes()


def test_there_are_samples() -> None:
    assert "sample" in SAMPLE_NAMES


@pytest.mark.parametrize("arguments", [(), ("-",), ("-", "error"), ("error",)])
def test_piped_input_is_read(folder: Folder, arguments: tuple[str, ...]) -> None:
    run = folder.run(*arguments, stdin=FILE)
    assert (run.exit_code, run.output) == (0, ACCOUNTS)
    assert run.error_lines == [MALFORMED_LINE.replace("in.csv", "standard input")]


def test_input_redirected_from_a_file_is_read(folder: Folder) -> None:
    with (folder.path / "in.csv").open("rb") as file:
        assert folder.run("-", stdin=file).output == ACCOUNTS


def test_piped_input_is_not_read_if_files_are_named(folder: Folder) -> None:
    assert folder.run("in.csv", stdin=HEADER + b"deposit,2,2,2\n").output == ACCOUNTS


def test_several_files_are_one_stream_in_the_order_given(folder: Folder) -> None:
    folder.write("more.csv", b"amount,tx,client,type\n2,2,1,withdrawal\n,1,1,dispute\n")
    run = folder.run("in.csv", "more.csv", "warn")
    assert run.output == ACCOUNTS_HEADER + b"1,-2.0000,5.0000,3.0000,false\n"
    assert run.error_lines == [REJECTED_LINE, MALFORMED_LINE]
    run = folder.run("more.csv", "in.csv", "warn")
    assert run.output == ACCOUNTS
    assert run.error_lines == [
        "rejected: more.csv:2: insufficient_funds: 2,2,1,withdrawal",
        "rejected: more.csv:3: transaction_not_found: ,1,1,dispute",
        REJECTED_LINE,
        MALFORMED_LINE,
    ]


def test_standard_input_may_stand_between_files(folder: Folder) -> None:
    folder.write("last.csv", HEADER + b"withdrawal,1,8,7\n")
    run = folder.run("in.csv", "-", "last.csv", "-q", stdin=HEADER + b"deposit,1,7,2\n")
    assert run.output == ACCOUNTS_HEADER + b"1,0.0000,0.0000,0.0000,false\n"


def test_the_same_file_twice_adds_nothing(folder: Folder) -> None:
    assert folder.run("in.csv", "in.csv").output == ACCOUNTS


def test_a_header_alone_gives_no_accounts(folder: Folder) -> None:
    run = folder.run("-", stdin=HEADER)
    assert (run.exit_code, run.output, run.errors) == (0, NO_ACCOUNTS, "")


def test_accounts_come_in_order_of_their_clients(folder: Folder) -> None:
    clients = [7, 2**64 - 1, 0, 10, 2**63]
    rows = b"".join(b"deposit,%d,1,1\n" % client for client in clients)
    lines = folder.run("-", stdin=HEADER + rows).output.splitlines()
    assert [int(line.split(b",")[0]) for line in lines[1:]] == sorted(clients)


def test_many_accounts_are_all_written(folder: Folder) -> None:
    run = folder.run(stdin=many_accounts())
    assert run.output == ACCOUNTS_HEADER + b"".join(b"%d,1.0000,0.0000,1.0000,false\n" % i for i in range(MANY))


def test_it_runs_as_a_module_too(folder: Folder) -> None:
    run = folder.run("in.csv", command=(sys.executable, "-m", "txfast"))
    assert (run.exit_code, run.output, run.error_lines) == (0, ACCOUNTS, [MALFORMED_LINE])


# ---- Levels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "rows"),
    [
        ("error", [MALFORMED_LINE]),
        ("warn", [REJECTED_LINE, MALFORMED_LINE]),
        ("info", [REJECTED_LINE, MALFORMED_LINE]),
        ("debug", [APPLIED_LINE, REJECTED_LINE, MALFORMED_LINE]),
        ("trace", [APPLIED_LINE, REJECTED_LINE, MALFORMED_LINE]),
    ],
)
def test_a_level_shows_its_rows_in_input_order(folder: Folder, level: str, rows: list[str]) -> None:
    for arguments in (("in.csv", level), ("--log-level", level, "in.csv"), (f"--log-level={level}", "in.csv")):
        run = folder.run(*arguments)
        assert (run.exit_code, run.output) == (0, ACCOUNTS)
        blocks = [line for line in run.error_lines if line.startswith("trace: ")]
        assert [line for line in run.error_lines if "in.csv:" in line and line not in blocks] == rows
        assert len(blocks) == (level == "trace")


def test_malformed_rows_alone_are_shown_by_default(folder: Folder) -> None:
    assert folder.run("in.csv").error_lines == [MALFORMED_LINE]


def test_the_level_info_logs_totals(folder: Folder) -> None:
    assert not any(line.startswith("info: ") for line in folder.run("in.csv", "warn").error_lines)
    totals = [line for line in folder.run("in.csv", "info").error_lines if line.startswith("info: ")]
    assert any(line.startswith("info: 3 rows in ") for line in totals)
    assert {
        "info: 1 account",
        "info: applied 1: deposit 1",
        "info: rejected 1: insufficient_funds 1",
        "info: malformed 1: bad_type 1",
    } <= set(totals)


def test_a_level_is_a_file_if_one_has_that_name(folder: Folder) -> None:
    folder.write("warn", HEADER + b"deposit,2,1,1\n")
    run = folder.run("in.csv", "warn")
    assert run.output == ACCOUNTS + b"2,1.0000,0.0000,1.0000,false\n"
    assert run.error_lines == [MALFORMED_LINE]
    run = folder.run("in.csv", "warn", "warn")
    assert run.output == ACCOUNTS + b"2,1.0000,0.0000,1.0000,false\n"


def test_a_level_is_only_the_last_argument(folder: Folder) -> None:
    folder.run("warn", "in.csv").assert_failed("warn: cannot be read: No such file or directory")


@pytest.mark.parametrize("level", ["WARN", "warning", "warn "])
def test_a_word_that_is_nearly_a_level_may_be_a_file(folder: Folder, level: str) -> None:
    folder.write(level, FILE)
    assert folder.run("-q", level).output == ACCOUNTS


def test_a_level_given_twice_is_a_usage_error(folder: Folder) -> None:
    folder.run("--log-level", "info", "in.csv", "warn").assert_misused("twice", "warn", "--log-level info")


def test_a_level_may_come_between_options(folder: Folder) -> None:
    run = folder.run("in.csv", "warn", "-o", "out.csv")
    assert (run.exit_code, run.error_lines) == (0, [REJECTED_LINE, MALFORMED_LINE])


def test_quiet_logs_failures_alone(folder: Folder) -> None:
    for arguments in (("-q", "in.csv"), ("in.csv", "--quiet"), ("in.csv", "-q", "debug")):
        run = folder.run(*arguments)
        assert (run.exit_code, run.output, run.errors) == (0, ACCOUNTS, "")
    folder.run("-q", "in.csv", "missing.csv").assert_failed("missing.csv")


def test_a_run_that_refused_rows_ends_with_a_line_that_says_so(folder: Folder) -> None:
    counts = "rows: 1 applied, 1 rejected, 1 malformed"
    how = "; to see which, add --rejects FILE.csv, or warn as last argument"
    assert folder.run("in.csv").outcome == counts + how
    assert folder.run("in.csv", "error").outcome == counts + how
    assert folder.run("in.csv", "-v").outcome == counts + how
    for level in ("warn", "info", "debug"):
        assert folder.run("in.csv", level).outcome == counts
    assert folder.run("in.csv", "--rejects", "r.csv").outcome == counts + "; see r.csv"
    assert folder.run("-q", "in.csv").outcome == ""


def test_a_run_that_refused_no_row_says_nothing(folder: Folder) -> None:
    folder.write("good.csv", HEADER + b"deposit,1,1,5\n")
    run = folder.run("good.csv")
    assert (run.errors, run.outcome) == ("", "")


def test_malformed_rows_that_are_all_in_the_log_need_no_advice(folder: Folder) -> None:
    folder.write("bad.csv", HEADER + b"deposit,1,1,5\n" + b"deposit,-,1,1\n" * 100)
    assert folder.run("bad.csv").outcome == "rows: 1 applied, 0 rejected, 100 malformed"
    folder.write("bad.csv", HEADER + b"deposit,1,1,5\n" + b"deposit,-,1,1\n" * 1101)
    outcome = folder.run("bad.csv").outcome
    assert outcome.startswith("rows: 1 applied, 0 rejected, 1,101 malformed; to see which, add --rejects FILE.csv")


def test_the_outcome_is_an_object_in_json(folder: Folder) -> None:
    outcome = json.loads(folder.run("--log-format", "json", "in.csv").outcome)
    assert outcome["outcome"] == {"applied": 1, "rejected": 1, "malformed": 1}
    assert outcome["level"] == "info"


def test_a_run_that_fails_has_no_outcome(folder: Folder) -> None:
    for arguments in (["in.csv", "missing.csv"], ["--strict", "in.csv"], ["in.csv", "-o", "/dev/full"]):
        assert folder.run(*arguments).outcome == ""


def test_verbose_shows_figures_and_no_rows(folder: Folder) -> None:
    lines = folder.run("-v", "in.csv").error_lines
    assert {line.partition(":")[0] for line in lines} == {"info"}
    assert "info: rejected 1: insufficient_funds 1" in lines
    lines = folder.run("--verbose", "in.csv", "warn").error_lines
    assert lines[:2] == [REJECTED_LINE, MALFORMED_LINE]
    assert "info: rejected 1: insufficient_funds 1" in lines
    assert folder.run("-v", "in.csv", "--log-format", "json").errors.count('"stats"') == 1


# ---- Rows in the log ------------------------------------------------------------------------------


def malformed_rows(*reasons_and_counts: tuple[bytes, int]) -> bytes:
    """Rows that are malformed, and a good one, without which the run would fail."""
    return HEADER + b"".join(row * count for row, count in reasons_and_counts) + b"deposit,1,1,1\n"


def test_a_hundred_malformed_rows_are_logged_one_by_one(folder: Folder) -> None:
    folder.write("bad.csv", malformed_rows((b"deposit,-,1,1\n", 100)))
    lines = folder.run("bad.csv").error_lines
    assert lines == [f"malformed: bad.csv:{line}: bad_client: deposit,-,1,1" for line in range(2, 102)]


def test_further_malformed_rows_are_counted_by_reason(folder: Folder) -> None:
    folder.write("bad.csv", malformed_rows((b"deposit,-,1,1\n", 99), (b"deposit,1,-,1\n", 30)))
    folder.write("worse.csv", malformed_rows((b"deposit,-,1,1\n", 3), (b"deposit,1,1,z\n", 1)))
    lines = folder.run("bad.csv", "worse.csv").error_lines
    assert lines[98] == "malformed: bad.csv:100: bad_client: deposit,-,1,1"
    assert lines[99] == "malformed: bad.csv:101: bad_tx: deposit,1,-,1"
    assert sorted(lines[100:]) == [
        "malformed: bad_amount: 1 row in all",
        "malformed: bad_client: 102 rows in all",
        "malformed: bad_tx: 30 rows in all",
    ]


@pytest.mark.parametrize("level", ["error", "warn"])
def test_a_named_level_logs_every_malformed_row(folder: Folder, level: str) -> None:
    folder.write("bad.csv", malformed_rows((b"deposit,-,1,1\n", 250)))
    lines = folder.run("bad.csv", level).error_lines
    assert lines == [f"malformed: bad.csv:{line}: bad_client: deposit,-,1,1" for line in range(2, 252)]


def test_the_level_warn_logs_every_rejected_row(folder: Folder) -> None:
    folder.write("poor.csv", HEADER + b"withdrawal,1,1,1\n" * 250)
    assert len(folder.run("poor.csv", "warn").error_lines) == 250


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (b"fee,\x1b[31m,\x07\x00,1", r"fee,\x1b[31m,\x07\x00,1"),
        (b"fee,\t1,\x7f", r"fee,\x091,\x7f"),
        ("fee,é,\u20ac".encode(), "fee,é,\u20ac"),
        ("fee,\x9b31m,\u2028,\u202e\u2066".encode(), r"fee,\x9b31m,\u2028,\u202e\u2066"),
        (b"fee,caf\xe9,\xff", r"fee,caf\xe9,\xff"),
        (b"fee,1,1," + b"x" * 192, "fee,1,1," + "x" * 192),
        (b"fee,1,1," + b"x" * 193, "fee,1,1," + "x" * 192 + "…"),
        (b"fee,1,1," + b"x" * 300_000, "fee,1,1," + "x" * 192 + "…"),
    ],
    ids=["escape", "tab", "letters", "unicode controls", "not UTF-8", "200 bytes", "201 bytes", "long"],
)
def test_a_row_is_logged_on_one_line_without_control_characters(folder: Folder, row: bytes, shown: str) -> None:
    folder.write("bad.csv", HEADER + row + b"\ndeposit,1,1,1\n")
    assert folder.run("bad.csv").errors == f"malformed: bad.csv:2: bad_type: {shown}\n"


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_lines_are_counted_with_every_kind_of_ending(folder: Folder, ending: bytes) -> None:
    lines = [b"", b"type,client,tx,amount", b"  ", b"fee,1,1,1", b"", b"deposit,1,1,1", b"toll,1,1,1"]
    folder.write("bad.csv", ending.join(lines))
    assert folder.run("bad.csv").error_lines == [
        "malformed: bad.csv:4: bad_type: fee,1,1,1",
        "malformed: bad.csv:7: bad_type: toll,1,1,1",
    ]


# ---- Output --------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [("-o", "out.csv"), ("--output", "out.csv"), ("--output=out.csv",)])
def test_accounts_go_to_a_file(folder: Folder, option: tuple[str, ...]) -> None:
    run = folder.run("in.csv", *option)
    assert (run.exit_code, run.output) == (0, b"")
    assert (folder.path / "out.csv").read_bytes() == ACCOUNTS
    assert folder.names() == ["in.csv", "out.csv"]


def test_a_file_is_replaced_whole(folder: Folder) -> None:
    out = folder.write("out.csv", b"old" * 1_000)
    with out.open("rb") as reader:
        folder.run("in.csv", "-o", "out.csv")
        assert reader.read() == b"old" * 1_000
    assert out.read_bytes() == ACCOUNTS


def test_a_run_that_fails_leaves_the_old_file(folder: Folder) -> None:
    out = folder.write("out.csv", b"old")
    folder.run("in.csv", "missing.csv", "-q", "-o", "out.csv").assert_failed("missing.csv")
    assert out.read_bytes() == b"old"
    assert folder.names() == ["in.csv", "out.csv"]


def test_a_symbolic_link_stays_and_its_target_is_replaced(folder: Folder) -> None:
    (folder.path / "reports").mkdir()
    target = folder.write("reports/out.csv", b"old")
    link = folder.path / "link.csv"
    link.symlink_to("reports/out.csv")
    folder.run("in.csv", "-o", "link.csv")
    assert os.readlink(link) == "reports/out.csv"
    assert target.read_bytes() == ACCOUNTS
    assert os.listdir(folder.path / "reports") == ["out.csv"]


def test_the_target_of_a_dangling_link_is_created(folder: Folder) -> None:
    (folder.path / "link.csv").symlink_to("out.csv")
    folder.run("in.csv", "-o", "link.csv")
    assert (folder.path / "link.csv").is_symlink()
    assert (folder.path / "out.csv").read_bytes() == ACCOUNTS


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o666])
def test_a_replaced_file_keeps_its_mode(folder: Folder, mode: int) -> None:
    out = folder.write("out.csv", b"old")
    out.chmod(mode)
    folder.run("in.csv", "-o", "out.csv")
    assert stat.S_IMODE(out.stat().st_mode) == mode


def test_a_new_file_gets_the_mode_of_any_new_file(folder: Folder) -> None:
    folder.run("in.csv", "-o", "out.csv")
    assert (folder.path / "out.csv").stat().st_mode == folder.write("other.csv", b"").stat().st_mode


def test_a_named_pipe_is_written_to_and_not_replaced(folder: Folder) -> None:
    pipe = folder.path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert folder.run("in.csv", "-o", "pipe").exit_code == 0
        assert os.read(reader, 1_000) == ACCOUNTS
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_device_fails_the_run(folder: Folder) -> None:
    folder.run("in.csv", "-q", "-o", "/dev/full").assert_failed("/dev/full", "No space left on device")


def test_a_full_standard_output_fails_the_run(folder: Folder) -> None:
    with open("/dev/full", "wb") as full:
        run = folder.run("in.csv", "-q", stdout=full)
    run.assert_failed("standard output", "No space left on device")


def test_a_closed_standard_output_fails_the_run(folder: Folder) -> None:
    run = folder.run(command=("sh", "-c", f"exec '{COMMAND}' -q in.csv >&-"))
    run.assert_failed("standard output")


def test_an_output_in_a_folder_that_is_not_there_fails_the_run(folder: Folder) -> None:
    folder.run("in.csv", "-q", "-o", "no/out.csv").assert_failed("no/out.csv", "No such file or directory")


def test_an_output_that_is_a_folder_fails_the_run(folder: Folder) -> None:
    (folder.path / "reports").mkdir()
    folder.run("in.csv", "-q", "-o", "reports").assert_failed("reports", "Is a directory")


def test_a_reader_that_goes_away_ends_the_run_by_sigpipe(folder: Folder) -> None:
    folder.write("many.csv", many_accounts())
    pipe = subprocess.PIPE
    with subprocess.Popen([COMMAND, folder.path / "many.csv"], stdout=pipe, stderr=pipe, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == ACCOUNTS_HEADER
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGPIPE


# ---- Failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a transactions file"),
        (b"\n \n\t\r\n", "not a transactions file"),
        (b"deposit,1,1,5\n", "no column type, client, tx, amount"),
        (b"type,client,amount\ndeposit,1,5\n", "no column tx"),
        (b"Type,TYPE,Client,Tx,Amount\n", "names 'type' twice"),
        (b"type,client,tx,amount,tx\n", "names 'tx' twice"),
        (b'type,client,tx,"amount\n', "badly quoted"),
        (bytes(range(256)) * 64, "not a transactions file"),
        (b"\x7fELF\x02\x01\x01" + bytes(5_000), "not a transactions file"),
        (b"\x00" * 100_000, "not a transactions file"),
    ],
    ids=[
        "empty",
        "blanks",
        "no header",
        "a column short",
        "twice in capitals",
        "twice",
        "quoting",
        "bytes",
        "program",
        "zeros",
    ],
)
def test_a_file_that_is_no_transactions_file_fails_the_run(folder: Folder, content: bytes, words: str) -> None:
    folder.write("other", content)
    folder.run("other").assert_failed("other: ", words)
    folder.run("-", stdin=content).assert_failed("standard input: ", words)


def test_a_missing_file_fails_the_run(folder: Folder) -> None:
    folder.run("missing.csv").assert_failed("missing.csv: cannot be read: No such file or directory")


def test_a_folder_fails_the_run(folder: Folder) -> None:
    folder.run(".").assert_failed(".: cannot be read: Is a directory")
    folder.run("./", "in.csv").assert_failed("./: ")


def test_one_bad_file_among_good_ones_fails_the_run(folder: Folder) -> None:
    folder.write("good.csv", HEADER + b"deposit,1,1,1\n")
    folder.write("empty.csv", b"")
    folder.write("better.csv", HEADER + b"deposit,1,2,1\n")
    folder.run("good.csv", "empty.csv", "better.csv").assert_failed("empty.csv: ")


def test_a_closed_standard_input_fails_the_run(folder: Folder) -> None:
    run = folder.run(command=("sh", "-c", f"exec '{COMMAND}' - <&-"))
    run.assert_failed("standard input")


def test_a_file_name_that_is_not_utf_8_is_read_and_named(folder: Folder) -> None:
    folder.run(b"caf\xe9.csv").assert_failed("caf", "cannot be read")
    (Path(os.fsdecode(os.fsencode(folder.path) + b"/caf\xe9.csv"))).write_bytes(FILE)
    run = folder.run(b"caf\xe9.csv")
    assert (run.exit_code, run.output) == (0, ACCOUNTS)
    assert len(run.error_lines) == 1


def test_control_characters_are_escaped_in_a_file_name(folder: Folder) -> None:
    folder.run("no\nsuch\x1b[31m.csv").assert_failed(r"no\x0asuch\x1b[31m.csv")
    folder.write("a\nb.csv", FILE)
    assert folder.run("a\nb.csv").error_lines == [MALFORMED_LINE.replace("in.csv", r"a\x0ab.csv")]


@pytest.mark.parametrize("level", ["error", "warn", "info"])
def test_a_failure_has_no_traceback(folder: Folder, level: str) -> None:
    folder.run("missing.csv", level).assert_failed("missing.csv")


@pytest.mark.parametrize("level", ["debug", "trace"])
def test_a_failure_has_a_traceback_at_debug_and_trace(folder: Folder, level: str) -> None:
    run = folder.run("missing.csv", level)
    assert run.exit_code == 1
    assert "txfast: missing.csv: cannot be read: No such file or directory" in run.error_lines
    assert "Traceback (most recent call last):" in run.error_lines


# ---- Signals -------------------------------------------------------------------------------------


@pytest.mark.untraced
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_by_that_signal(folder: Folder, number: signal.Signals) -> None:
    with folder.running("-") as process:
        process.send_signal(number)
        run = finish(process)
    assert (run.exit_code, run.output, run.errors) == (-number, b"", "")


@pytest.mark.untraced
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_old_file(folder: Folder, number: signal.Signals) -> None:
    out = folder.write("out.csv", b"old")
    with folder.running("-", "-o", "out.csv") as process:
        process.send_signal(number)
        run = finish(process)
    assert (run.exit_code, run.output, run.errors) == (-number, b"", "")
    assert out.read_bytes() == b"old"
    assert folder.names() == ["in.csv", "out.csv"]


# ---- Odd places to read from and write to ----------------------------------------------------------


def test_standard_output_may_be_named_by_its_path(folder: Folder) -> None:
    assert shell(folder, "$TXFAST -q in.csv -o /dev/stdout | cat").output == ACCOUNTS


def test_a_file_that_standard_output_appends_to_keeps_its_content(folder: Folder) -> None:
    folder.write("log", b"before\n")
    assert shell(folder, "$TXFAST -q in.csv -o /dev/stdout >> log").exit_code == 0
    # The same in a process that inherits a SIGINT that is ignored.
    assert shell(folder, "trap '' INT; $TXFAST -q in.csv").output == ACCOUNTS
    assert (folder.path / "log").read_bytes() == b"before\n" + ACCOUNTS


def test_the_output_may_be_a_process(folder: Folder) -> None:
    assert shell(folder, "$TXFAST -q in.csv -o >(cat > accounts.csv) && wait $!").exit_code == 0
    assert (folder.path / "accounts.csv").read_bytes() == ACCOUNTS


def test_closed_standard_input_fails_the_run(folder: Folder) -> None:
    shell(folder, "$TXFAST - <&-").assert_failed("standard input: cannot be read: it is closed")


@pytest.mark.parametrize("reader", ["native", "arrow"])
def test_a_pause_in_non_blocking_input_is_not_its_end(folder: Folder, reader: str) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        os.write(writing, FILE)
        run = folder.run("-q", "--reader", reader, "-", stdin=reading)
    finally:
        os.close(reading)
        os.close(writing)
    run.assert_failed("standard input: cannot be read", "non-blocking")


def test_help_to_a_full_device_is_a_failure(folder: Folder) -> None:
    run = shell(folder, "unset PYTHONUNBUFFERED; $TXFAST --help > /dev/full")
    run.assert_failed("No space left on device")


def test_help_to_a_closed_pipe_ends_by_sigpipe(folder: Folder) -> None:
    run = shell(folder, "unset PYTHONUNBUFFERED; (sleep 0.3; $TXFAST --help; echo $? >&2) | true")
    assert run.errors == "141\n"


@pytest.mark.parametrize("count", ["0", "-1", "1_0", "\u0661", "two", ""])
def test_the_number_of_threads_is_one_or_more(folder: Folder, count: str) -> None:
    folder.run(f"--threads={count}", "in.csv").assert_misused("is no number of threads")


@pytest.mark.parametrize("reader", ["native", "arrow"])
@pytest.mark.parametrize(("length", "reasons"), [(1 << 20, []), ((1 << 20) + 1, ["row_too_long"])])
def test_a_row_is_too_long_through_any_column(folder: Folder, reader: str, length: int, reasons: list[str]) -> None:
    row = b"deposit,1,1,1,".ljust(length, b"x")
    folder.write("long.csv", b"type,client,tx,amount,note\n" + row + b"\ndeposit,2,1,1,\n")
    run = folder.run("--reader", reader, "long.csv")
    assert [line.split(": ")[2] for line in run.error_lines] == reasons
    assert len(run.output.splitlines()) == 3 - len(reasons)


def test_a_missing_file_fails_a_run_with_progress_too(folder: Folder) -> None:
    run = folder.run("missing.csv", "--progress", "always")
    run.assert_failed("missing.csv: cannot be read: No such file or directory")


def test_with_a_blocked_signal_the_exit_code_is_that_of_the_signal(folder: Folder) -> None:
    folder.write("many.csv", many_accounts())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE])
    try:
        run = shell(folder, "$TXFAST many.csv | true; echo ${PIPESTATUS[0]} >&2")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert run.errors == "141\n"


LOWER = "name a lower --memory-limit, so that data goes to disk in time"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), f"out of memory: the machine has no more: {LOWER}"),
        (MemoryError("no memory for a batch of 3 rows"), f"out of memory: no memory for a batch of 3 rows: {LOWER}"),
        (
            OSError(28, "No space left on device", "out.csv"),
            "out.csv: No space left on device: free some, or name another place",
        ),
        (
            OSError(28, "No space left on device"),
            "standard output: No space left on device: free some, or name another place",
        ),
        (
            ImportError("libarrow.so: cannot be mapped"),
            "a library cannot be loaded: libarrow.so: cannot be mapped: if memory is limited (ulimit -v), raise the "
            "limit; else install anew",
        ),
        (KeyError("x"), "internal error: KeyError: 'x' (run it with the level debug to see where)"),
    ],
)
def test_every_kind_of_failure_is_one_line(error: Exception, line: str) -> None:
    assert describe_failure(error) == line
