"""Standard error, as the log and the progress share it: lines, and below them, on a terminal, one that changes.

Lines wait in memory until they are flushed, many at once. What standard error cannot take (it is closed or full, or
its reader went away) is dropped in silence: the accounts of a run do not depend on who listens to it.

This module must not know what the lines say.
"""

import os
import sys
import time

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import TextIO

DESCRIPTOR = 2
# Lines that wait are written when there is so much of them, at the latest.
WAITING_CHARACTERS_MAX = 1 << 16
# A pipe that has room takes so much at once (PIPE_BUF), so that a write never waits longer than for room.
PIECE_BYTES = 4096
COLUMNS_WHEN_UNKNOWN = 80

ERASE_LINE = "\r\x1b[K"


class StandardError:
    """The standard error that the process has now: `write` lines, then `flush`; `draw` a line below them.

    An interrupt in the middle of a flush neither loses nor repeats anything: the next flush goes on where it stopped.
    """

    def __init__(self) -> None:
        import threading

        self._stream: TextIO | None = sys.stderr
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._encoded = b""
        self._written: list[int] = []  # the bytes of `_encoded` that each write took
        self._drawn = ""
        self._lock = threading.RLock()

    @property
    def columns(self) -> int:
        """How wide the terminal is."""
        try:
            return os.get_terminal_size(DESCRIPTOR).columns or COLUMNS_WHEN_UNKNOWN
        except OSError:
            return COLUMNS_WHEN_UNKNOWN

    def write(self, lines: str) -> None:
        """Take lines, each with its ending."""
        self._waiting.append(lines)
        self._waiting_characters += len(lines)
        if self._waiting_characters > WAITING_CHARACTERS_MAX:
            self.flush()

    def flush(self, patience_seconds: float | None = None) -> None:
        """Write all lines that wait. With a patience, drop the rest where nobody takes any of it for so long."""
        with self._lock:
            self._put(patience_seconds)
            if self._waiting:
                text = "".join(self._waiting)
                encoded = self._encode(f"{ERASE_LINE}{text}{self._drawn}" if self._drawn else text)
                # Without a call between them these happen together, as far as an interrupt can tell.
                self._encoded, self._written, self._waiting, self._waiting_characters = encoded, [], [], 0
                self._put(patience_seconds)

    def draw(self, line: str) -> None:
        """Show a line below all others, in place of the one that was there. It has to fit into the terminal."""
        with self._lock:
            # Where the terminal is stopped this would wait for it, and with the lock: so not now. Where a flush was
            # interrupted, that goes on first.
            if not self._encoded and has_room(0):
                self._drawn = line
                self._encoded, self._written = self._encode(ERASE_LINE + line), []
                self._put(None)

    def erase(self, patience_seconds: float | None = None) -> None:
        """Take the drawn line away."""
        with self._lock:
            if self._drawn:
                self._put(patience_seconds)
                self._drawn = ""
                self._encoded, self._written = self._encode(ERASE_LINE), []
                self._put(patience_seconds)

    def _encode(self, text: str) -> bytes:
        """The text's bytes for the descriptor. None of them where it has gone another way."""
        stream = self._stream
        if stream is None:
            return b""
        if stream is sys.__stderr__:
            assert stream is not None
            return text.encode(stream.encoding, stream.errors or "backslashreplace")
        # What a program has put in its place has its own way to take text.
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            pass
        return b""

    def _put(self, patience_seconds: float | None) -> None:
        """Write what is left of the encoded text."""
        encoded, written = self._encoded, self._written
        if not encoded:
            return
        patience_ends = None if patience_seconds is None else time.monotonic() + patience_seconds
        try:
            while (done := sum(written)) < len(encoded):
                if patience_ends is not None and not has_room(max(0.0, patience_ends - time.monotonic())):
                    break
                piece = encoded[done : done + PIECE_BYTES]
                try:
                    # A single call that writes and notes how much it was: an interrupt comes before it or after it.
                    written.extend(map(os.write, (DESCRIPTOR,), (piece,)))
                except BlockingIOError:
                    has_room(None)
        except OSError:
            pass
        self._encoded = b""


def has_room(patience_seconds: float | None) -> bool:
    """Whether standard error takes something, now or in so many seconds. Raises OSError."""
    import select

    return bool(select.select([], [DESCRIPTOR], [], patience_seconds)[1])
