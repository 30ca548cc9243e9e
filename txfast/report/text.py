"""The figures of a run as text: plain lines, or a table for a terminal.

Figures that are missing are left out. This module must not know how the figures are computed.
"""

from txfast.printable import printable
from txfast.text.words import counted

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

OUTCOMES = ("applied", "rejected", "malformed")
# Of more currencies the stats have the rest.
CURRENCIES_SHOWN = 20


def summary_lines(stats: "Mapping[str, Any]") -> list[str]:
    """Return the figures as plain lines."""
    seconds = stats["seconds"]
    ignored = f" and {stats['ignored']:,} ignored" if stats.get("ignored") else ""
    rows = (
        f"{counted(stats['rows'], 'row')}{ignored} in {seconds['total']:.3f} s ({stats['rows_per_second']:,.0f} rows/s)"
    )
    lines = [
        with_details(rows, ": ", stages_of(seconds)),
        with_details(counted(stats["accounts"], "account"), ", ", locked_accounts(stats)),
        *(with_details(f"{name} {figure}", ": ", details) for name, figure, details in outcomes(stats)),
    ]
    for currency, balances in money(stats):
        shown = ", ".join(f"{name} {amount}" for name, amount in balances.items())
        lines.append(with_details(f"{currency} {shown}".strip(), ": ", conserved(stats)))
    lines += [f"{name} {figure}" for name, figure, _ in memory(stats)]
    if shown := conditions(stats):
        lines.append(shown)
    return lines


def summary_table(stats: "Mapping[str, Any]", columns: int, *, has_colors: bool = True) -> str:
    """Return the figures as a table for a terminal of this many columns."""
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(style="dim")
    for name, figure, details in table_rows(stats):
        style = "bold red" if name == "conserved" and figure == "no" else ""
        grid.add_row(Text(name), Text(figure, style), Text(details))
    console = Console(
        file=sys.stderr, width=columns, color_system="auto" if has_colors else None, markup=False, highlight=False
    )
    with console.capture() as captured:
        console.print(grid)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def table_rows(stats: "Mapping[str, Any]") -> "Iterator[tuple[str, str, str]]":
    """Iterate the rows of the table: name, figure, details."""
    seconds = stats["seconds"]
    yield "rows", f"{stats['rows']:,}", inputs_of(stats)
    yield from outcomes(stats)
    if stats.get("ignored"):
        yield "ignored", f"{stats['ignored']:,}", "by the dialect"
    yield "accounts", f"{stats['accounts']:,}", locked_accounts(stats)
    for currency, balances in money(stats):
        for name, amount in balances.items():
            yield f"{name} {currency}".rstrip(), str(amount), ""
        if not balances:
            yield currency, "", "the stats have all"
    if "conserved" in stats:
        yield "conserved", "yes" if stats["conserved"] else "no", ""
    yield "seconds", f"{seconds['total']:.3f}", stages_of(seconds)
    yield "rows/s", f"{stats['rows_per_second']:,.0f}", conditions(stats)
    yield from memory(stats)


def money(stats: "Mapping[str, Any]") -> "Iterator[tuple[str, dict[str, Any]]]":
    """Iterate currencies, as far as they are shown: the code, and the sums of its accounts. Where accounts have none,
    it is one without a code."""
    sums = {name: stats[name] for name in ("available", "held", "total") if name in stats}
    if not isinstance(sums.get("total"), dict):
        if sums:
            yield "", sums
        return
    codes = list(sums["total"])
    for code in codes[:CURRENCIES_SHOWN]:
        yield printable(code), {name: amounts[code] for name, amounts in sums.items()}
    if len(codes) > CURRENCIES_SHOWN:
        yield f"and {len(codes) - CURRENCIES_SHOWN:,} more currencies", {}


def outcomes(stats: "Mapping[str, Any]") -> "Iterator[tuple[str, str, str]]":
    """Iterate applied, rejected and malformed rows: name, number, and numbers by type or reason."""
    for outcome in OUTCOMES:
        counts = {name: count for name, count in stats[outcome].items() if count}
        yield outcome, f"{sum(counts.values()):,}", ", ".join(f"{name} {count:,}" for name, count in counts.items())


def memory(stats: "Mapping[str, Any]") -> "Iterator[tuple[str, str, str]]":
    """Iterate peak memory and bytes moved to disk: name, figure, no details."""
    if stats.get("peak_memory_bytes"):
        yield "peak memory", megabytes(stats["peak_memory_bytes"]), ""
    if stats.get("spilled_bytes"):
        yield "spilled", megabytes(stats["spilled_bytes"]), ""


def stages_of(seconds: "Mapping[str, float]") -> str:
    return ", ".join(f"{stage} {spent:.3f} s" for stage, spent in seconds.items() if stage != "total")


def inputs_of(stats: "Mapping[str, Any]") -> str:
    inputs = stats.get("inputs", ())
    size = megabytes(sum(one["bytes"] for one in inputs))
    return f"{counted(len(inputs), 'input')}, {size}" if len(inputs) > 1 else size if inputs else ""


def locked_accounts(stats: "Mapping[str, Any]") -> str:
    return f"{stats['locked_accounts']:,} locked" if stats.get("locked_accounts") else ""


def conserved(stats: "Mapping[str, Any]") -> str:
    """Say whether the balances equal the money that came in less the money that went out."""
    if "conserved" not in stats:
        return ""
    return "conserved" if stats["conserved"] else "NOT conserved"


def conditions(stats: "Mapping[str, Any]") -> str:
    """Return version, reader and threads of the run."""
    parts = []
    if "version" in stats:
        parts.append(f"txfast {stats['version']}")
    if "reader" in stats:
        parts.append(f"reader {stats['reader']}")
    if "threads" in stats:
        parts.append(f"threads {stats['threads']}")
    return ", ".join(parts)


def megabytes(byte_count: int) -> str:
    return f"{byte_count / 1e6:,.1f} MB"


def with_details(text: str, between: str, details: str) -> str:
    return f"{text}{between}{details}" if details else text
