"""Tags: four bits for the type of a slice's record, and a byte for the state of an account or an entry. The layout of
the record itself is in spill/record.pxd.

     0 to  6    a row of that kind; 8 to 14 the same without an amount
     7          an account: its state is 1 where it is locked
    15          an entry: its state is that of the log, with ENTRY_KIND where it is a withdrawal

To the state of either, HAS_DETAILS is added where the ledger has details of it: they follow.
"""

from libc.stdint cimport uint8_t

from txfast.batch.batch cimport KIND_MASK
from txfast.ledger.rules cimport DISPUTE_STATE_MASK, HAS_DETAILS, WAS_REVERSED, is_dispute_state

cdef enum Tag:
    ACCOUNT = 7
    ENTRY = 15

cdef enum TagState:
    LOCKED = 1  # of an account
    ENTRY_KIND = 128  # of an entry: it is a withdrawal


cdef inline bint is_row(const uint8_t tag) noexcept nogil:
    """Whether the record is a row; its tag is then the row's kind."""
    return (tag & KIND_MASK) != ACCOUNT


cdef inline bint is_account(const uint8_t tag) noexcept nogil:
    return tag == ACCOUNT


cdef inline bint has_details(const uint8_t state) noexcept nogil:
    """Whether details follow an account or an entry with this state."""
    return state & HAS_DETAILS


cdef inline uint8_t entry_state_of(const int kind, const uint8_t log_state) noexcept nogil:
    """The state in the record of an entry of this kind with this state in the log."""
    return <uint8_t>(kind << 7 | log_state)


cdef inline int entry_kind(const uint8_t state) noexcept nogil:
    """The kind of the entry with this state in its record."""
    return state >> 7


cdef inline bint is_account_state(const uint8_t state) noexcept nogil:
    """Whether an account's record can have this state."""
    return not state & ~<uint8_t>(LOCKED | HAS_DETAILS)


cdef inline bint is_entry_state(const uint8_t state) noexcept nogil:
    """Whether an entry's record can have this state."""
    return is_dispute_state(state & ~<uint8_t>(ENTRY_KIND | HAS_DETAILS))


cdef inline uint8_t log_state(const uint8_t state) noexcept nogil:
    """The state in the log, without HAS_DETAILS, of the entry with this state in its record."""
    return state & (DISPUTE_STATE_MASK | WAS_REVERSED)
