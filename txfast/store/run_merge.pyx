"""RunMerge: the rows of several runs in order, of equal keys the newest alone. `merge` writes them as one run.

This module must not know what rows mean, nor which runs are worth merging.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from txfast.store.row_values cimport values_of
from txfast.store.run_cursor cimport Cursor, RunCursor, begin_at, go_to_next
from txfast.store.segment_form cimport Form
from txfast.store.segment_row cimport compare_rows, compare_words
from txfast.store.segment_writer cimport RunWriter

# The greatest word.
WORD_MAX = (1 << 64) - 1


cdef class RunMerge:
    """The rows of runs whose clients have words from `from_word` to `last_word`. There is a RunCursor for each run, the
    oldest first; nobody else may use them. Iterate it for tuples (row_values.pyx).

    Iterating raises StateError, SourceError and MemoryError.
    """

    def __cinit__(self, cursors, uint64_t from_word=0, uint64_t last_word=WORD_MAX):
        cdef RunCursor cursor
        self.first_word = from_word
        self.last_word = last_word
        self.cursors = list(cursors)
        self.heap = <MergedRun*>malloc((len(self.cursors) + 1) * sizeof(MergedRun))
        if self.heap == NULL:
            raise MemoryError(f"no memory to merge {len(self.cursors)} runs")
        for cursor in self.cursors:
            self.heap[self.count].cursor = &cursor.cursor
            self.count += 1
            self.heap[self.count - 1].age = len(self.cursors) - self.count

    def __dealloc__(self):
        free(self.heap)

    def __iter__(self):
        return self

    def __next__(self):
        cdef Cursor* cursor
        if not self.next():
            raise StopIteration
        cursor = self.heap[0].cursor
        return values_of(self.row, &cursor.run[cursor.at_segment].form)

    cdef int next(self) except -1 nogil:
        """Go to the next row: 1, and 0 at the end."""
        cdef Py_ssize_t second
        if not self.is_begun:
            self.begin()
        elif self.count:
            # Older rows with the key of the row before stand next to it.
            while self.count > 1:
                second = 2 if self.count > 2 and is_less(&self.heap[2], &self.heap[1]) else 1
                if not is_same(&self.heap[0], &self.heap[second]):
                    break
                self.advance(second)
            self.advance(0)
        if self.count and self.heap[0].client_word > self.last_word:
            self.count = 0
        if not self.count:
            return 0
        self.row = &self.heap[0].cursor.row
        return 1

    cdef int begin(self) except -1 nogil:
        """Find the first row of each run."""
        cdef Py_ssize_t place = self.count
        self.is_begun = True
        while place:
            place -= 1
            begin_at(self.heap[place].cursor, self.first_word)
            self.advance(place)
        return 0

    cdef int advance(self, const Py_ssize_t place) except -1 nogil:
        """Go to the next row of a run; take the run out at its end. The runs behind it in the heap are in order."""
        cdef MergedRun* run = &self.heap[place]
        if go_to_next(run.cursor):
            run.client_word = run.cursor.row.client_word
            run.tx_word = run.cursor.row.tx_word
        else:
            self.count -= 1
            run[0] = self.heap[self.count]
        self.sift_down(place)
        return 0

    cdef void sift_down(self, Py_ssize_t place) noexcept nogil:
        """Put a run at its place among those behind it."""
        cdef MergedRun run
        cdef Py_ssize_t child = 2 * place + 1
        if place >= self.count:
            return
        run = self.heap[place]
        while child < self.count:
            if child + 1 < self.count and is_less(&self.heap[child + 1], &self.heap[child]):
                child += 1
            if not is_less(&self.heap[child], &run):
                break
            self.heap[place] = self.heap[child]
            place = child
            child = 2 * place + 1
        self.heap[place] = run


cdef inline bint is_same(const MergedRun* one, const MergedRun* other) noexcept nogil:
    """Whether the rows of two runs have the same key."""
    if one.client_word != other.client_word or one.tx_word != other.tx_word:
        return False
    return compare_rows(&one.cursor.row, &other.cursor.row) == 0


cdef bint is_less(const MergedRun* one, const MergedRun* other) noexcept nogil:
    """Whether the row of a run comes first: of the same key, that of the newer run."""
    cdef int order = compare_words(one.client_word, one.tx_word, other.client_word, other.tx_word)
    if not order:
        order = compare_rows(&one.cursor.row, &other.cursor.row)
    return order < 0 or (order == 0 and one.age < other.age)


def merge(runs, path_of, Form form not None, *, from_word=0, rows_max=None, durable=True):
    """Write the rows of runs, the oldest run first, as one run; return the paths and descriptions of its segments, and
    the word of the client with which to go on: None where all rows are written.

    It begins at `from_word`, and ends before the next client once `rows_max` rows are written. `path_of(kind, number)`
    names the file of a segment, by the form's kind and a number from 0 on. Raises StateError, SourceError and
    MemoryError.
    """
    cdef RunMerge merging = RunMerge([RunCursor(run, drops_read=True) for run in runs], from_word)
    has_details = any([segment.has_details for run in runs for segment in run])
    cdef RunWriter writer = RunWriter(form.kind, path_of, form, has_details)
    cdef uint64_t most = ~<uint64_t>0 if rows_max is None else max(1, rows_max)
    cdef uint64_t next_word = 0
    cdef bint is_cut
    with nogil:
        is_cut = write_rows(merging, writer, most, &next_word)
    return writer.finish(durable), next_word if is_cut else None


cdef int write_rows(
    RunMerge merging, RunWriter writer, const uint64_t rows_max,
    uint64_t* next_word,  # OUT the word of the client that is next
) except -1 nogil:
    """Write rows; 1 where it has stopped before the last."""
    cdef uint64_t rows = 0, word = 0
    while merging.next():
        if rows >= rows_max and merging.row.client_word != word:
            next_word[0] = merging.row.client_word
            return 1
        word = merging.row.client_word
        writer.add(merging.row)
        rows += 1
    return 0
