"""What segments say of the ids of a state.

A ledger that looks up in them, or is written beside them, must have the same ids, and the hashes of texts by the same
key.
"""

from libc.string cimport memcmp

from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport BY_CURRENCY, NUMBERS, TEXT_CLIENTS, TEXT_TXS, TEXTS, IdKinds
from txfast.store.segment cimport Segment
from txfast.store.segment_form cimport CLIENT, CURRENCY, TX, SegmentForm
from txfast.text.text_hash cimport TextKey


cdef inline IdKinds kinds_of(const SegmentForm* form) noexcept nogil:
    """Which ids of segments are texts, and whether their accounts have currencies. Those of accounts do not say it of
    transactions."""
    cdef int kinds = NUMBERS
    kinds |= TEXT_CLIENTS if form.are_texts[<int>CLIENT] else 0
    kinds |= TEXT_TXS if form.are_texts[<int>TX] else 0
    kinds |= BY_CURRENCY if form.are_texts[<int>CURRENCY] else 0
    return <IdKinds>kinds


cdef inline int check_form(Ledger ledger, const SegmentForm* form) except -1:
    """Raise ValueError where the ids of segments are not such as the ledger's."""
    cdef int kinds = ledger.id_kinds
    if form.are_accounts:
        kinds &= ~TEXT_TXS
    if kinds != kinds_of(form):
        raise ValueError("the ids of the state are others than those of the ledger: texts or numbers, with currencies")
    if kinds & TEXTS and memcmp(&ledger.table.text_key, &form.text_key, sizeof(TextKey)) != 0:
        raise ValueError("the ledger hashes ids by another key than the state")
    return 0


cdef inline int check_runs(Ledger ledger, runs) except -1:
    """The same for runs of segments, by the first of each."""
    cdef Segment segment
    for run in runs:
        for segment in run[:1]:
            check_form(ledger, &segment.parts.form)
    return 0
