"""BalanceParser: parses rows of balances, lines of a file or of a table, into BalanceRows.

Fields and numbers are read as those of transactions. But a wrong row fails the run: what was left out of a file of
balances would make each balance of the run doubtful. This module must not know what a run does with balances.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memset

from cpython.pycapsule cimport PyCapsule_GetPointer

from txfast.batch.batch cimport TransactionBatch
from txfast.batch.ids cimport ID_BYTES_MAX, undouble
from txfast.dialect.currencies cimport CODE_BYTES_MAX, KnownCodes, check_codes, number_of
from txfast.dialect.meaning cimport Compiled
from txfast.readers.balance_row cimport (
    BAD_CLIENT, BAD_CURRENCY, BAD_QUOTING, BAD_VALUE, BLANK, EMPTY_CLIENT, EMPTY_CURRENCY, EMPTY_VALUE, FITS,
    INEXACT_VALUE, LOCKED, SURPLUS, TOO_LONG, Balance, RowsForm, parse_balance,
)
from txfast.readers.balance_rows cimport VALUE_COUNT, BalanceRows
from txfast.text.csv_in cimport default_syntax
from txfast.text.endings cimport past_ending

from txfast.dialect.dialect import CURRENCY
from txfast.readers.balance_columns import CLIENT, VALUES

cdef enum:
    SHOWN_BYTES_MAX = 80


cdef class BalanceParser:
    """Parses the rows of one file or table: `take` a text of whole rows, or `take_batch`, and have them in `rows`.

    `name` is the file's in messages, `contents` (balance_columns.py) says what it holds, `form` (balance_form.py) how
    it is read. `names` are those of its columns, of which `found` has the number for `client`, for `currency` where
    accounts have one, and for some of VALUES.
    """

    def __cinit__(self, str name not None, contents not None, form not None, names not None, dict found not None, *,
                  bint of_table=False):
        cdef const Compiled* compiled
        cdef RowsForm* rows_form = &self.rows_form
        self.name = name
        self.contents = contents
        self.form = form
        self.of_table = of_table
        self.compiled = form.dialect.compiled
        compiled = <const Compiled*>PyCapsule_GetPointer(self.compiled.capsule, NULL)
        rows_form.meaning = &compiled.meaning
        rows_form.syntax = default_syntax() if of_table else compiled.syntax
        rows_form.client = found[CLIENT]
        rows_form.currency = -1 if form.currencies is None else found[CURRENCY]
        rows_form.width = len(names)
        for index, value in enumerate(VALUES):
            rows_form.values[index] = found.get(value, -1)
        # The decimals of a table's amounts are those of their type.
        rows_form.is_exact = form.is_exact and not of_table
        self.rows = BalanceRows(found, has_names=compiled.meaning.text_client, currencies=form.currencies)
        memset(&self.known, 0, sizeof(KnownCodes))
        self.known.currencies = <void*>self.rows.currencies
        self.cut_by(rows_form.syntax.delimiter)

    cdef int cut_by(self, const uint8_t delimiter) except -1:
        """Cut rows by this delimiter."""
        cdef RowsForm* rows_form = &self.rows_form
        rows_form.syntax.delimiter = rows_form.client_delimiter = rows_form.currency_delimiter = delimiter
        if self.form.keeps_tabs:
            rows_form.currency_delimiter = c"\t"
            if self.rows.has_names:
                rows_form.client_delimiter = c"\t"
        return 0

    def take_batch(self, TransactionBatch batch not None):
        """Parse the rows that a table has written as lines into a batch (table_rows.pyx)."""
        self.take(batch.text, batch.text + batch.text_bytes)

    cdef int take(self, const uint8_t* row, const uint8_t* end) except -1:
        """Parse a text of whole rows. Raises InputError for one that is wrong, and CapacityError."""
        cdef BalanceRows rows = self.rows
        cdef const uint8_t* row_end = row
        cdef uint64_t line = rows.next_line
        cdef Balance balance
        cdef Py_ssize_t lines
        cdef int wrong
        while row < end:
            wrong = parse_balance(row, end, &self.rows_form, &balance, &row_end, &lines)
            if wrong == FITS:
                rows.reserve_row()
                if line != rows.next_line:
                    rows.skip_to(line)
                put_balance(rows, &balance, &self.known)
            elif wrong != BLANK:
                raise self.wrong_row(line, wrong, row[:min(row_end - row, <Py_ssize_t>SHOWN_BYTES_MAX)])
            line += 1 if self.of_table else <uint64_t>lines
            row = past_ending(row_end, end)
        # Blank lines at the end of the text count too.
        if line != rows.next_line:
            rows.skip_to(line)
        return check_codes(&self.known)

    cdef object wrong_row(self, uint64_t line, int wrong, bytes row):
        """The error for a row that is wrong."""
        shown = row.decode("utf-8", "backslashreplace")
        return self.contents.wrong_row(self.name, line, f"{self.what_is_wrong(wrong)}: {shown!r}")

    cdef str what_is_wrong(self, int wrong):
        """What is wrong with a row, in words."""
        if wrong >= BAD_VALUE:
            return self.what_is_wrong_with(wrong & ~(VALUE_COUNT - 1), VALUES[wrong & (VALUE_COUNT - 1)])
        if wrong == BAD_CLIENT and self.rows.has_names:
            return f"bad_client: {CLIENT} has more than {ID_BYTES_MAX} bytes"
        return {
            TOO_LONG: "the row is longer than 1 MiB", BAD_QUOTING: "bad_quoting",
            SURPLUS: "too_many_fields: it has more fields than the header", EMPTY_CLIENT: "bad_client: client is empty",
            BAD_CLIENT: f"bad_client: {CLIENT} is no number from 0 to 2^64 - 1",
            EMPTY_CURRENCY: f"bad_currency: {CURRENCY} is empty",
            BAD_CURRENCY: f"bad_currency: {CURRENCY} has more than {CODE_BYTES_MAX} bytes",
        }[wrong]

    cdef str what_is_wrong_with(self, int wrong, str name):
        """What is wrong with one of VALUES, in words."""
        dialect = self.form.dialect
        if wrong == EMPTY_VALUE:
            return f"{name} is empty"
        if name == VALUES[LOCKED]:
            return f"{name} is neither true nor false"
        if wrong == INEXACT_VALUE:
            return (
                f"bad_amount: {name} needs the {dialect.decimals} decimals that txfast writes, since the header is "
                f"that of its accounts; to have amounts read in the dialect, put the columns in another order"
            )
        if dialect.part("amounts") == "minor":
            return f"bad_amount: {name} is no whole number of the smallest unit, as amounts=minor says"
        mark = "" if "decimal" not in dialect else f" after {dialect.part('decimal')!r}"
        return f"bad_amount: {name} is no amount with at most {dialect.decimals} decimals{mark}"


cdef inline void put_balance(BalanceRows rows, const Balance* balance, KnownCodes* known) noexcept nogil:
    """Append a row, for which there is room."""
    cdef uint8_t* name
    cdef int value
    rows.client[rows.rows] = balance.client
    if rows.currency != NULL:
        rows.currency[rows.rows] = number_of(known, balance.currency)
    if rows.has_names:
        name = rows.names + rows.names_end
        rows.name_start[rows.rows] = rows.names_end
        name[0] = balance.client_text.length
        if balance.client_text.doubled:
            undouble(
                balance.client_text.start, balance.client_text.start + balance.client_text.raw_bytes,
                balance.client_text.doubled, name + 1, ID_BYTES_MAX,
            )
        else:
            memcpy(name + 1, balance.client_text.start, balance.client_text.length)
        rows.names_end += 1 + name[0]
    for value in range(VALUE_COUNT):
        if rows.has[value]:
            rows.values[value][rows.rows] = balance.values[value]
    rows.rows += 1
    rows.next_line += 1
