"""Proofs: the conditions that saved accounts and entries must satisfy, because the rules made them.

`check_entry`, `check_state` and `check_details` check one saved record. A Proof sums up the entries of one account, and
`is_proven` checks the account against it. A change to the rules may need a change here.

These functions must not know columns or files.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.batch.batch cimport CHARGEBACK, DEPOSIT, DISPUTE, REFUND
from txfast.ledger.policy cimport DISPUTES, DISPUTES_OVERDRAW, NONE_OVERDRAWS, REJECT, Policy
from txfast.ledger.rules cimport (
    DISPUTE_OVER, HAS_DETAILS, IN_DISPUTE, Account, Payment, adds_entry, can_become, change_of, change_of_total,
    change_of_total_by, dispute_state, is_dispute_state, keeps_amount, keeps_entry, moves_are_open,
)
from txfast.ledger.sums cimport WideSum, add_wide, compare_wide

# Why a saved record is refused. The words for each are REFUSALS, in columns_in.pyx.
cdef enum Refusal:
    FITS = 0
    ACCOUNT_TWICE
    TOTAL_OVERFLOWS
    NO_ACCOUNT
    UNKNOWN_KIND
    UNKNOWN_STATE
    NEGATIVE_AMOUNT
    WITHDRAWAL_WITH_MORE
    TRANSACTION_TWICE
    NO_TRANSACTION
    DISPUTE_UNDONE
    DETAILS_TWICE
    DETAILS_TOO_LARGE
    REFUSAL_COUNT

# The entries of one account, summed up; all sums are exact.
cdef struct Proof:
    # What its entries make of its total, in units of the last decimal; the most where some amounts are not known.
    WideSum total
    WideSum held  # the same unit
    uint64_t standing_chargebacks
    uint64_t ended_disputes  # in the state DISPUTE_OVER
    uint64_t max_tx  # the greatest word of its transactions
    uint8_t has_unknown_amounts


cdef inline Refusal check_entry(
    const Policy policy, const uint8_t kind, const int64_t amount, const uint8_t state,
) noexcept nogil:
    """FITS where the rules can have made an entry with these values."""
    if not adds_entry(kind) or not keeps_entry(policy, kind):
        return UNKNOWN_KIND
    if not is_dispute_state(state):
        return UNKNOWN_STATE
    if amount < 0:
        return NEGATIVE_AMOUNT
    if not keeps_amount(policy, kind) and (amount or state):
        return WITHDRAWAL_WITH_MORE
    return FITS


cdef inline Refusal check_state(const uint8_t before, const uint8_t after) noexcept nogil:
    """FITS where rules may have changed an entry's state so."""
    if not is_dispute_state(after):
        return UNKNOWN_STATE
    return FITS if can_become(before, after) else DISPUTE_UNDONE


cdef inline Refusal check_details(
    const Policy policy, const Payment* payment, const int64_t refunded, const int64_t moved,
) noexcept nogil:
    """FITS where the rules can have refunded and moved so much of a payment."""
    if payment.state & HAS_DETAILS:
        return DETAILS_TWICE
    if refunded < 0 or refunded > payment.amount or moved < 0 or moved > payment.amount - refunded:
        return DETAILS_TOO_LARGE
    if refunded and payment.kind != DEPOSIT:
        return DETAILS_TOO_LARGE
    # Where disputes ignore amounts, they move all that is left.
    if moves_are_open(payment.state) and not policy.dispute_amount and moved != payment.amount - refunded:
        return DETAILS_TOO_LARGE
    return FITS


cdef inline void count_entry(
    const Policy policy, Proof* proof, const Payment* payment, const int sign,  # IN 1; -1 to take it out again
) noexcept nogil:
    """Add an entry to the proof of its account."""
    if not keeps_amount(policy, payment.kind):
        proof.has_unknown_amounts = True
        return
    add_wide(&proof.total, sign * change_of_total(payment.kind, payment.amount))
    add_wide(&proof.total, sign * change_of_total_by(policy, REFUND, payment.kind, payment.refunded))
    if dispute_state(payment.state) == DISPUTE_OVER:
        proof.ended_disputes += sign
    if not moves_are_open(payment.state):
        return
    add_wide(&proof.total, sign * change_of_total_by(policy, DISPUTE, payment.kind, payment.moved))
    if dispute_state(payment.state) == IN_DISPUTE:
        add_wide(&proof.held, sign * change_of(policy, DISPUTE, payment.kind, payment.moved).held)
    else:
        add_wide(&proof.total, sign * change_of_total_by(policy, CHARGEBACK, payment.kind, payment.moved))
        proof.standing_chargebacks += sign


cdef inline bint is_proven(
    const Policy policy, const Account* account, const Proof* proof,
    const int64_t opening,  # IN its opening balance
) noexcept nogil:
    """Whether the rules can have produced this account from these entries. The caller has checked that its total fits.

    Held must be what the disputes in progress make it, and the total what its opening balance and all entries make it:
    at most that where amounts of withdrawals are not kept, or where it is not known whether an ended dispute took its
    deposit. The account must be locked if a chargeback stands, and may be if a dispute ended in an unknown way. Else
    its total is at least 0, or its opening balance where that is less, if withdrawals and refunds never take more than
    is available and withdrawals are never disputed.
    """
    cdef int64_t total = account.available + account.held
    cdef WideSum made = proof.total
    cdef int difference
    add_wide(&made, opening)
    difference = compare_wide(&made, total)
    if compare_wide(&proof.held, account.held) != 0 or difference < 0:
        return False
    if difference and not (proof.has_unknown_amounts or proof.ended_disputes or policy.withdrawal_ids):
        return False
    if proof.standing_chargebacks:
        return account.locked and (proof.standing_chargebacks == 1 or policy.locked & DISPUTES)
    if account.locked:
        return proof.ended_disputes > 0
    if policy.withdrawal_dispute != REJECT:
        return True
    if total >= min(opening, <int64_t>0):
        return True
    return not (policy.overdraft == DISPUTES_OVERDRAW or policy.overdraft == NONE_OVERDRAWS)
