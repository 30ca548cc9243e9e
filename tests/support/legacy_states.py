"""Snapshots in formats 4 and 5, as the last version that had them wrote them: made of snapshots of segments.

So states that earlier versions left, whole, damaged and forged, can be made of anything that a run saves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.support.segment_rows import ROW, SavedRows, rows_of_snapshot
from tests.support.states import seal
from txfast.dialect.dialect import Dialect
from txfast.state import manifest
from txfast.state.arrow_columns import rows_at_once
from txfast.state.dialects import decimals_of, text_ids_of
from txfast.state.snapshot_layout import (
    ACCOUNTS,
    DETAILS,
    DISPUTES,
    EARLIER_ENTRIES,
    ENTRIES,
    OPENINGS,
    SHARD,
    schemas,
)
from txfast.store.segment_form import Form

# What a snapshot may be: of segments, or as the version before that wrote it, on one machine, on a cluster, or as a
# checkpoint.
SavedForm = Literal["segments", "legacy", "legacy shards", "legacy checkpoint"]
any_forms: SearchStrategy[SavedForm] = st.sampled_from(get_args(SavedForm))

# Fields of a manifest that came with segments.
LATER_FIELDS = ("hash", "key", "text_key", "next_segment", "merges", "runs", "files")


def make_legacy(snapshot: Path, *, shards: int = 0, shares: int = 0) -> None:
    """Write a snapshot of segments anew: in format 5 where it has a dialect or opening balances, else in format 4.

    Rows are in the order of client, currency and transaction. With `shards`, it is one that a cluster wrote, in so many
    shards; with `shares`, one of a checkpoint whose entries are in so many files, with the states of disputes apart.
    """
    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    dialect = Dialect(fields["dialect"]) if "dialect" in fields else None
    known = schemas(decimals_of(dialect), text_ids_of(dialect))
    rows = rows_of_snapshot(snapshot)
    for name in fields["files"]:
        (snapshot / name).unlink()
    for name in LATER_FIELDS:
        fields.pop(name, None)
    if shards:
        fields["shards"] = write_shards(snapshot, rows, shards, known)
    else:
        write_files(snapshot, rows, shares, known)
    fields["format"] = 5 if dialect is not None or rows.openings else 4
    fields["files"] = {}
    (snapshot / manifest.NAME).write_bytes(manifest.text_of(fields))
    seal(snapshot)


def make_legacy_state(state: Path, **options: int) -> None:
    """Do that with all snapshots and checkpoints of segments in a state directory."""
    for folder in [*state.glob("snapshot-*"), *state.glob("checkpoint-*")]:
        if json.loads((folder / manifest.NAME).read_bytes())["format"] == manifest.FORMAT:
            make_legacy(folder, **options)


def put_in_form(snapshot: Path, form: SavedForm) -> None:
    """Leave a snapshot of segments as it is, or write it anew as an earlier version would have."""
    if form != "segments":
        make_legacy(snapshot, shards=2 * (form == "legacy shards"), shares=3 * (form == "legacy checkpoint"))


def write_shards(snapshot: Path, rows: SavedRows, shards: int, known: Mapping[str, pa.Schema]) -> list[dict[str, int]]:
    """Write the files of each shard; return what a manifest says of the shards."""
    form = Form("accounts", None, bytes(32))

    def shard_of(row: ROW) -> int:
        # Every version hashes texts by a key of its own, so any shard will do for them.
        client = row["client"] if isinstance(row["client"], int) else len(row["client"])
        word: int = form.sort_key((client, None, 0))[0]
        return word * shards >> 64

    said = []
    for shard in range(shards):
        own = SavedRows(*([row for row in each if shard_of(row) == shard] for each in rows))
        folder = snapshot / SHARD.format(shard)
        folder.mkdir()
        write_files(folder, own, 0, known)
        said.append({"accounts": len(own.accounts), "entries": len(own.entries)})
    return said


def write_files(folder: Path, rows: SavedRows, shares: int, known: Mapping[str, pa.Schema]) -> None:
    """Write the files of accounts and entries in a folder."""
    accounts = [{**row, "locked": bool(row["flags"])} for row in rows.accounts]
    write_rows(folder / ACCOUNTS, accounts, known[ACCOUNTS])
    deposits_first = sorted(rows.entries, key=lambda row: int(row["kind"]))
    if shares:
        stateless = [{**row, "state": 0} for row in deposits_first]
        cuts = [len(stateless) * number // shares for number in range(shares + 1)]
        for number in range(shares):
            name = ENTRIES if number == shares - 1 else EARLIER_ENTRIES.format(number + 1)
            write_rows(folder / name, stateless[cuts[number] : cuts[number + 1]], known[ENTRIES])
        write_rows(folder / DISPUTES, [row for row in deposits_first if row["state"]], known[DISPUTES])
    else:
        write_rows(folder / ENTRIES, deposits_first, known[ENTRIES])
    for name, some in ((DETAILS, rows.details), (OPENINGS, rows.openings)):
        if some:
            write_rows(folder / name, some, known[name])


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write an Arrow file of these rows, of which the columns of the schema are taken."""
    table = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)
    with pa.ipc.new_file(str(path), schema) as writer:
        for batch in table.to_batches(max_chunksize=rows_at_once(schema)):
            writer.write_batch(batch)
