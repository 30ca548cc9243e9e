from typing import Self

from typing_extensions import Buffer, disjoint_base

from txfast.dialect.text_ids import TextIds

@disjoint_base
class TextColumn:
    def __new__(cls, text_ids: TextIds, rows: int, offsets: Buffer, texts: Buffer) -> Self: ...
