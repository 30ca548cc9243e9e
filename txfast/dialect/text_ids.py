"""TextIds: which ids of a dialect are texts, and the key by which readers and ledgers hash them.

A run has one key, since ledgers use the hashes that readers have made. This module must not know how ids are hashed.
"""

import os

KEY_BYTES = 24
# Of this process: dialects that are equal have the same key.
PROCESS_KEY = os.urandom(KEY_BYTES)


class TextIds:
    """Whether clients and transactions are texts, and the key of their hashes."""

    __slots__ = ("client", "key", "tx")

    def __init__(self, *, client: bool, tx: bool, key: bytes = PROCESS_KEY) -> None:
        self.client = client
        self.tx = tx
        self.key = key
