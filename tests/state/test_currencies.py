"""States of accounts of a client and a currency: they come back as they were, and no damage is taken for them."""

from __future__ import annotations

import io
import json
import random
import tempfile
from array import array
from collections.abc import Callable
from itertools import accumulate
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
from tests.support.currencies import CURRENCY_SETTINGS, any_currency_dialects, make_currency_batch, make_currency_file
from tests.support.dialect_replays import THREADS, run_days, run_reference
from tests.support.legacy_states import SavedForm, any_forms, make_legacy, make_legacy_state, put_in_form
from tests.support.profiles import examples
from tests.support.replays import though_all_malformed
from tests.support.rows import Row
from tests.support.segment_rows import rows_of_snapshot
from tests.support.small_memory import SmallLedger
from tests.support.states import STATE, change_manifest, files_of, save_ledgers, seal
from txfast.batch.cursor import report
from txfast.dialect.currencies import CURRENCIES_MAX, Currencies
from txfast.dialect.dialect import Dialect
from txfast.errors import CapacityError, MemoryLimitError, StateError
from txfast.ledger.columns_in import LedgerRestorer
from txfast.ledger.currency_column import CurrencyColumn
from txfast.ledger.figures import balances_of
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.ledger.route import route
from txfast.run.books import Books
from txfast.run.plan import make_plan
from txfast.state import snapshot as snapshot_module
from txfast.state.snapshot import Snapshot
from txfast.state.snapshots import open_snapshot

CCY = ("--columns", "currency=ccy")
DIALECT: dict[str, str | int] = {"columns.currency": "ccy"}
ACCOUNTS_FILE, ENTRIES_FILE, DETAILS_FILE = "accounts.arrow", "entries.arrow", "details.arrow"

any_ids = st.integers(0, 7) | st.integers(0, 300) | st.integers(0, 2**64 - 1)
any_rows = strategies.policy_streams() | strategies.streams(any_ids, any_ids, kinds=strategies.policy_kinds)
# Places of amounts, which rows may have more of than these.
any_places = st.sampled_from([{}, {}, {"decimals": "2", "rounding": "half-even"}, {"decimals": "7"}])


# ---- Save and restore ------------------------------------------------------------------------------


def apply(ledgers: list[Ledger], rows: list[Row], dialect: Dialect) -> list[int]:
    """Apply the rows, each to the shard that has its client; the status of each."""
    batch = make_currency_batch(rows, dialect)
    if len(ledgers) > 1:
        route(batch, len(ledgers))
    for shard, ledger in enumerate(ledgers):
        ledger.apply(batch, shard=shard)
    return [status for _, _, status, _ in report(batch, applied=True)]


def balances_by_code(ledgers: list[Ledger], dialect: Dialect) -> dict[bytes, int]:
    """What applied rows have left of each currency, where that is not 0."""
    assert dialect.currencies is not None
    sums: dict[bytes, int] = {}
    for ledger in ledgers:
        for code, balance in zip(dialect.currencies.codes, balances_of(ledger), strict=False):
            sums[code] = sums.get(code, 0) + balance
    return {code: balance for code, balance in sums.items() if balance}


@given(
    any_rows, strategies.policies(), st.integers(0, 60), st.integers(1, 3), st.integers(1, 20), any_currency_dialects,
    any_forms,
)  # fmt: skip
def test_a_restored_ledger_continues_like_the_saved_one(
    rows: list[Row], policy: str, cut: int, shards: int, rows_at_once: int, dialect: Dialect, form: SavedForm
) -> None:
    whole = [Ledger(Policy(policy), dialect.text_ids)]
    apply(whole, rows[:cut], dialect)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        patched.setattr("txfast.state.arrow_columns.TEXT_BATCH_ROWS", rows_at_once)
        save_ledgers(Path(name) / "saved", whole, policy=Policy(policy), dialect=dialect)
        put_in_form(Path(name) / "saved", form)
        snapshot = open_snapshot(f"{name}/saved")
        assert snapshot.dialect == dialect
        assert snapshot.dialect is not None
        ledgers = [Ledger(Policy(policy), snapshot.text_ids) for _ in range(shards)]
        snapshot.restore(ledgers)
        parts = [ledger.balance_units for _, ledger in snapshot.parts(shards, 0)]
    assert parts == [ledger.balance_units for ledger in ledgers]
    assert balances_by_code(ledgers, snapshot.dialect) == balances_by_code(whole, dialect)
    assert accounts_csv(ledgers) == accounts_csv(whole)
    assert sum(ledger.entries for ledger in ledgers) == whole[0].entries
    assert apply(ledgers, rows[cut:], snapshot.dialect) == apply(whole, rows[cut:], dialect)
    assert accounts_csv(ledgers) == accounts_csv(whole)
    assert balances_by_code(ledgers, snapshot.dialect) == balances_by_code(whole, dialect)


