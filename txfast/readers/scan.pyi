from collections.abc import Callable

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header

def scan_lines(batch: TransactionBatch) -> int: ...
def rescan(
    batch: TransactionBatch,
    readinto: Callable[[memoryview], int],
    text_bytes: int,
    header: Header,
    malformed_rows: int,
    is_cut: bool,
    is_head: bool,
) -> None: ...
