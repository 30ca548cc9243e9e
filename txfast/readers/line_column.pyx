"""Copies the lines of a binary column into the text of a batch: pyarrow cuts a file into such lines.

This module must not know pyarrow: it takes the offsets and bytes of a binary column as buffers.
"""

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy

from txfast.batch.batch cimport TransactionBatch
from txfast.text.endings cimport LF


def copy_lines(
    TransactionBatch batch not None,
    object offsets not None,
    const signed char[::1] text,
    Py_ssize_t first,
    Py_ssize_t count,
):
    """Copy the lines `first` to `first + count` of a binary column into the batch's buffer, each with LF, as its text.

    `offsets` is a buffer of at least `first + count + 1` int32, in bytes of `text`; `text` is None where all lines
    are empty. Raises ValueError where a line does not lie in the buffers, after the one before it.
    """
    cdef const signed char[::1] offset_bytes = offsets
    cdef const int32_t* starts
    cdef const uint8_t* source = b""
    cdef uint8_t* copy
    cdef Py_ssize_t text_bytes
    cdef Py_ssize_t offset_count = offset_bytes.nbytes // <Py_ssize_t>sizeof(int32_t)
    if first < 0 or count < 0:
        raise ValueError(f"no {count} lines begin at line {first}")
    if first >= offset_count or count >= offset_count - first:
        raise ValueError("offsets too short for that many lines")
    starts = <const int32_t*>&offset_bytes[0] + first
    if not ascend(starts, count):
        raise ValueError("offsets that do not ascend")
    if starts[count] > 0:
        if text is None or text.nbytes < starts[count]:
            raise ValueError("text too short for those offsets")
        source = <const uint8_t*>&text[0]
    text_bytes = starts[count] - starts[0] + count
    copy = batch.text_room(text_bytes)
    with nogil:
        add_endings(copy, source, starts, count)
    batch.attach(batch.buffer, copy, text_bytes)


cdef bint ascend(const int32_t* starts, Py_ssize_t count) noexcept nogil:
    """Whether no line starts before 0 or ends before it starts."""
    cdef Py_ssize_t line
    cdef int32_t wrong = starts[0]
    for line in range(count):
        # Negative where one of them is: without a branch, eight lines at once.
        wrong |= starts[line + 1] | -(starts[line + 1] < starts[line])
    return wrong >= 0


cdef void add_endings(uint8_t* out, const uint8_t* text, const int32_t* starts, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t line, length
    for line in range(count):
        length = starts[line + 1] - starts[line]
        memcpy(out, text + starts[line], length)
        out[length] = LF
        out += length + 1
