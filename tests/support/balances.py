"""Files of balances, made of numbers: opening balances and expected accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.support.reference import INT64_MAX, Account, format_amount

# By client, in units of 0.0001: few clients, those of the streams among them.
openings: SearchStrategy[dict[int, int]] = st.dictionaries(
    st.integers(0, 6), st.sampled_from([0, 1, -1, 10_000, 90_000, -70_000, INT64_MAX, -INT64_MAX]) | st.integers(-9, 9),
    max_size=6,
)  # fmt: skip


def opening_file(opening: Mapping[int, int], header: str = "client,available") -> bytes:
    """A file of these opening balances, in any order of clients."""
    lines = [f"{client},{format_amount(units)}" for client, units in opening.items()]
    return "\n".join([header, *lines, ""]).encode()


def naive_differences(
    accounts: Iterable[Account], expected: Mapping[int, Mapping[str, int | bool]]
) -> list[tuple[int, str, str, str]]:
    """The slow twin of a comparison: each account is looked up, each value by itself."""
    found = {each.client: each for each in accounts}
    rows: list[tuple[int, str, str, str]] = []
    for client in sorted(found.keys() | expected.keys()):
        if client not in expected:
            rows.append((client, "account", "missing", "present"))
        elif client not in found:
            rows.append((client, "account", "present", "missing"))
        else:
            for column in ("available", "held", "total", "locked"):
                value = getattr(found[client], column)
                if expected[client].get(column, value) != value:
                    rows.append((client, column, text_of(expected[client][column]), text_of(value)))
    return rows


def text_of(value: int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else format_amount(value)
