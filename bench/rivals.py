"""Race txfast against other ways to read the same file: the same bytes, fresh processes, taking turns.

    python bench/rivals.py [--rows N] [--clients N] [--rounds N] [--file FILE] [-o bench/results.md]

Every contestant is a whole command, start-up included. They take turns, round after round, so that other load on the
machine affects all of them alike. The first round only warms up. Time and peak memory are those of the contestant's own
process. Results go to standard output, into a section of a Markdown file, and into a bar chart beside it.

contestants.py says who takes part. This file must not know how txfast works inside: it runs the command.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path

from contestants import (
    BY_HAND,
    DUCKDB,
    NOTHING,
    POLARS,
    READ,
    REPLAY,
    SUM,
    TXFAST,
    Contestant,
    make_contestants,
    replay_by_hand,
)
from measure import (
    MEGABYTE,
    BenchError,
    Run,
    add_number,
    add_paths,
    cached_input,
    describe_machine,
    exit_code_of,
    markdown_table,
    python_command,
    run_measured,
    say,
    write_section,
)

# The loop by hand gets only the first rows if all rows would take longer than this.
HAND_SECONDS_MAX = 60.0
HAND_ROWS_STEP = 100_000

# A rival may lose clients whose rows are all faulty, and very few others.
CLIENTS_SHARE_MIN = 0.9

NOTES = """\
Medians of whole commands in fresh processes, start-up included. A ratio is a multiple of the named contestant's time:
below 1 is faster. MB is 10⁶ bytes. Without `--threads`, txfast uses all cores, as Polars and DuckDB do.

Only txfast and the loop by hand do the whole job. Polars, DuckDB and pandas do less: they add up the column `amount` by
client, as floats, for deposits and withdrawals alike. They ignore the order of rows, ids, disputes and locks, and
report no faulty rows, which are 1 % of a generated file. They skip faulty rows like this:

- Polars: lazy `scan_csv` with given column types, streaming engine; `ignore_errors` makes unreadable fields null, and
  `truncate_ragged_lines` drops extra fields.
- DuckDB: `read_csv` with given column types; `ignore_errors` drops rows that are unreadable or have fewer or more
fields.
- pandas: `read_csv` with the pyarrow engine; `on_bad_lines="skip"` drops rows with fewer or more fields. Columns with
  faulty fields are text: `to_numeric(errors="coerce")` reads amounts, clients stay text.

`readinto` is the limit for one thread: it only reads the bytes, 4 MiB at a time. `python -c pass` is the cost of
starting Python.
"""


# ---- The race ------------------------------------------------------------------------------------


class Race:
    """The contestants on one file, and the cost of each of their runs."""

    def __init__(self, contestants: Sequence[Contestant], total_rows: int) -> None:
        self.contestants = contestants
        self.total_rows = total_rows
        # By name: why a contestant has no figures (not installed, or how it failed).
        self.remarks: dict[str, str] = {}
        self.hand_agrees: bool | None = None  # None until compared
        self._runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
        self._accounts: bytes | None = None  # the output of txfast

    def run(self, rounds: int, scratch: Path) -> None:
        """Run all in turns: one round to warm up, then `rounds` rounds that count."""
        for contestant in self.contestants:
            if contestant.package and find_spec(contestant.package) is None:
                self._set_aside(contestant, "not installed")
        for number in range(rounds + 1):
            for contestant in self.contestants:
                if contestant.name not in self.remarks:
                    self._run_one(contestant, scratch / "output", counts=number > 0)
            say(f"round {number} of {rounds}" if number else "warmed up")

    def _run_one(self, contestant: Contestant, output: Path, *, counts: bool) -> None:
        run = run_measured(contestant.command, output)
        failure = run.failure or self.find_fault(contestant, output.read_bytes())
        if failure and contestant.is_txfast:
            raise BenchError(f"{contestant.name}: {failure}")
        if failure:
            self._set_aside(contestant, f"failed: {failure}")
        elif counts:
            self._runs[contestant.name].append(run)

    def _set_aside(self, contestant: Contestant, remark: str) -> None:
        self.remarks[contestant.name] = remark
        say(f"{contestant.name}: {remark}")

    def find_fault(self, contestant: Contestant, output: bytes) -> str:
        """The fault of an output: other accounts than txfast's, or lost clients. Empty if there is none."""
        if self._accounts is None:
            self._accounts = output
        if contestant.is_txfast and output != self._accounts:
            return f"its accounts are not those of {self.contestants[0].name}"
        if contestant.task == REPLAY and not contestant.is_txfast and contestant.rows is None:
            self.hand_agrees = output == self._accounts
        lines, accounts = output.count(b"\n"), self._accounts.count(b"\n")
        if contestant.task == SUM and lines < CLIENTS_SHARE_MIN * accounts:
            return f"it sums up {lines} clients of {accounts}"
        return ""

    def seconds(self, contestant: Contestant) -> list[float]:
        """The seconds of each run, scaled to the whole file if the contestant got only the first rows."""
        scale = self.total_rows / contestant.rows if contestant.rows else 1.0
        return [run.seconds * scale for run in self._runs[contestant.name]]

    def median_seconds(self, name: str) -> float | None:
        """The median; None if the contestant has no figures."""
        if name in self.remarks or name not in self._runs:
            return None
        return statistics.median(self.seconds(self.find(name)))

    def median_peak_bytes(self, name: str) -> float:
        return statistics.median(run.peak_bytes for run in self._runs[name])

    def find(self, name: str) -> Contestant:
        return next(contestant for contestant in self.contestants if contestant.name == name)

    def remark_on_hand(self) -> str:
        """A sentence: whether the loop by hand agrees, or how many rows it got."""
        rows = self.find(BY_HAND).rows
        if BY_HAND in self.remarks or (rows is None and self.hand_agrees is None):
            return "The loop by hand did not come to an end."
        if rows is not None:
            return f"The loop by hand got the first {rows:,} rows; its times are scaled to all, not its peak."
        return f"The loop by hand comes to {'the same' if self.hand_agrees else 'OTHER'} accounts."


