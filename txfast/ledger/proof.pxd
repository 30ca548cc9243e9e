"""Proofs: the conditions that saved accounts and entries must satisfy, because the rules made them.

`check_entry` and `check_dispute` check one saved record. A Proof sums up the entries of one account, and `is_proven`
checks the account against it. A change to the rules may need a change here.

These functions must not know columns or files.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.ledger.rules cimport (
    DISPUTE_OVER, IN_DISPUTE, Account, adds_entry, can_become, is_dispute_state, keeps_amount,
)
from txfast.ledger.sums cimport WideSum, add_wide
from txfast.text.bits cimport unsigned_add_overflows

# Why a saved record is refused. The words for each are REFUSALS, in columns_in.pyx.
cdef enum Refusal:
    FITS = 0
    ACCOUNT_TWICE
    TOTAL_OVERFLOWS
    NO_ACCOUNT
    UNKNOWN_KIND
    UNKNOWN_STATE
    NEGATIVE_DEPOSIT
    WITHDRAWAL_WITH_MORE
    TRANSACTION_TWICE
    NO_TRANSACTION
    DISPUTE_UNDONE
    REFUSAL_COUNT

# The entries of one account, summed up.
cdef struct Proof:
    uint64_t deposited  # units of 0.0001; 2^64 - 1 if the sum does not fit
    WideSum disputed  # the same, of deposits in dispute: exact, since states come in any order
    uint8_t has_withdrawals
    uint8_t has_ended_disputes


cdef inline Refusal check_entry(const uint8_t kind, const int64_t amount, const uint8_t state) noexcept nogil:
    """FITS where the rules can have made an entry with these values."""
    if not adds_entry(kind):
        return UNKNOWN_KIND
    if not is_dispute_state(state):
        return UNKNOWN_STATE
    if amount < 0:
        return NEGATIVE_DEPOSIT
    if not keeps_amount(kind) and (amount or state):
        return WITHDRAWAL_WITH_MORE
    return FITS


cdef inline Refusal check_dispute(const uint8_t before, const uint8_t after) noexcept nogil:
    """FITS where the rules can have moved a dispute from one state to the other."""
    if not is_dispute_state(after):
        return UNKNOWN_STATE
    return FITS if can_become(before, after) else DISPUTE_UNDONE


cdef inline void count_entry(Proof* proof, const int kind, const int64_t amount, const uint8_t state) noexcept nogil:
    """Add an entry to the proof of its account."""
    if not keeps_amount(kind):
        proof.has_withdrawals = True
        return
    if unsigned_add_overflows(proof.deposited, <uint64_t>amount, &proof.deposited):
        proof.deposited = ~<uint64_t>0
    count_dispute(proof, amount, state)


cdef inline void count_dispute(Proof* proof, const int64_t amount, const uint8_t state) noexcept nogil:
    """Add the dispute of an entry to the proof of its account."""
    if state == IN_DISPUTE:
        add_wide(&proof.disputed, amount)
    proof.has_ended_disputes |= state == DISPUTE_OVER


cdef inline void uncount_dispute(Proof* proof, const int64_t amount, const uint8_t state) noexcept nogil:
    """Take the dispute of an entry out of the proof again, before its next state is added."""
    if state == IN_DISPUTE:
        add_wide(&proof.disputed, -amount)


cdef inline bint is_proven(const Account* account, const Proof* proof) noexcept nogil:
    """Whether the rules can have produced this account from these entries. The caller has checked that its total fits.

    Held must be the sum of the deposits in dispute, and the total at most the sum of all deposits. A locked account
    must have a dispute that is over. Any other account must have a total of at least 0, and without withdrawals a
    total equal to its deposits.
    """
    cdef int64_t total = account.available + account.held
    if account.held < 0 or proof.disputed.high or proof.disputed.low != <uint64_t>account.held:
        return False
    if total > 0 and <uint64_t>total > proof.deposited:
        return False
    if account.locked:
        return proof.has_ended_disputes
    return total >= 0 and (proof.has_withdrawals or <uint64_t>total == proof.deposited)
