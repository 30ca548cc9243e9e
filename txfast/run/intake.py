"""What a run reads: its inputs, one after the other."""


class InputFigures:
    """The size of one input, or of the part read so far: bytes, and rows of either sort."""

    __slots__ = ("bytes", "name", "rows")

    def __init__(self, name: str, byte_count: int = 0, rows: int = 0) -> None:
        self.name = name
        self.bytes = byte_count
        self.rows = rows
