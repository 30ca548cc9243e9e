"""Whether a quoted field is closed: the rule of csv_in.pxd for callers in Python.

This module must not know where a text is from.
"""

from libc.stdint cimport uint8_t

from txfast.text.csv_in cimport CLOSED, OPEN, Quoting, Syntax, close_quotes, default_syntax


def closes(bytes text not None, *, bint is_whole=False, str delimiter=","):
    """Whether the quoted field that opens with the first byte of a text is closed in it as it should be; None where
    more of the text is needed to say so. Where nothing follows the text, it `is_whole`."""
    cdef const uint8_t* start = text
    cdef const uint8_t* closing
    cdef const uint8_t* after
    cdef Syntax syntax = default_syntax()
    cdef Quoting quoting
    syntax.delimiter = <uint8_t>ord(delimiter)
    syntax.quote = start[0]
    quoting = close_quotes(start, start + len(text), is_whole, &syntax, &closing, &after)
    return None if quoting == OPEN else quoting == CLOSED