def count_rows(path: Path) -> int:
    """The number of lines of a file, without its header."""
    lines = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            lines += block.count(b"\n")
    return max(1, lines - 1)


def affordable_hand_rows(path: Path, total_rows: int, scratch: Path) -> int:
    """The number of rows for the loop by hand: all, or as many hundred thousand as HAND_SECONDS_MAX allows."""
    probe_rows = min(HAND_ROWS_STEP, total_rows)
    probe = run_measured(python_command(replay_by_hand, str(path), str(probe_rows)), scratch / "output")
    if probe.failure:
        return probe_rows  # the race will report why
    rows = int(HAND_SECONDS_MAX / probe.seconds * probe_rows)
    if rows >= total_rows:
        return total_rows
    return max(HAND_ROWS_STEP, rows // HAND_ROWS_STEP * HAND_ROWS_STEP)


# ---- The report ----------------------------------------------------------------------------------


def rivals_table(race: Race) -> str:
    """The table, with a line for each contestant, also for those that did not run."""
    header = ("command", "does", "seconds", "fastest–slowest", "rows/s", "÷ txfast", f"÷ {POLARS}", "peak MB")
    return markdown_table(header, [table_line(race, contestant) for contestant in race.contestants], texts=2)


def table_line(race: Race, contestant: Contestant) -> list[str]:
    is_command = contestant.is_txfast or contestant.task in (READ, NOTHING)
    name = f"`{contestant.name}`" if is_command else contestant.name
    median = race.median_seconds(contestant.name)
    if median is None:
        return [name, contestant.task, race.remarks[contestant.name].replace("|", "\\|"), *[""] * 5]
    seconds = race.seconds(contestant)
    others = (race.median_seconds(TXFAST), race.median_seconds(POLARS))
    return [
        name,
        contestant.task,
        f"{'≈ ' if contestant.rows else ''}{median:.3f}",
        f"{min(seconds):.3f}–{max(seconds):.3f}",
        "" if contestant.task == NOTHING else f"{race.total_rows / median:,.0f}",
        *(f"{median / other:.2f}" if other else "" for other in others),
        f"{race.median_peak_bytes(contestant.name) / MEGABYTE:,.0f}",
    ]


# Mid-tones: they stand out from a white and from a black background.
INK = "#797979"
COLOURS = {REPLAY: "#3b82f6", SUM: "#d97706", READ: "#9a9a9a", NOTHING: "#9a9a9a"}
CHART_WIDTH = 760
BARS_LEFT = 245
BARS_WIDTH = 430
BARS_TOP = 48
BAR_HEIGHT = 18
LINE_HEIGHT = 28


def axis_seconds(race: Race) -> float:
    """The seconds of a bar of full width: enough for txfast, Polars and DuckDB. Longer bars are cut."""
    names = [contestant.name for contestant in race.contestants if contestant.is_txfast]
    return 1.1 * max(race.median_seconds(name) or 0.0 for name in (*names, POLARS, DUCKDB))


def chart_bar(seconds: float, axis: float, top: int, colour: str) -> tuple[str, float]:
    """A bar, and the x of its right end. A bar that is cut has a slanted gap near its end."""
    length = max(2.0, seconds / axis * BARS_WIDTH)
    if length <= BARS_WIDTH:
        shape = f'<rect x="{BARS_LEFT}" y="{top}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2"'
        return f'{shape} fill="{colour}"/>\n', BARS_LEFT + length
    right, bottom = BARS_LEFT + BARS_WIDTH, top + BAR_HEIGHT
    parts = f"M{BARS_LEFT} {top}H{right - 26}L{right - 34} {bottom}H{BARS_LEFT}Z"
    parts += f"M{right - 18} {top}H{right}V{bottom}H{right - 26}Z"
    return f'<path d="{parts}" fill="{colour}"/>\n', right


def chart_line(race: Race, contestant: Contestant, top: int) -> str:
    """One contestant's name, bar and seconds."""
    baseline = top + BAR_HEIGHT - 5
    weight = ' font-weight="bold"' if contestant.name == TXFAST else ""
    right_aligned = f'x="{BARS_LEFT - 10}" y="{baseline}" text-anchor="end"{weight}'
    label = f"<text {right_aligned}>{escape(contestant.name)}</text>\n"
    median = race.median_seconds(contestant.name)
    if median is None:
        remark = race.remarks[contestant.name].partition(":")[0]
        return f'{label}<text x="{BARS_LEFT}" y="{baseline}" font-style="italic">{remark}</text>\n'
    bar, end = chart_bar(median, axis_seconds(race), top, COLOURS[contestant.task])
    figure = f"{'≈ ' if contestant.rows else ''}{median:.2f} s"
    return f'{label}{bar}<text x="{end + 8:.1f}" y="{baseline}"{weight}>{figure}</text>\n'


def rivals_chart(race: Race) -> str:
    """The bar chart, as the text of an SVG file."""
    tops = range(BARS_TOP, BARS_TOP + LINE_HEIGHT * len(race.contestants), LINE_HEIGHT)
    lines = [chart_line(race, *bar) for bar in zip(race.contestants, tops, strict=True)]
    legend_top = tops.stop + 8
    legend = [
        f'<rect x="{left}" y="{legend_top}" width="12" height="12" rx="2" fill="{COLOURS[task]}"/>\n'
        f'<text x="{left + 18}" y="{legend_top + 11}">{meaning}</text>\n'
        for task, meaning, left in (
            (REPLAY, REPLAY, 140),
            (SUM, SUM, 330),
            (READ, "neither: the limits", 540),
        )
    ]
    height = legend_top + 26
    title = f"{race.total_rows:,} rows: seconds of the whole command, less is better"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{CHART_WIDTH}" height="{height}"'
        f' viewBox="0 0 {CHART_WIDTH} {height}" role="img" aria-label="{title}" fill="{INK}"'
        f' font-family="system-ui, sans-serif" font-size="13">\n'
        f'<text x="{BARS_LEFT}" y="26" font-size="15">{title}</text>\n'
        f"{''.join(lines)}{''.join(legend)}</svg>\n"
    )


