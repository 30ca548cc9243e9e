"""Files of balances, made of numbers: opening balances and expected accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.support.dialect_files import (
    CURRENCIES,
    OTHER_TEXTS,
    SIMPLE_CURRENCIES,
    Layout,
    amount_text,
    id_written,
    line_of,
)
from tests.support.dialect_strategies import OTHER_NAMES, chances, encoded, layouts, skipped_lines
from tests.support.reference import INT64_MAX, Account, format_amount
from tests.support.reference_dialect import CURRENCY_LIMIT_BYTES, Dialect

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


class WrittenBalances(NamedTuple):
    """A file of opening balances under a dialect, and what it means: by client and currency, in units; None where a
    client, a currency or an amount is written by a word that means nothing. A currency is None where accounts have
    none."""

    settings: dict[str, str]
    content: bytes
    balances: dict[tuple[int | str, str | None], int] | None


@st.composite
def written_balances(draw: st.DrawFn) -> WrittenBalances:
    """Files of opening balances as another program writes them under a dialect."""
    settings = draw(layouts()).settings
    layout = Layout(settings, (), ())
    dialect = layout.dialect
    client = settings.get("columns.client", "client") if dialect.has_header else "client"
    columns = {"client": draw(st.sampled_from([client, "client"])), "available": draw(st.sampled_from(NAMES))}
    if "columns.currency" in settings:
        currency = settings["columns.currency"] if dialect.has_header else "currency"
        columns["currency"] = draw(st.sampled_from([currency, "currency"]))
    order = list(draw(st.permutations([*columns, *draw(st.lists(st.just("other"), max_size=2))])))
    header = [columns.get(name) or draw(st.sampled_from(OTHER_NAMES)) for name in order]
    lines = draw(st.lists(skipped_lines, min_size=dialect.skip, max_size=dialect.skip))
    lines.append(line_of(layout, header, draw(chances)))
    balances: dict[tuple[int | str, str | None], int] = {}
    is_whole = True
    for number, units in draw(openings).items():
        chance = draw(chances)
        written = id_written(dialect, "client", number // 2 if "currency" in columns else number)
        owner: tuple[int | str, str | None] = (written, None)
        texts = {"client": str(written), "available": amount_text(dialect, units, chance)}
        if "currency" in columns:
            code = owner_code(dialect, number)
            texts["currency"], owner = code, (written, code)
            is_whole = is_whole and len(code.encode()) <= CURRENCY_LIMIT_BYTES
        first = texts.get(order[0], "")
        if dialect.quote is None and dialect.comment is not None and first.startswith(dialect.comment.decode()):
            continue  # it cannot be written
        is_whole = is_whole and not any(dialect.is_empty(text.encode()) for text in texts.values())
        if dialect.comment is not None and chance.random() < 0.2:
            lines.append("  " + dialect.comment.decode() + chance.choice(['"', "x,y", ""]))
        lines.append(
            line_of(layout, [texts[name] if name in texts else chance.choice(OTHER_TEXTS) for name in order], chance)
        )
        balances[owner] = units
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    settings, content = draw(encoded(settings, ending.join(lines) + draw(st.sampled_from(["", ending]))))
    return WrittenBalances(settings, content, balances if is_whole else None)


def owner_code(dialect: Dialect, number: int) -> str:
    """A code that the dialect can hold, another one for each of the two numbers of a client."""
    codes = CURRENCIES[:SIMPLE_CURRENCIES] if dialect.quote is None else CURRENCIES
    code = codes[number * 5 % len(codes)]
    return code.replace((dialect.delimiter or b",").decode(), "_") if dialect.quote is None else code


NAMES = ["available", "opening", "Opening", "AVAILABLE"]