@pytest.mark.untraced
@examples(0.5)
@given(
    st.lists(any_rows.filter(bool), min_size=1, max_size=3), st.sampled_from(THREADS),
    st.sampled_from([0, 1, 3, 10, 1 << 30]), st.integers(1, 3), strategies.policies(), any_currency_dialects,
    any_places, st.booleans(), st.integers(0, 2),
)  # fmt: skip
def test_a_state_continues_under_any_limit(
    streams: list[list[Row]], threads: int, limit: int, parts: int, policy: str, dialect: Dialect,
    places: dict[str, str], grows: bool, legacy_days: int,
) -> None:  # fmt: skip
    """What rows need of a state is looked up, also for partitions, and saved from there: one run for each stream, or
    for each step of a file that grows, gives the accounts and the rejects of one run over all. The state may be one of
    an earlier version at first."""
    settings = {**dialect, **places}
    contents = [make_currency_file(stream, dialect) for stream in streams]
    expected = run_reference(contents, settings, policy)
    days = [(f"{number}.csv", content) for number, content in enumerate(contents)]
    if grows:
        rows = [content.partition(b"\n")[2] for content in contents[1:]]
        days = [("all.csv", written) for written in accumulate([contents[0], *rows])]
    with tempfile.TemporaryDirectory() as name, though_all_malformed():
        accounts, reasons = run_days(
            Path(name), days, settings, policy=policy, threads=threads, limit=limit, parts=parts,
            legacy_days=legacy_days,
        )  # fmt: skip
    assert accounts == expected.accounts
    assert reasons == [reject.reason for reject in expected.rejects]


# ---- The command and programs ----------------------------------------------------------------------

HEADER = b"type,client,tx,amount,ccy\n"
FIRST = b"deposit,2,1,5,USD\ndeposit,1,1,7,EUR\ndeposit,1,1,9,USD\n"
SECOND = b"deposit,3,1,1,CHF\nwithdrawal,2,2,2,USD\ndispute,1,1,,EUR\ndeposit,1,1,5,USD\nrefund,1,1,4,USD\n"
TWO_DAYS = b"""\
client,currency,available,held,total,locked
1,EUR,0.0000,7.0000,7.0000,false
1,USD,5.0000,0.0000,5.0000,false
2,USD,3.0000,0.0000,3.0000,false
3,CHF,1.0000,0.0000,1.0000,false
"""


@pytest.fixture
def begun(folder: Folder) -> Folder:
    """A folder with a state of currencies, and the file that it was made of."""
    folder.write("in.csv", HEADER + FIRST)
    folder.run(*STATE, "-q", *CCY, "in.csv")
    return folder


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_file_that_grew_is_gone_on_with(begun: Folder, threads: str) -> None:
    begun.write("in.csv", HEADER + FIRST + SECOND)
    ended = begun.run(*STATE, *CCY, "in.csv", "--threads", threads, "--stats", "s.json", "warn")
    assert ended.output == TWO_DAYS
    assert "duplicate_transaction" in ended.errors
    stats = json.loads(begun.read("s.json"))
    assert stats["total"] == {"CHF": "1.0000", "EUR": "7.0000", "USD": "8.0000"}
    assert stats["conserved"]
    assert begun.run(*STATE, *CCY, "in.csv").output == TWO_DAYS
    assert begun.run(*STATE).output == TWO_DAYS
    line = begun.run(*STATE, "--verify").output.decode()
    assert "good: format 6, " in line
    assert "4 accounts, 5 deposits and withdrawals, 1 input, dialect columns.currency=ccy" in line


