"""Header: which of a file's columns are type, client, tx and amount, and how its rows are cut into fields.

This module must not know what the four fields hold, nor where the file comes from.
"""

from libc.stdint cimport uint8_t

from cpython.pycapsule cimport PyCapsule_GetPointer

from txfast.dialect.meaning cimport Compiled
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, Syntax, default_syntax, take_field
from txfast.text.endings cimport find_ending

from txfast.dialect.names import COLUMN_NAMES
from txfast.errors import InputError, not_transactions

cdef enum:
    DEL = 0x7f

# What JSON lines have for a header line: the byte that tells them from CSV.
JSON_HEADER = b"{"
# Columns that are ignored as all others, but whose names say that they may change what a row means.
TELLING_NAMES = ("currency", "fee", "status")
# The delimiters that a header tells. On a tie the first wins.
DELIMITERS = ",;\t|"
STANDARD_COLUMNS = {name: name for name in COLUMN_NAMES}


def find_columns(names not None, columns not None=STANDARD_COLUMNS):
    """For each role in `columns`, which has the name of its column, the indexes of the columns that it may be, among
    the names of all columns.

    They are those of exactly this name, or else those of this name in any case. One index is a column that was found.
    """
    cdef list found = []
    for wanted in columns.values():
        exact = [index for index, name in enumerate(names) if name == wanted]
        lower = wanted.lower()
        found.append(exact or [index for index, name in enumerate(names) if name.lower() == lower])
    return found


def telling_names(names not None):
    """Those of the names of all columns, as they are, that are one of TELLING_NAMES in any case."""
    return tuple([name for name in names if name.strip().lower() in TELLING_NAMES])


def too_long(str file not None):
    """The error for a file whose header is longer than a row may be."""
    return not_transactions(file, "its header is longer than 1 MiB: is it text, in lines?")


def made_header(Py_ssize_t width, str delimiter not None, dialect not None):
    """The header line of a file that has none, of a dialect that says so: the roles of its columns, and numbers."""
    names = [str(number) for number in range(1, width + 1)]
    for role, number in dialect.columns.items():
        if int(number) <= width:
            names[int(number) - 1] = role
    return delimiter.join(names).encode()


def table_header(dialect):
    """The header line of the lines that rows of a table become: the roles of the columns that a dialect reads."""
    names = COLUMN_NAMES if dialect is None else (*dialect.roles, *kept_names(len(dialect.kept)))
    return ",".join(names).encode()


cdef list kept_names(Py_ssize_t count):
    """The names in a `table_header` of the columns that tell which rows are read."""
    return [f"keep.{number}" for number in range(count)]


cdef int refuse_controls(bytes line, str file, uint8_t delimiter) except -1:
    """Raise HeaderError where a header line has a byte that no text has: the file may be an archive of CSV files."""
    cdef uint8_t byte
    for byte in line:
        if byte != delimiter and ((byte < c" " and not c"\t" <= byte <= c"\r") or byte == DEL):
            from txfast.batch.header_advice import control_advice

            raise not_transactions(file, f"its header has a control byte, 0x{byte:02x}: {control_advice(line)}")
    return 0


cdef list names_by(const uint8_t* start, const uint8_t* end, const Syntax* syntax):
    """The names of the columns of a header line; None where they are badly quoted."""
    cdef Field field
    cdef list names = []
    while True:
        start = take_field(start, end, syntax, &field)
        if start == NULL or (start < end and start[0] != syntax.delimiter):
            return None
        names.append(field.start[:field.end - field.start].decode("utf-8", "replace"))
        if start == end:
            return names
        start += 1


