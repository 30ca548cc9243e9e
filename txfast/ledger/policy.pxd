"""Policy: the choices of a run, for the rules. policy.py has their names and meanings.

A Policy goes by value to functions that are inlined. Where it is `default_policy()`, the compiler folds every choice,
so that a run without a policy pays nothing for it.
"""

from libc.stdint cimport uint8_t

# The members are the codes of policy.py's SWITCHES, in their order: the index of the value.
cdef struct Policy:
    uint8_t redispute
    uint8_t locked  # a set of LockedTakes
    uint8_t withdrawal_dispute
    uint8_t overdraft
    uint8_t open_account
    uint8_t zero_amount
    uint8_t dispute_amount
    uint8_t direct_chargeback
    uint8_t withdrawal_ids

cdef enum Redispute:
    NEVER = 0
    AFTER_RESOLVE

cdef enum LockedTakes:
    CLOSED = 0
    DEPOSITS = 1
    DISPUTES = 2

cdef enum WithdrawalDispute:
    REJECT = 0
    HOLD
    CREDIT
    MARK

cdef enum Overdraft:
    DISPUTES_OVERDRAW = 0
    NONE_OVERDRAWS
    WITHDRAWALS_OVERDRAW
    ALL_OVERDRAW

cdef enum OpenAccount:
    ANY_ROW = 0
    VALID_ROW
    APPLIED_ROW


cdef inline Policy default_policy() noexcept nogil:
    """The policy of a run that names none: the first value of every switch."""
    cdef Policy policy
    policy.redispute = NEVER
    policy.locked = CLOSED
    policy.withdrawal_dispute = REJECT
    policy.overdraft = DISPUTES_OVERDRAW
    policy.open_account = ANY_ROW
    policy.zero_amount = policy.dispute_amount = policy.direct_chargeback = policy.withdrawal_ids = False
    return policy