def report(race: Race, path: Path, origin: str, rounds: int) -> None:
    """Print the table; write it and the chart."""
    table = rivals_table(race)
    about = f"{origin}; rounds: {rounds}, after one to warm up."
    machine = describe_machine(("txfast", "pyarrow", "polars", "duckdb", "pandas"))
    remark = race.remark_on_hand()
    chart = path.with_suffix(".svg")
    section = ["## Rivals", about, machine, f"![Seconds of each command]({chart.name})", table, NOTES, remark]
    write_section(path, "rivals", section)
    chart.write_text(rivals_chart(race), encoding="utf-8")
    print(f"{about}\n{machine}\n\n{table}\n{remark}")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Race txfast against other ways to read the same file.", allow_abbrev=False
    )
    add_number(parser, "--rows", 5_000_000, "rows to generate")
    add_number(parser, "--clients", 50_000, "clients among them")
    add_number(parser, "--rounds", 7, "rounds that count")
    parser.add_argument(
        "--file", metavar="FILE", type=Path,
        help="race on this instead; its columns are type, client, tx, amount",
    )  # fmt: skip
    add_paths(parser)
    return parser.parse_args(arguments)


def run_race(options: argparse.Namespace) -> None:
    """Measure, print and write."""
    file = options.file or cached_input(options.cache, options.rows, options.clients)
    total_rows = count_rows(file)
    origin = f"{total_rows:,} rows, {file.stat().st_size / MEGABYTE:,.1f} MB"
    if options.file is None:
        origin += f", by `bench/generate.py {options.rows} {options.clients}`"
    with tempfile.TemporaryDirectory(prefix="txfast-") as scratch:
        hand_rows = affordable_hand_rows(file, total_rows, Path(scratch))
        race = Race(make_contestants(file, total_rows, hand_rows), total_rows)
        race.run(options.rounds, Path(scratch))
    report(race, options.output, origin, options.rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parse_arguments(arguments)
    return exit_code_of("rivals.py", lambda: run_race(options))


if __name__ == "__main__":
    sys.exit(main())
