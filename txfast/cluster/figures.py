"""The figures of a run over a cluster, added up from the reports of ranges and the summaries of shards.

They also show whether the engine lost anything. This module must not know an engine.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from txfast.batch.header import JSON_HEADER
from txfast.cluster.ranges import Range
from txfast.cluster.results import RangeReport, ShardSummary
from txfast.cluster.sent_dialect import dialect_in
from txfast.dialect.currencies import CURRENCIES_MAX, too_many_currencies
from txfast.errors import ClusterError
from txfast.report.stats import RunFigures, make_stats
from txfast.run.all_malformed import refuse_all_malformed
from txfast.run.intake import InputFigures
from txfast.run.reporter import ignored_columns_warning, row_in_quotes_warning
from txfast.run.rule_warnings import rule_warnings
from txfast.run.values import policy as parse_policy


class Figures:
    """The figures of a run: `add` every report and summary, then `check` that none is missing."""

    def __init__(self, ranges: Sequence[Range], shards: int, policy: str = "", dialect: str = "") -> None:
        self._ranges = ranges
        self._reports: dict[int, RangeReport] = {}
        self._summaries: dict[int, ShardSummary] = {}
        self.shards = shards
        self._policy = policy
        self.dialect = dialect_in(dialect)

    def add(self, result: RangeReport | ShardSummary) -> None:
        """Add a report or a summary. Raises ClusterError if it was added before."""
        if isinstance(result, RangeReport):
            known: dict[int, Any] = self._reports
            number, what = result.number, "range"
        else:
            known, number, what = self._summaries, result.shard, "shard"
        if number in known:
            raise ClusterError(f"{what} {number} was reported twice; nothing is put out")
        known[number] = result

    def check(self) -> None:
        """Check that every range and shard was added, and that their rows add up. Raises ClusterError, and
        CapacityError for more currencies, in all shards, than a run may have."""
        if sorted(self._reports) != list(range(len(self._ranges))):
            raise ClusterError(f"{len(self._reports)} of {len(self._ranges)} ranges reported; nothing is put out")
        if sorted(self._summaries) != list(range(self.shards)):
            raise ClusterError(f"{len(self._summaries)} of {self.shards} shards reported; nothing is put out")
        sent = sum(report.rows - sum(report.malformed) for report in self._reports.values())
        settled = sum(map(sum, (summary.counts for summary in self._summaries.values())))
        if sent != settled:
            raise ClusterError(f"{sent:,} well-formed rows were read, and {settled:,} were settled; nothing is put out")
        if len(self.by_currency()) > CURRENCIES_MAX:
            raise too_many_currencies()
        self._check_borders()
        self._refuse_all_malformed()

    def _refuse_all_malformed(self) -> None:
        """Raise InputError for an input that has rows, all of them malformed. Of one that goes on after more than its
        header, earlier runs have read rows that are not counted here, and not all of them were malformed."""
        for number in {part.input for part in self._ranges}:
            parts = [part for part in self._ranges if part.input == number]
            reports = [self._reports[part.number] for part in parts]
            counts = [sum(each) for each in zip(*(report.malformed for report in reports), strict=True)]
            if not skips_rows(parts[0]):
                refuse_all_malformed(parts[0].name, counts, sum(report.rows for report in reports))

    def _check_borders(self) -> None:
        """Check that each range ends where the next begins: that no row was lost, or read twice. Raises ClusterError.

        Each range finds its beginning by itself (range_reader.py).
        """
        end: int | None = None
        for part in self._ranges:
            report = self._reports[part.number]
            if part.end is None:
                continue
            if part.begins_input:
                end = part.start
            fits = report.begin == end if report.begin is not None else end is not None and end >= part.end
            if not fits:
                raise ClusterError(
                    f"{part.name}: the rows at byte {part.start} do not follow those before, so some were lost or "
                    f"read twice; nothing is put out. Use txfast on one machine, and report this"
                )
            end = end if report.end is None else report.end

    def warn(self, warn: Callable[[str], None]) -> None:
        """Warn of what the run found, as a run on one machine does: each warning once."""
        self.warn_of_ignored_columns(warn)
        self.warn_of_rows_in_quotes(warn)
        unread_amounts = sum(summary.unread_amounts for summary in self._summaries.values())
        for warning in rule_warnings(self.counts(), unread_amounts):
            warn(warning)

    def warn_of_rows_in_quotes(self, warn: Callable[[str], None]) -> None:
        """Warn, once, of a line inside a quoted field that looks like a row."""
        for part, first_line in zip(self._ranges, self.first_lines(), strict=True):
            line = self._reports[part.number].row_in_quotes
            if line:
                warn(row_in_quotes_warning(part.name, first_line + line - 1))
                return

    def warn_of_ignored_columns(self, warn: Callable[[str], None]) -> None:
        """Warn, once, of columns that are ignored, though their names say that they may matter."""
        for part in self._ranges:
            columns = self._reports[part.number].ignored_columns
            if columns:
                warn(ignored_columns_warning(part.name, columns))
                return

    def check_runs(self, runs: Sequence[int]) -> None:
        """Check that all runs of accounts have come, given their number for each shard. Raises ClusterError."""
        due = [self._summaries[shard].runs for shard in range(self.shards)]
        if list(runs) != due:
            raise ClusterError(f"{sum(runs)} runs of accounts came, and {sum(due)} were sent; nothing is put out")

    def report(self, number: int) -> RangeReport:
        """The report of a range."""
        return self._reports[number]

    def first_lines(self) -> list[int]:
        """For each range, the number of its first line in the input."""
        found: list[int] = []
        lines = 0
        for part in self._ranges:
            if part.number == 0 or self._ranges[part.number - 1].input != part.input:
                lines = part.lines_before + self._reports[part.number].lines_before
            found.append(lines + 1)
            lines += self._reports[part.number].lines
        return found

    def restored(self) -> list[int]:
        """How many accounts, entries and units the shards began with, in all."""
        restored = [summary.restored for summary in self._summaries.values()]
        return [sum(each) for each in zip(*restored, strict=True)]

    def saved(self) -> list[dict[str, Any]]:
        """What was saved of each shard, in order. Raises ClusterError if one was not saved."""
        found = [self._summaries[shard].saved for shard in range(self.shards)]
        saved = [each for each in found if each is not None]
        if len(saved) != len(found):
            raise ClusterError(
                f"{len(saved)} of {self.shards} shards were saved: do all workers reach the state's directory? Nothing "
                f"is put out"
            )
        return saved

    @property
    def inputs(self) -> list[InputFigures]:
        """Bytes and rows of each input."""
        found: list[InputFigures] = []
        for part in self._ranges:
            report = self._reports[part.number]
            if part.input == len(found):
                # For an input that is cut, the bytes up to the first row count too.
                size = report.bytes if part.size_bytes is None else part.size_bytes - part.bytes_skipped
                found.append(InputFigures(part.name, size))
            found[-1].bytes -= report.held_bytes
            found[-1].rows += report.rows
            found[-1].ignored_rows += report.ignored_rows
        return found

    @property
    def rows(self) -> int:
        """All rows read, well-formed or malformed."""
        return sum(report.rows for report in self._reports.values())

    def counts(self) -> list[int]:
        """Rows by type and, within it, by status."""
        return [sum(each) for each in zip(*(summary.counts for summary in self._summaries.values()), strict=True)]

    def malformed_counts(self) -> list[int]:
        """Malformed rows by the code of the reason."""
        return [sum(each) for each in zip(*(report.malformed for report in self._reports.values()), strict=True)]

    # The accounts of all shards, summed up, as `make_stats` takes them.

    def __len__(self) -> int:
        return sum(summary.accounts for summary in self._summaries.values())

    @property
    def locked_count(self) -> int:
        return sum(summary.locked_accounts for summary in self._summaries.values())

    @property
    def available_units(self) -> int:
        return sum(summary.available_units for summary in self._summaries.values())

    @property
    def held_units(self) -> int:
        return sum(summary.held_units for summary in self._summaries.values())

    def by_currency(self) -> dict[bytes, tuple[int, int]]:
        found: dict[bytes, tuple[int, int]] = {}
        for code, available, held in chain.from_iterable(each.by_currency for each in self._summaries.values()):
            before = found.get(code, (0, 0))
            found[code] = (before[0] + available, before[1] + held)
        return dict(sorted(found.items()))

    def stats(self, seconds: float) -> dict[str, Any]:
        """The figures as the stats file of the command has them, except those of a single process."""
        figures = RunFigures(self.inputs, self.counts(), self.malformed_counts())
        return {
            **make_stats(figures, self, {"total": seconds}, parse_policy(self._policy), self.dialect),
            "spilled_bytes": sum(summary.spilled_bytes for summary in self._summaries.values()),
            "ranges": len(self._ranges),
            "shards": self.shards,
        }


def skips_rows(first: Range) -> bool:
    """Whether earlier runs have read rows of an input, given its first range: more lines than its header, which JSON
    lines do not have, and those that the dialect skips."""
    header = first.header if first.position is None else first.position.header
    dialect = dialect_in(first.dialect)
    has_header = header != JSON_HEADER and (dialect is None or dialect.has_header)
    return lines_skipped(first) > has_header + (0 if dialect is None else int(dialect.part("skip")))


def lines_skipped(first: Range) -> int:
    """The number of lines of an input that earlier runs have read, header included, given its first range."""
    if first.size_bytes is not None:
        return first.lines_before if first.bytes_skipped else 0
    return 0 if first.position is None else first.position.lines
