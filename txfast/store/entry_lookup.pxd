"""Loads the entries that rows need. See entry_lookup.pyx."""

from txfast.store.active cimport ActiveAccounts
from txfast.store.batch_rows cimport BatchRows
from txfast.store.sought cimport SoughtRows

cdef int seek_missing_entries(
    ActiveAccounts active, SoughtRows sought, const BatchRows* batches, const Py_ssize_t count,
) except -1
cdef int load_entries(ActiveAccounts active, SoughtRows sought, runs) except -1
