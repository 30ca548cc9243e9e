"""The parts of Parquet's metadata that say how much memory a file takes: the footer, and the header of each page.

pyarrow decodes a page into as much memory as its header asks for, and ends the process where the metadata of a column
has damaged statistics. So txfast reads these parts itself, before pyarrow decodes anything. A value that pyarrow would
skip, since it has another type than the format says, is skipped here too; one that is missing is damage.

This module must not know how much memory there is. https://github.com/apache/parquet-format
"""

from libc.stdint cimport int64_t

from txfast.readers.thrift_compact cimport BINARY, I32, I64, LIST, STRUCT, CompactReader, FieldHead

from txfast.readers.thrift_compact import ThriftError

cdef enum:
    # A file ends with the length of the footer, and PARQUET_MAGIC.
    TAIL_BYTES = 8
    # Physical types.
    BYTE_ARRAY = 6
    FIXED_LEN_BYTE_ARRAY = 7
    # Fields of a page header with more about the page.
    DATA_FIELD = 5
    DICTIONARY_FIELD = 7
    DATA_V2_FIELD = 8

PARQUET_MAGIC = b"PAR1"
# A page header may have long texts in its statistics; pyarrow reads no longer ones.
cdef Py_ssize_t PAGE_HEADER_BYTES_MAX = 16 << 20

# Bytes of a decoded value of a fixed size, if its type says no larger one, and of the largest: decimals.
cdef int64_t VALUE_BYTES = 16
cdef int64_t VALUE_BYTES_MAX = 32
# Kinds of pages.
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 0, 2, 3
# Encodings in which a value can take more memory than it has bytes in its page.
PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 2, 7, 8


cdef class Leaf:
    """A column of values: its name, its index among all of them, and the bytes of a decoded value.

    With `is_text`, values are of any length.
    """

    cdef readonly str name
    cdef readonly Py_ssize_t index
    cdef readonly bint is_text
    cdef readonly int64_t value_bytes


cdef class Chunk:
    """A column of a row group: where its pages begin and end, how many values they have, and the number of their
    codec."""

    cdef readonly int64_t start
    cdef readonly int64_t end
    cdef readonly int64_t values
    cdef readonly int64_t codec


cdef class RowGroup:
    """The number of rows of a row group, its chunks of the columns that are read, and where the last of all its chunks
    ends."""

    cdef readonly int64_t rows
    cdef readonly int64_t end
    cdef readonly list chunks


cdef class Page:
    """A page: its kind, encoding and number of values, where its content begins, and the bytes of the content."""

    cdef readonly int64_t kind
    cdef readonly int64_t encoding
    cdef readonly int64_t values
    cdef readonly int64_t start
    cdef readonly int64_t compressed_bytes
    cdef readonly int64_t uncompressed_bytes


# ---- The footer ------------------------------------------------------------------------------------


def footer_place(read_at, int64_t size):
    """(offset, size) of the footer of a file of this size. `read_at` reads bytes: (offset, count). Raises
    ThriftError."""
    cdef bytes tail = read_at(max(0, size - TAIL_BYTES), TAIL_BYTES)
    cdef int64_t count = int.from_bytes(tail[:4], "little")
    if tail[4:] != PARQUET_MAGIC or count > size - TAIL_BYTES - len(PARQUET_MAGIC):
        raise ThriftError("it has no footer at its end")
    return size - TAIL_BYTES - count, count


def read_footer(bytes footer not None, names):
    """The leaves of these columns, and the row groups, that a footer names. Raises ThriftError."""
    cdef CompactReader reader = CompactReader(footer)
    cdef FieldHead head
    cdef Py_ssize_t columns = 0
    cdef list leaves = None
    cdef list groups = []
    head.number = 0
    while reader.next_field(&head):
        if head.number == 2 and head.kind == LIST:
            leaves = read_leaves(reader, names, &columns)
        elif head.number == 4 and head.kind == LIST:
            if leaves is None:
                raise ThriftError("it has row groups without a schema")
            groups = [read_row_group(reader, leaves, columns) for _ in range(reader.items(STRUCT))]
        else:
            reader.skip(head.kind)
    if leaves is None:
        raise ThriftError("it has no schema")
    return leaves, groups


