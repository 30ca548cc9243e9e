"""Runs are merged as dicts are: of equal keys the newest row alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.segments import (
    Run,
    Table,
    Values,
    forms,
    many_rows,
    new_path,
    opened,
    rows_in,
    rows_of,
    sorted_table,
    tables,
    write_run,
)
from txfast.store import segment_writer
from txfast.store.run_cursor import RunCursor
from txfast.store.run_merge import RunMerge, merge
from txfast.store.segment_form import Form

pytestmark = pytest.mark.unmeasured


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all examples of a test."""
    return tmp_path_factory.mktemp("runs")


@st.composite
def ages(draw: st.DrawFn) -> list[Table]:
    """Tables of one form, the oldest first, with rows of the same keys and other values."""
    form = draw(forms())
    found = [draw(tables(form)) for _ in range(draw(st.integers(1, 5)))]
    oldest = list(found[0].rows.values())
    again = [
        sorted_table(
            form, table.has_details, [*table.rows.values(), *(new_values(draw, form, table, row) for row in oldest)]
        )
        for table in found[1:]
        if draw(st.booleans())
    ]
    return [*found, *again]


def new_values(draw: st.DrawFn, form: Form, table: Table, row: Values) -> Values:
    """A row with the key of this one."""
    key = 2 if form.kind == "accounts" else 3
    other: Values = draw(rows_of(form, table.has_details))
    return (*row[:key], *other[key:])


def merged(ages: list[Table]) -> dict[tuple[Any, ...], Values]:
    """What the newest table has of each key."""
    found: dict[tuple[Any, ...], Values] = {}
    for table in ages:
        found |= table.rows
    return {key: found[key] for key in sorted(found)}


def write_runs(folder: Path, ages: list[Table], rows_max: int) -> list[Run]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(segment_writer, "SEGMENT_ROWS_MAX", rows_max)
        return [write_run(folder, table) for table in ages]


rows_maxes = st.sampled_from([1, 3, 1000])


@given(ages=ages(), rows_max=rows_maxes, data=st.data())
def test_a_merge_has_the_newest_row_of_each_key(
    folder: Path, ages: list[Table], rows_max: int, data: st.DataObject
) -> None:
    runs = write_runs(folder, ages, rows_max)
    rows = merged(ages)
    assert list(RunMerge(map(RunCursor, runs))) == list(rows.values())
    words = [key[0] for key in rows]
    bounds = st.sampled_from(sorted({0, *words, *(max(0, word - 1) for word in words)}))
    first, last = data.draw(bounds), data.draw(bounds)
    between = [row for key, row in rows.items() if first <= key[0] <= last]
    assert list(RunMerge(map(RunCursor, runs), first, last)) == between


@given(ages=ages(), rows_max=rows_maxes, at_once=st.sampled_from([1, 2, 10, 1000]))
def test_runs_are_merged_into_one_in_steps(folder: Path, ages: list[Table], rows_max: int, at_once: int) -> None:
    runs = write_runs(folder, ages, rows_max)
    form = ages[0].form
    rows = list(merged(ages).values())
    written: list[Values] = []
    word: int | None = 0
    steps = 0
    while word is not None:
        found, word = merge(runs, lambda _, __: new_path(folder), form, from_word=word, rows_max=at_once, durable=False)
        new = rows_in(opened(found, form))
        steps += 1
        clients = {row[0] for row in written}
        assert not any(row[0] in clients for row in new)
        written += new
    assert written == rows
    whole, end = merge(runs, lambda _, __: new_path(folder), form)
    assert end is None
    assert rows_in(opened(whole, form)) == rows
    assert all(segment.has_details == any(table.has_details for table in ages) for segment in opened(whole, form))
    assert steps <= len({row[0] for row in rows})


def test_files_of_a_merge_have_names_and_a_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "SEGMENT_ROWS_MAX", 1500)
    form = many_rows_form()
    old, new = many_rows(form, 3000, step=3), many_rows(form, 3000, step=2)
    runs = [write_run(folder, old), write_run(folder, new)]
    asked = []

    def path_of(kind: str, number: int) -> str:
        asked.append((kind, number))
        return new_path(folder)

    written, _ = merge(runs, path_of, form)
    rows = old.rows | new.rows
    assert asked == [("entries", number) for number in range(-(-len(rows) // 1500))]
    assert [description["rows"] for _, description in written[:-1]] == [1500] * (len(written) - 1)
    assert rows_in(opened(written, form)) == [rows[key] for key in sorted(rows)]


def many_rows_form() -> Form:
    return Form("entries", None, bytes(32))


def test_nothing_is_merged_of_nothing(folder: Path) -> None:
    assert list(RunMerge([])) == []
    assert list(RunMerge([RunCursor([])])) == []
    assert merge([], lambda _, __: new_path(folder), many_rows_form()) == ([], None)
