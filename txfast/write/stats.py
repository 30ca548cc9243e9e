"""The figures of a run, as a mapping and in words.

This module must not know how they came about; it asks the run.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Any

    from txfast.pipeline import Replay


def make_stats(replay: "Replay", seconds: float) -> "dict[str, Any]":
    """The figures of a run that took so many seconds. Its stages overlap where there are threads."""
    return {
        "inputs": [
            {"file": figures.name, "bytes": figures.bytes, "rows": figures.rows} for figures in replay.inputs
        ],
        "rows": replay.rows,
        "applied": replay.applied(),
        "malformed": replay.malformed(),
        "rejected": replay.rejected(),
        "accounts": sum(map(len, replay.ledgers)),
        "seconds": {"total": seconds, **replay.seconds},
        "rows_per_second": replay.rows / seconds if seconds else 0.0,
        "threads": replay.threads,
    }


def describe(stats: "dict[str, Any]") -> list[str]:
    """The same in words, a line each."""
    seconds = stats["seconds"]
    stages = ", ".join(f"{stage} {seconds[stage]:.3f} s" for stage in seconds if stage != "total")
    lines = [
        f"{stats['rows']:,} rows in {seconds['total']:.3f} s ({stats['rows_per_second']:,.0f} rows/s): {stages}",
        f"{stats['accounts']:,} accounts",
    ]
    for outcome in ("applied", "rejected", "malformed"):
        counts = {name: count for name, count in stats[outcome].items() if count}
        details = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        lines.append(f"{outcome} {sum(counts.values()):,}" + (f": {details}" if details else ""))
    return lines
