"""The figures of a run as a mapping: the stats file, and what the log's summary shows.

This module must not know how a run works: it is given a RunFigures.
"""

from txfast.batch.batch import KINDS, malformed_by_reason
from txfast.dialect.names import DECIMALS
from txfast.ledger.ledger import STATUSES

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    from txfast.dialect.dialect import Dialect
    from txfast.ledger.policy import Policy

    class Input(Protocol):
        """One input: its name in messages, the bytes and rows read, and the rows that its dialect ignores."""

        name: str
        bytes: int
        rows: int
        ignored_rows: int

    class Totals(Protocol):
        """Accounts, summed up. Amounts are in units of the last decimal."""

        def __len__(self) -> int: ...
        @property
        def locked_count(self) -> int: ...
        @property
        def available_units(self) -> int: ...
        @property
        def held_units(self) -> int: ...
        def by_currency(self) -> dict[bytes, tuple[int, int]]: ...


class RunFigures:
    """What a run read, and what became of its rows.

    `counts` has rows by kind and, within it, by status: [kind * len(STATUSES) + status]; `malformed_counts` has rows by
    the code of the reason. Both are plain numbers, in the order of KINDS, STATUSES and MALFORMED_REASONS.
    `openings` are the opening balances of accounts that the run has opened, in units of the last decimal, summed up by
    the code of their currency, None where accounts have none. Sums of 0 may be missing.
    """

    __slots__ = ("counts", "inputs", "malformed_counts", "openings")

    def __init__(
        self,
        inputs: "Sequence[Input]",
        counts: "Sequence[int]",
        malformed_counts: "Sequence[int]",
        openings: "Mapping[bytes | None, int] | None" = None,
    ) -> None:
        self.inputs = inputs
        self.counts = counts
        self.malformed_counts = malformed_counts
        self.openings = openings or {}

    @property
    def rows(self) -> int:
        """All rows read, well-formed or malformed."""
        return sum(figures.rows for figures in self.inputs)

    @property
    def ignored_rows(self) -> int:
        """Rows that are nothing in the dialect."""
        return sum(figures.ignored_rows for figures in self.inputs)

    def applied(self) -> dict[str, int]:
        """Applied rows by type."""
        return {kind: self.counts[code * len(STATUSES)] for code, kind in enumerate(KINDS)}

    def rejected(self) -> dict[str, int]:
        """Rejected rows by reason."""
        return {reason: sum(self.counts[code :: len(STATUSES)]) for code, reason in enumerate(STATUSES) if code}

    def malformed(self) -> dict[str, int]:
        """Malformed rows by reason."""
        return malformed_by_reason(self.malformed_counts)


def make_stats(
    figures: RunFigures,
    accounts: "Totals",
    seconds: "dict[str, float]",
    policy: "Policy | None",
    dialect: "Dialect | None" = None,
) -> "dict[str, Any]":
    """The figures that every run has, on one machine or on a cluster.

    `seconds` has the run's `total`, then its stages, which overlap where there are threads. The accounts were found to
    add up: else there would be no stats.
    """
    from txfast._version import __version__
    from txfast.ledger.policy import Policy

    total = seconds["total"]
    decimals = DECIMALS if dialect is None else dialect.decimals
    return {
        "version": __version__,
        "inputs": [{"file": each.name, "bytes": each.bytes, "rows": each.rows} for each in figures.inputs],
        "rows": figures.rows,
        "applied": figures.applied(),
        "malformed": figures.malformed(),
        "rejected": figures.rejected(),
        "ignored": figures.ignored_rows,
        "accounts": len(accounts),
        "locked_accounts": accounts.locked_count,
        **money(figures, accounts, decimals, by_currency=dialect is not None and dialect.has_currency),
        "conserved": True,
        "dialect": dict(dialect or {}),
        "policy": dict(policy or Policy()),
        "seconds": seconds,
        "rows_per_second": figures.rows / total if total else 0.0,
    }


def money(figures: RunFigures, accounts: "Totals", decimals: int, *, by_currency: bool) -> "dict[str, Any]":
    """Opening balances and sums of accounts: decimals as text, by the code of the currency where accounts have one."""
    if not by_currency:
        available, held = accounts.available_units, accounts.held_units
        opening = figures.openings.get(None, 0)
        units = {"opening": opening, "available": available, "held": held, "total": available + held}
        return {name: decimal_text(amount, decimals) for name, amount in units.items()}
    sums: dict[str, dict[str, str]] = {name: {} for name in ("opening", "available", "held", "total")}
    for code, (available, held) in accounts.by_currency().items():
        opening = figures.openings.get(code, 0)
        for of_currency, amount in zip(sums.values(), (opening, available, held, available + held), strict=True):
            of_currency[code.decode("utf-8", "surrogateescape")] = decimal_text(amount, decimals)
    return sums


def decimal_text(units: int, decimals: int = DECIMALS) -> str:
    """An amount of any size, in units of its last decimal, with these decimals."""
    whole, rest = divmod(abs(units), int("1" + "0" * decimals))
    return f"{'-' if units < 0 else ''}{whole}{f'.{rest:0{decimals}d}' if decimals else ''}"


def json_text(stats: "dict[str, Any]") -> bytes:
    """The text of the stats file."""
    import json

    return json.dumps(stats, indent=2).encode() + b"\n"
