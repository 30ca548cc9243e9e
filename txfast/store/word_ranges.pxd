"""Ranges of the words of clients, each with so few rows that they can be sorted at once."""

from libc.stdint cimport uint64_t

cdef enum:
    # Rows are counted in the parts of all words, by their top bits.
    PART_BITS = 12
    PARTS = 1 << 12
    PART_SHIFT = 64 - PART_BITS


cdef inline list cut_ranges(
    const uint64_t* parts,  # IN the rows of each part
    const uint64_t rows_max,  # IN of a range, unless a single part has more
):
    """The first word, the last one and the rows of each range."""
    cdef uint64_t rows = 0
    cdef Py_ssize_t part, first = 0
    cdef list ranges = []
    for part in range(PARTS):
        if rows and rows + parts[part] > rows_max:
            ranges.append((<uint64_t>first << PART_SHIFT, (<uint64_t>part << PART_SHIFT) - 1, rows))
            first = part
            rows = 0
        rows += parts[part]
    ranges.append((<uint64_t>first << PART_SHIFT, ~<uint64_t>0, rows))
    return ranges
