"""DeferredRows: the text of rows that went to disk, kept until their outcome is known.

They are reported at the end of the run as they would have been at once: their text is scanned again, and the status of
each row is read from where its partition was settled.
"""

import struct

from txfast.batch.batch import TransactionBatch
from txfast.errors import SpillError
from txfast.ledger.route import route
from txfast.readers.scan import rescan
from txfast.spill.file import Stream
from txfast.spill.statuses import set_statuses, statuses_of

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from txfast.batch.header import Header
    from txfast.spill.file import SpillFile
    from txfast.spill.spill import Spill

# Before the text of each batch: the index of its input, the number of its first line, its rows, its malformed rows,
# whether rows after them were cut off, whether it is the head of a row that is too long, a bit for each shard whose
# rows went to disk, the bytes of the text.
RECORD = struct.Struct("<QQQQ??QQ")


class DeferredRows:
    """Batches in order: `add` each of them, then iterate them `with_statuses`.

    Some shards of a batch may have applied their rows at once. The statuses of those rows are kept too.
    """

    def __init__(self, file: "SpillFile", shards: int) -> None:
        self._shards = shards
        self._texts = Stream(file)
        self._known = [Stream(file) for _ in range(shards)]  # statuses of rows that were applied at once
        self._inputs: list[tuple[str, Header]] = []

    def add(self, file: str, batch: TransactionBatch) -> None:
        """Keep a scanned and routed batch of the input `file`."""
        assert batch.header is not None, "a batch with rows has a header"
        if not self._inputs or self._inputs[-1][1] is not batch.header:
            self._inputs.append((file, batch.header))
        text = batch.raw_text()
        self._texts.write(
            RECORD.pack(
                len(self._inputs) - 1,
                batch.first_line,
                len(batch),
                batch.malformed_rows,
                batch.is_cut,
                batch.is_head,
                batch.unsettled_shards,
                len(text),
            )
            + text
        )
        for shard in range(self._shards):
            if not batch.unsettled_shards >> shard & 1:
                self._known[shard].write(statuses_of(batch, shard))

    def with_statuses(self, spills: "Sequence[Spill | None]") -> "Iterator[tuple[str, TransactionBatch]]":
        """Iterate the batches with the status of each row, once all partitions are settled. A batch is valid until the
        next. Raises SpillError."""
        texts = self._texts.reader()
        known = [stream.reader() for stream in self._known]
        settled = [None if spill is None else spill.statuses() for spill in spills]
        batch = TransactionBatch()
        head = bytearray(RECORD.size)
        while texts(memoryview(head)):
            index, first_line, rows, malformed_rows, is_cut, is_head, unsettled_shards, text_bytes = RECORD.unpack(head)
            file, header = self._inputs[index]
            rescan(batch, texts, text_bytes, header, malformed_rows, is_cut, is_head)
            if (len(batch), batch.malformed_rows) != (rows, malformed_rows):
                raise SpillError(f"{file}: reads otherwise than before: the disk or the memory is faulty", file)
            batch.number_lines(first_line)
            if self._shards > 1:
                route(batch, self._shards)
            for shard, reader in enumerate(settled):
                if reader is not None and unsettled_shards >> shard & 1:
                    reader.fill(batch, shard)
                    continue
                statuses = bytearray(batch.shard_rows(shard))
                known[shard](memoryview(statuses))
                set_statuses(batch, shard, statuses)
            yield file, batch
