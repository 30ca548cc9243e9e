"""The rules: the effect of one row on one account. No other file decides it.

First come the facts about kinds and states that other files ask for by name, such as which entries can be disputed.
Then comes what rows move: `change_of` says it of `available` and `held`. Then come the rules. Each rule
gets the values that the ledger looked up and returns a Status: the first reason that applies, in the order of the
checks, or APPLIED. A rule that returns a reason has changed nothing.

The rules must not know where rows come from. They leave the members alone that say where an account or an entry is
stored. Three files beside this one say what follows from the rules: payments.pxd for what an entry keeps, proof.pxd for
saved ledgers, tags.pxd for slices.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from txfast.batch.batch cimport CHARGEBACK, DEPOSIT, DISPUTE, REFUND, RESOLVE, REVERSAL, WITHDRAWAL
from txfast.ledger.policy cimport (
    AFTER_RESOLVE, ALL_OVERDRAW, ANY_ROW, APPLIED_ROW, CREDIT, DEPOSITS, DISPUTES, DISPUTES_OVERDRAW, HOLD, REJECT,
    WITHDRAWALS_OVERDRAW, Policy,
)
from txfast.ledger.sums cimport fits_as_total
from txfast.text.bits cimport add_overflows, lowest_bit

# In the order of the checks of deposits and withdrawals, which find the first reason by its code.
cdef enum Status:
    APPLIED = 0
    ACCOUNT_LOCKED
    DUPLICATE_TRANSACTION
    AMOUNT_REQUIRED
    NEGATIVE_AMOUNT
    ZERO_AMOUNT
    INSUFFICIENT_FUNDS
    OVERFLOW
    TRANSACTION_NOT_FOUND
    DUPLICATE_DISPUTE
    AMOUNT_TOO_LARGE
    DISPUTE_NOT_FOUND
    DISPUTE_NOT_IN_PROGRESS
    CHARGEBACK_NOT_FOUND
    DUPLICATE_REVERSAL
    STATUS_COUNT

# The dispute of an entry, in the lower bits of its state.
cdef enum DisputeState:
    UNDISPUTED = 0
    IN_DISPUTE
    DISPUTE_OVER  # resolved or charged back: a state that an older version saved does not say which
    RESOLVED  # or charged back, and that chargeback reversed
    CHARGED_BACK
    DISPUTE_STATE_COUNT
    DISPUTE_STATE_MASK = 7
    # Flags beside it.
    WAS_REVERSED = 8  # a chargeback of the entry was reversed
    HAS_DETAILS = 16  # the ledger has the entry's refunds, and how much of it is in dispute (details.pxd)

cdef struct Account:
    uint64_t client
    int64_t available  # units of the last decimal, as is held
    int64_t held
    uint32_t number  # from 0 in order of appearance
    uint8_t locked
    uint8_t in_use  # False in an empty slot of the table
    uint16_t currency  # its number in the run; 0 where accounts have none

# An applied deposit or withdrawal, as rows that name it see it.
cdef struct Payment:
    bint exists  # False: (client, tx) is no payment that can be disputed; nothing else counts then
    int kind
    uint8_t state  # a DisputeState, and flags
    uint8_t* stored_state  # where the ledger keeps the state; rules leave it alone
    int64_t amount  # units of the last decimal, as are the others
    int64_t refunded
    int64_t moved  # what is in dispute or charged back

# What a row adds to both balances.
cdef struct Change:
    int64_t available
    int64_t held


# ---- Facts that other files ask for ----------------------------------------------------------------


cdef inline bint adds_entry(const int kind) noexcept nogil:
    """Whether a row of this kind is a payment: deposits and withdrawals are."""
    return kind <= WITHDRAWAL


cdef inline bint keeps_entry(const Policy policy, const int kind) noexcept nogil:
    """Whether an applied payment of this kind becomes an entry of the log."""
    return kind == DEPOSIT or not policy.withdrawal_ids


cdef inline bint reads_amount(const int kind) noexcept nogil:
    """Whether the rules read the amount of a row; False where `kind` has the flag NO_AMOUNT."""
    return kind <= DISPUTE or kind == REFUND


cdef inline bint can_be_disputed(const Policy policy, const int kind) noexcept nogil:
    """Whether entries of this kind can be disputed: deposits, and withdrawals where the policy says so."""
    return kind == DEPOSIT or policy.withdrawal_dispute != REJECT


cdef inline bint keeps_amount(const Policy policy, const int kind) noexcept nogil:
    """Whether the log keeps the amount and the state of such entries: only rows that name them read these again."""
    return can_be_disputed(policy, kind)


cdef inline bint may_add_details(const Policy policy, const int kind, const bint has_amount) noexcept nogil:
    """Whether a row of this kind may make the ledger keep details: of an entry, or of an account with several standing
    chargebacks."""
    if policy.locked & DISPUTES and kind == CHARGEBACK:
        return True
    if policy.dispute_amount and kind == DISPUTE:
        return has_amount
    return kind == REFUND and has_amount


cdef inline int dispute_state(const uint8_t state) noexcept nogil:
    """The DisputeState in an entry's state."""
    return state & DISPUTE_STATE_MASK


