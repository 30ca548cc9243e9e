"""The figures of a run, as a mapping; summary.py puts them in words.

This module must not know how they came about; it asks the run.
"""

from txfast.machine import peak_memory_bytes

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Any

    from txfast.ledger.columns import AccountColumns
    from txfast.pipeline import Replay
    from txfast.state.spill import Settled


def make_stats(replay: "Replay", accounts: "AccountColumns | Settled", seconds: float) -> "dict[str, Any]":
    """The figures of a run that took so many seconds, in which its stages overlap where there are threads.

    Its accounts were found to add up.
    """
    from txfast import __version__

    return {
        "version": __version__,
        "inputs": [
            {"file": figures.name, "bytes": figures.bytes, "rows": figures.rows} for figures in replay.inputs
        ],
        "rows": replay.rows,
        "applied": replay.applied(),
        "malformed": replay.malformed(),
        "rejected": replay.rejected(),
        "accounts": len(accounts),
        "locked_accounts": accounts.locked_count,
        "available": decimal_text(accounts.available_units),
        "held": decimal_text(accounts.held_units),
        "total": decimal_text(accounts.available_units + accounts.held_units),
        "conserved": True,
        "seconds": {"total": seconds, **replay.seconds},
        "rows_per_second": replay.rows / seconds if seconds else 0.0,
        "peak_memory_bytes": peak_memory_bytes(),
        "spilled_bytes": replay.spilled_bytes,
        "threads": replay.threads,
        "reader": replay.reader,
    }


def decimal_text(units: int) -> str:
    """An amount of any size in units of 0.0001, with its four decimals."""
    whole, decimals = divmod(abs(units), 10_000)
    return f"{'-' if units < 0 else ''}{whole}.{decimals:04d}"


def json_text(stats: "dict[str, Any]") -> bytes:
    """The stats file."""
    import json

    return json.dumps(stats, indent=2).encode() + b"\n"