def test_a_state_has_one_column_of_currencies(begun: Folder) -> None:
    for arguments, difference in (
        ((), "columns.currency is ccy and not the default"),
        (("--columns", "currency=tx"), "columns.currency is ccy and not tx"),
        ((*CCY, "--ids", "text"), "ids is the default and not text"),
    ):
        ended = begun.run(*STATE, *arguments, "in.csv")
        ended.assert_failed("its inputs were read in another dialect", difference)


def test_any_arrow_library_can_read_the_files(begun: Folder) -> None:
    begun.write("more.csv", HEADER + SECOND)
    begun.run(*STATE, "-q", *CCY, "more.csv")
    snapshot = begun.path / "state" / "snapshot-2"
    tables = {name: pa.ipc.open_file(snapshot / name).read_all() for name in files_of(snapshot)}
    for name, table in tables.items():
        assert table.schema.field(1) == pa.field("currency", pa.binary(), nullable=False), name
    assert tables["accounts-1.arrow"].schema.names == ["client", "currency", "available", "held", "max_tx", "flags"]
    assert tables["entries-2.arrow"].schema.names == ["client", "currency", "tx", "amount", "kind", "state"]
    rows = rows_of_snapshot(snapshot)
    assert [(row["client"], row["currency"], row["available"], row["held"]) for row in rows.accounts] == [
        (1, b"EUR", 0, 70_000), (1, b"USD", 50_000, 0), (2, b"USD", 30_000, 0), (3, b"CHF", 10_000, 0),
    ]  # fmt: skip
    assert [row["currency"] for row in rows.entries] == [b"EUR", b"USD", b"USD", b"USD", b"CHF"]
    [detail] = rows.details
    assert detail == {
        "client": 1, "currency": b"USD", "tx": 1, "amount": 90_000, "kind": 0, "state": 0, "refunded": 40_000,
        "moved": 0,
    }  # fmt: skip
    fields = json.loads((snapshot / "manifest.json").read_bytes())
    assert fields["balance_units"] == sum(row["available"] + row["held"] for row in rows.accounts)


def test_a_ledger_is_saved_and_loaded(begun: Folder, tmp_path: Path) -> None:
    ledger = txfast.Ledger.load(begun.path / "state")
    assert list(ledger) == [(1, "EUR"), (1, "USD"), (2, "USD")]
    assert ledger.apply(io.BytesIO(HEADER + SECOND)) == {"applied": 4, "duplicate_transaction": 1}
    ledger.save(tmp_path / "copy")
    again = txfast.Ledger.load(tmp_path / "copy", threads=3)
    assert list(again.accounts()) == list(ledger.accounts())
    assert again.apply(io.BytesIO(HEADER + FIRST)) == {"applied": 0, "duplicate_transaction": 3}
    assert again[1, "USD"].total == ledger[1, "USD"].total


def test_a_program_goes_on_with_the_state_of_a_command(begun: Folder) -> None:
    result = txfast.process(io.BytesIO(HEADER + SECOND), state=begun.path / "state", dialect=DIALECT, threads=2)
    out = begun.path / "out.csv"
    result.accounts.write(out)
    assert out.read_bytes() == TWO_DAYS
    assert begun.run(*STATE).output == TWO_DAYS


def test_a_state_whose_accounts_are_in_one_currency_finds_it_again(folder: Folder) -> None:
    """The next run meets the currencies in another order, and so numbers them otherwise."""
    folder.write("a.csv", HEADER + b"deposit,1,1,1,B\ndeposit,1,2,1,A\n")
    folder.write("b.csv", HEADER + b"deposit,1,1,1,A\nwithdrawal,1,2,1,B\n")
    folder.run(*STATE, "-q", *CCY, "a.csv")
    output = folder.run(*STATE, "-q", *CCY, "b.csv").output
    assert output.splitlines()[1:] == [b"1,A,2.0000,0.0000,2.0000,false", b"1,B,0.0000,0.0000,0.0000,false"]


