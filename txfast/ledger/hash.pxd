"""The hashes of the ledger's tables, keyed per process so that nobody can craft ids that collide.

The keys come from `os.urandom`, once a ledger. Nothing that a run prints depends on them.
"""

from libc.stdint cimport uint64_t

from txfast.text.bits cimport multiply_fold

# 2^64 divided by the golden ratio: multiples of it spread evenly over the range.
cdef enum:
    GOLDEN_RATIO = 0x9E3779B97F4A7C15

cdef struct HashKey:
    uint64_t mask
    uint64_t multiplier  # odd


cdef inline uint64_t hash_client(const HashKey* key, uint64_t client) noexcept nogil:
    return multiply_fold(client ^ key.mask, key.multiplier)


cdef inline uint64_t hash_transaction(const uint64_t client_hash, const uint64_t tx) noexcept nogil:
    """From the client's hash, which is keyed, and so is this."""
    return multiply_fold(tx ^ client_hash, client_hash | 1)