def delimiters_of(bytes line not None, dialect=None, columns=None):
    """The delimiters by which the first line of a header names all columns, those of the dialect or `columns`; else
    the one by which it names the most, or else has the most fields.

    Only the first line counts, so that the reader can tell before it knows where the row ends.
    """
    cdef Syntax syntax = default_syntax()
    cdef const uint8_t* start = line
    cdef const uint8_t* end = find_ending(start, start + len(line))
    cdef list fitting = []
    if columns is None:
        columns = STANDARD_COLUMNS if dialect is None else dialect.columns
    if dialect is not None:
        syntax = (<const Compiled*>PyCapsule_GetPointer(dialect.compiled.capsule, NULL)).syntax
    best, most = ",", (-1, 0)
    for delimiter in DELIMITERS:
        syntax.delimiter = ord(delimiter)
        if (delimiter != "," and syntax.delimiter not in line) or syntax.delimiter == syntax.quote:
            continue
        names = names_by(start, end, &syntax)
        found = -1 if names is None else sum([len(each) == 1 for each in find_columns(names, columns)])
        if found == len(columns):
            fitting.append(delimiter)
        if (found, len(names or ())) > most:
            best, most = delimiter, (found, len(names or ()))
    return fitting or [best]


cdef int refuse_double(dict indexes_by_name, str file) except -1:
    """Raise HeaderError where a name has two columns."""
    for name, indexes in indexes_by_name.items():
        if len(indexes) > 1:
            raise not_transactions(
                file,
                f"its header names {name!r} twice, in columns {indexes[0] + 1} and {indexes[1] + 1}: leave one out",
            )
    return 0


def sharing_of(dict found not None, dict wanted not None):
    """What is wrong where one column has two roles, in words; "" where none has. `found` has the indexes of the columns
    of each role, `wanted` their names."""
    cdef dict role_of = {}
    for role, indexes in found.items():
        other = role_of.setdefault(indexes[0], role)
        if other != role:
            return f"its column {wanted[role]!r} cannot be both {other} and {role}: name another column for one"
    return ""


cdef uint8_t delimiter_of(bytes line, object dialect, object columns=None) except 0:
    """The first of `delimiters_of` a header line."""
    return ord(delimiters_of(line, dialect, columns)[0])