cdef inline uint8_t with_flags(const DisputeState dispute, const uint8_t state) noexcept nogil:
    """An entry's next state: another DisputeState, and the flags as they were."""
    return <uint8_t>(dispute | (state & (WAS_REVERSED | HAS_DETAILS)))


cdef inline bint is_dispute_state(const uint8_t state) noexcept nogil:
    """Whether an entry can have this state; flags other than WAS_REVERSED are not saved."""
    if state & ~<uint8_t>(DISPUTE_STATE_MASK | WAS_REVERSED) or dispute_state(state) >= DISPUTE_STATE_COUNT:
        return False
    return not state & WAS_REVERSED or dispute_state(state) in (IN_DISPUTE, RESOLVED, CHARGED_BACK)


cdef inline bint can_become(const uint8_t before, const uint8_t after) noexcept nogil:
    """False where no number of rows can change an entry's state so: nothing makes it undisputed again."""
    return after != UNDISPUTED or before == UNDISPUTED


cdef inline bint moves_are_open(const uint8_t state) noexcept nogil:
    """Whether the entry is in dispute or charged back: `moved` counts then."""
    return dispute_state(state) == IN_DISPUTE or dispute_state(state) == CHARGED_BACK


cdef inline bint needs_details(const Payment* payment) noexcept nogil:
    """Whether its amount and its state do not say all of it."""
    return payment.refunded != 0 or (moves_are_open(payment.state) and payment.moved != payment.amount)


cdef inline bint opens_account(const Policy policy, const Status status) noexcept nogil:
    """Whether a row with this status opens an account for a new client."""
    if policy.open_account == ANY_ROW or status == APPLIED:
        return True
    if policy.open_account == APPLIED_ROW:
        return False
    return status != AMOUNT_REQUIRED and status != NEGATIVE_AMOUNT and status != ZERO_AMOUNT


cdef inline bint refused_while_locked(const Policy policy, const int kind) noexcept nogil:
    """Whether a locked account refuses each row of this kind, whatever the row says."""
    if kind == DEPOSIT:
        return not policy.locked & DEPOSITS
    return kind != REVERSAL and (adds_entry(kind) or kind == REFUND or not policy.locked & DISPUTES)


# ---- What rows move ---------------------------------------------------------------------------------


cdef inline Change change_of(
    const Policy policy, const int kind, const int payment_kind, const int64_t amount,
) noexcept nogil:
    """What a row of this kind, which names a payment, adds to both balances where it moves this amount of it."""
    cdef Change change
    change.available = change.held = 0
    if kind == REFUND:
        change.available = -amount
        return change
    if payment_kind == DEPOSIT:
        if kind == DISPUTE:
            change.available = -amount
            change.held = amount
        elif kind == RESOLVE:
            change.available = amount
            change.held = -amount
        elif kind == CHARGEBACK:
            change.held = -amount
        else:
            change.available = amount
        return change
    if kind == REVERSAL:
        change.available = -amount
        return change
    if policy.withdrawal_dispute == HOLD:
        if kind == CHARGEBACK:
            change.available = amount
        change.held = amount if kind == DISPUTE else -amount
    elif policy.withdrawal_dispute == CREDIT:
        if kind != CHARGEBACK:
            change.available = amount if kind == DISPUTE else -amount
        change.held = -amount if kind == DISPUTE else amount
    elif kind == CHARGEBACK:
        change.available = amount
    return change


cdef inline int64_t change_of_total(const int kind, const int64_t amount) noexcept nogil:
    """The change of an account's total by an applied deposit or withdrawal: amount or -amount, without a branch."""
    return (amount ^ -<int64_t>kind) + kind


cdef inline int64_t change_of_total_by(
    const Policy policy, const int kind, const int payment_kind, const int64_t amount,
) noexcept nogil:
    """The change of an account's total by another applied row, which moved this amount of a payment."""
    cdef Change change = change_of(policy, kind, payment_kind, amount)
    return change.available + change.held


cdef inline bint add_change(Account* account, const Change change) noexcept nogil:
    """Add to both balances. False where one of them or the total would not fit: nothing is changed then."""
    cdef int64_t available, held
    if add_overflows(account.available, change.available, &available):
        return False
    if add_overflows(account.held, change.held, &held) or not fits_as_total(available, held):
        return False
    account.available = available
    account.held = held
    return True


