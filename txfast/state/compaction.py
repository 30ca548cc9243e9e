"""Compaction: merges the runs of a store, a part of it in each commit, so that look-ups meet few runs.

Nothing is merged while there are at most RUNS_MAX runs of a sort and no id can be in more than OVERLAPS_MAX of them.
Else runs of about the same size that stand side by side are merged, FAN_OUT of them or more, with smaller ones between
them; and all, where there are more than RUNS_MAX. A commit merges at most a few times the rows that it
adds, or a small step, so no commit ever rewrites history. A merge that is not done yet stays as it is until the next
commit: its output is a run that is newer than its inputs, so that a look-up finds the merged rows first, and all others
in the inputs.

This module must not know how rows of segments are merged, nor when a snapshot is taken.
"""

import os

from txfast.store.run_merge import merge

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from txfast.state.manifest import Fields
    from txfast.state.segment_file import SegmentFile
    from txfast.store.segment_form import Form

    Run = list[SegmentFile]

    class Store(Protocol):
        """The runs of a state, by sort, and the merges that are not done (store.py)."""

        runs: dict[str, list[Run]]
        merges: "dict[str, Merge]"
        forms: dict[str, Form]

        def new_name(self, sort: str) -> str: ...
        def new_file(self, path: str, description: "dict[str, Any]", sort: str) -> SegmentFile: ...


FAN_OUT = 4
# A commit merges this many rows for each row that it adds, or one step.
ROWS_PER_NEW_ROW = 6
# Steps of a merge, each of which makes a file: at most so many, and the rows that one has.
STEPS = 16
STEP_ROWS_MIN = 1 << 12
STEP_ROWS_MAX = 1 << 17
# Runs of fewer rows count as equally large.
TIER_ROWS_MIN = 1 << 12
# More runs of a sort are merged even where no look-up meets more than OVERLAPS_MAX of them.
RUNS_MAX = 64
OVERLAPS_MAX = 4


class Merge:
    """An unfinished merge of `count` runs from number `first` on. The run after them is its output, which has all rows
    of clients whose word is below `next_word`."""

    __slots__ = ("count", "first", "next_word")

    def __init__(self, first: int, count: int, next_word: int = 0) -> None:
        self.first = first
        self.count = count
        self.next_word = next_word

    def fields(self) -> "dict[str, int]":
        """What a manifest has of it."""
        return {"first": self.first, "count": self.count, "next_word": self.next_word}

    @classmethod
    def of_fields(cls, fields: "Fields", runs: int) -> "Merge":
        """The merge in a manifest, of a sort with so many runs. Raises StateError."""
        found = cls(fields.take("first", int), fields.take("count", int), fields.whole("next_word"))
        if found.count < 1 or found.first + found.count >= runs or not 0 <= found.next_word < 1 << 64:
            raise fields.error("first")
        return found


def compact(store: "Store", folder: str, new_rows: "dict[str, int]", first_runs: "dict[str, int]") -> None:
    """Merge runs of each sort into files in `folder`, as much as a commit may that adds so many rows of each. Of the
    sorts in `first_runs`, only runs from this number on are merged.

    Raises StateError where a row is damaged, SourceError and MemoryError.
    """
    for sort, runs in store.runs.items():
        first_run = first_runs.get(sort, 0)
        merged, most = 0, ROWS_PER_NEW_ROW * new_rows[sort]
        while True:
            found = store.merges.get(sort) or next_merge(runs[first_run:], first_run)
            if found is None or found.first < first_run:
                break
            step = least_step(runs[found.first : found.first + found.count + (sort in store.merges)])
            if merged and merged + step > most:
                break
            merged += go_on(store, sort, found, folder, max(step, most - merged))


def compact_all(store: "Store", folder: str) -> None:
    """Merge all runs of accounts into one, and all of entries and changes into one of entries. Raises as `compact`."""
    runs = store.runs
    for sort in runs:
        store.merges.pop(sort, None)
    for sort, inputs in (("accounts", runs["accounts"]), ("entries", [*runs["entries"], *runs["changes"]])):
        if len(inputs) > 1:
            merged, _ = merged_run(store, sort, inputs, folder, 0, None)
            runs[sort] = [merged]
            if sort == "entries":
                runs["changes"] = []


def next_merge(runs: "Sequence[Run]", first_run: int = 0) -> Merge | None:
    """The merge that should begin next: of the newest runs of one tier that are enough; None where there is none. The
    first of `runs` has the number `first_run`."""
    if len(runs) <= RUNS_MAX and greatest_overlap(runs) <= OVERLAPS_MAX:
        return None
    tiers = [tier_of(run) for run in runs]
    end = len(runs)
    while end >= FAN_OUT:
        first = end - 1
        while first > 0 and tiers[first - 1] <= tiers[end - 1]:
            first -= 1
        if end - first >= FAN_OUT:
            return Merge(first_run + first, end - first)
        end = first
    return Merge(first_run, len(runs)) if len(runs) > RUNS_MAX else None


def least_step(runs: "Sequence[Run]") -> int:
    """The least rows of a step of a merge of these runs, with its output so far."""
    return min(STEP_ROWS_MAX, max(STEP_ROWS_MIN, sum(map(rows_of, runs)) // STEPS))


def tier_of(run: "Run") -> int:
    """The tier of a run: each has FAN_OUT times the rows of the one before."""
    rows, tier = rows_of(run), 0
    while rows > TIER_ROWS_MIN:
        rows //= FAN_OUT
        tier += 1
    return tier


def rows_of(run: "Run") -> int:
    return sum(each.segment.rows for each in run)


def greatest_overlap(runs: "Sequence[Run]") -> int:
    """The most runs that one transaction's id can be in, by the least and the greatest id of each."""
    ends = []
    for run in runs:
        ends.append((min(each.description["tx_min"] for each in run), 0))
        ends.append((max(each.description["tx_max"] for each in run), 1))
    greatest = open_runs = 0
    for _, is_end in sorted(ends):
        open_runs += -1 if is_end else 1
        greatest = max(greatest, open_runs)
    return greatest


def go_on(store: "Store", sort: str, found: Merge, folder: str, rows_max: int) -> int:
    """Do a part of a merge; return how many rows were merged, at least one."""
    runs = store.runs[sort]
    inputs = runs[found.first : found.first + found.count]
    merged, next_word = merged_run(store, sort, inputs, folder, found.next_word, rows_max)
    if sort not in store.merges:
        runs.insert(found.first + found.count, [])
    output = runs[found.first + found.count]
    output += merged
    if next_word is None:
        runs[found.first : found.first + found.count + 1] = [output] if output else []
        store.merges.pop(sort, None)
    else:
        found.next_word = next_word
        for run in inputs:
            run[:] = [each for each in run if each.segment.last[0] >= next_word]
        store.merges[sort] = found
    return max(1, rows_of(merged))


def merged_run(
    store: "Store", sort: str, inputs: "Sequence[Run]", folder: str, from_word: int, rows_max: int | None
) -> "tuple[Run, int | None]":
    """Merge the rows of runs from a word on, about `rows_max` of them; the new run, and the word at which it ended."""
    written, next_word = merge(
        [[each.segment for each in run] for run in inputs],
        lambda _, __: os.path.join(folder, store.new_name(sort)),
        store.forms[sort],
        from_word=from_word,
        rows_max=rows_max,
    )
    return [store.new_file(path, said, sort) for path, said in written], next_word
