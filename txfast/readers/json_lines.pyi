from typing_extensions import disjoint_base

from txfast.batch.batch import TransactionBatch
from txfast.readers.text_reader import TextReader

@disjoint_base
class JsonLinesReader(TextReader):
    def fill(self, batch: TransactionBatch) -> bool: ...
    def scan(self, batch: TransactionBatch) -> None: ...
