"""What a batch has of a row beside the four columns: where its ids are that are texts, and its currency."""

from libc.string cimport memset

from txfast.batch.batch cimport TransactionBatch
from txfast.batch.ids cimport span_in
from txfast.dialect.currencies cimport KnownCodes, number_of
from txfast.dialect.meaning cimport Meaning
from txfast.readers.row cimport Row
from txfast.readers.scan_plan cimport Plan


cdef inline int reserve_more(TransactionBatch batch, const Meaning* meaning) except -1:
    """Make room for these of all rows that the batch has room for. `meaning` is NULL for the default one."""
    if meaning != NULL and meaning.has_currency:
        batch.reserve_currencies()
    return batch.reserve_spans() if meaning != NULL and (meaning.text_client or meaning.text_tx) else 0


cdef inline void know_no_codes(KnownCodes* known, const Plan* plan, TransactionBatch batch) noexcept:
    """Begin a scan of a batch: no currency is known."""
    if plan.has_currency:
        memset(known, 0, sizeof(KnownCodes))
        known.currencies = <void*>batch.header.currencies


cdef inline void store_more(
    TransactionBatch batch, const Plan* plan, KnownCodes* known, const Py_ssize_t index, const Row* row,
) noexcept nogil:
    """Store what a row has beside the four columns: where its ids are, and its currency."""
    if plan.has_text_ids:
        batch.client_span[index] = span_in(batch.text, &row.client_text)
        batch.tx_span[index] = span_in(batch.text, &row.tx_text)
    if plan.has_currency:
        batch.currency[index] = number_of(known, row.currency)
