"""States of ids that are texts: they come back as they were, and no damage is taken for them."""

from __future__ import annotations

import io
import random
import tempfile
from array import array
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast
from tests.campaigns.crashes import damages
from tests.support import strategies
from tests.support.bare_ledger import accounts_csv
from tests.support.command import Folder
from tests.support.dialect_replays import THREADS, run_days, run_reference
from tests.support.legacy_states import SavedForm, any_forms, make_legacy_state, put_in_form
from tests.support.profiles import examples
from tests.support.rows import Row
from tests.support.segment_rows import key_of
from tests.support.states import STATE, accounts, change_manifest, files_of, save_ledgers, seal
from tests.support.text_ids import TEXT_SETTINGS, any_text_dialects, make_text_batch, make_text_file
from txfast.batch.cursor import report
from txfast.dialect.dialect import Dialect
from txfast.errors import StateError
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.ledger.text_columns import TextColumn
from txfast.run.books import Books
from txfast.run.plan import make_plan
from txfast.state.snapshots import open_snapshot

TEXTS = Dialect({"ids": "text"})
ACCOUNTS_FILE, ENTRIES_FILE = "accounts.arrow", "entries.arrow"
MIB = 1 << 20

any_ids = st.integers(0, 7) | st.integers(0, 300) | st.integers(0, 2**64 - 1)
any_rows = strategies.policy_streams() | strategies.streams(any_ids, any_ids, kinds=strategies.policy_kinds)


# ---- Save and restore ------------------------------------------------------------------------------


def statuses(ledgers: list[Ledger], rows: list[Row], dialect: Dialect) -> list[int]:
    """Apply the rows one by one, each to the ledger that has its client, or to the first."""
    found = []
    for row in rows:
        batch = make_text_batch([row], dialect)
        probe = Ledger(None, dialect.text_ids)
        probe.apply(make_text_batch([row._replace(kind="deposit", amount=1)], dialect))
        owners = [ledger for ledger in ledgers if ledger.account(probe.any_client()) is not None]
        (owners or ledgers)[0].apply(batch)
        found += [status for _, _, status, _ in report(batch, applied=True)]
    return found


@given(
    any_rows, strategies.policies(), st.integers(0, 60), st.integers(1, 3), st.integers(1, 20), any_text_dialects,
    any_forms,
)  # fmt: skip
def test_a_restored_ledger_continues_like_the_saved_one(
    rows: list[Row], policy: str, cut: int, shards: int, rows_at_once: int, dialect: Dialect, form: SavedForm
) -> None:
    whole = Ledger(Policy(policy), dialect.text_ids)
    whole.apply(make_text_batch(rows[:cut], dialect))
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        patched.setattr("txfast.state.arrow_columns.TEXT_BATCH_ROWS", rows_at_once)
        save_ledgers(Path(name) / "saved", [whole], policy=Policy(policy), dialect=dialect)
        put_in_form(Path(name) / "saved", form)
        snapshot = open_snapshot(f"{name}/saved")
        ledgers = [Ledger(Policy(policy), dialect.text_ids) for _ in range(shards)]
        snapshot.restore(ledgers)
        parts = [ledger.balance_units for _, ledger in snapshot.parts(shards, 0)]
    assert parts == [ledger.balance_units for ledger in ledgers]
    assert accounts_csv(ledgers) == accounts_csv([whole])
    assert sum(ledger.entries for ledger in ledgers) == whole.entries
    assert statuses(ledgers, rows[cut:], dialect) == statuses([whole], rows[cut:], dialect)
    assert accounts_csv(ledgers) == accounts_csv([whole])


@pytest.mark.untraced
@examples(0.3)
@given(
    st.lists(any_rows.filter(bool), min_size=1, max_size=3), st.sampled_from(THREADS),
    st.sampled_from([0, 1, 3, 10, 1 << 30]), st.integers(1, 3), strategies.policies(), any_text_dialects,
    st.integers(0, 2),
)  # fmt: skip
def test_a_state_continues_under_any_limit(
    streams: list[list[Row]], threads: int, limit: int, parts: int, policy: str, dialect: Dialect, legacy_days: int
) -> None:
    """What rows need of a state is looked up, also for partitions, and saved from there: one run for each stream gives
    the accounts and the rejects of one run over all. The state may be one of an earlier version at first."""
    contents = [make_text_file(stream, dialect) for stream in streams]
    expected = run_reference(contents, dict(dialect), policy)
    days = [(f"{number}.csv", content) for number, content in enumerate(contents)]
    with tempfile.TemporaryDirectory() as name:
        accounts, reasons = run_days(
            Path(name), days, dialect, policy=policy, threads=threads, limit=limit, parts=parts,
            legacy_days=legacy_days,
        )  # fmt: skip
    assert accounts == expected.accounts
    assert reasons == [reject.reason for reject in expected.rejects]


