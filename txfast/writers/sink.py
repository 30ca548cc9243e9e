"""A Sink: a FileWriter or an Output with the methods that pyarrow expects of a file.

This module must not know the content that is written.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Protocol

    from typing_extensions import Buffer

    class Writable(Protocol):
        """A FileWriter or an Output."""

        def write(self, block: bytes | memoryview, /) -> None: ...


class Sink:
    """Passes on what pyarrow writes. Whoever opened the target closes it.

    Set `abandoned` where the target is given up: pyarrow's writers write the end of their file whenever they are
    released, and that must go nowhere.
    """

    closed = False

    def __init__(self, target: "Writable") -> None:
        self._target = target
        self._bytes_written = 0
        self.abandoned = False

    def write(self, block: "Buffer") -> int:
        view = memoryview(block)
        if not self.abandoned:
            self._target.write(view)
        self._bytes_written += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self._bytes_written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The target stays open."""
