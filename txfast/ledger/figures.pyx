"""The figures of a ledger: how many rows it was given, and what applied rows have left, by currency."""

from libc.stdint cimport uint64_t

from txfast.batch.batch cimport KIND_COUNT
from txfast.ledger.account_table cimport name_of
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.name_order cimport compare_names
from txfast.ledger.rules cimport STATUS_COUNT, Account
from txfast.ledger.sums cimport whole

cdef object COUNT_MAX = 2**63 - 1


def counts_of(Ledger ledger not None):
    """The rows that were applied or rejected, by kind and then by status: a list for `add_counts`."""
    return [ledger.counts[i] for i in range(ledger.counts.shape[0])]


def add_counts(Ledger ledger not None, list counts not None):
    """Add the counts of rows that were applied before the ledger was restored. Raises ValueError for other lists."""
    cdef Py_ssize_t i
    if len(counts) != KIND_COUNT * STATUS_COUNT:
        raise ValueError(f"{len(counts)} counts of rows")
    wrong = [count for count in counts if not isinstance(count, int) or not 0 <= count <= COUNT_MAX]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no count of rows")
    for i in range(len(counts)):
        ledger.counts[i] += <uint64_t>counts[i]


def balances_of(Ledger ledger not None):
    """What applied rows have added to all totals less what they have taken, in units of the last decimal: the sum that
    all totals must have. A list by the number of the currency; without currencies it is one sum."""
    return [whole(&ledger.balances[number]) for number in range(ledger.balance_count)]


def has_one_client(Ledger ledger not None):
    """Whether all accounts, of which there is one at least, are of one client: in a currency each, or one alone."""
    cdef const Account* slots = ledger.table.slots
    cdef const Account* first = NULL
    cdef uint64_t slot
    if slots == NULL:
        return False
    for slot in range(ledger.table.slot_mask + 1):
        if not slots[slot].in_use:
            continue
        if first == NULL:
            first = &slots[slot]
        elif ledger.table.names == NULL:
            if slots[slot].client != first.client:
                return False
        elif compare_names(name_of(&ledger.table, &slots[slot]), name_of(&ledger.table, first)) != 0:
            return False
    return first != NULL