cdef list read_leaves(CompactReader reader, names, Py_ssize_t* columns):
    """The leaves of these columns in a list of schema elements. `columns` becomes the number of all leaves."""
    cdef dict found = {}
    cdef Leaf leaf
    cdef int64_t children, physical, length
    # How many children are left, by depth: the root's are columns.
    cdef list left = []
    cdef bint is_root, is_column
    cdef str name
    columns[0] = 0
    for _ in range(reader.items(STRUCT)):
        name = read_element(reader, &children, &physical, &length)
        is_column = len(left) == 1
        is_root = not left
        if left:
            left.append(left.pop() - 1)
        if children or is_root:
            left.append(children)
        else:
            if is_column and name in names:
                found[name] = leaf = Leaf.__new__(Leaf)
                leaf.name, leaf.index, leaf.is_text = name, columns[0], physical == BYTE_ARRAY
                leaf.value_bytes = max(VALUE_BYTES, length if physical == FIXED_LEN_BYTE_ARRAY else 0)
                if leaf.value_bytes > VALUE_BYTES_MAX:
                    raise ThriftError(f"column {name!r} has values of {length} bytes each")
            columns[0] += 1
        # Leave what has no more children; the root's place stays.
        while len(left) > 1 and left[len(left) - 1] <= 0:
            left.pop()
    for name in names:
        if name not in found:
            raise ThriftError(f"column {name!r} has no values of its own")
    return [found[name] for name in names]


cdef str read_element(CompactReader reader, int64_t* children, int64_t* physical, int64_t* length):
    """The name of a schema element, its number of children, its physical type and the bytes of a fixed value."""
    cdef FieldHead head
    cdef bytes name = b""
    children[0] = length[0] = 0
    physical[0] = -1
    head.number = 0
    while reader.next_field(&head):
        if head.number == 1 and head.kind == I32:
            physical[0] = reader.integer(I32)
        elif head.number == 2 and head.kind == I32:
            length[0] = reader.integer(I32)
        elif head.number == 4 and head.kind == BINARY:
            name = reader.binary()
        elif head.number == 5 and head.kind == I32:
            children[0] = reader.integer(I32)
        else:
            reader.skip(head.kind)
    return name.decode(errors="replace")


cdef RowGroup read_row_group(CompactReader reader, list leaves, Py_ssize_t columns):
    """A row group of a file with so many leaves."""
    cdef FieldHead head
    cdef RowGroup group = RowGroup.__new__(RowGroup)
    cdef Chunk chunk
    cdef Py_ssize_t index, count = 0
    cdef dict chunks = {}
    cdef list wanted = [each.index for each in leaves]
    group.rows = -1
    group.end = 0
    head.number = 0
    while reader.next_field(&head):
        if head.number == 1 and head.kind == LIST:
            count = reader.items(STRUCT)
            for index in range(count):
                chunk = read_chunk(reader)
                group.end = max(group.end, chunk.end)
                if index in wanted:
                    chunks[index] = chunk
        elif head.number == 3 and head.kind == I64:
            group.rows = reader.integer(I64)
        else:
            reader.skip(head.kind)
    if group.rows < 0 or count != columns:
        raise ThriftError(f"a row group has {group.rows} rows, and {count} of {columns} columns")
    group.chunks = [chunks[each] for each in wanted]
    return group


cdef Chunk read_chunk(CompactReader reader):
    """A chunk, from the struct around its metadata."""
    cdef FieldHead head
    cdef Chunk chunk = None
    head.number = 0
    while reader.next_field(&head):
        if head.number == 3 and head.kind == STRUCT:
            chunk = read_chunk_metadata(reader)
        else:
            reader.skip(head.kind)
    if chunk is None:
        raise ThriftError("a column says nothing about its pages")
    return chunk


cdef Chunk read_chunk_metadata(CompactReader reader):
    cdef FieldHead head
    cdef Chunk chunk = Chunk.__new__(Chunk)
    cdef int64_t dictionary = 0, size = 0
    chunk.codec = chunk.values = chunk.start = -1
    head.number = 0
    while reader.next_field(&head):
        if head.number == 4 and head.kind == I32:
            chunk.codec = reader.integer(I32)
        elif head.number == 5 and head.kind == I64:
            chunk.values = reader.integer(I64)
        elif head.number == 7 and head.kind == I64:
            size = reader.integer(I64)
        elif head.number == 9 and head.kind == I64:
            chunk.start = reader.integer(I64)
        elif head.number == 11 and head.kind == I64:
            dictionary = reader.integer(I64)
        else:
            reader.skip(head.kind)
    if chunk.codec < 0 or chunk.values < 0 or chunk.start < 0:
        raise ThriftError("the metadata of a column is not whole")
    if 0 < dictionary < chunk.start:
        chunk.start = dictionary
    chunk.end = chunk.start + size
    return chunk


