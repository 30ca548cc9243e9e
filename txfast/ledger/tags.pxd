"""Tags: four bits for the type of a slice's record. The layout of the record itself is in spill/record.pxd.

     0 to  4    a row of that kind; 8 to 12 the same without an amount
     5, 13      an account; a locked account
     6, 14, 15  a deposit that is undisputed, in dispute, with its dispute over
     7          a withdrawal

All sixteen are used. A rule that adds an entry's kind or state needs a wider tag, and so a new SLICE_VERSION.
"""

from libc.stdint cimport uint8_t

from txfast.batch.batch cimport DEPOSIT, KIND_COUNT, KIND_MASK, WITHDRAWAL
from txfast.ledger.rules cimport DISPUTE_OVER, IN_DISPUTE, UNDISPUTED

cdef enum Tag:
    ACCOUNT = 5
    DEPOSITED = 6
    WITHDRAWN = 7
    ACCOUNT_LOCKED = 13
    DEPOSITED_IN_DISPUTE = 14
    DEPOSITED_DISPUTE_OVER = 15


cdef inline bint is_row(const uint8_t tag) noexcept nogil:
    """Whether the record is a row; its tag is then the row's kind."""
    return (tag & KIND_MASK) < KIND_COUNT


cdef inline bint is_account(const uint8_t tag) noexcept nogil:
    return tag == ACCOUNT or tag == ACCOUNT_LOCKED


cdef inline bint is_locked(const uint8_t tag) noexcept nogil:
    """Whether the account of this tag is locked."""
    return tag == ACCOUNT_LOCKED


cdef inline uint8_t account_tag(const bint locked) noexcept nogil:
    return <uint8_t>(ACCOUNT_LOCKED if locked else ACCOUNT)


cdef inline uint8_t entry_tag(const int kind, const uint8_t dispute_state) noexcept nogil:
    if kind == WITHDRAWAL:
        return WITHDRAWN
    if dispute_state == IN_DISPUTE:
        return DEPOSITED_IN_DISPUTE
    return <uint8_t>(DEPOSITED_DISPUTE_OVER if dispute_state == DISPUTE_OVER else DEPOSITED)


cdef inline int entry_kind(const uint8_t tag) noexcept nogil:
    """The kind of the entry of this tag."""
    return WITHDRAWAL if tag == WITHDRAWN else DEPOSIT


cdef inline uint8_t entry_dispute_state(const uint8_t tag) noexcept nogil:
    """The dispute state of the entry of this tag."""
    if tag == DEPOSITED_IN_DISPUTE:
        return IN_DISPUTE
    return <uint8_t>(DISPUTE_OVER if tag == DEPOSITED_DISPUTE_OVER else UNDISPUTED)
