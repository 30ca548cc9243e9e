"""The header of a transactions file, and the row parser as Python sees it.

The row parser itself is in row.pxd, inline for the readers.
"""

from libc.stdint cimport uint8_t

from txfast.batch.batch cimport KIND_MASK, NO_AMOUNT

from txfast.batch.batch import KINDS
from txfast.errors import InputError

# By code: row.pxd's Malformed.
MALFORMED_REASONS = (
    "", "row_too_long", "bad_quoting", "missing_field", "bad_type", "bad_client", "bad_tx", "bad_amount",
)
assert len(MALFORMED_REASONS) == MALFORMED_COUNT

COLUMN_NAMES = ("type", "client", "tx", "amount")


cdef class Header:
    """The header line of a transactions file: which of its columns are the four that matter.

    `line` is the raw line without its ending or byte order mark. `file` is named in the InputError that is raised
    where the line is no such header. `of_table` says that the lines are made of a table's rows.
    """

    def __cinit__(self, bytes line not None, str file not None, *, bint of_table=False):
        cdef const uint8_t* start = line
        cdef const uint8_t* end = start + len(line)
        cdef Field field
        cdef dict places = {}
        self.line = line
        self.of_table = of_table
        if len(line) > ROW_BYTES_MAX:
            raise InputError(f"{file}: not a transactions file: its header is longer than 1 MiB")
        while True:
            start = take_field(start, end, &field)
            if start == NULL:
                raise InputError(f"{file}: not a transactions file: its header is badly quoted")
            name = field.start[:field.end - field.start].decode("utf-8", "replace")
            if name in COLUMN_NAMES:
                if name in places:
                    raise InputError(f"{file}: not a transactions file: its header names {name!r} twice")
                places[name] = self.width
            self.width += 1
            if start == end:
                break
            start += 1
        missing = [name for name in COLUMN_NAMES if name not in places]
        if missing:
            raise InputError(
                f"{file}: not a transactions file: its header has no column {', '.join(missing)} "
                f"(it needs {', '.join(COLUMN_NAMES)})"
            )
        self.columns.type = places["type"]
        self.columns.client = places["client"]
        self.columns.tx = places["tx"]
        self.columns.amount = places["amount"]

    def parse(self, bytes line not None):
        """Parse one raw line: (kind, client, tx, amount in units of 0.0001 or None), the name of the reason why
        it is malformed, or None for a blank line."""
        cdef const uint8_t* start = line
        cdef Row row
        cdef Malformed malformed = parse_row(start, start + len(line), &self.columns, &row)
        if malformed == BLANK_LINE:
            return None
        if malformed != WELL_FORMED:
            return MALFORMED_REASONS[<int>malformed]
        return (
            KINDS[row.kind & KIND_MASK], row.client, row.tx, None if row.kind & NO_AMOUNT else row.amount,
        )
