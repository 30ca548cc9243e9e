"""Puts rows of a state into a ledger: accounts, and entries of accounts that it has.

Rows come from files and are not trusted. What any ledger's row must be was checked when its page was read; here it must
be such as the ledger's policy can have made. Whether an account is what its entries make it, only a proof of all of
them can say.

This module must not know where rows come from, nor which ones are needed.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from txfast.batch.batch cimport DEPOSIT, WITHDRAWAL
from txfast.ledger.account_table cimport ACCOUNTS_MAX, reserve_accounts
from txfast.ledger.details cimport find_or_add_detail, key_of_account, reserve_details, set_standing
from txfast.ledger.entries cimport LOG_ENTRIES_MAX, TxId, reserve_entries, state_at
from txfast.ledger.index cimport NOT_FOUND, Probe
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport TEXT_TXS, Lookup, add_id, find_id, find_or_add_client, look_up_ids
from txfast.ledger.payments cimport load_payment, make_whole_payment, store_payment
from txfast.ledger.proof cimport ACCOUNT_TWICE, FITS, check_details, check_entry
from txfast.ledger.rules cimport Account, Payment, keeps_amount
from txfast.ledger.sums cimport add_wide
from txfast.ledger.text_columns cimport account_shown, shown
from txfast.ledger.texts cimport NAME_ALIGNMENT, TEXT_BYTES_MAX, reserve_texts
from txfast.store.active cimport Active, ActiveAccounts, SavedAccount
from txfast.store.segment_row cimport SegmentRow

from txfast.errors import CapacityError, StateError
from txfast.ledger.columns_in import REFUSALS

cdef enum:
    TEXT_BYTES_AT_ONCE = 1 << 18


cdef int reserve_accounts_of(ActiveAccounts active, const uint64_t count, const uint64_t text_bytes) except -1:
    """Make room for this many accounts more, of which clients that are texts take `text_bytes`. Raises MemoryError and
    CapacityError."""
    cdef Ledger ledger = active.ledger
    cdef uint64_t accounts = ledger.table.accounts + count
    cdef uint64_t name_bytes = text_bytes + NAME_ALIGNMENT * count
    cdef bint reserved
    if accounts > ACCOUNTS_MAX:
        raise CapacityError(f"one ledger numbers at most {ACCOUNTS_MAX} accounts; split the input by client")
    ledger.check_names(name_bytes)
    ledger.reserve_balances()
    active.reserve_saved(accounts)
    with nogil:
        reserved = reserve_accounts(&ledger.table, accounts) and (
            ledger.table.names == NULL or reserve_texts(ledger.table.names, name_bytes)
        )
    if not reserved:
        raise MemoryError(f"no memory for {count} accounts of a state")
    return 0


cdef int reserve_entries_of(Ledger ledger, LoadRoom* room) except -1:
    """Make room for more entries. Raises MemoryError and CapacityError."""
    cdef uint64_t deposits = ledger.logs[<int>DEPOSIT].entries + ENTRIES_AT_ONCE
    cdef uint64_t withdrawals = ledger.logs[<int>WITHDRAWAL].entries + ENTRIES_AT_ONCE
    cdef uint64_t text_bytes = TEXT_BYTES_AT_ONCE if ledger.id_kinds & TEXT_TXS else 0
    cdef bint reserved
    room.entries = room.text_bytes = 0
    if max(deposits, withdrawals) > LOG_ENTRIES_MAX:
        raise CapacityError(
            f"one ledger numbers at most {LOG_ENTRIES_MAX} deposits, and as many withdrawals; split the input by client"
        )
    with nogil:
        reserved = (
            ledger.reserve_index(ledger.count_entries() + ENTRIES_AT_ONCE)
            and reserve_entries(&ledger.logs[<int>DEPOSIT], deposits, True, text_bytes)
            and reserve_entries(&ledger.logs[<int>WITHDRAWAL], withdrawals, True, text_bytes)
        )
    if not reserved:
        raise MemoryError(f"no memory for {ENTRIES_AT_ONCE} transactions of a state")
    room.entries = ENTRIES_AT_ONCE
    room.text_bytes = text_bytes
    return 0


cdef inline int reserve_detail(Ledger ledger) except -1 nogil:
    """Make room for the details of one more. Raises MemoryError."""
    if not reserve_details(&ledger.details, ledger.details.count + 1):
        with gil:
            raise MemoryError(f"no memory for the details of {ledger.details.count + 1} payments or accounts")
    return 0


cdef int load_account(
    Ledger ledger,  # IN, OUT with room for one account more
    Active* active,  # IN, OUT the same
    const SegmentRow* row,  # IN
    const uint16_t currency,  # IN its number in the run
) except -1 nogil:
    """Open the account of a row, which the ledger does not have. Raises MemoryError."""
    cdef Account* account
    cdef SavedAccount* saved
    cdef TxId client = row.client
    client.currency = currency
    account = find_or_add_client(&ledger.table, client)
    account.available = row.amount
    account.held = row.held
    account.locked = row.kind
    add_wide(&ledger.balances[currency], account.available)
    add_wide(&ledger.balances[currency], account.held)
    if row.refunded or row.moved:
        reserve_detail(ledger)
        set_standing(find_or_add_detail(&ledger.details, key_of_account(account.number)), <uint64_t>row.refunded)
        find_or_add_detail(&ledger.details, key_of_account(account.number)).moved = row.moved
    saved = &active.saved[account.number]
    saved.available = row.amount
    saved.held = row.held
    saved.max_tx = row.max_tx
    saved.standing = <uint64_t>row.refunded
    saved.locked = row.kind
    saved.is_saved = True
    return 0


cdef int load_entry(
    Ledger ledger,  # IN, OUT
    LoadRoom* room,  # IN, OUT
    const SegmentRow* row,  # IN
    const uint32_t account,  # IN the number of its account
    const uint16_t currency,  # IN its number in the run
    uint32_t* position,  # OUT
) except -1 nogil:
    """Add the entry of a row, which the ledger does not have; return FITS, or why the row is refused. Raises
    MemoryError and CapacityError."""
    cdef int refusal = check_entry(ledger.policy, row.kind, row.amount, row.state)
    cdef Payment payment
    cdef Lookup lookup
    cdef Probe probe
    if refusal:
        return refusal
    if row.refunded or row.moved:
        make_whole_payment(&payment, row.kind, row.state, row.amount)
        refusal = check_details(ledger.policy, &payment, row.refunded, row.moved)
        if refusal:
            return refusal
        reserve_detail(ledger)
    if not room.entries or (row.tx.text != NULL and room.text_bytes < TEXT_BYTES_MAX):
        with gil:
            reserve_entries_of(ledger, room)
    look_up_ids(
        &lookup, &ledger.table, &ledger.index, row.client.number, row.tx.number, currency, ledger.id_kinds,
    )
    probe = find_id(&ledger.index, ledger.logs, &lookup, account, row.tx)
    assert probe.position == <uint32_t>NOT_FOUND, "only entries that the ledger does not have are looked for"
    position[0] = add_id(ledger.logs, &probe, row.kind, account, row.tx, row.amount)
    room.entries -= 1
    if row.tx.text != NULL:
        room.text_bytes -= 1 + row.tx.length
    if keeps_amount(ledger.policy, row.kind):
        state_at(ledger.logs, position[0])[0] = row.state
        if row.refunded or row.moved:
            load_payment(&payment, ledger.logs, NULL, position[0])
            payment.refunded = row.refunded
            payment.moved = row.moved
            store_payment(&payment, &ledger.details, position[0], True)
    return FITS


cdef int refuse_row(Ledger ledger, const SegmentRow* row, const uint16_t currency, str place, int refusal) except -1:
    """Raise StateError for a row of a file that is refused."""
    cdef TxId client = row.client
    client.currency = currency
    whose = account_shown(ledger, client)
    if refusal != ACCOUNT_TWICE:
        whose = f"transaction {shown(row.tx)} of {whose}"
    raise StateError(f"{place}: {whose} {REFUSALS[refusal]}")