@pytest.mark.untraced
@pytest.mark.parametrize("form", ["segments", "legacy"])
@pytest.mark.parametrize("settings", CURRENCY_SETTINGS, ids=str)
def test_a_snapshot_is_divided_into_parts_that_fit(folder: Folder, settings: dict[str, str], form: SavedForm) -> None:
    dialect = Dialect(settings)
    rows = [Row("deposit", 7 + 8 * (tx % 20_000), 7 + 8 * tx, 1) for tx in range(60_000)]
    folder.write("in.csv", make_currency_file(rows, dialect))
    arguments = [word for name, value in settings.items() for word in ("--dialect", f"{name}={value}")]
    assert folder.run(*STATE, "-q", *arguments, "in.csv").exit_code == 0
    put_in_form(folder.path / "state" / "snapshot-1", form)
    snapshot = open_snapshot(str(folder.path / "state" / "snapshot-1"))
    books = Books(make_plan(cores=1, memory_used=0, memory_limit=96 << 20), dialect=dialect)
    books.ledger_bytes = 0  # the least that it restores with
    parts = books.parts_that_fit(snapshot)
    for part, ledger in snapshot.parts(parts, books._restoring_bytes):
        assert ledger.bytes_with(0) <= books._restoring_bytes, part


@pytest.mark.parametrize("form", ["segments", "legacy"])
def test_the_bytes_of_texts_are_those_without_the_currencies(folder: Folder, form: SavedForm) -> None:
    rows = [Row("deposit", client, client, 1) for client in range(3_000)]
    sizes = []
    for settings in ({"columns.currency": "ccy", "ids": "text"}, {"columns.currency": "ccy"}):
        name = f"state{len(settings)}"
        folder.write("in.csv", make_currency_file(rows, Dialect(settings)))
        arguments = [word for part, value in settings.items() for word in ("--dialect", f"{part}={value}")]
        assert folder.run("--state", name, "-q", *arguments, "in.csv").exit_code == 0
        put_in_form(folder.path / name / "snapshot-1", form)
        snapshot = open_snapshot(str(folder.path / name / "snapshot-1"))
        sizes.append(snapshot.text_bytes)
        [ledger] = [ledger for _, ledger in snapshot.parts(1, 0)]
        assert snapshot.text_bytes >= ledger.text_bytes
        # The names of clients are with each entry too; what Arrow files have beside columns takes some KiB. Segments
        # have numbers, filters and an index as well.
        assert snapshot.text_bytes <= (2 if form == "legacy" else 3) * ledger.text_bytes + (32 << 10)
    assert sizes[1] == 0


@pytest.mark.parametrize("form", ["segments", "legacy"])
def test_one_client_in_many_currencies_is_not_divided_for_ever(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, form: SavedForm
) -> None:
    rows = b"".join(b"deposit,1,%d,1,%d\n" % (tx, tx) for tx in range(50))
    folder.write("in.csv", HEADER + rows)
    folder.run(*STATE, "-q", *CCY, "in.csv")
    put_in_form(folder.path / "state" / "snapshot-1", form)
    snapshot = open_snapshot(str(folder.path / "state" / "snapshot-1"))

    class LargeLedger(SmallLedger):
        def bytes_with(self, rows: int, text_bytes: int | None = None) -> int:  # noqa: ARG002
            return len(self)

    monkeypatch.setattr(snapshot_module, "Ledger", LargeLedger)
    reads: list[tuple[int, ...]] = []
    batches = type(snapshot).batches

    def noted_batches(self: Snapshot, *part: int) -> object:
        reads.append(part)
        return batches(self, *part)

    monkeypatch.setattr(type(snapshot), "batches", noted_batches)
    with pytest.raises(MemoryLimitError, match="has a client that is too large"):
        list(snapshot.parts(1, 10))
    assert reads == [(0, 1, 1)]


# ---- Damage ----------------------------------------------------------------------------------------


def texts(values: list[bytes | None]) -> pa.Array:
    return pa.array(values, pa.binary())


@pytest.fixture
def old(begun: Folder) -> Folder:
    """The same with a state that an earlier version left: of client 1 in EUR and USD, and client 2 in USD."""
    make_legacy_state(begun.path / "state")
    return begun


