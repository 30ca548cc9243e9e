"""Texts: the ids of a ledger that are texts, one after the other in blocks that never move.

A text has an address for good. It is stored with its length before it. Clients' names are in one TextArena, the ids of
transactions in one for each log.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.ledger.aligned_memory cimport allocate_zeroed
from txfast.text.bits cimport advise_huge_pages
from txfast.text.text_hash cimport TextKey, are_same_texts, copy_text, hash_text

cdef enum:
    TEXT_BLOCK_BITS = 22
    TEXT_BLOCK_BYTES = 1 << 22
    TEXT_BLOCK_MASK = TEXT_BLOCK_BYTES - 1
    TEXT_BYTES_MAX = 1 + ID_BYTES_MAX  # with its length
    # Of a block, less what hashing reads behind its last text.
    USABLE_BYTES = (1 << 22) - 16
    # Of the names of clients: what an account has of the address then fits in 32 bits.
    NAME_ALIGNMENT = 4

cdef struct TextArena:
    uint8_t** blocks
    void** allocations  # for `free`, by block
    uint64_t block_count
    uint64_t end  # the address after the last text
    uint32_t users  # of one that `share_texts` is used for
    uint32_t packed  # how many texts packed_texts.pxd has packed


cdef inline uint64_t blocks_for(const TextArena* arena, const uint64_t text_bytes) noexcept nogil:
    """The blocks, in all, of an arena with room for texts that take so many bytes more."""
    # The end of a block is not used where the next text does not fit.
    cdef uint64_t in_last = arena.end & TEXT_BLOCK_MASK
    cdef uint64_t usable = USABLE_BYTES - TEXT_BYTES_MAX
    if not text_bytes:
        return arena.block_count
    return max(arena.block_count, (arena.end >> TEXT_BLOCK_BITS) + (in_last + text_bytes + usable - 1) // usable)


cdef inline uint64_t arena_bytes(const TextArena* arena, const uint64_t text_bytes) noexcept nogil:
    """The bytes of an arena with room for texts that take so many bytes more."""
    return blocks_for(arena, text_bytes) * TEXT_BLOCK_BYTES


cdef inline bint reserve_texts(TextArena* arena, const uint64_t text_bytes) noexcept nogil:
    """Make room for texts that take so many bytes more. False when memory is exhausted; all texts are then as before.
    """
    cdef uint64_t needed = blocks_for(arena, text_bytes)
    cdef uint8_t** blocks
    cdef void** allocations
    cdef uint8_t* block
    if needed <= arena.block_count:
        return True
    blocks = <uint8_t**>realloc(arena.blocks, needed * sizeof(uint8_t*))
    if blocks == NULL:
        return False
    arena.blocks = blocks
    allocations = <void**>realloc(arena.allocations, needed * sizeof(void*))
    if allocations == NULL:
        return False
    arena.allocations = allocations
    while arena.block_count < needed:
        block = <uint8_t*>allocate_zeroed(TEXT_BLOCK_BYTES, &allocations[arena.block_count])
        if block == NULL:
            return False
        # The first block stays on small pages, since a short run touches only a few of them.
        if arena.block_count:
            advise_huge_pages(block, TEXT_BLOCK_BYTES)
        blocks[arena.block_count] = block
        arena.block_count += 1
    return True


cdef inline void free_texts(TextArena* arena) noexcept nogil:
    cdef uint64_t block
    for block in range(arena.block_count):
        free(arena.allocations[block])
    free(arena.blocks)
    free(arena.allocations)
    arena.blocks = NULL
    arena.allocations = NULL
    arena.block_count = arena.end = arena.packed = 0


cdef inline TextArena* new_texts() noexcept:
    """An empty arena with one user, NULL when memory is exhausted; `release_texts` frees it."""
    cdef TextArena* arena = <TextArena*>calloc(1, sizeof(TextArena))
    if arena != NULL:
        arena.users = 1
    return arena


cdef inline TextArena* share_texts(TextArena* arena) noexcept:
    """The same arena, which has one user more."""
    if arena != NULL:
        arena.users += 1
    return arena


cdef inline void release_texts(TextArena* arena) noexcept:
    """Note that a user is done; free the arena after the last one."""
    if arena == NULL:
        return
    arena.users -= 1
    if not arena.users:
        free_texts(arena)
        free(arena)


cdef inline uint8_t* text_at(const TextArena* arena, const uint64_t address) noexcept nogil:
    """The text at an address: its length, then its bytes."""
    return arena.blocks[address >> TEXT_BLOCK_BITS] + (address & TEXT_BLOCK_MASK)


cdef inline bint is_text_at(
    const TextArena* arena, const uint64_t address, const uint8_t* text, const uint8_t length,
) noexcept nogil:
    """Whether the text at an address is this one."""
    cdef const uint8_t* stored = text_at(arena, address)
    return stored[0] == length and are_same_texts(stored + 1, text, length)


cdef inline uint64_t hash_at(const TextArena* arena, const uint64_t address, const TextKey* key) noexcept nogil:
    """The hash of the text at an address."""
    cdef const uint8_t* stored = text_at(arena, address)
    return hash_text(key, stored + 1, stored[0])


cdef inline uint64_t add_text(
    TextArena* arena,  # IN, OUT with room for the text
    const uint8_t* text,  # IN
    const uint8_t length,  # IN
    const uint64_t alignment,  # IN a power of two: the address can be divided by it
) noexcept nogil:
    """Append a text; return its address."""
    cdef uint64_t address = (arena.end + alignment - 1) & ~(alignment - 1)
    cdef uint8_t* stored
    if (address & TEXT_BLOCK_MASK) + 1 + length > USABLE_BYTES:
        address = ((address >> TEXT_BLOCK_BITS) + 1) << TEXT_BLOCK_BITS
    stored = text_at(arena, address)
    stored[0] = length
    copy_text(stored + 1, text, length)
    arena.end = address + 1 + length
    return address