# ---- The command and programs ----------------------------------------------------------------------

HEADER = b"type,client,tx,amount\n"
FIRST = b'deposit,cus_B,ch_1,5\ndeposit,"a\nb",ch_1,7\n'
SECOND = b'withdrawal,cus_B,po_1,2\ndispute,"a\nb",ch_1,\ndeposit,cus_B,ch_1,5\ndeposit,\xff,ch_1,1\n'
TWO_DAYS = b"""\
client,available,held,total,locked
"a
b",0.0000,7.0000,7.0000,false
cus_B,3.0000,0.0000,3.0000,false
\xff,1.0000,0.0000,1.0000,false
"""


@pytest.fixture
def begun(folder: Folder) -> Folder:
    """A folder with a state of text ids, and the file that it was made of."""
    folder.write("in.csv", HEADER + FIRST)
    folder.run(*STATE, "-q", "--ids", "text", "in.csv")
    return folder


def test_a_file_that_grew_is_gone_on_with(begun: Folder) -> None:
    begun.write("in.csv", HEADER + FIRST + SECOND)
    ended = begun.run(*STATE, "--ids", "text", "in.csv", "warn")
    assert ended.output == TWO_DAYS
    assert "duplicate_transaction" in ended.errors
    assert begun.run(*STATE, "--ids", "text", "in.csv").output == TWO_DAYS
    assert begun.run(*STATE).output == TWO_DAYS
    line = begun.run(*STATE, "--verify").output.decode()
    assert "good: format 6, " in line
    assert "3 accounts, 4 deposits and withdrawals, 1 input, dialect ids=text" in line


def test_a_state_has_one_form_of_ids(begun: Folder) -> None:
    for arguments, difference in (
        ((), "ids is text and not the default"),
        (("--dialect", "ids.tx=text"), "ids is text and not the default"),
    ):
        ended = begun.run(*STATE, *arguments, "in.csv")
        ended.assert_failed("its inputs were read in another dialect", difference)
    begun.write("numbers.csv", HEADER + b"deposit,1,1,1\n")
    assert begun.run("--state", "numbers", "-q", "numbers.csv").exit_code == 0
    ended = begun.run("--state", "numbers", "--ids", "text", "numbers.csv")
    ended.assert_failed("its inputs were read in another dialect", "ids is the default and not text")


def test_any_arrow_library_can_read_the_files(begun: Folder) -> None:
    snapshot = begun.path / "state" / "snapshot-1"
    accounts, entries = (pa.ipc.open_file(snapshot / name).read_all() for name in files_of(snapshot))
    assert accounts.schema.field("client") == pa.field("client", pa.binary(), nullable=False)
    # Texts have no greatest one.
    assert sorted(accounts.to_pylist(), key=key_of) == [
        {"client": b"a\nb", "available": 70_000, "held": 0, "max_tx": 2**64 - 1, "flags": 0},
        {"client": b"cus_B", "available": 50_000, "held": 0, "max_tx": 2**64 - 1, "flags": 0},
    ]
    assert sorted(entries.to_pylist(), key=key_of) == [
        {"client": b"a\nb", "tx": b"ch_1", "amount": 70_000, "kind": 0, "state": 0},
        {"client": b"cus_B", "tx": b"ch_1", "amount": 50_000, "kind": 0, "state": 0},
    ]


def test_a_ledger_is_saved_and_loaded(begun: Folder, tmp_path: Path) -> None:
    ledger = txfast.Ledger.load(begun.path / "state")
    assert list(ledger) == ["a\nb", "cus_B"]
    assert ledger.apply(io.BytesIO(HEADER + SECOND)) == {"applied": 3, "duplicate_transaction": 1}
    ledger.save(tmp_path / "copy")
    again = txfast.Ledger.load(tmp_path / "copy", threads=3)
    assert list(again.accounts()) == list(ledger.accounts())
    assert again.apply(io.BytesIO(HEADER + SECOND)) == {
        "applied": 0, "duplicate_transaction": 3, "duplicate_dispute": 1,
    }  # fmt: skip


