"""The start of a file: lines that the dialect skips, and the delimiter, before the first row is known.

This module must not know what a header says.
"""

from libc.stdint cimport uint8_t

from cpython.pycapsule cimport PyCapsule_GetPointer

from txfast.batch.header cimport delimiter_of
from txfast.dialect.meaning cimport Compiled
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, Syntax, default_syntax, is_comment, skip_blanks, take_field
from txfast.text.endings cimport CR, find_ending, past_ending

# What the beginning of a text says of the delimiter.
cdef enum Found:
    MORE_NEEDED  # its first row is not whole
    NOTHING  # it has no row
    FOUND


cdef inline Syntax syntax_of(object dialect) except *:
    """How a file is cut in a dialect, with a comma where the header tells the delimiter."""
    if dialect is None:
        return default_syntax()
    return (<const Compiled*>PyCapsule_GetPointer(dialect.compiled.capsule, NULL)).syntax


cdef inline const uint8_t* past_lines(
    const uint8_t* p, const uint8_t* end, Py_ssize_t lines, const bint is_whole,
) noexcept nogil:
    """Where the line after some lines begins, or the end of a text that `is_whole`; NULL where more text is needed."""
    cdef const uint8_t* ending
    while lines:
        ending = find_ending(p, end)
        # A CR at the end may be half of an ending.
        if not is_whole and (ending == end or (ending == end - 1 and ending[0] == CR)):
            return NULL
        p = past_ending(ending, end)
        lines -= 1
    return p


cdef inline Found find_delimiter(
    const uint8_t* p, const uint8_t* end, const bint is_whole, Syntax* syntax, object dialect, object columns=None,
) except *:
    """Set the delimiter under which the first row's first line names all columns, or most: those of the dialect, or
    `columns`. A line beyond ROW_BYTES_MAX tells nothing."""
    cdef const uint8_t* start
    cdef const uint8_t* ending
    while p < end:
        start = skip_blanks(p, end, syntax)
        ending = find_ending(start, end)
        if ending == end and not is_whole and ending > start:
            return MORE_NEEDED if ending - start <= ROW_BYTES_MAX else FOUND
        if start < ending and not is_comment(start, ending, syntax):
            line = p[:min(ending - p, <Py_ssize_t>ROW_BYTES_MAX)]
            syntax.delimiter = delimiter_of(line, dialect, columns)
            return FOUND
        p = past_ending(ending, end)
    return NOTHING


cdef inline Py_ssize_t count_fields(
    const uint8_t* p, const uint8_t* end, const Syntax* syntax,
) noexcept nogil:
    """The number of fields of the row at the start of a text, up to one that is badly quoted."""
    cdef Py_ssize_t fields = 0
    cdef Field field
    while True:
        p = take_field(p, end, syntax, &field)
        fields += 1
        if p == NULL or p == end or p[0] != syntax.delimiter:
            return fields
        p += 1
