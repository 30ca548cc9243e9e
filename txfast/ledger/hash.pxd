"""The hashes of the ledger's tables. They are keyed, so that no input can be made whose ids all collide.

Every ledger takes its key from `os.urandom`. No output depends on the key.
"""

from libc.stdint cimport uint16_t, uint64_t

from txfast.text.bits cimport multiply_fold

# 2^64 divided by the golden ratio: multiples of it spread evenly over 64 bits.
cdef enum:
    GOLDEN_RATIO = 0x9E3779B97F4A7C15

cdef struct HashKey:
    uint64_t mask
    uint64_t multiplier  # odd


cdef inline uint64_t hash_client(const HashKey* key, uint64_t client) noexcept nogil:
    return multiply_fold(client ^ key.mask, key.multiplier)


cdef inline uint64_t with_currency(
    const HashKey* key, const uint64_t client_hash, const uint16_t currency,
) noexcept nogil:
    """The hash of an account's client and currency, from the client's."""
    cdef uint64_t hash = hash_client(key, currency)
    # It is turned, since a client may have the number of a currency.
    return client_hash + (hash << 29 | hash >> 35)


cdef inline uint64_t hash_transaction(const uint64_t client_hash, const uint64_t tx) noexcept nogil:
    """The hash of (client, tx), keyed through the client's hash_client."""
    return multiply_fold(tx ^ client_hash, client_hash | 1)


cdef inline uint64_t hash_text_transaction(const uint64_t client_hash, const uint64_t tx_hash) noexcept nogil:
    """The same where tx is a text, of which this is the hash.

    It is turned, since a client and its transaction may be the same text: all of these would have the hash 0.
    """
    return hash_transaction(client_hash, tx_hash << 29 | tx_hash >> 35)