@pytest.mark.untraced
@pytest.mark.parametrize("form", ["segments", "legacy"])
@pytest.mark.parametrize("settings", TEXT_SETTINGS, ids=str)
def test_texts_count_when_a_snapshot_is_divided_into_parts_that_fit(
    folder: Folder, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, form: SavedForm
) -> None:
    dialect = Dialect(settings)
    # Their texts are of the longest.
    rows = [Row("deposit", 7 + 10 * (tx % 20_000), 7 + 10 * tx, 1) for tx in range(60_000)]
    folder.write("in.csv", make_text_file(rows, dialect))
    arguments = [word for name, value in settings.items() for word in ("--dialect", f"{name}={value}")]
    assert folder.run(*STATE, "-q", *arguments, "in.csv").exit_code == 0
    put_in_form(folder.path / "state" / "snapshot-1", form)
    snapshot = open_snapshot(str(folder.path / "state" / "snapshot-1"))
    books = Books(make_plan(cores=1, memory_used=0, memory_limit=96 * MIB), dialect=dialect)
    books.ledger_bytes = 0  # the least that it restores with
    parts = books.parts_that_fit(snapshot)
    for part, ledger in snapshot.parts(parts, books._restoring_bytes):
        assert ledger.bytes_with(0) <= books._restoring_bytes, part
    monkeypatch.setattr(type(snapshot), "text_bytes", 0)
    assert books.parts_that_fit(snapshot) <= parts
    if dialect.has_text("tx"):
        assert books.parts_that_fit(snapshot) < parts


# ---- Damage ----------------------------------------------------------------------------------------


def texts(values: list[bytes]) -> pa.Array:
    return pa.array(values, pa.binary())


@pytest.fixture
def old(begun: Folder) -> Folder:
    """The same with a state that an earlier version left."""
    make_legacy_state(begun.path / "state")
    return begun


