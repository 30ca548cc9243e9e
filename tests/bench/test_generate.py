"""The generator of stress-test files: the mix of rows, the patterns of ids and clients, and the command."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import generate
import pytest
import workload

from tests.support import reference

pytestmark = pytest.mark.unmeasured

SCRIPT = Path(generate.__file__)
AMOUNT = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]{1,4})?")
# So many rows that the run is still writing when a test stops it.
ENDLESS_ROWS = "100000000000"


class Row(NamedTuple):
    kind: str
    client: int
    tx: int
    amount: bytes


def make(plan: workload.Plan) -> bytes:
    return b"".join(workload.Generator(plan).blocks())


def lines_of(content: bytes) -> list[bytes]:
    assert content.endswith(b"\n")
    header, *lines = content[:-1].split(b"\n")
    assert header == b"type,client,tx,amount"
    return lines


def kind_of(line: bytes) -> str:
    """The kind of a row (one of thirteen), by its text."""
    fields = line.split(b",")
    if len(fields) == 5:
        return "fifth field"
    if len(fields) == 3:
        return "no amount"
    type_, client, tx, amount = fields
    has_client, has_tx = client.isdigit(), tx.isdigit()
    if type_ in (b"deposit", b"withdrawal"):
        if not has_client:
            return "word for client"
        if not has_tx:
            return "word for tx"
        return type_.decode() if amount else "empty amount"
    if type_ in (b"dispute", b"resolve", b"chargeback"):
        assert has_client
        assert has_tx
        assert amount == b""
        return type_.decode()
    if not type_.strip():
        assert amount.isspace()
        return "blanks"
    return "unknown type" if has_client and has_tx else "junk"


def well_formed_rows(content: bytes) -> Iterator[Row]:
    for line in lines_of(content):
        kind = kind_of(line)
        if kind in reference_kinds():
            _, client, tx, amount = line.split(b",")
            yield Row(kind, int(client), int(tx), amount)


def reference_kinds() -> set[str]:
    return {kind.decode() for kind in reference.KINDS}


def rows_with_a_new_id(content: bytes) -> Iterator[tuple[int, int]]:
    """(client, id) of each row that has both and does not refer to another row."""
    for line in lines_of(content):
        kind = kind_of(line)
        if kind not in ("dispute", "resolve", "chargeback", "word for client", "word for tx", "junk"):
            _, client, tx, *_ = line.split(b",")
            yield int(client), int(tx)


def run(*arguments: str | Path, cwd: Path | None = None, script: Path = SCRIPT) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, script, *arguments], cwd=cwd, capture_output=True, check=False)


@contextmanager
def running(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that is killed at the end of the `with` block."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def block() -> bytes:
    """One whole block, 200,000 rows."""
    return make(workload.Plan(rows=workload.BLOCK_ROWS, clients=2_000))


# ---- Rows ----------------------------------------------------------------------------------------


def test_a_whole_block_has_the_exact_mix(block: bytes) -> None:
    assert Counter(kind_of(line) for line in lines_of(block)) == {
        "deposit": 98_000,
        "withdrawal": 98_000,
        "dispute": 1_000,
        "resolve": 800,
        "chargeback": 200,
        "word for client": 250,
        "word for tx": 250,
        "unknown type": 250,
        "empty amount": 250,
        "no amount": 250,
        "fifth field": 250,
        "blanks": 250,
        "junk": 250,
    }


def test_a_part_of_a_block_has_about_the_same_mix() -> None:
    kinds = Counter(kind_of(line) for line in lines_of(make(workload.Plan(rows=60_000, clients=100))))
    assert kinds.total() == 60_000
    assert kinds["deposit"] == pytest.approx(29_400, rel=0.03)
    assert kinds["withdrawal"] == pytest.approx(29_400, rel=0.03)
    assert kinds["dispute"] == pytest.approx(300, rel=0.3)
    assert kinds["resolve"] == pytest.approx(240, rel=0.3)
    assert kinds["chargeback"] == pytest.approx(60, rel=0.6)
    assert len(kinds) == 13


def test_the_reference_finds_the_intended_faults(block: bytes) -> None:
    run = reference.replay(("block", block))
    assert run.malformed == {
        "bad_client": 250,
        "bad_tx": 250,
        "bad_type": 500,
        "missing_field": 250,
        "too_many_fields": 250,
    }
    assert run.rejected["duplicate_transaction"] == 0
    assert set(run.applied) == reference_kinds() - {"refund", "reversal"}  # of which the workload has none


@pytest.mark.parametrize(("kind", "limit"), [("deposit", 10_000), ("withdrawal", 5_000)])
def test_amounts_fill_their_range(block: bytes, kind: str, limit: int) -> None:
    amounts = [row.amount for row in well_formed_rows(block) if row.kind == kind]
    assert all(AMOUNT.fullmatch(amount) for amount in amounts)
    sizes = [abs(float(amount)) for amount in amounts]
    assert 0 < min(sizes) < limit * 0.001
    assert limit * 0.999 < max(sizes) <= limit
    assert sum(sizes) / len(sizes) == pytest.approx(limit / 2, rel=0.02)
    negative = sum(amount.startswith(b"-") for amount in amounts)
    assert negative / len(amounts) == pytest.approx(0.05, abs=0.005)
    decimals = Counter(len(amount.partition(b".")[2]) for amount in amounts)
    assert set(decimals) == {0, 1, 2, 4}
    assert decimals[4] > len(amounts) / 2


@pytest.mark.parametrize("distribution", ["uniform", "skewed"])
@pytest.mark.parametrize("ids", workload.ID_PATTERNS)
@pytest.mark.parametrize("clients", [1, 50, 100_000])
def test_disputes_refer_to_earlier_deposits_and_their_ends_to_open_disputes(
    clients: int, ids: str, distribution: str
) -> None:
    rows = 30_000
    content = make(workload.Plan(rows, clients, ids=ids, distribution=distribution))
    taken = set(rows_with_a_new_id(content))
    deposits: set[tuple[int, int]] = set()
    opened: set[tuple[int, int]] = set()
    known: Counter[str] = Counter()
    for row in well_formed_rows(content):
        key = (row.client, row.tx)
        if row.kind == "deposit" and not row.amount.startswith(b"-"):
            deposits.add(key)
        elif row.kind == "dispute" and key in taken:
            assert key in deposits
            deposits.remove(key)
            opened.add(key)
            known["dispute"] += 1
        elif row.kind in ("resolve", "chargeback") and key in taken:
            assert key in opened
            opened.remove(key)
            known["end"] += 1
        elif row.kind in ("dispute", "resolve", "chargeback"):
            assert not (deposits if row.kind == "dispute" else opened)
    # About 150 of each, without those that had nothing to refer to.
    assert known["dispute"] > 100
    assert known["end"] > 60


def test_a_row_that_refers_to_nothing_has_an_unused_id() -> None:
    plan = workload.Plan(rows=50, clients=3)
    for seed in range(200):
        content = make(replace(plan, seed=seed))
        taken = {tx for _, tx in rows_with_a_new_id(content)}
        first = next((row for row in well_formed_rows(content) if row.kind in ("resolve", "chargeback")), None)
        disputed = any(row.kind == "dispute" for row in well_formed_rows(content))
        if first is not None and not disputed:
            assert first.tx not in taken
            return
    pytest.fail("no seed gave a file that ends a dispute and holds none")


def test_the_number_of_deposits_kept_for_disputes_is_bounded() -> None:
    disputes = workload.Disputes()
    count = workload.DISPUTABLE_LIMIT + 10
    disputes.add_deposits((1, tx, 0.0) for tx in range(count))
    picked = [disputes.dispute(0.0) for _ in range(count)]
    assert picked.count(None) == 10
    assert (1, count - 1) in picked


def test_large_clients_of_a_skewed_file_are_not_all_locked_at_once() -> None:
    content = make(workload.Plan(rows=200_000, clients=10_000, distribution="skewed"))
    run = reference.replay(("skewed", content))
    assert run.rejected["account_locked"] < 0.4 * run.rows


# ---- Ids and clients -----------------------------------------------------------------------------


def test_dense_ids_count_over_the_whole_file() -> None:
    content = make(workload.Plan(rows=250_000, clients=100))
    ids = [tx for _, tx in rows_with_a_new_id(content)]
    assert ids == list(range(1, len(ids) + 1))


def test_random_ids_spread_over_64_bits_and_do_not_repeat() -> None:
    ids = [tx for _, tx in rows_with_a_new_id(make(workload.Plan(rows=50_000, ids="random")))]
    assert len(set(ids)) == len(ids)
    assert max(ids) < 2**64
    assert Counter(tx >> 62 for tx in ids).keys() == {0, 1, 2, 3}
    assert sum(ids) / len(ids) == pytest.approx(2**63, rel=0.02)


def test_per_client_ids_count_within_each_client_across_blocks() -> None:
    ids: defaultdict[int, list[int]] = defaultdict(list)
    for client, tx in rows_with_a_new_id(make(workload.Plan(rows=250_000, clients=70, ids="per-client"))):
        ids[client].append(tx)
    assert len(ids) == 70
    for own in ids.values():
        assert own == list(range(1, len(own) + 1))


def test_strided_ids_count_in_steps() -> None:
    content = make(workload.Plan(rows=250_000, clients=100, ids="strided"))
    ids = [tx for _, tx in rows_with_a_new_id(content)]
    assert ids == [workload.ID_STRIDE * count for count in range(1, len(ids) + 1)]


def test_snowflake_ids_are_times_and_machines_and_never_repeat() -> None:
    content = make(workload.Plan(rows=50_000, clients=100, ids="snowflake"))
    ids = [tx for _, tx in rows_with_a_new_id(content)]
    assert len(set(ids)) == len(ids)
    assert {tx >> 12 & 1023 for tx in ids} == set(range(workload.SNOWFLAKE_MACHINES))
    assert {tx & 4095 for tx in ids} == {0}
    times = [tx >> 22 for tx in ids]
    assert times == sorted(times)
    assert max(Counter(times).values()) == workload.SNOWFLAKE_MACHINES
    assert max(ids) < 2**63


def test_uniform_clients_have_about_as_many_rows_each() -> None:
    rows_of = Counter(row.client for row in well_formed_rows(make(workload.Plan(rows=100_000, clients=100))))
    assert set(rows_of) == set(range(1, 101))
    assert min(rows_of.values()) > 800
    assert max(rows_of.values()) < 1_200


def test_a_few_skewed_clients_anywhere_in_the_range_have_most_rows() -> None:
    plan = workload.Plan(rows=100_000, clients=1_000, distribution="skewed")
    rows_of = Counter(row.client for row in well_formed_rows(make(plan)))
    assert set(rows_of) <= set(range(1, 1_001))
    largest = [client for client, _ in rows_of.most_common(50)]
    assert sum(rows_of[client] for client in largest) > 50_000
    # The largest clients are not those with the lowest numbers.
    assert max(largest) > 500
    assert largest != sorted(largest)


def test_client_numbers_reach_the_largest_count() -> None:
    content = make(workload.Plan(rows=5_000, clients=generate.CLIENTS_LIMIT, ids="random"))
    clients = [row.client for row in well_formed_rows(content)]
    assert max(clients) > 0.99 * generate.CLIENTS_LIMIT
    assert max(clients) <= generate.CLIENTS_LIMIT


# ---- The same bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["uniform", "skewed"])
@pytest.mark.parametrize("ids", workload.ID_PATTERNS)
def test_the_seed_determines_the_bytes(ids: str, distribution: str) -> None:
    plan = workload.Plan(rows=3_000, clients=100, ids=ids, distribution=distribution)
    assert make(plan) == make(plan)
    assert make(plan) != make(replace(plan, seed=2))


def test_a_file_standard_output_and_an_import_give_the_same_bytes(tmp_path: Path) -> None:
    patterns = ("--ids", "random", "--clients", "skewed", "--seed", "7")
    expected = make(workload.Plan(5_000, 300, seed=7, ids="random", distribution="skewed"))
    to_stdout = run("5000", "300", *patterns, "-o", "-", cwd=tmp_path)
    to_file = run(*patterns, "5000", "300", "--output", "out.csv", cwd=tmp_path)
    assert (to_stdout.returncode, to_stdout.stdout, to_stdout.stderr) == (0, expected, b"")
    assert (to_file.returncode, to_file.stdout, to_file.stderr) == (0, b"", b"")
    assert (tmp_path / "out.csv").read_bytes() == expected
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_terminal_sees_progress_and_the_bytes_stay_the_same() -> None:
    terminal, standard_error = os.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as reader:
        done = subprocess.run(
            [sys.executable, SCRIPT, "250000", "-o", "-"],
            stdout=subprocess.PIPE,
            stderr=standard_error,
            check=False,
        )
        os.close(standard_error)
        seen = reader.read(4096)
    assert done.returncode == 0
    assert b"\r200,000 of 250,000 rows\r250,000 of 250,000 rows" in seen
    assert done.stdout == make(workload.Plan(rows=250_000))


def test_no_rows_give_a_header_alone() -> None:
    assert run("0", "-o", "-").stdout == workload.HEADER


# ---- The command ---------------------------------------------------------------------------------


def test_defaults() -> None:
    plan, path = generate.parse_arguments([])
    assert plan == workload.Plan(1_000_000, 10_000, seed=1, ids="dense", distribution="uniform")
    assert path == SCRIPT.parent.parent / "samples" / "stress_test.csv"


def test_the_default_file_is_in_samples_beside_the_script_wherever_it_is_run(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "bench").mkdir(parents=True)
    script = Path(shutil.copy(SCRIPT, project / "bench"))
    shutil.copy(workload.__file__, project / "bench")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run("1000", "10", cwd=elsewhere, script=script).returncode == 0
    assert (project / "samples" / "stress_test.csv").read_bytes() == make(workload.Plan(1_000, 10))
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("many",), b"argument ROWS: 'many' is not a whole number"),
        (("1.5",), b"argument ROWS: '1.5' is not a whole number"),
        (("-1",), b"argument ROWS: -1 is not between 0 and"),
        (("10", "0"), b"argument CLIENTS: 0 is not between 1 and 100,000,000"),
        (("10", "100000001"), b"argument CLIENTS: 100000001 is not between"),
        (("10", "5", "5"), b"unrecognized arguments: 5"),
        (("--seed", "-1"), b"argument --seed: -1 is not between"),
        (("--seed", "x"), b"argument --seed: 'x' is not a whole number"),
        (("--ids", "sparse"), b"argument --ids: invalid choice: 'sparse'"),
        (("--clients", "10"), b"argument --clients: invalid choice: '10'"),
        (("--output",), b"argument -o/--output: expected one argument"),
        (("--output", ""), b"argument -o/--output: expected the name of a file"),
        (("--rows", "5"), b"unrecognized arguments: --rows"),
    ],
)
def test_wrong_arguments_are_named_with_exit_2(arguments: tuple[str, ...], complaint: bytes) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert complaint in done.stderr
    assert done.stderr.startswith(b"usage: generate.py")
    assert b"Traceback" not in done.stderr


def test_missing_folders_are_made(tmp_path: Path) -> None:
    assert run("10", "-o", tmp_path / "new" / "folder" / "out.csv").returncode == 0
    assert (tmp_path / "new" / "folder" / "out.csv").read_bytes() == make(workload.Plan(10))


def test_a_symbolic_links_target_is_replaced_not_the_link(tmp_path: Path) -> None:
    target = tmp_path / "target.csv"
    target.write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    assert run("10", "-o", link).returncode == 0
    assert link.is_symlink()
    assert target.read_bytes() == make(workload.Plan(10))


def test_a_full_device_fails_with_one_line_and_is_not_replaced() -> None:
    done = run("10", "-o", "/dev/full")
    assert (done.returncode, done.stderr) == (1, b"generate.py: /dev/full: No space left on device\n")
    assert Path("/dev/full").is_char_device()


def test_a_folder_as_output_fails_with_one_line(tmp_path: Path) -> None:
    done = run("10", "-o", tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"generate.py: {tmp_path}: Is a directory\n".encode()


@pytest.mark.parametrize(
    ("failure", "exit_code"), [(OSError(28, "No space left on device"), 1), (KeyboardInterrupt(), 130)]
)
def test_a_failure_half_way_leaves_the_old_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    exit_code: int,
) -> None:
    def blocks(_generator: workload.Generator) -> Iterator[bytes]:
        yield workload.HEADER
        raise failure

    monkeypatch.setattr(workload.Generator, "blocks", blocks)
    output = tmp_path / "out.csv"
    output.write_text("old")
    assert generate.main(["10", "-o", str(output)]) == exit_code
    assert output.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_stopped_run_leaves_nothing_behind(tmp_path: Path, number: signal.Signals, exit_code: int) -> None:
    with running(ENDLESS_ROWS, "-o", tmp_path / "out.csv") as process:
        deadline = time.monotonic() + 30
        while not os.listdir(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert os.listdir(tmp_path) == [f"out.csv.{process.pid}.partial"]
        process.send_signal(number)
        _, complaint = process.communicate(timeout=10)
    assert (process.returncode, complaint) == (exit_code, b"")
    assert os.listdir(tmp_path) == []


def test_a_closed_pipe_ends_the_run_quietly() -> None:
    with running(ENDLESS_ROWS, "-o", "-") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == workload.HEADER
        process.stdout.close()
        process.wait(timeout=10)
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141
