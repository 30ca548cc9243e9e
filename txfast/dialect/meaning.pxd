"""A dialect as the row parser and the fast path use it. compiled.pyx makes it."""

from libc.stdint cimport uint8_t, uint64_t

from txfast.text.csv_in cimport Syntax
from txfast.text.text_hash cimport TextKey

cdef enum:
    KEPT_MAX = 8  # columns that tell which rows are read
    DECIMALS_MAX = 9
    NO_THOUSANDS = -1
    IGNORED_KIND = 0x10  # the type of a row that is nothing; greater than all types

# What a column, or a key of JSON lines, is for.
cdef enum Role:
    TYPE
    CLIENT
    TX
    AMOUNT  # of credits, where debits have a column of their own
    DEBIT
    CURRENCY
    KEPT  # and those after it: they tell whether a row is read
    ROLES_MAX = KEPT + KEPT_MAX

cdef enum Rounding:
    REFUSE
    TRUNCATE
    HALF_EVEN
    HALF_UP

# How an amount is written. It counts units of 1/scale.
cdef struct AmountForm:
    uint8_t decimal
    int thousands  # a byte, or NO_THOUSANDS
    int places  # decimals that count, from 0 to DECIMALS_MAX
    uint64_t scale  # 10 to the power of places
    Rounding rounding

# A word of the dialect, or a list of them.
cdef struct Word:
    const uint8_t* text
    Py_ssize_t length
    uint8_t kind  # of a word in the type column; of a key its Role

cdef struct Words:
    const Word* first
    Py_ssize_t count

# What the fields of a row mean.
cdef struct Meaning:
    AmountForm amounts
    AmountForm number_amounts  # of numbers of JSON, which have a decimal point and no marks between thousands
    Words types
    Words nulls
    Words[KEPT_MAX] kept  # by column, in the order of Columns.kept
    Py_ssize_t kept_count
    bint has_signs  # the sign of an amount is its type
    bint has_debits  # credits and debits are columns of their own
    uint8_t positive_kind
    uint8_t negative_kind
    bint text_client  # clients are texts
    bint text_tx
    bint has_currency  # accounts are of a client and a currency
    TextKey text_key  # of the hash of texts

cdef struct Compiled:
    Syntax syntax  # with a comma, where the header tells the delimiter
    Meaning meaning
    Words keys  # of JSON lines: at most ROLES_MAX
    bint means_default  # what fields mean is as by default