cdef class Header:
    """The header line of a transactions file.

    `line` is the raw line, without its ending and without a byte order mark; of a file without a header it is the line
    that `made_header` makes. `file` is the file's name for the HeaderError that is raised where the line is no such
    header. `of_table` says that the file is a table: its rows were made into lines, under a header line that the file
    does not have. `is_json` says that its rows are JSON lines, which name their columns themselves: its line is
    JSON_HEADER. `ignored` are the `telling_names` of the file: of a table and of JSON lines, the reader says them.
    `dialect` is None for the default.
    """

    def __cinit__(self, bytes line not None, str file not None, *, bint of_table=False, dialect=None):
        cdef list names
        cdef const Compiled* compiled
        self.line = line
        self.dialect = dialect
        self.form.syntax = default_syntax()
        self.form.meaning = NULL
        self.form.keys = NULL
        if line == JSON_HEADER:
            self.is_json = True
            self.form.columns = columns_at(0, 1, 2, 3, len(COLUMN_NAMES))
            self.ignored = ()
            if dialect is not None:
                self.take_keys(file)
            return
        self.of_table = of_table
        if dialect is not None:
            self.compiled = dialect.compiled
            self.currencies = self.compiled.currencies
            compiled = <const Compiled*>PyCapsule_GetPointer(self.compiled.capsule, NULL)
            if not of_table:
                self.form.syntax = compiled.syntax
            if not compiled.means_default:
                self.form.meaning = &compiled.meaning
        if len(line) > ROW_BYTES_MAX:
            raise too_long(file)
        if not of_table:
            refuse_controls(line, file, self.form.syntax.delimiter)
            self.find_delimiter(file)
        names = names_by(self.line, <const uint8_t*>self.line + len(line), &self.form.syntax)
        if names is None:
            raise not_transactions(
                file,
                "its header is badly quoted: close each quote before a delimiter, or add --dialect quote=none where "
                "quotes mean nothing",
            )
        self.take_columns(names, file)
        self.ignored = telling_names([name for index, name in enumerate(names) if not self.uses(index)])

    cdef int take_keys(self, str file) except -1:
        """Take what the dialect says of JSON lines. How fields are separated and quoted means nothing there."""
        cdef const Compiled* compiled
        cdef dict wanted = self.dialect.columns
        for name in ("header", "skip"):
            if name in self.dialect:
                raise InputError(
                    f"{file}: JSON lines, which have no header: leave {name} out of the dialect, or read the file in a "
                    f"run of its own"
                )
        if sharing := sharing_of({role: [name] for role, name in wanted.items()}, wanted):
            raise InputError(f"{file}: {sharing}")
        self.compiled = self.dialect.compiled
        compiled = <const Compiled*>PyCapsule_GetPointer(self.compiled.capsule, NULL)
        self.form.syntax.comment = compiled.syntax.comment
        self.form.syntax.comment_bytes = compiled.syntax.comment_bytes
        self.form.keys = &compiled.keys
        if not compiled.means_default:
            self.form.meaning = &compiled.meaning
        if self.dialect.has_debits:
            self.form.columns.debit = len(COLUMN_NAMES)
        if self.dialect.has_currency:
            self.form.columns.currency = len(COLUMN_NAMES) + 1
            self.currencies = self.compiled.currencies
        return 0

    cdef int find_delimiter(self, str file) except -1:
        """Set the delimiter, if the dialect has none: the one that the header's first line tells."""
        cdef list fitting
        if self.dialect is not None and (self.dialect.delimiter is not None or not self.dialect.has_header):
            return 0
        fitting = delimiters_of(self.line, self.dialect)
        if len(fitting) > 1:
            raise not_transactions(
                file,
                f"its header names all columns by {' and by '.join([repr(each) for each in fitting])}: say which one "
                f"separates the fields, as --delimiter '{fitting[0]}'",
            )
        self.form.syntax.delimiter = ord(fitting[0])
        return 0

    cdef int take_columns(self, list names, str file) except -1:
        """Find the columns of the dialect among the names of all."""
        cdef Columns* columns = &self.form.columns
        cdef Py_ssize_t index
        cdef dict wanted = STANDARD_COLUMNS
        cdef list kept = []
        cdef dict found
        if self.dialect is not None:
            wanted, kept = self.dialect.columns, list(self.dialect.kept)
        if self.of_table and self.dialect is not None:
            wanted, kept = {role: role for role in wanted}, kept_names(len(kept))
        if self.of_table or self.dialect is None or self.dialect.has_header:
            found = dict(zip(wanted, find_columns(names, wanted), strict=True))
            kept_found = find_columns(names, {name: name for name in kept})
        else:
            found = {role: [int(number) - 1] if int(number) <= len(names) else [] for role, number in wanted.items()}
            kept_found = [[int(number) - 1] if int(number) <= len(names) else [] for number in kept]
        refuse_double({wanted[role]: indexes for role, indexes in found.items()}, file)
        refuse_double(dict(zip(kept, kept_found)), file)
        missing = [role for role, indexes in found.items() if not indexes]
        if missing:
            from txfast.batch.header_advice import header_advice

            shown = ", ".join([wanted[role] for role in missing])
            raise not_transactions(
                file, f"its header has no column {shown}: {header_advice(self.line, names, missing, self.dialect)}"
            )
        lost = [name for name, indexes in zip(kept, kept_found) if not indexes]
        if lost:
            raise not_transactions(
                file, f"its header has no column {lost[0]}, which keep.{lost[0]} needs: correct its name"
            )
        if sharing := sharing_of(found, wanted):
            raise not_transactions(file, sharing)
        columns.type = found["type"][0] if "type" in found else NO_COLUMN
        columns.client = found["client"][0]
        columns.tx = found["tx"][0]
        columns.amount = found["amount" if "amount" in found else "credit"][0]
        columns.debit = found["debit"][0] if "debit" in found else NO_COLUMN
        columns.currency = found["currency"][0] if "currency" in found else NO_COLUMN
        columns.width = len(names)
        columns.kept_count = len(kept)
        for index in range(columns.kept_count):
            columns.kept[index] = kept_found[index][0]
        return 0

    cdef bint uses(self, Py_ssize_t index) noexcept:
        """Whether a column matters."""
        cdef const Columns* columns = &self.form.columns
        cdef Py_ssize_t kept
        for kept in range(columns.kept_count):
            if index == columns.kept[kept]:
                return True
        return index in (columns.type, columns.client, columns.tx, columns.amount, columns.debit, columns.currency)

    @property
    def width(self):
        """The number of columns, whatever their names."""
        return self.form.columns.width

    @property
    def delimiter(self):
        """What separates the fields: a character."""
        return chr(self.form.syntax.delimiter)
