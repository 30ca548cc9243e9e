"""Header: which of a file's columns are type, client, tx and amount.

This module must not know what the four fields hold, nor where the file comes from.
"""

from libc.stdint cimport uint8_t

from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, take_field

from txfast.errors import InputError

COLUMN_NAMES = ("type", "client", "tx", "amount")


cdef class Header:
    """The header line of a transactions file.

    `line` is the raw line, without its ending and without a byte order mark. `file` is the file's name for the
    InputError that is raised where the line is no such header. `of_table` says that the file is a table: its rows were
    made into lines, under a header line that the file does not have.
    """

    def __cinit__(self, bytes line not None, str file not None, *, bint of_table=False):
        cdef const uint8_t* start = line
        cdef const uint8_t* end = start + len(line)
        cdef Field field
        cdef dict indexes = {}
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
                if name in indexes:
                    raise InputError(f"{file}: not a transactions file: its header names {name!r} twice")
                indexes[name] = self.columns.width
            self.columns.width += 1
            if start == end:
                break
            start += 1
        missing = [name for name in COLUMN_NAMES if name not in indexes]
        if missing:
            raise InputError(
                f"{file}: not a transactions file: its header has no column {', '.join(missing)} "
                f"(it needs {', '.join(COLUMN_NAMES)})"
            )
        self.columns.type = indexes["type"]
        self.columns.client = indexes["client"]
        self.columns.tx = indexes["tx"]
        self.columns.amount = indexes["amount"]

    @property
    def width(self):
        """The number of columns, whatever their names."""
        return self.columns.width
