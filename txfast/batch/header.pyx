"""Header: which of a file's columns are type, client, tx and amount.

This module must not know what the four fields hold, nor where the file comes from.
"""

from libc.stdint cimport uint8_t

from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, take_field

from txfast.errors import not_transactions

cdef enum:
    DEL = 0x7f

COLUMN_NAMES = ("type", "client", "tx", "amount")
# Columns that are ignored as all others, but whose names say that they may change what a row means.
TELLING_NAMES = ("currency", "fee", "status")


def find_columns(names not None):
    """For each of COLUMN_NAMES, in order, the indexes of the columns that it may be, among the names of all columns.

    They are those of exactly this name, or else those of this name in any case. One index is a column that was found.
    """
    cdef dict exact = {name: [] for name in COLUMN_NAMES}
    cdef dict in_any_case = {name: [] for name in COLUMN_NAMES}
    for index, name in enumerate(names):
        if name in exact:
            exact[name].append(index)
        elif (lower := name.lower()) in in_any_case:
            in_any_case[lower].append(index)
    return [exact[name] or in_any_case[name] for name in COLUMN_NAMES]


def telling_names(names not None):
    """Those of the names of all columns, as they are, that are one of TELLING_NAMES in any case."""
    return tuple([name for name in names if name.strip().lower() in TELLING_NAMES])


def too_long(str file not None):
    """The error for a file whose header is longer than a row may be."""
    return not_transactions(file, "its header is longer than 1 MiB: is it text, in lines?")


cdef int refuse_controls(bytes line, str file) except -1:
    """Raise HeaderError where a header line has a byte that no text has: the file may be an archive of CSV files."""
    cdef uint8_t byte
    for byte in line:
        if (byte < c" " and not c"\t" <= byte <= c"\r") or byte == DEL:
            from txfast.batch.header_advice import control_advice

            raise not_transactions(file, f"its header has a control byte, 0x{byte:02x}: {control_advice(line)}")
    return 0


cdef class Header:
    """The header line of a transactions file.

    `line` is the raw line, without its ending and without a byte order mark. `file` is the file's name for the
    HeaderError that is raised where the line is no such header. `of_table` says that the file is a table: its rows were
    made into lines, under a header line that the file does not have. `ignored` are the `telling_names` of the file: of
    a table, its reader says them.
    """

    def __cinit__(self, bytes line not None, str file not None, *, bint of_table=False):
        cdef const uint8_t* start = line
        cdef const uint8_t* end = start + len(line)
        cdef Field field
        cdef list names = []
        if not of_table:
            refuse_controls(line, file)
        self.line = line
        self.of_table = of_table
        if len(line) > ROW_BYTES_MAX:
            raise too_long(file)
        while True:
            start = take_field(start, end, &field)
            if start == NULL or (start < end and start[0] != c","):
                from txfast.batch.header_advice import quoting_advice

                raise not_transactions(file, f"its header is badly quoted: {quoting_advice(line)}")
            names.append(field.start[:field.end - field.start].decode("utf-8", "replace"))
            if start == end:
                break
            start += 1
        found = dict(zip(COLUMN_NAMES, find_columns(names), strict=True))
        for name, indexes in found.items():
            if len(indexes) > 1:
                raise not_transactions(
                    file,
                    f"its header names {name!r} twice, in columns {indexes[0] + 1} and {indexes[1] + 1}: "
                    f"leave one out",
                )
        missing = [name for name, indexes in found.items() if not indexes]
        if missing:
            from txfast.batch.header_advice import header_advice

            raise not_transactions(
                file, f"its header has no column {', '.join(missing)}: {header_advice(line, names, missing)}"
            )
        self.columns.type = found["type"][0]
        self.columns.client = found["client"][0]
        self.columns.tx = found["tx"][0]
        self.columns.amount = found["amount"][0]
        self.columns.width = len(names)
        self.ignored = telling_names(names)

    @property
    def width(self):
        """The number of columns, whatever their names."""
        return self.columns.width
