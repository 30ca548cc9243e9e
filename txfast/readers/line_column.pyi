from _typeshed import ReadableBuffer

from txfast.batch.batch import TransactionBatch

def copy_lines(
    batch: TransactionBatch, offsets: ReadableBuffer, text: ReadableBuffer | None, first: int, count: int
) -> None: ...