DAMAGES: dict[str, tuple[str, str, Callable[[], pa.Array]]] = {
    "a client twice": (ACCOUNTS_FILE, "client", lambda: texts([b"a", b"a"])),
    "no client": (ACCOUNTS_FILE, "client", lambda: texts([b"a", b""])),
    "a client too long": (ACCOUNTS_FILE, "client", lambda: texts([b"a", b"x" * 256])),
    "another client": (ENTRIES_FILE, "client", lambda: texts([b"cus_B", b"cus_B "])),
    "a transaction twice": (ENTRIES_FILE, "client", lambda: texts([b"cus_B", b"cus_B"])),
    "no transaction": (ENTRIES_FILE, "tx", lambda: texts([b"ch_1", b""])),
    "a transaction too long": (ENTRIES_FILE, "tx", lambda: texts([b"x" * 300, b"ch_1"])),
    "nulls": (ENTRIES_FILE, "tx", lambda: texts([b"ch_1", None])),  # type: ignore[list-item]
    "numbers": (ENTRIES_FILE, "tx", lambda: pa.array([1, 2], pa.uint64())),
    "large binary": (ENTRIES_FILE, "tx", lambda: pa.array([b"ch_1", b"ch_1"], pa.large_binary())),
    "strings": (ACCOUNTS_FILE, "client", lambda: pa.array(["cus_B", "a"], pa.string())),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_no_ledger_can_have_saved_is_damage(old: Folder, damage: str) -> None:
    file, name, column = DAMAGES[damage]
    snapshot = old.path / "state" / "snapshot-1"
    table = pa.ipc.open_file(snapshot / file).read_all()
    index = table.schema.get_field_index(name)
    columns = [*table.columns[:index], column(), *table.columns[index + 1 :]]
    columns = [each.combine_chunks() if isinstance(each, pa.ChunkedArray) else each for each in columns]
    fields = [
        pa.field(field.name, each.type, nullable=False) for field, each in zip(table.schema, columns, strict=True)
    ]
    schema = pa.schema(fields, metadata=table.schema.metadata)
    with pa.ipc.new_file(str(snapshot / file), schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    assert_damaged(old)


@pytest.mark.parametrize(
    "offsets",
    [
        (0, 5, 3), (0, 4, 4), (0, 0, 8), (-8, -4, 0), (4, 8, 12), (0, 4, 200), (0, 4, 9), (0, 2**31 - 1, 2**31 - 1),
        (0, 2**31 - 1, -(2**31)), (-(2**31), 0, 8),
    ],
)  # fmt: skip
def test_offsets_that_lead_elsewhere_are_damage(old: Folder, offsets: tuple[int, ...]) -> None:
    """Those of the transactions, of which both have four bytes."""
    path = old.path / "state" / "snapshot-1" / ENTRIES_FILE
    content, saved = path.read_bytes(), array("i", [0, 4, 8]).tobytes()
    assert content.count(saved) == 1
    path.write_bytes(content.replace(saved, array("i", offsets).tobytes()))
    assert_damaged(old)


def assert_damaged(old: Folder) -> None:
    """The state is refused as damaged, though its hashes are right."""
    snapshot = old.path / "state" / "snapshot-1"
    seal(snapshot)
    for restore in (
        lambda snapshot: snapshot.restore([Ledger(None, TEXTS.text_ids), Ledger(None, TEXTS.text_ids)]),
        lambda snapshot: list(snapshot.parts(2, 0)),
    ):
        with pytest.raises(StateError, match="is damaged"):
            restore(open_snapshot(str(snapshot)))
    old.run(*STATE).assert_failed("is damaged")
    old.run(*STATE, "--verify").assert_failed("is damaged")


def test_damage_names_the_ids(old: Folder) -> None:
    snapshot = old.path / "state" / "snapshot-1"
    table = pa.ipc.open_file(snapshot / ENTRIES_FILE).read_all()
    changed = table.set_column(0, table.schema.field(0), texts([b"\xff\n", b"cus_B"]))
    with pa.ipc.new_file(str(snapshot / ENTRIES_FILE), table.schema) as writer:
        writer.write_table(changed)
    seal(snapshot)
    old.run(*STATE).assert_failed(r"transaction ch_1 of client \xff\x0a has no account")
    doubled = table.set_column(0, table.schema.field(0), texts([b"cus_B", b"cus_B"]))
    with pa.ipc.new_file(str(snapshot / ENTRIES_FILE), table.schema) as writer:
        writer.write_table(doubled)
    seal(snapshot)
    old.run(*STATE).assert_failed("transaction ch_1 of client cus_B is there twice")


def test_no_damage_of_any_byte_reads_out_of_bounds(old: Folder) -> None:
    """Files are changed at random, and their hashes fit."""
    snapshot = old.path / "state" / "snapshot-1"
    chance = random.Random(7)
    refused = 0
    for file in (ACCOUNTS_FILE, ENTRIES_FILE):
        whole = (snapshot / file).read_bytes()
        for _, damaged in zip(range(150), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            seal(snapshot)
            try:
                open_snapshot(str(snapshot)).restore([Ledger(None, TEXTS.text_ids)])
            except StateError:
                refused += 1
        (snapshot / file).write_bytes(whole)
    assert refused > 100


@pytest.mark.parametrize("form", ["segments", "legacy"])
@pytest.mark.parametrize("dialect", [{}, {"ids.client": "text"}, {"ids.tx": "text"}])
def test_a_state_whose_manifest_says_another_form_of_ids_is_damage(
    begun: Folder, dialect: dict[str, str], form: SavedForm
) -> None:
    put_in_form(begun.path / "state" / "snapshot-1", form)
    before = accounts(begun)
    change_manifest(begun.path / "state" / "snapshot-1", dialect=dialect)
    begun.run(*STATE, "--verify").assert_failed("is damaged")
    if form == "legacy":
        begun.run(*STATE).assert_failed("its columns are not those of a snapshot")
    elif dialect == {"ids.client": "text"}:  # accounts alone are read, and these are as they were
        assert accounts(begun) == before
    else:
        begun.run(*STATE).assert_failed("is damaged")


@pytest.mark.parametrize("key", ["", "00", "0" * 47, "x" * 48, None, 7])
def test_a_key_of_texts_that_is_none_is_damage(begun: Folder, key: object) -> None:
    change_manifest(begun.path / "state" / "snapshot-1", text_key=key)
    begun.run(*STATE).assert_failed("manifest.json: is damaged: text_key is not what it should be")


def test_another_key_of_texts_is_damage(begun: Folder) -> None:
    """The order of rows is that of hashes by the key."""
    change_manifest(begun.path / "state" / "snapshot-1", text_key="07" * 24)
    begun.run(*STATE).assert_failed("is damaged")
    begun.write("more.csv", HEADER + SECOND)
    begun.run(*STATE, "--ids", "text", "more.csv").assert_failed("is damaged")


def test_a_column_must_fit_its_rows() -> None:
    offsets, content = array("i", [0, 1, 2]).tobytes(), b"ab"
    assert TEXTS.text_ids is not None
    TextColumn(TEXTS.text_ids, 2, offsets, content)
    with pytest.raises(ValueError, match="a column of 12 bytes, where 16 are needed"):
        TextColumn(TEXTS.text_ids, 3, offsets, content)
    with pytest.raises(ValueError, match="ids of 2 bytes, in a column of 1"):
        TextColumn(TEXTS.text_ids, 2, offsets, content[:1])
