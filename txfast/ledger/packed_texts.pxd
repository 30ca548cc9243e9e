"""Texts of an arena that packs UUIDs, as that of a log does: a UUID in canonical form takes 16 bytes behind a length
of 0, less than half of its text.

All functions but `add_packed` serve an arena that packs nothing as well.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.batch.ids cimport ID_ROOM_BYTES
from txfast.ledger.texts cimport TextArena, add_text, is_text_at, text_at
from txfast.text.bits cimport WORD_BYTES
from txfast.text.text_hash cimport TextKey, are_same_texts, hash_text
from txfast.text.uuid cimport UUID_BYTES, UUID_WORDS, pack_uuid, unpack_uuid

cdef enum:
    PACKED = 0  # in place of a length


cdef inline uint64_t add_packed(TextArena* arena, const uint8_t* text, const uint8_t length) noexcept nogil:
    """Append a text, for which there is room; return its address."""
    cdef uint64_t[UUID_WORDS] packed
    cdef uint64_t address
    if length == UUID_BYTES and pack_uuid(text, packed):
        address = add_text(arena, <const uint8_t*>packed, sizeof(packed), 1)
        text_at(arena, address)[0] = PACKED
        arena.packed += 1
        return address
    return add_text(arena, text, length, 1)


cdef inline bint is_same_at(
    const TextArena* arena, const uint64_t address, const uint8_t* text, const uint8_t length,
) noexcept nogil:
    """Whether the text at an address is this one."""
    cdef const uint8_t* stored = text_at(arena, address)
    cdef uint64_t[UUID_WORDS] packed
    if stored[0] != PACKED:
        return is_text_at(arena, address, text, length)
    if length != UUID_BYTES or not pack_uuid(text, packed):
        return False
    return are_same_texts(stored + 1, <const uint8_t*>packed, sizeof(packed))


cdef inline uint64_t unpacked_bytes(const TextArena* arena) noexcept nogil:
    """The bytes that all texts would take with their lengths if none were packed."""
    return arena.end + <uint64_t>arena.packed * (UUID_BYTES - UUID_WORDS * WORD_BYTES)


cdef inline uint8_t unpacked_bytes_at(const TextArena* arena, const uint64_t address) noexcept nogil:
    """The length of the text at an address."""
    cdef uint8_t stored = text_at(arena, address)[0]
    return UUID_BYTES if stored == PACKED else stored


cdef inline const uint8_t* unpacked_at(const TextArena* arena, const uint64_t address, uint8_t* room) noexcept nogil:
    """The bytes of the text at an address: there, or in `room`, of ID_ROOM_BYTES, where it is packed."""
    cdef const uint8_t* stored = text_at(arena, address)
    cdef uint64_t[UUID_WORDS] packed
    if stored[0] != PACKED:
        return stored + 1
    memcpy(packed, stored + 1, sizeof(packed))
    unpack_uuid(room, packed)
    return room


cdef inline uint64_t hash_unpacked_at(
    const TextArena* arena, const uint64_t address, const TextKey* key,
) noexcept nogil:
    """The hash of the text at an address."""
    cdef uint8_t[ID_ROOM_BYTES] room
    return hash_text(key, unpacked_at(arena, address, room), unpacked_bytes_at(arena, address))
