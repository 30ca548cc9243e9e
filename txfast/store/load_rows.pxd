"""Puts rows of a state into a ledger. See load_rows.pyx."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from txfast.ledger.ledger cimport Ledger
from txfast.store.active cimport Active, ActiveAccounts
from txfast.store.segment_row cimport SegmentRow

cdef enum:
    # Room for so many entries is made at once.
    ENTRIES_AT_ONCE = 4096

# What is left of the room that was made for entries.
cdef struct LoadRoom:
    uint64_t entries
    uint64_t text_bytes

cdef int reserve_accounts_of(ActiveAccounts active, const uint64_t count, const uint64_t text_bytes) except -1
cdef int reserve_entries_of(Ledger ledger, LoadRoom* room) except -1
cdef int load_account(
    Ledger ledger, Active* active, const SegmentRow* row, const uint16_t currency,
) except -1 nogil
cdef int load_entry(
    Ledger ledger, LoadRoom* room, const SegmentRow* row, const uint32_t account, const uint16_t currency,
    uint32_t* position,
) except -1 nogil
cdef int refuse_row(Ledger ledger, const SegmentRow* row, const uint16_t currency, str place, int refusal) except -1
