"""The shard of a client. The hash has no key and must never change: saved states are divided by it."""

from libc.stdint cimport uint32_t, uint64_t

from txfast.text.bits cimport multiply_high


cdef inline uint64_t shard_word(uint64_t client) noexcept nogil:
    """The word of a client by which shards divide all clients: each is a range of these words. Two numbers never have
    the same."""
    client = (client ^ (client >> 32)) * <uint64_t>0xD6E8FEB86659FD93
    client = (client ^ (client >> 32)) * <uint64_t>0xD6E8FEB86659FD93
    return client ^ (client >> 32)


cdef inline uint32_t shard_of(const uint64_t client, const uint32_t shard_count) noexcept nogil:
    """The shard of a client, from 0 on: the top bits of a hash, scaled to the number of shards."""
    return <uint32_t>multiply_high(shard_word(client), shard_count)
