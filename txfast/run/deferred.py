"""Rows of which nobody knows yet what becomes of them, since they went to disk: their text, until that is known.

They are reported in the end as they would have been at once: their text is scanned again, and what became of each row
is looked up where it was settled.
"""

import struct

from txfast.batch.batch import TransactionBatch
from txfast.errors import SpillError
from txfast.ledger.route import route
from txfast.readers.csv import rescan
from txfast.spill.spill import Spill, SpillFile, Stream
from txfast.spill.statuses import set_statuses, statuses_of

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from txfast.batch.header import Header

# Which input, the first line's number, rows, malformed rows, whether rows were cut off behind them, bits of the shards
# that went to disk, bytes of text.
RECORD = struct.Struct("<QQQQ?QQ")


class UnsettledRows:
    """Batches in their order: `add` each, then iterate `settled` ones.

    Of a batch some shards may be settled already: what became of their rows is kept too.
    """

    def __init__(self, file: SpillFile, shards: int) -> None:
        self._shards = shards
        self._texts = Stream(file)
        self._kept = [Stream(file) for _ in range(shards)]
        self._inputs: list[tuple[str, Header]] = []

    def add(self, file: str, header: "Header", batch: TransactionBatch) -> None:
        """Keep a batch, scanned and routed, of this file."""
        if not self._inputs or self._inputs[-1][1] is not header:
            self._inputs.append((file, header))
        text = batch.raw_text()
        self._texts.write(
            RECORD.pack(
                len(self._inputs) - 1, batch.first_line, len(batch), batch.malformed_rows, batch.is_cut,
                batch.unsettled_shards, len(text),
            )
            + text
        )
        for shard in range(self._shards):
            if not batch.unsettled_shards >> shard & 1:
                self._kept[shard].write(statuses_of(batch, shard))

    def settled(self, spills: "Sequence[Spill | None]") -> "Iterator[tuple[str, TransactionBatch]]":
        """Iterate what was added, with what became of each row, once all is settled. A batch is good until the next."""
        texts = self._texts.reader()
        kept = [stream.reader() for stream in self._kept]
        statuses = [None if spill is None else spill.statuses() for spill in spills]
        batch = TransactionBatch()
        head = bytearray(RECORD.size)
        while texts(memoryview(head)):
            place, first_line, rows, malformed_rows, is_cut, unsettled_shards, text_bytes = RECORD.unpack(head)
            file, header = self._inputs[place]
            rescan(batch, texts, text_bytes, header, malformed_rows, is_cut)
            if (len(batch), batch.malformed_rows) != (rows, malformed_rows):
                raise SpillError(f"{file}: reads otherwise than before: the disk or the memory is faulty")
            batch.number_lines(first_line)
            if self._shards > 1:
                route(batch, self._shards)
            for shard, reader in enumerate(statuses):
                if reader is not None and unsettled_shards >> shard & 1:
                    reader.fill(batch, shard)
                    continue
                settled = bytearray(batch.shard_rows(shard))
                kept[shard](memoryview(settled))
                set_statuses(batch, shard, settled)
            yield file, batch
