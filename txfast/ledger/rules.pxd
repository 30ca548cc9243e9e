"""The rules: the effect of one row on one account. No other file decides it.

First come the facts about kinds and dispute states that other files ask for by name, such as which entries can be
disputed. Then come the rules. Each rule gets the values that the ledger looked up and returns a Status: the first
reason that applies, in the order of the checks, or APPLIED. A rule that returns a reason has changed nothing.

The rules must not know where rows come from, nor how accounts and entries are stored. Two files beside this one say
what follows from the rules: proof.pxd for saved ledgers, tags.pxd for slices.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.batch.batch cimport DEPOSIT, WITHDRAWAL
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

# The dispute of an entry. It can only move forward, so an entry is disputed at most once.
cdef enum DisputeState:
    UNDISPUTED = 0
    IN_DISPUTE
    DISPUTE_OVER
    DISPUTE_STATE_COUNT

cdef struct Account:
    uint64_t client
    int64_t available  # units of 0.0001, as is held
    int64_t held
    uint32_t number  # from 0 in order of appearance
    uint8_t locked
    uint8_t in_use  # False in an empty slot of the table


# ---- Facts that other files ask for ----------------------------------------------------------------


cdef inline bint adds_entry(const int kind) noexcept nogil:
    """Whether an applied row of this kind becomes an entry of the log: deposits and withdrawals do."""
    return kind <= WITHDRAWAL


cdef inline bint reads_amount(const int kind) noexcept nogil:
    """Whether the rules read the amount of a row; False for a kind with NO_AMOUNT, which has none."""
    return kind <= WITHDRAWAL


cdef inline bint can_be_disputed(const int kind) noexcept nogil:
    """Whether entries of this kind can be disputed: deposits only."""
    return kind == DEPOSIT


cdef inline bint keeps_amount(const int kind) noexcept nogil:
    """Whether the log keeps the amount and the dispute state of such entries: only disputes read them again."""
    return can_be_disputed(kind)


cdef inline bint is_dispute_state(const uint8_t state) noexcept nogil:
    return state < DISPUTE_STATE_COUNT


cdef inline bint can_become(const uint8_t before, const uint8_t after) noexcept nogil:
    """Whether rows can move a dispute from one state to another; True where both are the same."""
    return before <= after


cdef inline int64_t change_of_total(const int kind, const int64_t amount) noexcept nogil:
    """The change of an account's total by an applied deposit or withdrawal: amount or -amount, without a branch."""
    return (amount ^ -<int64_t>kind) + kind


# ---- The rules -------------------------------------------------------------------------------------


cdef inline Status deposit_or_withdraw(
    Account* account,  # IN, OUT
    const int kind,  # IN DEPOSIT or WITHDRAWAL
    const bint applied_before,  # IN whether (client, tx) was
    const bint has_amount,  # IN
    const int64_t amount,  # IN
) noexcept nogil:
    """One rule for both kinds: rows of the two alternate, and a mispredicted branch would cost more than both rules.

    Each reason sets the bit of its code in Status, so the lowest bit is the first reason that applies.
    """
    cdef int64_t available = 0
    cdef bint overflow = add_overflows(account.available, change_of_total(kind, amount), &available)
    cdef bint insufficient = kind & (account.available < amount)
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
    uint8_t* dispute_state,  # IN, OUT of the entry (client, tx); NULL where there is none that can be disputed
    const int64_t amount,  # IN of that entry
) noexcept nogil:
    """Hold a deposit: move its amount from available to held."""
    cdef int64_t available, held_after
    if account.locked:
        return ACCOUNT_LOCKED
    if dispute_state == NULL:
        return TRANSACTION_NOT_FOUND
    if dispute_state[0] != UNDISPUTED:
        return DUPLICATE_DISPUTE
    if subtract_overflows(account.available, amount, &available):
        return OVERFLOW
    if add_overflows(account.held, amount, &held_after) or not fits_as_total(available, held_after):
        return OVERFLOW
    account.available = available
    account.held = held_after
    dispute_state[0] = IN_DISPUTE
    return APPLIED


cdef inline Status check_in_dispute(const Account* account, const uint8_t* dispute_state) noexcept nogil:
    """The check that resolve and chargeback share: APPLIED where the dispute is in progress."""
    if account.locked:
        return ACCOUNT_LOCKED
    if dispute_state == NULL or dispute_state[0] == UNDISPUTED:
        return DISPUTE_NOT_FOUND
    if dispute_state[0] == DISPUTE_OVER:
        return DISPUTE_NOT_IN_PROGRESS
    return APPLIED


cdef inline Status resolve(
    Account* account,  # IN, OUT
    uint8_t* dispute_state,  # IN, OUT of the entry (client, tx); NULL where there is none that can be disputed
    const int64_t amount,  # IN of that entry
) noexcept nogil:
    """Release a disputed deposit: move its amount from held back to available."""
    cdef int64_t available, held_after
    cdef Status status = check_in_dispute(account, dispute_state)
    if status != APPLIED:
        return status
    if subtract_overflows(account.held, amount, &held_after):
        return OVERFLOW
    if add_overflows(account.available, amount, &available) or not fits_as_total(available, held_after):
        return OVERFLOW
    account.available = available
    account.held = held_after
    dispute_state[0] = DISPUTE_OVER
    return APPLIED


cdef inline Status chargeback(
    Account* account,  # IN, OUT
    uint8_t* dispute_state,  # IN, OUT of the entry (client, tx); NULL where there is none that can be disputed
    const int64_t amount,  # IN of that entry
) noexcept nogil:
    """Reverse a disputed deposit: take its amount out of held, and lock the account."""
    cdef int64_t held_after
    cdef Status status = check_in_dispute(account, dispute_state)
    if status != APPLIED:
        return status
    if subtract_overflows(account.held, amount, &held_after) or not fits_as_total(account.available, held_after):
        return OVERFLOW
    account.held = held_after
    account.locked = True
    dispute_state[0] = DISPUTE_OVER
    return APPLIED
