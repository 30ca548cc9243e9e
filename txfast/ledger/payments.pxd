"""Payments: entries of the log as the rules see them, with their details, and the rows that name one.

Nothing here decides what a row means: that is for the rules.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr

from txfast.batch.batch cimport CHARGEBACK, DISPUTE, KIND_COUNT, KIND_MASK, NO_AMOUNT, REFUND, RESOLVE
from txfast.ledger.details cimport (
    Detail, Details, find_detail, find_or_add_detail, key_of_account, key_of_entry, set_standing, standing_in,
)
from txfast.ledger.entries cimport CHUNK_MASK, Chunk, Log, chunk_of, kind_at, state_at
from txfast.ledger.policy cimport DISPUTES, Policy
from txfast.ledger.rules cimport (
    APPLIED, HAS_DETAILS, Account, Payment, Status, change_of_total_by, chargeback, dispute,
    may_add_details, needs_details, refund, resolve, reverse,
)
from txfast.ledger.sums cimport WideSum, add_wide


cdef inline void make_whole_payment(
    Payment* payment,  # OUT stored nowhere
    const int kind,  # IN
    const uint8_t state,  # IN
    const int64_t amount,  # IN
) noexcept nogil:
    """Make a payment of which nothing was refunded, and that is disputed as a whole, if at all.

    It is no result, since a traced build makes a Python object of each result, and reads what a pointer in it names.
    """
    payment.exists = True
    payment.kind = kind
    payment.state = state
    payment.stored_state = NULL
    payment.amount = payment.moved = amount
    payment.refunded = 0


cdef inline bint entry_has_details(const Log* logs, const uint32_t position) noexcept nogil:
    """Whether the ledger has details of an entry of a kind that keeps_amount."""
    return state_at(logs, position)[0] & HAS_DETAILS


cdef inline bint is_plain_row(
    const Policy policy, const Log* logs, const uint32_t position, const bint is_payment, const uint8_t kind_and_flag,
) noexcept nogil:
    """Whether a row that names a payment is no refund or reversal, and meets and makes no details of an entry."""
    return (
        kind_and_flag & KIND_MASK <= CHARGEBACK
        and not may_add_details(policy, kind_and_flag & KIND_MASK, not kind_and_flag & NO_AMOUNT)
        and not (is_payment and entry_has_details(logs, position))
    )


cdef inline uint64_t count_kind(const uint8_t* kinds, const Py_ssize_t rows, const int kind_and_flag) noexcept nogil:
    """The number of rows of a kind, with NO_AMOUNT or without."""
    cdef const uint8_t* end
    cdef uint64_t count = 0
    if not rows:
        return 0  # an empty batch may have no array: not even 0 may be added to NULL
    end = kinds + rows
    while kinds < end:
        kinds = <const uint8_t*>memchr(kinds, kind_and_flag, end - kinds)
        if kinds == NULL:
            break
        count += 1
        kinds += 1
    return count


cdef inline uint64_t count_detailed(const Policy policy, const uint8_t* kinds, const Py_ssize_t rows) noexcept nogil:
    """The number of rows that may make the ledger keep details, kind by kind: most rows are of none of them."""
    cdef uint64_t detailed = 0
    cdef int kind
    for kind in range(KIND_COUNT):
        if may_add_details(policy, kind, True):
            detailed += count_kind(kinds, rows, kind)
        if may_add_details(policy, kind, False):
            detailed += count_kind(kinds, rows, kind | NO_AMOUNT)
    return detailed


cdef inline void load_payment(
    Payment* payment,  # OUT
    const Log* logs,  # IN
    const Details* details,  # IN NULL where it is known that there are none of the entry
    const uint32_t position,  # IN of an entry of a kind that keeps_amount
) noexcept nogil:
    cdef Chunk* chunk = chunk_of(logs, position)
    cdef const Detail* detail
    payment.exists = True
    payment.kind = kind_at(position)
    payment.stored_state = &chunk.state[position & CHUNK_MASK]
    payment.state = payment.stored_state[0]
    payment.amount = payment.moved = chunk.amount[position & CHUNK_MASK]
    payment.refunded = 0
    if details != NULL and payment.state & HAS_DETAILS:
        detail = find_detail(details, key_of_entry(position))
        payment.refunded = detail.refunded
        payment.moved = detail.moved


cdef inline void store_payment(
    const Payment* payment,  # IN loaded, and changed by a rule
    Details* details,  # IN, OUT with room for one more where `may_need_details`; NULL where it needs none
    const uint32_t position,  # IN
    const bint may_need_details,  # IN whether the rule may have made them necessary
) noexcept nogil:
    cdef uint8_t state = payment.state
    cdef Detail* detail
    if details != NULL and (state & HAS_DETAILS or (may_need_details and needs_details(payment))):
        detail = find_or_add_detail(details, key_of_entry(position))
        detail.refunded = payment.refunded
        detail.moved = payment.moved
        state |= HAS_DETAILS
    payment.stored_state[0] = state


cdef inline Status apply_to_payment(
    const Policy policy,
    const bint is_plain,  # IN a constant: is_plain_row
    Account* account,  # IN, OUT
    const Log* logs,  # IN, OUT the states in them
    Details* details,  # IN, OUT with room for one more where `may_add_details`
    const uint32_t position,  # IN of the entry that the row names
    const bint is_payment,  # IN whether it names one that can be disputed
    const uint8_t kind_and_flag,  # IN the row's kind, with NO_AMOUNT where it has none
    const int64_t amount,  # IN of the row
    WideSum* balance,  # IN, OUT
    uint64_t* unread_amounts,  # IN, OUT applied disputes with another amount than they moved, which the policy ignores
) noexcept nogil:
    """Apply a row that names a payment: a dispute and what follows it, a refund, a reversal."""
    cdef int kind = kind_and_flag & KIND_MASK
    cdef bint has_amount = not kind_and_flag & NO_AMOUNT
    cdef Payment payment
    cdef uint64_t standing
    cdef int64_t moved
    cdef Status status
    payment.exists = is_payment
    if is_payment:
        load_payment(&payment, logs, NULL if is_plain else details, position)
    if kind == DISPUTE:
        status = dispute(policy, account, &payment, has_amount, amount)
        if status == APPLIED and has_amount and not policy.dispute_amount:
            unread_amounts[0] += amount != payment.moved
    elif kind == RESOLVE:
        status = resolve(policy, account, &payment)
    elif not is_plain and kind == REFUND:
        status = refund(policy, account, &payment, has_amount, amount)
    else:
        standing = count_standing(details, policy, account)
        if is_plain or kind == CHARGEBACK:
            status = chargeback(policy, account, &payment, &standing)
        else:
            status = reverse(policy, account, &payment, &standing)
        if status == APPLIED and policy.locked & DISPUTES:
            keep_standing(details, account, standing)
    if status == APPLIED:
        store_payment(&payment, NULL if is_plain else details, position, may_add_details(policy, kind, has_amount))
        moved = amount if not is_plain and kind == REFUND else payment.moved
        add_wide(balance, change_of_total_by(policy, kind, payment.kind, moved))
    return status


cdef inline uint64_t count_standing(const Details* details, const Policy policy, const Account* account) noexcept nogil:
    """The account's chargebacks that were not reversed. Where a locked account takes no other one, that is 0 or 1."""
    cdef const Detail* detail = NULL
    if policy.locked & DISPUTES and account.locked:
        detail = find_detail(details, key_of_account(account.number))
    # Details that were added for an opening balance may have no number: one chargeback stands then.
    return account.locked if detail == NULL else max(<uint64_t>account.locked, standing_in(detail))


cdef inline void keep_standing(Details* details, const Account* account, const uint64_t standing) noexcept nogil:
    """Keep the number of chargebacks that stand, where account.locked does not say it."""
    cdef uint64_t key = key_of_account(account.number)
    if standing > 1 or find_detail(details, key) != NULL:
        set_standing(find_or_add_detail(details, key), standing)
