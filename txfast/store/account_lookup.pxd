"""Loads the accounts that rows need. See account_lookup.pyx."""

from libc.stdint cimport uint64_t

from txfast.store.active cimport ActiveAccounts
from txfast.store.batch_rows cimport BatchRows
from txfast.store.sought cimport SoughtRows

cdef int seek_missing_clients(
    ActiveAccounts active, SoughtRows sought, const BatchRows* batches, const Py_ssize_t count,
) except -1
cdef int load_clients(ActiveAccounts active, SoughtRows sought, runs) except -1
