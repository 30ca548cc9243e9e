"""Allowance: the memory that a table may take while it is read. What needs more is refused before it is decoded.

This module must not know the formats of tables, nor how a run divides its memory.
"""

from txfast.errors import MemoryLimitError
from txfast.input.room import in_mib

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable


class Allowance:
    """`size` bytes for all of a table that is in memory at once.

    They are a part of a run's `memory_limit`, and `limit_for` says which limit would leave so many bytes. Without a
    limit, they are a part of the machine's memory.
    """

    __slots__ = ("_limit_for", "_memory_limit", "size")

    def __init__(
        self, size: int, memory_limit: int | None = None, limit_for: "Callable[[int], int] | None" = None
    ) -> None:
        self.size = size
        self._memory_limit = memory_limit
        self._limit_for = limit_for

    def check(self, needed: int, name: str, part: str, way_out: str) -> None:
        """See that a part of the input of this name can be read in so many bytes. Raises MemoryLimitError with what the
        user can do: `way_out`, or a greater limit."""
        if needed <= self.size:
            return
        found = f"{name}: {part} takes {in_mib(needed)} of memory to read"
        if self._memory_limit is None or self._limit_for is None:
            raise MemoryLimitError(f"{found}, and a table may take {in_mib(self.size)} on this machine: {way_out}")
        raise MemoryLimitError(
            f"{found}, and the memory limit of {in_mib(self._memory_limit)} leaves {in_mib(self.size)} for it: "
            f"{way_out}, or raise the limit to {in_mib(self._limit_for(needed))}"
        )
