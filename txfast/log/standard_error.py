"""Standard error, shared by the log and the progress: lines, and on a terminal below them one line that changes.

Lines wait in memory and are written many at once. If standard error is closed, is full or has lost its reader, the
lines are dropped in silence: the accounts of a run do not depend on who reads its log.

This module must not know what the lines say.
"""

import os
import sys
import time

from txfast.interrupts import while_waiting

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import TextIO

DESCRIPTOR = 2
# Above this, waiting lines are written without waiting for a flush.
WAITING_CHARACTERS_MAX = 1 << 16
# PIPE_BUF: a pipe that has room takes this much at once, so no write blocks longer than until there is room.
PIECE_BYTES = 4096
COLUMNS_WHEN_UNKNOWN = 80

ERASE_LINE = "\r\x1b[K"


class StandardError:
    """The process's standard error at this moment: `write` lines, then `flush`; `draw` a line below them.

    A signal ends a write that waits for the reader of the log, and the KeyboardInterrupt of a program may come at any
    moment. The next flush then writes the rest. The piece that was being written, PIECE_BYTES at most, may come out
    twice.
    """

    def __init__(self) -> None:
        import threading

        self._stream: TextIO | None = sys.stderr
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._unwritten = memoryview(b"")
        self._drawn = ""
        self._lock = threading.RLock()

    @property
    def columns(self) -> int:
        """The width of the terminal."""
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
        """Write all waiting lines. After `patience_seconds`, wait for room no longer and drop the rest."""
        with self._lock:
            self._write_out(patience_seconds)
            if self._waiting:
                text = "".join(self._waiting)
                self._unwritten = self._encode(f"{ERASE_LINE}{text}{self._drawn}" if self._drawn else text)
                self._waiting = []
                self._waiting_characters = 0
                self._write_out(patience_seconds)

    def draw(self, line: str) -> None:
        """Show a line below all others, in place of the last one drawn. It must fit into the terminal."""
        with self._lock:
            # The line is skipped if the terminal is stopped, since this call would block and hold the lock; and if an
            # interrupted flush has left bytes, since these come first.
            if not self._unwritten and has_room(0):
                self._drawn = line
                self._unwritten = self._encode(ERASE_LINE + line)
                self._write_out(None)

    def erase(self, patience_seconds: float | None = None) -> None:
        """Erase the drawn line."""
        with self._lock:
            if self._drawn:
                self._write_out(patience_seconds)
                self._drawn = ""
                self._unwritten = self._encode(ERASE_LINE)
                self._write_out(patience_seconds)

    def _encode(self, text: str) -> memoryview:
        """Return the text's bytes for the descriptor. A stream that replaces standard error gets the text here."""
        stream = self._stream
        if stream is None:
            return memoryview(b"")
        if stream is sys.__stderr__:
            assert stream is not None
            return memoryview(text.encode(stream.encoding, stream.errors or "backslashreplace"))
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            pass
        return memoryview(b"")

    def _write_out(self, patience_seconds: float | None) -> None:
        """Write the encoded bytes in pieces, or drop them if standard error does not take them."""
        patience_ends = None if patience_seconds is None else time.monotonic() + patience_seconds
        try:
            while self._unwritten:
                piece = self._unwritten[:PIECE_BYTES]
                try:
                    if patience_ends is None:
                        written = while_waiting(os.write, DESCRIPTOR, piece)
                    elif has_room(max(0.0, patience_ends - time.monotonic())):
                        written = os.write(DESCRIPTOR, piece)  # never waits: there is room
                    else:
                        break
                except BlockingIOError:
                    while_waiting(has_room, None)
                    continue
                self._unwritten = self._unwritten[written:]
        except OSError:
            pass
        self._unwritten = memoryview(b"")


def has_room(patience_seconds: float | None) -> bool:
    """Whether standard error takes more, now or within this many seconds. None waits for it. Raises OSError."""
    import select

    return bool(select.select([], [DESCRIPTOR], [], patience_seconds)[1])
