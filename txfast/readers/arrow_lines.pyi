from _typeshed import ReadableBuffer

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header

def hold_lines(
    batch: TransactionBatch,
    header: Header | None,
    offsets: ReadableBuffer,
    text: ReadableBuffer | None,
    first: int,
    count: int,
    file: str,
) -> Header | None: ...
def parse_lines(batch: TransactionBatch, header: Header) -> None: ...
