"""apply_rows: the loop that applies the rows of a batch to a ledger.

It looks up accounts and entries; what a row means is for the rules (rules.pxd).
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from txfast.batch.batch cimport DEPOSIT, KIND_COUNT, KIND_MASK, NO_AMOUNT, WITHDRAWAL, TransactionBatch
from txfast.batch.ids cimport ID_ROOM_BYTES
from txfast.ledger.account_table cimport AccountTable, remove_last
from txfast.ledger.details cimport Details
from txfast.ledger.entries cimport LOG_COUNT, Log, TxId, kind_at
from txfast.ledger.index cimport NOT_FOUND, Index, Probe
from txfast.ledger.load cimport (
    BY_CURRENCY, LOOK_AHEAD_ROWS, NAME_AHEAD_ROWS, TEXT_CLIENTS, TEXT_TXS, TX_AHEAD_ROWS, BatchIds, IdKinds, Lookup,
    account_of_row, add_id, find_id, ids_of, look_ahead_to_entry, look_ahead_to_name, look_ahead_to_row,
    look_ahead_to_tx, needs_second_homes, tx_of_row,
)
from txfast.ledger.payments cimport apply_to_payment, is_plain_row
from txfast.ledger.policy cimport Policy
from txfast.ledger.rules cimport (
    APPLIED, STATUS_COUNT, Account, Status, adds_entry, can_be_disputed, change_of_total, deposit_or_withdraw,
    keeps_entry, opens_account, reasons_considered,
)
from txfast.ledger.sums cimport WideSum, add_wide


cdef enum:
    STATUS_STRIDE = 16  # of the counts by kind and status: STATUS_COUNT, rounded up to a power of two

# What rows change in a ledger.
cdef struct LedgerParts:
    AccountTable* table
    Index* index
    Log* logs
    Details* details
    WideSum* balances  # by the number of the currency; the first where accounts have none
    uint64_t* counts  # rows by kind and status: [kind * STATUS_COUNT + status]
    uint64_t* unread_amounts
    bint* prefetch_second_homes

# Applies a row that names a payment, by any policy: `apply_to_payment`, as a call.
ctypedef Status (*ApplyToAnyPayment)(
    const Policy* policy, const LedgerParts* parts, Account* account, const Log* logs, const uint32_t position,
    const bint is_payment, const uint8_t kind_and_flag, const int64_t amount, WideSum* balance,
) noexcept nogil


cdef inline Py_ssize_t row_ahead(
    const uint32_t* routed, const Py_ssize_t i, const Py_ssize_t rows, const Py_ssize_t count,
) noexcept nogil:
    """The row that comes so many rows later; -1 where there is none."""
    if i + rows >= count:
        return -1
    return i + rows if routed == NULL else routed[i + rows]


cdef inline void look_ahead_to_texts(
    const Lookup* lookups,  # IN of the next LOOK_AHEAD_ROWS rows
    const AccountTable* table,  # IN
    const Log* logs,  # IN
    const BatchIds* ids,  # IN
    const uint8_t* kinds,  # IN
    const uint32_t* routed,  # IN
    const Py_ssize_t i,  # IN
    const Py_ssize_t count,  # IN
    const IdKinds kinds_of_ids,  # IN
) noexcept nogil:
    """Start loading the texts that rows ahead are compared with: names of clients, and ids of the entries that
    disputes, resolves, chargebacks, refunds and reversals name."""
    cdef Py_ssize_t ahead = row_ahead(routed, i, NAME_AHEAD_ROWS, count)
    cdef const Lookup* lookup = &lookups[(i + NAME_AHEAD_ROWS) & (LOOK_AHEAD_ROWS - 1)]
    if ahead >= 0 and kinds_of_ids & TEXT_CLIENTS:
        look_ahead_to_name(lookup, table, ids.clients[ahead])
    if ahead >= 0 and kinds_of_ids & TEXT_TXS and not adds_entry(kinds[ahead] & KIND_MASK):
        look_ahead_to_entry(lookup, logs)
    ahead = row_ahead(routed, i, TX_AHEAD_ROWS, count)
    lookup = &lookups[(i + TX_AHEAD_ROWS) & (LOOK_AHEAD_ROWS - 1)]
    if ahead >= 0 and kinds_of_ids & TEXT_TXS and not adds_entry(kinds[ahead] & KIND_MASK):
        look_ahead_to_tx(lookup, logs)


cdef inline void apply_rows(
    const LedgerParts* parts,  # IN, OUT with room for all that the rows can add
    ApplyToAnyPayment apply_to_any_payment,  # IN a constant
    const Policy policy,  # IN the ledger's; a constant where it is the default one, so that its choices fold
    const bint is_default,  # IN a constant
    const IdKinds kinds_of_ids,  # IN the ledger's; a constant where the loop is for these alone
    TransactionBatch batch,  # IN; OUT its statuses
    const uint32_t* routed,  # IN the rows to apply; NULL for all
    const Py_ssize_t count,  # IN the number of rows to apply
) noexcept nogil:
    """Apply rows of a batch in their order, and store the status of each."""
    # Copies in locals: the compiler would read what `parts` names again after every store.
    cdef const uint8_t* kinds = batch.kind
    cdef BatchIds ids = ids_of(batch)
    cdef const int64_t* amounts = batch.amount
    cdef uint8_t* statuses = batch.status
    cdef AccountTable table = parts.table[0]
    cdef Index index = parts.index[0]
    cdef Log[LOG_COUNT] logs
    cdef WideSum balance = parts.balances[0]
    cdef WideSum* balances = parts.balances
    cdef WideSum* changed
    cdef bint prefetch_second_homes = parts.prefetch_second_homes[0]
    cdef uint64_t[KIND_COUNT * STATUS_STRIDE] counts
    cdef Lookup[LOOK_AHEAD_ROWS] lookups
    cdef Lookup* lookup
    cdef Py_ssize_t i, row, ahead, second_homes = 0
    cdef uint64_t accounts_before
    cdef Account* account
    cdef uint8_t[ID_ROOM_BYTES] room
    cdef TxId tx
    cdef Probe probe
    cdef int64_t amount
    cdef int kind, status
    cdef bint found, is_payment
    cdef uint32_t[LOG_COUNT] considered_by_kind
    cdef uint32_t considered = reasons_considered(policy, DEPOSIT)
    # Of the kinds for which keeps_entry is true.
    cdef int last_kept = WITHDRAWAL if keeps_entry(policy, WITHDRAWAL) else DEPOSIT
    for kind in range(LOG_COUNT):
        logs[kind] = parts.logs[kind]
        considered_by_kind[kind] = reasons_considered(policy, kind)
    memset(counts, 0, sizeof(counts))
    for i in range(min(count, <Py_ssize_t>LOOK_AHEAD_ROWS)):
        row = i if routed == NULL else routed[i]
        look_ahead_to_row(&lookups[i], &table, &index, &ids, row, kinds_of_ids, prefetch_second_homes)
    for i in range(count):
        row = i if routed == NULL else routed[i]
        lookup = &lookups[i & (LOOK_AHEAD_ROWS - 1)]
        accounts_before = table.accounts
        account = account_of_row(&table, lookup, &ids, row, kinds_of_ids)
        tx_of_row(&tx, &ids, row, kinds_of_ids, room)
        probe = find_id(&index, logs, lookup, account.number, tx)
        if i + LOOK_AHEAD_ROWS < count:
            ahead = i + LOOK_AHEAD_ROWS
            if routed != NULL:
                ahead = routed[ahead]
            look_ahead_to_row(lookup, &table, &index, &ids, ahead, kinds_of_ids, prefetch_second_homes)
        if kinds_of_ids:
            look_ahead_to_texts(lookups, &table, logs, &ids, kinds, routed, i, count, kinds_of_ids)
        found = probe.position != <uint32_t>NOT_FOUND
        changed = &balances[account.currency] if kinds_of_ids & BY_CURRENCY else &balance
        second_homes += probe.at_second_home
        kind = kinds[row] & KIND_MASK
        if adds_entry(kind):
            amount = amounts[row]
            if not is_default:  # the default one considers the same reasons for both kinds
                considered = considered_by_kind[kind]
            status = deposit_or_withdraw(policy, account, kind, considered, found, not kinds[row] & NO_AMOUNT, amount)
            if status == APPLIED:
                if kind <= last_kept:
                    add_id(logs, &probe, kind, account.number, tx, amount)
                add_wide(changed, change_of_total(kind, amount))
        else:
            is_payment = found and can_be_disputed(policy, kind_at(probe.position))
            if is_plain_row(policy, logs, probe.position, is_payment, kinds[row]):
                # Inline, and folded once more, since a tenth of all rows comes here.
                status = apply_to_payment(
                    policy, True, account, logs, parts.details, probe.position, is_payment, kinds[row], amounts[row],
                    changed, parts.unread_amounts,
                )
            else:
                status = apply_to_any_payment(
                    &policy, parts, account, logs, probe.position, is_payment, kinds[row], amounts[row], changed,
                )
        # An account that a rejected row must not open is opened and removed, since few rows have a new client.
        if not opens_account(policy, <Status>status) and table.accounts > accounts_before:
            remove_last(&table, account)
        counts[kind * STATUS_STRIDE + status] += 1
        statuses[row] = status
    parts.table.accounts = table.accounts
    parts.prefetch_second_homes[0] = needs_second_homes(second_homes, count)
    for kind in range(LOG_COUNT):
        parts.logs[kind].entries = logs[kind].entries
        if kinds_of_ids & TEXT_TXS:
            parts.logs[kind].texts = logs[kind].texts
    if not kinds_of_ids & BY_CURRENCY:
        parts.balances[0] = balance
    for kind in range(KIND_COUNT):
        for status in range(STATUS_COUNT):
            parts.counts[kind * STATUS_COUNT + status] += counts[kind * STATUS_STRIDE + status]
