"""Columns of a state as a ledger's restorer takes them, from their buffers.

This module must not know which columns there are.
"""

from txfast.dialect.dialect import CURRENCY
from txfast.ledger.currency_column import CurrencyColumn
from txfast.ledger.text_columns import TextColumn

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    from txfast.dialect.text_ids import TextIds

    # The buffers of a column: its values; of texts, where each begins, and the bytes of all.
    Columns: TypeAlias = Sequence[memoryview | bytearray]


def columns_as_taken(
    rows: int, columns: "Mapping[str, Columns]", text_ids: "TextIds | None"
) -> "tuple[list[Any], CurrencyColumn | None]":
    """Columns as restorers take them, from the buffers of each by its name: all but the currencies, and these. Raises
    ValueError, CapacityError and MemoryError."""
    given: list[Any] = []
    currencies: CurrencyColumn | None = None
    for name, buffers in columns.items():
        if name == CURRENCY:
            assert text_ids is not None, "the schema has codes only then"
            assert text_ids.currencies is not None
            currencies = CurrencyColumn(text_ids.currencies, rows, *buffers)
        elif len(buffers) == 1:
            given.append(buffers[0])
        else:
            assert text_ids is not None, "the schema has texts only then"
            given.append(TextColumn(text_ids, rows, *buffers))
    return given, currencies


def sums_of(columns: "Mapping[str, Columns]") -> "Iterator[tuple[bytes | None, int, int, int]]":
    """Iterate the sums of columns of accounts: the code of their currency, None where they have none, the available and
    the held units, and how many are locked."""
    available, held = (memoryview(columns[name][0]).cast("q") for name in ("available", "held"))
    locked = columns["locked"][0]
    if CURRENCY not in columns:
        yield None, sum(available), sum(held), int.from_bytes(locked, "little").bit_count()
        return
    offsets, texts = memoryview(columns[CURRENCY][0]).cast("i"), columns[CURRENCY][1]
    for row in range(len(available)):
        code = bytes(texts[offsets[row] : offsets[row + 1]])
        yield code, available[row], held[row], locked[row >> 3] >> (row & 7) & 1