cdef inline int64_t left_of(const Payment* payment) noexcept nogil:
    """What of the payment is neither refunded, nor in dispute, nor charged back."""
    return payment.amount - payment.refunded - (payment.moved if moves_are_open(payment.state) else 0)


# ---- The rules -------------------------------------------------------------------------------------


cdef inline uint32_t reasons_considered(const Policy policy, const int kind) noexcept nogil:
    """The reasons to reject deposits or withdrawals that a policy considers: the bits of their codes in Status."""
    cdef uint32_t left_out = 0
    if not keeps_entry(policy, kind):
        left_out |= 1 << <int>DUPLICATE_TRANSACTION
    if policy.locked & DEPOSITS and kind == DEPOSIT:
        left_out |= 1 << <int>ACCOUNT_LOCKED
    if policy.overdraft >= WITHDRAWALS_OVERDRAW:
        left_out |= 1 << <int>INSUFFICIENT_FUNDS
    return ~left_out


cdef inline Status deposit_or_withdraw(
    const Policy policy,
    Account* account,  # IN, OUT
    const int kind,  # IN DEPOSIT or WITHDRAWAL
    const uint32_t considered,  # IN reasons_considered for this kind
    const bint applied_before,  # IN whether (client, tx) was
    const bint has_amount,  # IN
    const int64_t amount,  # IN
) noexcept nogil:
    """One rule for both kinds: rows of the two alternate, and a mispredicted branch would cost more than both rules.

    Each reason sets the bit of its code in Status, so the lowest bit is the first reason that applies. They are shifted
    in from the last one to the first: an instruction each, where setting a bit by its code takes two.
    """
    cdef int64_t available = 0
    cdef bint overflow = add_overflows(account.available, change_of_total(kind, amount), &available)
    cdef bint insufficient = kind & (account.available < amount)
    cdef bint locked = account.locked
    cdef uint32_t reasons
    overflow |= not fits_as_total(available, account.held)
    reasons = overflow  # OVERFLOW
    reasons = reasons << 1 | insufficient  # INSUFFICIENT_FUNDS
    reasons = reasons << 1 | (policy.zero_amount & (amount == 0))  # ZERO_AMOUNT
    reasons = reasons << 1 | (amount < 0)  # NEGATIVE_AMOUNT
    reasons = reasons << 1 | (not has_amount)  # AMOUNT_REQUIRED
    reasons = reasons << 1 | applied_before  # DUPLICATE_TRANSACTION
    reasons = reasons << 1 | locked  # ACCOUNT_LOCKED
    reasons = reasons << 1 & considered
    if reasons:
        return <Status>lowest_bit(reasons)
    account.available = available
    return APPLIED


cdef inline bint refuses_disputes(const Policy policy, const Account* account) noexcept nogil:
    """Whether the account takes no dispute, resolve or chargeback, because it is locked."""
    return account.locked and not policy.locked & DISPUTES


cdef inline bint overdraws(
    const Policy policy, const Account* account, const Payment* payment, const int64_t amount,
) noexcept nogil:
    """Whether a dispute or a direct chargeback takes more from available than is there, which the policy forbids. Only
    those of deposits take anything from it."""
    if policy.overdraft == DISPUTES_OVERDRAW or policy.overdraft == ALL_OVERDRAW:
        return False
    return payment.kind == DEPOSIT and account.available < amount


cdef inline Status dispute(
    const Policy policy,
    Account* account,  # IN, OUT
    Payment* payment,  # IN, OUT (client, tx)
    const bint has_amount,  # IN
    const int64_t amount,  # IN
) noexcept nogil:
    """Hold a payment, or a part of it: of a deposit, move the amount from available to held."""
    cdef int64_t moved
    cdef int state
    if refuses_disputes(policy, account):
        return ACCOUNT_LOCKED
    if not payment.exists:
        return TRANSACTION_NOT_FOUND
    state = dispute_state(payment.state)
    if state != UNDISPUTED and not (state == RESOLVED and policy.redispute == AFTER_RESOLVE):
        return DUPLICATE_DISPUTE
    moved = payment.amount - payment.refunded
    if policy.dispute_amount and has_amount:
        if amount <= 0 or amount > moved:
            return AMOUNT_TOO_LARGE
        moved = amount
    if overdraws(policy, account, payment, moved):
        return INSUFFICIENT_FUNDS
    if not add_change(account, change_of(policy, DISPUTE, payment.kind, moved)):
        return OVERFLOW
    payment.moved = moved
    payment.state = with_flags(IN_DISPUTE, payment.state)
    return APPLIED


