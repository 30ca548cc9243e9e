"""The rejects of a result, under a memory limit: in memory while they are few, then in a file without a name.

The file is mapped to memory in the end: what is not looked at takes none. This module must not know why a row is a
reject.
"""

from txfast.spill.file import SpillFile, Stream
from txfast.writers.reject_tables import CollectedRejects, reject_schema
from txfast.writers.sink import Sink

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa

    from txfast.batch.batch import TransactionBatch
else:
    from txfast.late import pa

# Of a memory limit, rejects may take such a share.
LIMIT_BYTES_PER_BYTE = 16


class KeptRejects:
    """Rejects for a result: `add` every batch in order, then `finish`, which returns them as record batches.

    Beyond `memory_bytes` they go to a file in `folder`. Raises SpillError where it cannot be written.
    """

    def __init__(self, memory_bytes: int, folder: str | None) -> None:
        self.memory_bytes = memory_bytes
        self._collected = CollectedRejects()
        self._kept: list[pa.RecordBatch] = []
        self._kept_bytes = 0
        self._file = SpillFile(folder)
        self._sink = Sink(Stream(self._file))
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None

    def add(self, file: str, batch: "TransactionBatch") -> None:
        """Add the rejects of an applied batch of this file. Raises MemoryError and SpillError."""
        self._collected.add(file, batch)
        self._keep()

    def finish(self) -> "list[pa.RecordBatch]":
        """All rejects: there are no more. Raises SpillError."""
        self._collected.finish()
        self._keep()
        if self._writer is None:
            return self._kept
        self._writer.close()
        mapped = self._file.mapped()
        self._file.close()
        return list(pa.ipc.open_stream(pa.py_buffer(mapped)))

    def _keep(self) -> None:
        taken = self._collected.take()
        if self._writer is None:
            self._kept += taken
            self._kept_bytes += sum(each.nbytes for each in taken)
            if self._kept_bytes <= self.memory_bytes:
                return
            taken, self._kept = self._kept, []
            self._writer = pa.ipc.new_stream(self._sink, reject_schema())
        try:
            for each in taken:
                self._writer.write_batch(each)
        except BaseException:
            self._sink.abandoned = True
            raise
