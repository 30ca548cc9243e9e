"""Ids that are texts go to disk and come back: in slices, in runs of accounts, and in runs under a memory limit."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.bare_ledger import accounts_csv, status_counts
from tests.support.command import Folder
from tests.support.dialect_replays import THREADS, assert_as_reference
from tests.support.dialect_strategies import Written, written_files
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.rows import Row, make_batch
from tests.support.small_memory import SmallLedger, small_runs
from tests.support.text_ids import (
    TEXT_SETTINGS,
    any_text_dialects,
    batch_of_lines,
    make_text_batch,
    make_text_file,
    text_of,
)
from txfast.batch.batch import TransactionBatch
from txfast.dialect.dialect import Dialect
from txfast.dialect.text_ids import TextIds
from txfast.errors import MemoryLimitError, SpillError
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.spill import spill
from txfast.spill.partitions import Partitions
from txfast.spill.runs import RunMerge, run_blocks
from txfast.spill.slices import AccountTwiceError, SliceReader
from txfast.writers.accounts_csv import csv_blocks

MEBIBYTE = 1 << 20
START = b"slc\x03"
TEXTS = Dialect({"ids": "text"})
each_dialect = pytest.mark.parametrize("dialect", [Dialect(settings) for settings in TEXT_SETTINGS], ids=str)

# Few ids, which come again; and any, of every form.
any_ids = st.integers(0, 7) | st.integers(0, 300) | st.integers(0, 2**64 - 1)
any_rows = strategies.policy_streams() | strategies.streams(any_ids, any_ids, kinds=strategies.policy_kinds)


# ---- Slices --------------------------------------------------------------------------------------


class Slices:
    """Partitions that are written to memory."""

    def __init__(self, count: int, text_ids: TextIds | None, buffer_bytes: int = 4096) -> None:
        self.written = [b""] * count
        self.partitions = Partitions(count, buffer_bytes, self._write, text_ids=text_ids)

    def _write(self, partition: int, view: memoryview) -> None:
        self.written[partition] += bytes(view)


def read_from(content: bytes, text_ids: TextIds | None = TEXTS.text_ids) -> SliceReader:
    return SliceReader(io.BytesIO(content).readinto, text_ids=text_ids)


@given(any_rows, any_rows, strategies.policies(), any_text_dialects, st.integers(1, 20))
def test_a_ledger_and_rows_come_back_from_partitions_unchanged(
    before: list[Row], after: list[Row], policy: str, dialect: Dialect, records: int
) -> None:
    """The rest of a slice moves into other partitions, after some records of it were restored."""
    whole, parts = Ledger(Policy(policy), dialect.text_ids), []
    whole.apply(make_text_batch(before, dialect))
    counted_before = Counter(status_counts(whole))
    batch = make_text_batch(after, dialect)
    slices = Slices(3, dialect.text_ids)
    slices.partitions.add_ledger(whole)
    slices.partitions.add_rows(batch)
    slices.partitions.finish()
    for content in slices.written:
        begun, reader = Ledger(Policy(policy), dialect.text_ids), read_from(content, dialect.text_ids)
        reader.restore(begun, records)
        divided = Slices(2, dialect.text_ids, 0)
        divided.partitions.add_ledger(begun)
        divided.partitions.add_rest(reader)
        rows = TransactionBatch()
        while reader.fill(rows, records):
            divided.partitions.add_rows(rows)
        divided.partitions.finish()
        for again in divided.written:
            part, reader = Ledger(Policy(policy), dialect.text_ids), read_from(again, dialect.text_ids)
            while reader.restore(part, records):
                pass
            while reader.fill(rows):
                part.apply(rows)
            parts.append(part)
    whole.apply(batch)
    assert sum(map(len, parts)) == len(whole)
    assert accounts_csv(parts) == accounts_csv([whole])
    parts_say = sum((Counter(status_counts(part)) for part in parts), Counter())
    assert parts_say == Counter(status_counts(whole)) - counted_before


def records_of_each() -> tuple[bytes, bytes, bytes]:
    """The records of an account, of its deposit, and of a row of the same client."""
    ledger = Ledger(None, TEXTS.text_ids)
    ledger.apply(batch_of_lines([b"deposit,ab,xyz,5"], TEXTS))
    slices = Slices(2, TEXTS.text_ids)
    slices.partitions.add_ledger(ledger)
    slices.partitions.add_rows(batch_of_lines([b"deposit,ab,\xff,5"], TEXTS))
    slices.partitions.finish()
    [content] = filter(None, slices.written)
    records = content.removeprefix(START)
    return records[:9], records[9:22], records[22:]


def test_records_have_the_bytes_of_ids_and_their_lengths() -> None:
    account, entry, row = records_of_each()
    units = (2 * 50_000).to_bytes(3, "little")
    assert account == b"\x97\x03" + b"\x00" + b"\x02" + b"ab" + units
    assert entry == b"\x9f\x39" + b"\x00" + b"\x02\x03" + b"ab" + b"xyz" + units
    assert row == b"\x90\x39" + b"\x02\x01" + b"ab" + b"\xff" + units


@pytest.mark.parametrize(
    "content",
    [
        b"\x90\x09\x00\x01\xff",  # an empty client
        b"\x90\x09\x01\x00\xff",  # an empty transaction
        b"\x10\x09\x01\x01\xff",  # a client that is a number
        b"\x90\x01\x01\xff\x01",  # a transaction that is a number
        b"\xa0\x09\x01\x01aa",  # a length that no field has
        b"\x97\x09\x00\x01\x01ab",  # an account with a text for its amount
        b"\x97\xf0\x00\x01a" + b"\xff" * 20,
        b"\x90\x09\xff\xffab",  # cut short
        b"\x90\x09\xff",
    ],
)
def test_records_that_no_ledger_of_texts_can_have_written_are_refused(content: bytes) -> None:
    reader, ledger, batch = read_from(START + content), Ledger(None, TEXTS.text_ids), TransactionBatch()
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):  # noqa: PT012 (any of them may)
        while reader.restore(ledger, 1) or reader.fill(batch):
            pass


def test_a_slice_of_numbers_is_none_of_texts_and_the_reverse() -> None:
    numbers = Slices(2, None)
    numbers.partitions.add_rows(make_batch([b"deposit,1,1,1"]))
    numbers.partitions.finish()
    account, entry, row = records_of_each()
    for content, text_ids in ((max(numbers.written), TEXTS.text_ids), (START + row, None)):
        with pytest.raises(SpillError, match="faulty"):
            read_from(content, text_ids).fill(TransactionBatch())
    with pytest.raises(SpillError, match="faulty"):
        read_from(START + account + entry, None).restore(Ledger())


def test_an_account_twice_is_named() -> None:
    account, entry, _ = records_of_each()
    with pytest.raises(AccountTwiceError) as found:
        read_from(START + account + account).restore(Ledger(None, TEXTS.text_ids))
    assert found.value.client == b"ab"
    with pytest.raises(SpillError, match="faulty"):
        read_from(START + account + entry + entry).restore(Ledger(None, TEXTS.text_ids))


def test_ids_of_another_form_or_key_are_refused() -> None:
    other_key = TextIds(client=True, tx=True, key=bytes(24))
    account, _, row = records_of_each()
    for ledger in (Ledger(), Ledger(None, Dialect({"ids.tx": "text"}).text_ids), Ledger(None, other_key)):
        with pytest.raises(ValueError, match="another form, or another key"):
            Slices(2, TEXTS.text_ids).partitions.add_ledger(ledger)
        with pytest.raises(ValueError, match="another form, or another key"):
            read_from(START + account + row).restore(ledger)
    with pytest.raises(ValueError, match="are numbers"):
        Slices(2, TEXTS.text_ids).partitions.add_rows(make_batch([b"deposit,1,1,1"]))


@given(st.sampled_from([START, START, b""]), st.binary(max_size=300), any_text_dialects)
def test_any_bytes_are_refused_or_read_within_their_bounds(start: bytes, content: bytes, dialect: Dialect) -> None:
    reader, batch = read_from(start + content, dialect.text_ids), TransactionBatch()
    ledger = Ledger(None, dialect.text_ids)
    try:
        while reader.restore(ledger):
            pass
        while reader.fill(batch):
            ledger.apply(batch)
    except SpillError:
        pass


# ---- Runs of accounts ----------------------------------------------------------------------------


def settled_runs(clients: list[bytes], count: int) -> tuple[list[bytes], bytes]:
    """The runs of so many ledgers, which share the clients, and the accounts of all."""
    ledgers = [Ledger(None, TEXTS.text_ids) for _ in range(count)]
    for number, ledger in enumerate(ledgers):
        lines = [b'deposit,"%s",t,%d' % (client.replace(b'"', b'""'), n) for n, client in enumerate(clients)]
        ledger.apply(batch_of_lines(lines[number::count], TEXTS))
    return [b"".join(map(bytes, run_blocks(AccountColumns([ledger])))) for ledger in ledgers], accounts_csv(ledgers)


class Merged:
    """Merged runs, in the place of Settled."""

    has_names = True
    currencies = None

    def __init__(self, runs: list[bytes], buffer_bytes: int = 0) -> None:
        self._merge = RunMerge([io.BytesIO(run).readinto for run in runs], buffer_bytes, has_names=True)

    def chunks(self) -> Iterator[AccountColumns]:
        return iter(self._merge)


@pytest.mark.parametrize("buffer_bytes", [0, 1000, 1 << 16])
def test_runs_are_merged_by_the_bytes_of_clients(buffer_bytes: int) -> None:
    """Also of clients that begin with the same bytes, or one with all of another."""
    clients = [text_of(number) for number in range(900)]
    clients += [b"a" * length for length in range(1, 256)] + [b"a\x00", b"a\x00\x00", b"aaaaaaaa\x00", b"aaaaaaab"]
    runs, expected = settled_runs(clients, 7)
    assert b"".join(map(bytes, csv_blocks(Merged(runs, buffer_bytes)))) == expected


def test_more_accounts_than_a_chunk_has_are_merged_and_parts_of_them_stay() -> None:
    clients = [b"cus_%d" % (number * 7919) for number in range(50_000)]
    runs, expected = settled_runs(clients, 3)
    assert b"".join(map(bytes, csv_blocks(Merged(runs)))) == expected
    parts = [chunk.part(0, 1, len(chunk)) for chunk in Merged(runs).chunks()]
    assert len(parts) == 4
    assert sorted(clients) == [part.account(index)[0] for part in parts for index in range(len(part))]


def test_runs_that_no_ledger_can_have_written_are_refused() -> None:
    [run], _ = settled_runs([b"abc"], 1)
    for damaged in (run[:-1], run[:17], run[:5], run + b"x"):
        with pytest.raises(SpillError, match="ends within an account"):
            list(RunMerge([io.BytesIO(damaged).readinto], 0, has_names=True))
    with pytest.raises(SpillError, match="a total or a client that no account has"):
        list(RunMerge([io.BytesIO(run[:17] + b"\x00").readinto], 0, has_names=True))


# ---- Runs under a limit --------------------------------------------------------------------------

limits = st.sampled_from([0, 1, 3, 10])
files_of_texts = written_files(spoilt=True).filter(
    lambda written: any(name.startswith("ids") and value == "text" for name, value in written.settings.items())
)


@given(files_of_texts, st.sampled_from(THREADS), strategies.block_sizes, limits, strategies.policies())
def test_a_file_means_what_its_dialect_says_under_any_limit(
    written: Written, threads: int, block_bytes: int, limit: int, policy: str
) -> None:
    with small_runs(limit):
        assert_as_reference(
            [written.content], written.settings, threads=threads, block_bytes=block_bytes, policy=policy
        )


@examples(0.5)
@given(
    st.lists(any_rows, max_size=3), st.sampled_from(THREADS), strategies.block_sizes, limits, strategies.policies(),
    any_text_dialects,
)  # fmt: skip
def test_streams_give_the_results_of_the_reference_under_any_limit(
    streams: list[list[Row]], threads: int, block_bytes: int, limit: int, policy: str, dialect: Dialect
) -> None:
    content = make_text_file([row for stream in streams for row in stream], dialect)
    with small_runs(limit):
        assert_as_reference([content], dict(dialect), threads=threads, block_bytes=block_bytes, policy=policy)


@each_dialect
def test_a_client_that_does_not_fit_is_named_with_the_limit_that_it_needs(dialect: Dialect) -> None:
    rows = [Row("deposit", 6, tx, 1) for tx in range(200)] + [Row("deposit", client, 1, 1) for client in range(20)]
    content = make_text_file(rows, dialect)
    with small_runs(0), pytest.MonkeyPatch.context() as patched:
        patched.setattr(SmallLedger, "bytes_with", lambda ledger, *_: ledger.entries)
        patched.setattr(SmallLedger, "bytes_with_batch", lambda ledger, *_, **__: ledger.entries)
        alone = r"client .+ alone has up to \d+ transactions: they need a memory limit of \d+MiB"
        with pytest.raises(MemoryLimitError, match=alone):
            assert_as_reference([content], dict(dialect), block_bytes=100)


def test_memory_is_foreseen_with_the_texts() -> None:
    """What a new ledger needs is more than it has in the end, and not much more."""
    for dialect in map(Dialect, TEXT_SETTINGS):
        ledger = Ledger(None, dialect.text_ids)
        for first in range(0, 60_000, 5_000):
            rows = [Row("deposit", n % 3_000, n, 1) for n in range(first, first + 5_000)]
            ledger.apply(make_text_batch(rows, dialect))
        assert ledger.text_bytes > 20 * (ledger.entries if dialect.has_text("tx") else len(ledger))
        needed = Ledger.bytes_for(len(ledger), ledger.entries, text_ids=dialect.text_ids, text_bytes=ledger.text_bytes)
        # The index may have grown to more than it needs.
        assert ledger.bytes_with(0) <= 1.05 * needed <= 1.3 * ledger.bytes_with(0)
        assert needed > Ledger.bytes_for(len(ledger), ledger.entries)
    assert Ledger().text_bytes == 0


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("settings", TEXT_SETTINGS, ids=str)
def test_a_run_stays_within_its_limit_and_gives_the_same(
    folder: Folder, threads: str, settings: dict[str, str]
) -> None:
    rows = b"".join(
        b"deposit,%d000%d,%d00%d,1.5\ndispute,%d000%d,%d00%d\n"
        % (n % 300_000, n % 300_000, n, n, n % 400_000, n % 400_000, n, n)
        for n in range(700_000)
    )
    folder.write("in.csv", HEADER + rows)
    said = []
    dialect = [word for name, value in settings.items() for word in ("--dialect", f"{name}={value}")]
    for words in ((), ("--memory-limit", "96MiB", "--spill-dir", "spill")):
        run = folder.run(
            "in.csv", "-o", "a.csv", "--rejects", "r.csv", "--stats", "s.json", "--threads", threads, *dialect, *words
        )
        assert (run.exit_code, run.errors) == (0, "")
        stats = json.loads((folder.path / "s.json").read_bytes())
        outputs = [(folder.path / name).read_bytes() for name in ("a.csv", "r.csv")]
        said.append((*outputs, stats["applied"], stats["rejected"], stats["total"], stats["accounts"]))
    assert said[0] == said[1]
    assert stats["spilled_bytes"] > MEBIBYTE
    assert stats["peak_memory_bytes"] <= 96 * MEBIBYTE * 1.1
    assert list((folder.path / "spill").iterdir()) == []


@pytest.mark.untraced
def test_a_partition_is_divided_among_its_rows() -> None:
    """The statuses of its rows are found again, although they come after a state that takes several reads."""
    clients = 6_000
    rows = [Row("deposit", client, client, 1) for client in range(clients)]
    rows += [Row("dispute", client * 7 % clients, client, None) for client in range(clients)]
    content = make_text_file(rows, TEXTS)
    with small_runs(clients // 2), pytest.MonkeyPatch.context() as patched:
        patched.setattr(spill, "PARTITIONS", 2)
        assert_as_reference([content], dict(TEXTS), block_bytes=1 << 18)