# ---- Pages -----------------------------------------------------------------------------------------


def pages_of(Chunk chunk not None, read_at, int64_t size, int64_t read_bytes):
    """Iterate the pages of a chunk of a file of this size, of which `read_bytes` are read at once.

    Raises ThriftError.
    """
    cdef int64_t offset = chunk.start
    cdef int64_t left = chunk.values
    cdef int64_t window_start = offset
    cdef bytes window = b""
    cdef Page page
    while left > 0:
        if not window_start <= offset < window_start + len(window):
            window_start, window = offset, read_at(offset, read_bytes)
        try:
            page = read_page(window, offset - window_start, window_start)
        except ThriftError as error:
            if not error.needs_more:
                raise
            window_start, window = offset, read_at(offset, max(read_bytes, PAGE_HEADER_BYTES_MAX))
            page = read_page(window, 0, window_start)
        offset = page.start + page.compressed_bytes
        if offset > size:
            raise ThriftError("a page ends beyond the end of the file")
        if page.kind != DICTIONARY_PAGE:
            left -= page.values
        yield page


cdef Page read_page(bytes window, Py_ssize_t offset, int64_t window_start):
    """The page whose header is at this offset of a window, which begins at `window_start` of the file."""
    cdef CompactReader reader = CompactReader(window, offset)
    cdef FieldHead head
    cdef Page page = Page.__new__(Page)
    cdef int64_t details = -1
    page.kind = page.compressed_bytes = page.uncompressed_bytes = page.values = page.encoding = -1
    head.number = 0
    while reader.next_field(&head):
        if head.number == 1 and head.kind == I32:
            page.kind = reader.integer(I32)
        elif head.number == 2 and head.kind == I32:
            page.uncompressed_bytes = reader.integer(I32)
        elif head.number == 3 and head.kind == I32:
            page.compressed_bytes = reader.integer(I32)
        elif head.kind == STRUCT and (
            head.number == DATA_FIELD or head.number == DICTIONARY_FIELD or head.number == DATA_V2_FIELD
        ):
            read_details(reader, page, 4 if head.number == DATA_V2_FIELD else 2)
            details = head.number
        else:
            reader.skip(head.kind)
    page.start = window_start + reader.offset
    if page.kind < 0 or page.compressed_bytes < 0 or page.uncompressed_bytes < 0:
        raise ThriftError("the header of a page is not whole")
    if page.kind not in (DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2):
        page.values = 0  # pyarrow passes over it
    elif details != {DATA_PAGE: DATA_FIELD, DICTIONARY_PAGE: DICTIONARY_FIELD}.get(page.kind, DATA_V2_FIELD):
        raise ThriftError("the header of a page is that of another kind")
    elif page.values < 0 or page.encoding < 0:
        raise ThriftError("the header of a page does not say what it has")
    return page


cdef int read_details(CompactReader reader, Page page, int encoding_field) except -1:
    """Read the number of values and the encoding of a page."""
    cdef FieldHead head
    head.number = 0
    while reader.next_field(&head):
        if head.number == 1 and head.kind == I32:
            page.values = reader.integer(I32)
        elif head.number == encoding_field and head.kind == I32:
            page.encoding = reader.integer(I32)
        else:
            reader.skip(head.kind)
    return 0


def longest_text(bytes texts not None):
    """The bytes of the longest of texts in Parquet's plain encoding: each after its length. Raises ThriftError."""
    cdef const unsigned char* data = texts
    cdef int64_t size = len(texts)
    cdef int64_t offset = 0, length, longest = 0
    while offset < size:
        if size - offset < 4:
            raise ThriftError("a dictionary ends inside a text")
        length = data[offset] | data[offset + 1] << 8 | data[offset + 2] << 16 | <int64_t>data[offset + 3] << 24
        if length > size - offset - 4:
            raise ThriftError("a dictionary ends inside a text")
        longest = max(longest, length)
        offset += 4 + length
    return longest
