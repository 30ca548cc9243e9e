"""Transaction ids that are hard for the ledger's index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ids_of_one_home(count: int, lows: Sequence[int] = range(256)) -> list[int]:
    """Ids that the index's first hash, a multiplication by a known number, puts into one group.

    With all 256 values of `lows`, the ids' low bytes, they fill the 64 products of one neighbourhood; with fewer
    values, fewer products.
    """
    inverse = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
    low_bytes = np.array(lows, np.uint64)
    found = [np.empty(0, np.uint64)]
    products = np.arange(1 << 20, dtype=np.uint64)
    while sum(map(len, found)) * len(lows) < count:
        highs = products * inverse
        found.append(highs[highs < np.uint64(1 << 56)])
        products += np.uint64(len(products))
    ids = np.concatenate(found)[:, None] << np.uint64(8) | low_bytes
    return [int(tx) for tx in ids.ravel()[:count]]
