"""Record batches that come as they are asked for, from what must be closed in the end, by whichever thread ends it.

This module must not know where the batches come from.
"""

import threading

from txfast.errors import UsageError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


class ClosableBatches:
    """An iterator of record batches: `close` it in the end, from any thread. At its end it closes itself.

    `read` returns the next batch and raises StopIteration at the end; `close` gives back what it reads from. While
    another thread waits for the next batch, nothing can be closed: that thread does it then.
    """

    def __init__(self, read: "Callable[[], pa.RecordBatch]", close: "Callable[[], object]") -> None:
        self._read = read
        self._give_back = close
        self._reading = threading.Lock()
        self._has_ended = False
        self._is_closed = False

    def __iter__(self) -> "ClosableBatches":
        return self

    def __next__(self) -> "pa.RecordBatch":
        """The next batch. Raises what `read` does, and UsageError after `close`."""
        try:
            with self._reading:
                if self._has_ended:
                    raise StopIteration
                if self._is_closed:
                    raise UsageError("no record batch can be read: the reader was closed")
                return self._read()
        except StopIteration:
            self._has_ended = self._is_closed = True
            raise
        finally:
            if self._is_closed:  # at the end, or by another thread while this one was reading
                self.close()

    def close(self) -> None:
        """Give back what is read from. May be called more than once."""
        self._is_closed = True
        if self._reading.acquire(blocking=False):
            try:
                self._give_back()
            finally:
                self._reading.release()
