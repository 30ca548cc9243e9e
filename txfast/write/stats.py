"""The figures of a run, as a mapping; summary.py puts them in words.

This module must not know how they came about; it asks the run.
"""

from txfast.machine import peak_memory_bytes

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    from txfast.ledger.columns import AccountColumns
    from txfast.pipeline import InputFigures, Replay
    from txfast.state.spill import Settled

    class Run(Protocol):
        """What was read, and what became of it."""

        @property
        def inputs(self) -> Sequence[InputFigures]: ...
        @property
        def rows(self) -> int: ...
        def applied(self) -> dict[str, int]: ...
        def malformed(self) -> dict[str, int]: ...
        def rejected(self) -> dict[str, int]: ...

    class Totals(Protocol):
        """What accounts hold in all."""

        def __len__(self) -> int: ...
        @property
        def locked_count(self) -> int: ...
        @property
        def available_units(self) -> int: ...
        @property
        def held_units(self) -> int: ...


def make_stats(replay: "Replay", accounts: "AccountColumns | Settled", seconds: float) -> "dict[str, Any]":
    """The figures of a run that took so many seconds, in which its stages overlap where there are threads.

    Its accounts were found to add up.
    """
    return {
        **outcome(replay, accounts),
        "seconds": {"total": seconds, **replay.seconds},
        "rows_per_second": replay.rows / seconds if seconds else 0.0,
        "peak_memory_bytes": peak_memory_bytes(),
        "spilled_bytes": replay.spilled_bytes,
        "threads": replay.threads,
        "reader": replay.reader,
    }


def outcome(run: "Run", accounts: "Totals") -> "dict[str, Any]":
    """What is the same however a run was done. Its accounts were found to add up."""
    from txfast import __version__

    return {
        "version": __version__,
        "inputs": [{"file": figures.name, "bytes": figures.bytes, "rows": figures.rows} for figures in run.inputs],
        "rows": run.rows,
        "applied": run.applied(),
        "malformed": run.malformed(),
        "rejected": run.rejected(),
        "accounts": len(accounts),
        "locked_accounts": accounts.locked_count,
        "available": decimal_text(accounts.available_units),
        "held": decimal_text(accounts.held_units),
        "total": decimal_text(accounts.available_units + accounts.held_units),
        "conserved": True,
    }


def decimal_text(units: int) -> str:
    """An amount of any size in units of 0.0001, with its four decimals."""
    whole, decimals = divmod(abs(units), 10_000)
    return f"{'-' if units < 0 else ''}{whole}.{decimals:04d}"


def json_text(stats: "dict[str, Any]") -> bytes:
    """The stats file."""
    import json

    return json.dumps(stats, indent=2).encode() + b"\n"
