"""Statuses of rows, a byte each: copied from and to batches, and StatusReader, which finds those of spilled rows."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from txfast.batch.batch cimport TransactionBatch
from txfast.spill.partitions cimport Partitions, partition_of

from txfast.errors import SpillError


def statuses_of(TransactionBatch batch not None, uint32_t shard=0):
    """The statuses of a batch's rows; only those of `shard` if the batch was routed."""
    cdef Py_ssize_t rows, index
    cdef const uint32_t* routed = batch.routed_to(shard, &rows)
    cdef bytes statuses
    cdef uint8_t* out
    if routed == NULL:
        return batch.status[:rows]
    statuses = PyBytes_FromStringAndSize(NULL, rows)
    out = <uint8_t*>PyBytes_AS_STRING(statuses)
    for index in range(rows):
        out[index] = batch.status[routed[index]]
    return statuses


def set_statuses(TransactionBatch batch not None, uint32_t shard, const uint8_t[::1] statuses not None):
    """Set the statuses of a batch's rows; only those of `shard` if the batch was routed."""
    cdef Py_ssize_t rows, index
    cdef const uint32_t* routed = batch.routed_to(shard, &rows)
    if statuses.shape[0] != rows:
        raise ValueError(f"{statuses.shape[0]} statuses for {rows} rows")
    for index in range(rows):
        batch.status[index if routed == NULL else routed[index]] = statuses[index]


cdef class StatusReader:
    """Reads the statuses of rows in their original order, from the statuses of each partition's rows.

    `readinto(partition, view)` fills a view with the next statuses of a partition, in the order of its rows, and
    returns their number.
    """

    cdef Partitions partitions
    cdef object readinto
    cdef uint8_t* buffers
    cdef Py_ssize_t* offsets
    cdef Py_ssize_t* ends
    cdef Py_ssize_t buffer_bytes

    def __cinit__(self, Partitions partitions not None, readinto not None, Py_ssize_t buffer_bytes):
        self.partitions = partitions
        self.readinto = readinto
        self.buffer_bytes = max(buffer_bytes, 1)
        self.buffers = <uint8_t*>malloc(partitions.count * self.buffer_bytes)
        self.offsets = <Py_ssize_t*>calloc(partitions.count, sizeof(Py_ssize_t))
        self.ends = <Py_ssize_t*>calloc(partitions.count, sizeof(Py_ssize_t))
        if self.buffers == NULL or self.offsets == NULL or self.ends == NULL:
            raise MemoryError(f"no memory to read statuses of {partitions.count} partitions")

    def __dealloc__(self):
        free(self.buffers)
        free(self.offsets)
        free(self.ends)

    def fill(self, TransactionBatch batch not None, uint32_t shard=0):
        """Set the statuses of a batch's rows; only those of `shard` if the batch was routed. Raises SpillError."""
        cdef Py_ssize_t rows, row, index = 0
        cdef const uint32_t* routed = batch.routed_to(shard, &rows)
        cdef uint32_t number = 0
        while index < rows:
            with nogil:
                while index < rows:
                    row = index if routed == NULL else routed[index]
                    number = partition_of(self.partitions, batch.client[row])
                    if self.offsets[number] == self.ends[number]:
                        break
                    batch.status[row] = self.buffers[number * self.buffer_bytes + self.offsets[number]]
                    self.offsets[number] += 1
                    index += 1
            if index < rows:
                self.offsets[number] = 0
                self.ends[number] = self.readinto(
                    number, <uint8_t[:self.buffer_bytes]>(self.buffers + number * self.buffer_bytes)
                )
                if not self.ends[number]:
                    raise SpillError("fewer rows were settled than were spilled: this is a defect: please report it")