DAMAGES: dict[str, tuple[str, Callable[[], pa.Array], str]] = {
    "an account twice": (ACCOUNTS_FILE, lambda: texts([b"USD", b"USD", b"USD"]), "client 1 in USD has two accounts"),
    "no currency": (ACCOUNTS_FILE, lambda: texts([b"EUR", b"USD", b""]), "row 2 has no currency"),
    "a code too long": (ACCOUNTS_FILE, lambda: texts([b"x" * 13, b"USD", b"USD"]), "row 0 has no currency"),
    "other accounts": (ACCOUNTS_FILE, lambda: texts([b"USD", b"EUR", b"USD"]), "is not what its transactions make it"),
    "another currency": (ENTRIES_FILE, lambda: texts([b"EUR", b"GBP", b"USD"]), "of client 1 in GBP has no account"),
    "one of another client": (ENTRIES_FILE, lambda: texts([b"EUR", b"USD", b"EUR"]), "client 2 in EUR has no account"),
    "an entry twice": (ENTRIES_FILE, lambda: texts([b"EUR", b"EUR", b"USD"]), "of client 1 in EUR is there twice"),
    "an entry in no currency": (ENTRIES_FILE, lambda: texts([b"EUR", b"USD", b""]), "row 2 has no currency"),
    "nulls": (ENTRIES_FILE, lambda: texts([b"EUR", b"USD", None]), "nulls"),
    "numbers": (ENTRIES_FILE, lambda: pa.array([1, 2, 3], pa.uint64()), "not those of a snapshot"),
    "strings": (ENTRIES_FILE, lambda: pa.array(["EUR", "USD", "USD"]), "not those of a snapshot"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_no_ledger_can_have_saved_is_damage(old: Folder, damage: str) -> None:
    file, column, words = DAMAGES[damage]
    snapshot = old.path / "state" / "snapshot-1"
    table = pa.ipc.open_file(snapshot / file).read_all()
    columns = [table.column(0).combine_chunks(), column(), *(each.combine_chunks() for each in table.columns[2:])]
    fields = [
        pa.field(field.name, each.type, nullable=False) for field, each in zip(table.schema, columns, strict=True)
    ]
    schema = pa.schema(fields, metadata=table.schema.metadata)
    with pa.ipc.new_file(str(snapshot / file), schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    assert_damaged(old, words)


@pytest.mark.parametrize("shards", [1, 2])
def test_details_and_openings_of_other_accounts_are_damage(folder: Folder, shards: int) -> None:
    folder.write("in.csv", HEADER + FIRST + SECOND)
    folder.run(*STATE, "-q", *CCY, "in.csv")
    snapshot = folder.path / "state" / "snapshot-1"
    make_legacy(snapshot)
    path = snapshot / DETAILS_FILE
    table = pa.ipc.open_file(path).read_all()
    changed = table.set_column(1, table.schema.field(1), texts([b"CHF"]))
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(changed)
    seal(snapshot)
    folder.run(*STATE, "--threads", str(shards)).assert_failed("transaction 1 of client 1 in CHF has no account")


@pytest.mark.parametrize(
    "offsets",
    [(0, 3, 3, 9), (0, 0, 6, 9), (-3, 0, 3, 6), (3, 6, 9, 12), (0, 3, 6, 99), (0, 3, 6, 19), (0, 2**31 - 1, 6, 9),
     (0, 3, -(2**31), 2**31 - 1), (-(2**31), 3, 6, 9)],
)  # fmt: skip
def test_offsets_that_lead_elsewhere_are_damage(old: Folder, offsets: tuple[int, ...]) -> None:
    path = old.path / "state" / "snapshot-1" / ENTRIES_FILE
    content, saved = path.read_bytes(), array("i", [0, 3, 6, 9]).tobytes()
    assert content.count(saved) == 1
    path.write_bytes(content.replace(saved, array("i", offsets).tobytes()))
    assert_damaged(old, "has no currency")


def restore(snapshot: Snapshot, shards: int, *, in_parts: bool) -> None:
    if in_parts:
        list(snapshot.parts(shards, 0))
    else:
        snapshot.restore([Ledger(None, snapshot.text_ids) for _ in range(shards)])


def assert_damaged(old: Folder, words: str) -> None:
    """The state is refused as damaged, though its hashes are right."""
    snapshot = old.path / "state" / "snapshot-1"
    seal(snapshot)
    for shards in (1, 2):
        for in_parts in (False, True):
            with pytest.raises(StateError, match="is damaged") as raised:
                restore(open_snapshot(str(snapshot)), shards, in_parts=in_parts)
            assert words in str(raised.value) or shards > 1
    old.run(*STATE, "--threads", "1").assert_failed("is damaged", words)
    old.run(*STATE, "--verify").assert_failed("is damaged")


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
            opened = open_snapshot(str(snapshot))
            try:
                opened.restore([Ledger(None, opened.text_ids)])
            except StateError:
                refused += 1
        (snapshot / file).write_bytes(whole)
    assert refused > 100


@pytest.mark.parametrize("form", ["segments", "legacy"])
@pytest.mark.parametrize(
    "dialect", [{}, {"ids": "text"}, {"columns.currency": "ccy", "ids.client": "text"}, {"columns.currency": "other"}]
)
def test_a_state_whose_manifest_says_another_dialect_is_damage(
    begun: Folder, dialect: dict[str, str], form: SavedForm
) -> None:
    snapshot = begun.path / "state" / "snapshot-1"
    put_in_form(snapshot, form)
    before = begun.run(*STATE).output
    change_manifest(snapshot, dialect=dialect, **({"text_key": "00" * 24} if form == "segments" else {}))
    if dialect == {"columns.currency": "other"}:  # that is another column of the same states
        assert begun.run(*STATE).output == before
    elif form == "legacy":
        begun.run(*STATE).assert_failed("its columns are not those of a snapshot")
    else:
        begun.run(*STATE).assert_failed("is damaged")
        begun.run(*STATE, "--verify").assert_failed("is damaged")


# ---- Columns ---------------------------------------------------------------------------------------


def column_of(currencies: Currencies, *codes: bytes) -> CurrencyColumn:
    offsets = array("i", [sum(map(len, codes[:count])) for count in range(len(codes) + 1)])
    return CurrencyColumn(currencies, len(codes), offsets.tobytes(), b"".join(codes))


def test_a_column_must_fit_its_rows() -> None:
    offsets, content = array("i", [0, 1, 2]).tobytes(), b"ab"
    CurrencyColumn(Currencies(), 2, offsets, content)
    with pytest.raises(ValueError, match="a column of 12 bytes, where 16 are needed"):
        CurrencyColumn(Currencies(), 3, offsets, content)
    with pytest.raises(ValueError, match="row 1 has no currency, which is a text of 1 to 12 bytes"):
        CurrencyColumn(Currencies(), 2, offsets, content[:1])
    with pytest.raises(ValueError, match="row 0 has no currency"):
        CurrencyColumn(Currencies(), 2, offsets, b"")


def test_codes_that_a_run_does_not_have_are_added() -> None:
    currencies = Currencies()
    currencies.number(b"GBP")
    column_of(currencies, b"EUR", b"GBP", b"EUR", b"CHF")
    assert currencies.codes == [b"GBP", b"EUR", b"CHF"]
    for number in range(3, CURRENCIES_MAX):
        currencies.number(b"%d" % number)
    column_of(currencies, b"EUR", b"65535")
    with pytest.raises(CapacityError, match="more than 65,536 currencies"):
        column_of(currencies, b"EUR", b"new")


def test_a_ledger_takes_the_columns_of_its_own_currencies() -> None:
    dialect = Dialect({name: str(value) for name, value in DIALECT.items()})
    assert dialect.currencies is not None
    word = bytearray(8)
    restorer = LedgerRestorer(Ledger(None, dialect.text_ids))
    with pytest.raises(TypeError):
        restorer.add_accounts(1, word, word, word, word)
    for column in (column_of(dialect.currencies, b"EUR", b"EUR"), column_of(Currencies(), b"EUR")):
        with pytest.raises(ValueError, match="currencies, where 1 of the ledger's are needed"):
            restorer.add_accounts(1, word, word, word, word, currencies=column)
    restorer.add_accounts(1, word, word, word, word, currencies=column_of(dialect.currencies, b"EUR"))
