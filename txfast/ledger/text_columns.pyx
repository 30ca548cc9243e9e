"""Columns of ids that are texts, as Arrow has them: where each text begins, and the bytes of all.

TextColumn reads such a column, which comes from a file and is not trusted.

This module must not know files or formats; it reads buffers.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.ledger.buffers cimport column
from txfast.ledger.entries cimport TxId
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport IdForm, read_form
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES, hash_text

from txfast.printable import shown_account, shown_id


cdef class TextColumn:
    """A column of `rows` texts: `offsets` has 32 bits for each, and for the end of the last one; `texts` the bytes of
    all. Both are copied. `text_ids` has the key of the hashes.

    Raises ValueError for offsets that are out of order or outside of the texts, and for a text that no id has; and
    MemoryError.
    """

    def __cinit__(
        self, text_ids not None, Py_ssize_t rows, const uint8_t[::1] offsets not None,
        const uint8_t[::1] texts not None,
    ):
        cdef const int32_t* given = <const int32_t*>column(offsets, (rows + 1) * sizeof(int32_t))
        cdef int32_t* kept_offsets
        cdef uint64_t* hashes
        cdef uint8_t* kept_texts
        cdef Py_ssize_t row, text_bytes
        cdef IdForm form
        read_form(&form, text_ids)
        if given[0] != 0:
            raise ValueError("a column of ids does not begin with its first text")
        for row in range(rows):
            if not 1 <= <int64_t>given[row + 1] - given[row] <= ID_BYTES_MAX:
                raise ValueError(f"row {row} has an id that is empty, or longer than {ID_BYTES_MAX} bytes")
        text_bytes = given[rows]
        if text_bytes > texts.shape[0]:
            raise ValueError(f"ids of {text_bytes} bytes, in a column of {texts.shape[0]}")
        kept_offsets = <int32_t*>malloc((rows + 1) * sizeof(int32_t))
        self.ids.offsets = kept_offsets
        hashes = <uint64_t*>malloc((rows + 1) * sizeof(uint64_t))
        self.ids.words = hashes
        kept_texts = <uint8_t*>malloc(text_bytes + TEXT_HASH_SLACK_BYTES)
        self.ids.texts = kept_texts
        if kept_offsets == NULL or hashes == NULL or kept_texts == NULL:
            raise MemoryError(f"no memory for a column of {rows} ids")
        self.rows = rows
        memcpy(kept_offsets, given, (rows + 1) * sizeof(int32_t))
        if text_bytes:
            memcpy(kept_texts, &texts[0], text_bytes)
        memset(kept_texts + text_bytes, 0, TEXT_HASH_SLACK_BYTES)
        with nogil:
            for row in range(rows):
                hashes[row] = hash_text(
                    &form.key, kept_texts + kept_offsets[row], kept_offsets[row + 1] - kept_offsets[row],
                )

    def __dealloc__(self):
        free(<void*>self.ids.offsets)
        free(<void*>self.ids.words)
        free(<void*>self.ids.texts)


cdef str shown(const TxId id):
    """An id for a message."""
    return shown_id(id.number if id.text == NULL else id.text[:id.length])


cdef str account_shown(Ledger ledger, const TxId client):
    """The client of an account for a message, with the currency where accounts have one."""
    code = None if ledger.currencies is None else ledger.currencies.codes[client.currency]
    return shown_account(client.number if client.text == NULL else client.text[:client.length], code)
