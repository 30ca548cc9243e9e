"""TextIds: which ids are texts, the key by which readers and ledgers hash them, and the currencies of a run.

A run has one key, since ledgers use the hashes that readers have made. This module must not know how ids are hashed.
"""

import os

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.dialect.currencies import Currencies

KEY_BYTES = 24
# Of this process: dialects that are equal have the same key.
PROCESS_KEY = os.urandom(KEY_BYTES)


class TextIds:
    """Whether clients and transactions are texts, and the key of their hashes, by default that of this process.
    `currencies` is None where accounts have none."""

    __slots__ = ("client", "currencies", "key", "tx")

    def __init__(
        self, *, client: bool, tx: bool, key: bytes | None = None, currencies: "Currencies | None" = None
    ) -> None:
        self.client = client
        self.tx = tx
        self.key = PROCESS_KEY if key is None else key
        self.currencies = currencies
