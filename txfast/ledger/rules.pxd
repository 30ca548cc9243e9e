"""The rules: what one row does to one account. Nothing else in the program knows them.

Each rule is given what the ledger looked up, and returns a Status; the first one that applies, in the order of
the enumeration's use below, is the row's. Unless it returns APPLIED it has changed nothing.
They must not know where rows come from or how accounts and entries are stored.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.ledger.sums cimport fits_as_total
from txfast.text.bits cimport add_overflows, lowest_bit, subtract_overflows

cdef enum Status:
    APPLIED = 0
    ACCOUNT_LOCKED
    DUPLICATE_TRANSACTION
    AMOUNT_REQUIRED
    NEGATIVE_AMOUNT
    INSUFFICIENT_FUNDS
    OVERFLOW
    TRANSACTION_NOT_FOUND
    DUPLICATE_DISPUTE
    DISPUTE_NOT_FOUND
    DISPUTE_NOT_IN_PROGRESS
    STATUS_COUNT

# What became of a deposit. A dispute happens once: it never goes back to UNDISPUTED.
cdef enum DisputeState:
    UNDISPUTED = 0
    IN_DISPUTE
    DISPUTE_OVER

cdef struct Account:
    uint64_t client
    int64_t available  # units of 0.0001, as is held
    int64_t held
    uint32_t number  # from 0 in order of appearance
    uint8_t locked
    uint8_t in_use  # False in an empty slot of the table


cdef inline Status deposit_or_withdraw(
    Account* account,  # IN, OUT
    const bint is_withdrawal,  # IN
    const bint applied_before,  # IN whether (client, tx) was
    const bint has_amount,  # IN
    const int64_t amount,  # IN
) noexcept nogil:
    """One rule for both: half of all rows are the one, half the other, and a branch between them would cost more
    than both. All reasons are found, a bit each at its place in Status, so that the lowest is the first that
    applies."""
    cdef int64_t available = 0
    cdef int64_t change = (amount ^ -<int64_t>is_withdrawal) + is_withdrawal  # -amount of a withdrawal
    cdef bint overflow = add_overflows(account.available, change, &available)
    cdef bint insufficient = is_withdrawal & (account.available < amount)
    cdef uint32_t reasons = account.locked << <int>ACCOUNT_LOCKED
    overflow |= not fits_as_total(available, account.held)
    reasons |= applied_before << <int>DUPLICATE_TRANSACTION
    reasons |= (not has_amount) << <int>AMOUNT_REQUIRED
    reasons |= (amount < 0) << <int>NEGATIVE_AMOUNT
    reasons |= insufficient << <int>INSUFFICIENT_FUNDS
    reasons |= overflow << <int>OVERFLOW
    if reasons:
        return <Status>lowest_bit(reasons)
    account.available = available
    return APPLIED


cdef inline Status dispute(
    Account* account,  # IN, OUT
    uint8_t* dispute_state,  # IN, OUT of the deposit (client, tx); NULL where there is none
    const int64_t deposited,  # IN
) noexcept nogil:
    cdef int64_t available, held_after
    if account.locked:
        return ACCOUNT_LOCKED
    if dispute_state == NULL:
        return TRANSACTION_NOT_FOUND
    if dispute_state[0] != UNDISPUTED:
        return DUPLICATE_DISPUTE
    if subtract_overflows(account.available, deposited, &available):
        return OVERFLOW
    if add_overflows(account.held, deposited, &held_after) or not fits_as_total(available, held_after):
        return OVERFLOW
    account.available = available
    account.held = held_after
    dispute_state[0] = IN_DISPUTE
    return APPLIED


cdef inline Status open_dispute(const Account* account, const uint8_t* dispute_state) noexcept nogil:
    """What resolve and chargeback both need: APPLIED where the deposit's dispute is in progress."""
    if account.locked:
        return ACCOUNT_LOCKED
    if dispute_state == NULL or dispute_state[0] == UNDISPUTED:
        return DISPUTE_NOT_FOUND
    if dispute_state[0] == DISPUTE_OVER:
        return DISPUTE_NOT_IN_PROGRESS
    return APPLIED


cdef inline Status resolve(
    Account* account,  # IN, OUT
    uint8_t* dispute_state,  # IN, OUT of the deposit (client, tx); NULL where there is none
    const int64_t deposited,  # IN
) noexcept nogil:
    cdef int64_t available, held_after
    cdef Status status = open_dispute(account, dispute_state)
    if status != APPLIED:
        return status
    if subtract_overflows(account.held, deposited, &held_after):
        return OVERFLOW
    if add_overflows(account.available, deposited, &available) or not fits_as_total(available, held_after):
        return OVERFLOW
    account.available = available
    account.held = held_after
    dispute_state[0] = DISPUTE_OVER
    return APPLIED


cdef inline Status chargeback(
    Account* account,  # IN, OUT
    uint8_t* dispute_state,  # IN, OUT of the deposit (client, tx); NULL where there is none
    const int64_t deposited,  # IN
) noexcept nogil:
    cdef int64_t held_after
    cdef Status status = open_dispute(account, dispute_state)
    if status != APPLIED:
        return status
    if subtract_overflows(account.held, deposited, &held_after) or not fits_as_total(account.available, held_after):
        return OVERFLOW
    account.held = held_after
    account.locked = True
    dispute_state[0] = DISPUTE_OVER
    return APPLIED
