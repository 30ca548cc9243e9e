"""Benchmarks of each stage on its own (reading, applying, writing, saving) and of the whole command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from txfast.batch.batch import TransactionBatch
from txfast.input.open import open_source
from txfast.input.ref import resolve
from txfast.input.source import Source
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.readers.arrow_csv import ArrowCsvReader
from txfast.readers.csv import CsvReader
from txfast.run.replay import new_replay
from txfast.state.manifest_writer import save_store
from txfast.state.snapshots import open_snapshot
from txfast.state.store import Store
from txfast.store.active import ActiveAccounts
from txfast.store.seal import seal
from txfast.writers.accounts_csv import csv_blocks
from txfast.writers.rejects import Rejects

COMMAND = Path(sys.executable).with_name("txfast")
Reader = CsvReader | ArrowCsvReader
Measure = Callable[..., None]


def native(source: Source) -> CsvReader:
    return CsvReader(source.file, source.name)


def arrow(source: Source) -> ArrowCsvReader:
    return ArrowCsvReader(source)


def parse(path: Path, make_reader: Callable[[Source], Reader] = native) -> int:
    """Parse the file into one batch that is reused; return the number of rows."""
    rows = 0
    batch = TransactionBatch()
    with closing(open_source(str(path))) as source:
        reader = make_reader(source)
        while reader.fill(batch):
            reader.scan(batch)
            rows += len(batch) + batch.malformed_rows
    return rows


def kept_batches(path: Path) -> Iterator[TransactionBatch]:
    """The file as batches that are all kept."""
    with closing(open_source(str(path))) as source:
        reader = native(source)
        while reader.fill(batch := TransactionBatch()):
            reader.scan(batch)
            yield batch


@pytest.mark.parametrize("make_reader", [native, arrow])
def test_parse(measure: Measure, transactions: Path, make_reader: Callable[[Source], Reader]) -> None:
    rows = parse(transactions, make_reader)
    assert rows > 0
    measure(rows, lambda: parse(transactions, make_reader))


def test_apply(measure: Measure, transactions: Path) -> None:
    batches = list(kept_batches(transactions))

    def apply(ledger: Ledger) -> None:
        for batch in batches:
            ledger.apply(batch)

    measure(sum(map(len, batches)), apply, Ledger)


def test_write(measure: Measure, transactions: Path) -> None:
    """A row is an account here: the ledger has as many accounts as the file has rows."""
    rows = parse(transactions)
    ledger = Ledger()
    for number in range(rows):
        ledger.restore_account(number * 0x9E3779B97F4A7C15 % 2**64, number * 10_007, 0)
    with open(os.devnull, "wb", buffering=0) as sink:

        def write() -> None:
            for block in csv_blocks(AccountColumns([ledger])):
                sink.write(block)

        measure(rows, write)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_rejects(measure: Measure, transactions: Path, tmp_path: Path, suffix: str) -> None:
    """A row is a reject here: no row has a known type, so all are malformed."""
    lines = transactions.read_bytes().splitlines(keepends=True)
    malformed = tmp_path / "malformed.csv"
    malformed.write_bytes(lines[0] + b"".join(b"x" + line for line in lines[1:]))
    batches = list(kept_batches(malformed))
    sink = tmp_path / f"rejects{suffix}"
    sink.symlink_to(os.devnull)

    def write() -> None:
        rejects = Rejects(str(sink))
        rejects.open()
        for batch in batches:
            rejects.add("malformed.csv", batch)
        rejects.finish()
        rejects.publish()

    measure(sum(batch.malformed_rows for batch in batches), write)


def test_command(measure: Measure, transactions: Path) -> None:
    """The whole command in a process of its own, with the start of Python."""

    def run() -> None:
        subprocess.run([COMMAND, "-q", transactions], stdout=subprocess.DEVNULL, check=True)

    measure(parse(transactions), run)


def test_save(measure: Measure, transactions: Path, tmp_path: Path) -> None:
    """A row is a deposit or withdrawal here. Without fsync, so the speed of the disk does not count."""
    replay = new_replay(threads=1)
    replay.read(resolve(str(transactions)))
    [ledger] = replay.books.ledgers
    folder, forms = tmp_path / "segments", Store(None).forms

    def save() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        seal([ActiveAccounts(ledger)], lambda sort, number: f"{folder}/{sort}-{number}", forms, durable=False)

    measure(ledger.entries, save)


def test_load(measure: Measure, transactions: Path, tmp_path: Path) -> None:
    """A row is a deposit or withdrawal here. Loading verifies the snapshot first."""
    replay = new_replay(threads=1)
    replay.read(resolve(str(transactions)))
    [ledger] = replay.books.ledgers
    folder = tmp_path / "snapshot-1"
    folder.mkdir()
    store = Store(None)
    store.seal([ActiveAccounts(ledger)], str(folder))
    save_store(str(folder), store, {"inputs": {}})
    store.close()
    measure(ledger.entries, lambda: open_snapshot(str(tmp_path / "snapshot-1")).restore([Ledger()]))