cdef inline Status check_in_dispute(
    const Policy policy, const Account* account, const Payment* payment,
) noexcept nogil:
    """The check that resolve and chargeback share: APPLIED where the dispute is in progress."""
    if refuses_disputes(policy, account):
        return ACCOUNT_LOCKED
    if not payment.exists or dispute_state(payment.state) == UNDISPUTED:
        return DISPUTE_NOT_FOUND
    if dispute_state(payment.state) != IN_DISPUTE:
        return DISPUTE_NOT_IN_PROGRESS
    return APPLIED


cdef inline Status resolve(
    const Policy policy,
    Account* account,  # IN, OUT
    Payment* payment,  # IN, OUT (client, tx)
) noexcept nogil:
    """End a dispute for the payment: of a deposit, move what was disputed from held back to available."""
    cdef Status status = check_in_dispute(policy, account, payment)
    if status != APPLIED:
        return status
    if not add_change(account, change_of(policy, RESOLVE, payment.kind, payment.moved)):
        return OVERFLOW
    payment.state = with_flags(RESOLVED, payment.state)
    return APPLIED


cdef inline Status chargeback(
    const Policy policy,
    Account* account,  # IN, OUT
    Payment* payment,  # IN, OUT (client, tx)
    uint64_t* standing,  # IN, OUT the account's chargebacks that were not reversed
) noexcept nogil:
    """End a dispute against the payment: take what was disputed out of a deposit, and lock the account."""
    cdef Status status = check_in_dispute(policy, account, payment)
    cdef Change change
    if status != APPLIED:
        if policy.direct_chargeback and status != ACCOUNT_LOCKED and payment.exists and payment.kind == DEPOSIT:
            return charge_back_directly(policy, account, payment, standing)
        return status
    change = change_of(policy, CHARGEBACK, payment.kind, payment.moved)
    return take_out(account, payment, payment.moved, change, standing)


cdef inline Status charge_back_directly(
    const Policy policy, Account* account, Payment* payment, uint64_t* standing,
) noexcept nogil:
    """Take what is left of a deposit that is not in dispute from available, as a refund does, and lock the account."""
    cdef int64_t left = left_of(payment)
    if dispute_state(payment.state) == CHARGED_BACK or dispute_state(payment.state) == DISPUTE_OVER:
        return DISPUTE_NOT_IN_PROGRESS
    if overdraws(policy, account, payment, left):
        return INSUFFICIENT_FUNDS
    return take_out(account, payment, left, change_of(policy, REFUND, payment.kind, left), standing)


cdef inline Status take_out(
    Account* account,  # IN, OUT
    Payment* payment,  # IN, OUT
    const int64_t amount,  # IN what is charged back of the payment
    const Change change,  # IN what that adds to both balances
    uint64_t* standing,  # IN, OUT
) noexcept nogil:
    """The end that both chargebacks share: take the money out, and lock the account."""
    if not add_change(account, change):
        return OVERFLOW
    payment.moved = amount
    payment.state = with_flags(CHARGED_BACK, payment.state)
    standing[0] += 1
    account.locked = True
    return APPLIED


cdef inline Status refund(
    const Policy policy,
    Account* account,  # IN, OUT
    Payment* payment,  # IN, OUT (client, tx)
    const bint has_amount,  # IN
    const int64_t amount,  # IN
) noexcept nogil:
    """Pay back a deposit, or a part of it, from available."""
    if account.locked:
        return ACCOUNT_LOCKED
    if not payment.exists or payment.kind != DEPOSIT:
        return TRANSACTION_NOT_FOUND
    if not has_amount:
        return AMOUNT_REQUIRED
    if amount < 0:
        return NEGATIVE_AMOUNT
    if amount > left_of(payment):
        return AMOUNT_TOO_LARGE
    if account.available < amount and policy.overdraft != ALL_OVERDRAW:
        return INSUFFICIENT_FUNDS
    if not add_change(account, change_of(policy, REFUND, payment.kind, amount)):
        return OVERFLOW
    payment.refunded += amount
    return APPLIED


cdef inline Status reverse(
    const Policy policy,
    Account* account,  # IN, OUT
    Payment* payment,  # IN, OUT (client, tx)
    uint64_t* standing,  # IN, OUT the account's chargebacks that were not reversed
) noexcept nogil:
    """Undo a chargeback; unlock the account where no other one stands. A locked account takes it too."""
    if not payment.exists or dispute_state(payment.state) != CHARGED_BACK:
        return DUPLICATE_REVERSAL if payment.exists and payment.state & WAS_REVERSED else CHARGEBACK_NOT_FOUND
    if not add_change(account, change_of(policy, REVERSAL, payment.kind, payment.moved)):
        return OVERFLOW
    payment.state = with_flags(RESOLVED, payment.state) | WAS_REVERSED
    standing[0] -= 1
    account.locked = standing[0] > 0
    return APPLIED
