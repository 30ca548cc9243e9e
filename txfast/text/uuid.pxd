"""UUIDs as texts: packed into 16 bytes and back, by functions of intrinsics.h.

Only the canonical form is packed: 32 digits of base 16 with hyphens behind the 8th, 12th, 16th and 20th, and letters in
lower case. So a packed UUID stands for one text alone.
"""

from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    UUID_BYTES = 36
    UUID_WORDS = 2  # of a packed one

cdef extern from "txfast/text/intrinsics.h" nogil:
    # False where the text, of UUID_BYTES, is no UUID in canonical form.
    bint pack_uuid "txfast_pack_uuid"(const uint8_t* text, uint64_t* packed) noexcept
    void unpack_uuid "txfast_unpack_uuid"(uint8_t* text, const uint64_t* packed) noexcept
