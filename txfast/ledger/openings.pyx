"""Opening balances: accounts that begin with money for which the ledger has no deposit.

An opening balance is kept in the details of its account, so that a saved account can be proven: its total is what its
opening balance and its entries make it. No row can name it, so it is never disputed.

This module must not know files or formats; it reads buffers.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from txfast.ledger.buffers cimport column
from txfast.ledger.columns_in cimport LedgerRestorer, is_own
from txfast.ledger.details cimport opening_of, set_opening
from txfast.ledger.entries cimport TxId, make_number_id
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport TEXT_CLIENTS, account_of, find_or_add_client
from txfast.ledger.rules cimport Account
from txfast.ledger.shard cimport shard_of
from txfast.ledger.sums cimport add_wide
from txfast.ledger.text_columns cimport IdColumn, account_shown, id_at_row, take_clients
from txfast.text.bits cimport WORD_BYTES


def bytes_with_openings(Ledger ledger not None, uint64_t count, uint64_t text_bytes=0):
    """The most bytes that the ledger needs for this many more accounts with opening balances, whose clients, where they
    are texts, take `text_bytes`."""
    return ledger.bytes_with_rows(count, count, text_bytes)


def open_accounts(
    Ledger ledger not None,
    const uint64_t[::1] clients not None,
    const int64_t[::1] units not None,
    Py_ssize_t first=0,
    *,
    const uint8_t[::1] names=None,
    const uint64_t[::1] name_starts=None,
    const uint16_t[::1] currencies=None,
    uint32_t shard=0,
    uint32_t shard_count=1,
):
    """Open an account for each client of the shard, from index `first` on, with an opening balance in units of the last
    decimal.

    Where clients are texts, `clients` are their hashes, and `names` has each text with its length before it, from the
    client's place in `name_starts` on, and TEXT_HASH_SLACK_BYTES behind the last. Where accounts have a currency,
    `currencies` has the number of each.

    Return the index of the first client that has an account already, before which all are opened; else their number.
    Raises MemoryError and CapacityError, and has then opened none.
    """
    cdef Py_ssize_t count = clients.shape[0], row, refused = count
    cdef uint64_t accounts
    cdef bint has_names = ledger.table.names != NULL, has_currencies = ledger.table.has_currencies
    cdef Account* account
    cdef TxId client
    if units.shape[0] != count or not 0 <= first <= count:
        raise ValueError(f"{units.shape[0]} opening balances of {count} clients, from {first} on")
    if has_names and (names is None or name_starts is None or name_starts.shape[0] != count):
        raise ValueError(f"no names of {count} clients that are texts")
    if has_currencies and (currencies is None or currencies.shape[0] != count):
        raise ValueError(f"no currencies of {count} clients")
    reserve_openings(ledger, clients, first, names, name_starts, currencies, shard, shard_count)
    with nogil:
        for row in range(first, count):
            if shard_of(clients[row], shard_count) != shard:
                continue
            make_number_id(&client, clients[row])
            if has_names:
                client.text = &names[name_starts[row]] + 1
                client.length = names[name_starts[row]]
            if has_currencies:
                client.currency = currencies[row]
            accounts = ledger.table.accounts
            account = find_or_add_client(&ledger.table, client)
            if ledger.table.accounts == accounts:
                refused = row
                break
            account.available = units[row]
            add_wide(&ledger.balances[client.currency], units[row])
            if units[row]:
                set_opening(&ledger.details, account.number, units[row])
    return refused


cdef int reserve_openings(
    Ledger ledger, const uint64_t[::1] clients, const Py_ssize_t first, const uint8_t[::1] names,
    const uint64_t[::1] name_starts, const uint16_t[::1] currencies, const uint32_t shard, const uint32_t shard_count,
) except -1:
    """Make room for those of these accounts that are of the shard. Raises ValueError for a currency that the ledger's
    run does not have."""
    cdef bint has_names = ledger.table.names != NULL, has_currencies = ledger.table.has_currencies, is_known = True
    cdef uint64_t own = 0, text_bytes = 0
    cdef Py_ssize_t row
    ledger.reserve_balances()
    with nogil:
        for row in range(first, clients.shape[0]):
            if has_currencies and currencies[row] >= ledger.balance_count:
                is_known = False
            if shard_of(clients[row], shard_count) == shard:
                own += 1
                text_bytes += 1 + names[name_starts[row]] if has_names else 0
    if not is_known:
        raise ValueError("numbers of currencies that the ledger's run does not have")
    ledger.reserve_rows(own, text_bytes)
    ledger.reserve_detailed(own)
    return 0


def account_number(Ledger ledger not None, client not None, uint16_t currency=0):
    """The number of the account of a client, an integer, or bytes where clients are texts: how many were opened before
    it. `currency` is its number, where accounts have one. Raises KeyError where there is none."""
    cdef const Account* account = ledger.find_account(client, currency)
    if account == NULL:
        raise KeyError(client)
    return account.number


def restore_openings(
    LedgerRestorer restorer not None,
    Py_ssize_t rows,
    clients not None,
    const uint8_t[::1] openings not None,
    *,
    currencies=None,
):
    """Set the opening balances, which are not 0, of accounts that were restored before. Raises ValueError for values
    that no ledger can have, and MemoryError."""
    cdef Ledger ledger = restorer.ledger
    cdef const int64_t* units = <const int64_t*>column(openings, rows * WORD_BYTES)
    cdef bint has_names = ledger.id_kinds & TEXT_CLIENTS
    cdef const Account* account
    cdef IdColumn ids
    cdef TxId client
    cdef Py_ssize_t row
    take_clients(&ids, rows, clients, currencies, ledger)
    for row in range(rows):
        if not is_own(restorer, ids.words[row]):
            continue
        id_at_row(&client, &ids, row, has_names)
        account = account_of(&ledger.table, client)
        if account == NULL:
            raise ValueError(f"{account_shown(ledger, client)} has an opening balance and no account")
        if not units[row] or opening_of(&ledger.details, account.number):
            raise ValueError(f"{account_shown(ledger, client)} has an opening balance of 0, or two of them")
        ledger.reserve_detailed(1)
        set_opening(&ledger.details, account.number, units[row])
