"""What became of each row of an input: a status a row, in the order of the input.

This module must not know why a row is malformed or rejected.
"""

from txfast.batch.batch import MALFORMED_REASONS
from txfast.batch.cursor import MALFORMED, outcomes_of
from txfast.ledger.ledger import STATUSES

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa

    from txfast.batch.batch import TransactionBatch
else:
    from txfast.late import pa

NAMES = (*STATUSES, *MALFORMED_REASONS[1:])
# The index in NAMES of each byte that `outcomes_of` gives.
INDICES = bytes(code if code <= MALFORMED else len(STATUSES) + code - MALFORMED - 1 for code in range(256))


class RowStatuses:
    """Statuses of rows: `add` every applied batch in order, then take the `array`."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, batch: "TransactionBatch") -> None:
        """Keep the statuses of an applied batch's rows."""
        self._parts.append(outcomes_of(batch).translate(INDICES))

    def array(self) -> "pa.DictionaryArray":
        """The statuses of all rows, as one array."""
        indices = b"".join(self._parts)
        codes = pa.Array.from_buffers(pa.int8(), len(indices), [None, pa.py_buffer(indices)])
        return pa.DictionaryArray.from_arrays(codes, pa.array(NAMES, pa.string()))
