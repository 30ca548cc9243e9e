"""Room: memory that an input takes beside its blocks, under a memory limit: for libraries and decompressors.

The run's plan keeps memory for what it knows before an input is opened. The room is for what shows only later: in a
pipe, in a compressed file, or in an archive. This module must not know ledgers.
"""

from txfast.errors import MemoryLimitError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
# Not all of a higher limit comes to the room: a part goes to more ledgers and buffers. So a message adds a quarter of
# what is missing.
SHARE_LOST = 4
# Memory for the core of pyarrow, which decompresses zstd and lz4, with a window of ZSTD_WINDOW_BYTES.
PYARROW_BYTES = 52 << 20
ZSTD_WINDOW_BYTES = 8 << 20


class Room:
    """Takes memory from the ledgers. The plan has kept `pyarrow_bytes` for pyarrow already.

    `give(bytes, at_once)` takes bytes from the ledgers: all of them or none. It returns how many bytes are missing, 0
    where it gave them.
    """

    def __init__(self, memory_limit: int, pyarrow_bytes: int, give: "Callable[[int, bool], int]") -> None:
        self._memory_limit = memory_limit
        self._pyarrow_bytes = pyarrow_bytes
        self._give = give
        self._windows = self._windows_given = 0

    def load_pyarrow(self, needed: int) -> None:
        """Make room for pyarrow, which needs so many bytes in all. Where there are fewer, it gets those."""
        more = needed - self._pyarrow_bytes
        if more > 0:
            missing = self._give(more, True)
            if missing:
                self._give(max(0, more - missing), True)
            self._pyarrow_bytes = needed

    def take(self, count: int, name: str, what: str, way_out: str) -> None:
        """Take so many bytes for what decompresses the input of this name. Raises MemoryLimitError with what the user
        can do: `way_out`, or a greater limit."""
        more = self._windows + count - self._windows_given
        if more > 0:
            missing = self._give(more, False)
            if missing:
                raise MemoryLimitError(
                    f"{name}: {what}, and the memory limit of {in_mib(self._memory_limit)} leaves "
                    f"{in_mib(count - missing)} for it: {way_out}, or raise the limit to "
                    f"{in_mib(self._memory_limit + missing + missing // SHARE_LOST)}"
                )
            self._windows_given += more
        self._windows += count

    def give_back(self, count: int) -> None:
        """Note that so many bytes that were taken are free. The next input may take them."""
        self._windows -= count


def in_mib(count: int) -> str:
    """Bytes as MiB, rounded up."""
    return f"{-(-max(count, 0) // MIB)}MiB"
