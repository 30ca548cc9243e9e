"""Snapshots of segments whose rows were changed by somebody who makes all hashes fit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.support.segment_rows import NO_DETAILS, ROW, newest
from tests.support.states import change_manifest, seal
from txfast.dialect.dialect import Dialect
from txfast.dialect.text_ids import TextIds
from txfast.state import manifest
from txfast.store.segment_form import Form
from txfast.store.segment_writer import SegmentWriter

# The values of a row, as SegmentWriter takes them.
VALUES = {
    "accounts": ("client", "currency", "available", "held", "max_tx", "flags", "standing", "opening"),
    "entries": ("client", "currency", "tx", "amount", "kind", "state", "refunded", "moved"),
}
VALUES["changes"] = VALUES["entries"]


def text_ids_in(fields: dict[str, Any]) -> TextIds | None:
    """Which ids are texts, by a manifest's fields."""
    dialect = Dialect(fields["dialect"]) if "dialect" in fields else None
    if dialect is None or dialect.text_ids is None:
        return None
    dialect.hash_by(bytes.fromhex(fields["text_key"]))
    return dialect.text_ids


def forge(snapshot: Path, sort: str, change: Callable[[list[ROW]], Iterable[ROW]]) -> None:
    """Write all rows of a sort anew, in one segment: those that `change` makes of them, in their order."""
    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    named = {each["file"] for run in fields["runs"] if run["sort"] == sort for each in run["segments"]}
    names = VALUES[sort]
    rows = [NO_DETAILS | row for row in change(newest((snapshot / name for name in sorted(named)), *names[-2:]))]
    form = Form("accounts" if sort == "accounts" else "entries", text_ids_in(fields), bytes.fromhex(fields["key"]))
    values = sorted((tuple(row.get(name) for name in names) for row in rows), key=form.sort_key)
    for name in named:
        (snapshot / name).unlink()
    name = f"{sort}-{fields['next_segment']}.arrow"
    has_details = any(row[-1] or row[-2] for row in values)
    writer = SegmentWriter(str(snapshot / name), form, int.from_bytes(os.urandom(7)), has_details=has_details)
    for row in values:
        writer.add_row(row)
    said = writer.finish()
    runs = [run for run in fields["runs"] if run["sort"] != sort]
    runs.append({"sort": sort, "segments": [{"file": name, **said}]})
    change_manifest(snapshot, runs=runs, next_segment=fields["next_segment"] + 1, merges={})
    seal(snapshot)
