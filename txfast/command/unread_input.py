"""Standard input that no FILE names, where a run reads none: rows that were piped in must not be dropped in silence.

This module must not know why the run reads nothing.
"""

import os
import stat
import sys

from txfast.errors import UsageError

# How long a pipe may be open without a byte. After that the run fails, since rows may yet come, and it must not wait
# for ever.
PATIENCE_SECONDS = 5.0


def refuse_piped_input(descriptor: int, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Raise UsageError where something is piped into this descriptor, or may yet be.

    Nothing is piped in where it is a terminal or another device such as /dev/null, an empty file, or a pipe whose
    writers have all ended without a byte. Nothing is taken from it.
    """
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            has_more = found.st_size > os.lseek(descriptor, 0, os.SEEK_CUR)
        elif stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode):
            if not becomes_ready(descriptor, patience_seconds):
                raise UsageError(
                    f"no FILE, and standard input is a pipe that has been open for {patience_seconds:g} seconds "
                    f"without a byte: add - to read it, or < /dev/null to read nothing"
                )
            has_more = bytes_waiting(descriptor) > 0
        else:
            return
    except OSError:
        return  # it was closed, or is nothing that can be read
    if has_more:
        raise UsageError("no FILE, and rows are piped in: add - to read them, or < /dev/null to read nothing")


def becomes_ready(descriptor: int, patience_seconds: float) -> bool:
    """Wait until a pipe or socket has a byte, or has ended. False where neither comes in time. Raises OSError."""
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(patience_seconds * 1000))


def bytes_waiting(descriptor: int) -> int:
    """How many bytes a pipe or socket has, without taking them; 0 at its end. Raises OSError."""
    import termios
    from fcntl import ioctl

    count = bytearray(4)  # a C int
    ioctl(descriptor, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)
