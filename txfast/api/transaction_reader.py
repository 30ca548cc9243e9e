"""TransactionReader: a pyarrow.RecordBatchReader of transactions whose `close` gives back the inputs.

pyarrow's reader over a generator ignores `close`. One over an Arrow stream of an imported C structure does not, but
turns every exception into its own. So this one reads an IPC stream that is made batch by batch, as it is asked for.
This module must not know how inputs are read.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from txfast.api.closable_batches import ClosableBatches
else:
    from txfast.late import pa


class TransactionReader(pa.ipc.RecordBatchStreamReader):  # type: ignore[misc]
    """Reads record batches like `first`, which has no rows. `close` it, also by `with`, or read it to its end."""

    def __init__(self, first: "pa.RecordBatch", batches: "ClosableBatches") -> None:
        self._batches = batches
        super().__init__(IpcStream(first, batches))

    # The same batches as the stream has, without the copy inside it, which takes a tenth of the time of reading.

    def read_next_batch(self) -> "pa.RecordBatch":
        """The next batch. Raises StopIteration at the end, UsageError after `close`, and as `txfast.read`."""
        return next(self._batches)

    def read_all(self) -> "pa.Table":
        """All batches that are left, as one table. Raises as `read_next_batch`."""
        return pa.Table.from_batches(self._batches, self.schema)

    def close(self) -> None:
        """Give back the inputs, as they are; nothing can be read any more. May be called more than once."""
        self._batches.close()


class IpcStream:
    """Record batches as the bytes of an Arrow IPC stream: a file, as far as pyarrow's reader needs one.

    The dictionaries of the batches are those of the `first`, which is not among them.
    """

    closed = False

    def __init__(self, first: "pa.RecordBatch", batches: "Iterator[pa.RecordBatch]") -> None:
        self._messages = messages(first, batches)
        self._message = memoryview(b"")

    def read(self, count: int) -> memoryview:
        """The next bytes: `count`, fewer at the end of a message, none at the end. Raises what the batches raise."""
        if not self._message:
            self._message = memoryview(next(self._messages, b""))
        found, self._message = self._message[:count], self._message[count:]
        return found


def messages(first: "pa.RecordBatch", batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.Buffer]":
    """The messages of an IPC stream: the schema, the dictionaries, the record batches."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, first.schema) as writer:
        writer.write_batch(first)
    *before, _ = pa.ipc.MessageReader.open_stream(sink.getvalue())
    for message in before:
        yield message.serialize()
    for batch in batches:
        yield batch.serialize()
