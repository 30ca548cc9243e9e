"""Files that a program asks for: whole or not at all."""

from contextlib import contextmanager
from errno import EPIPE

from txfast.errors import unwritable

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator

    from txfast.writers.output import Publishable


@contextmanager
def whole_file(path: str, output: "Publishable") -> "Iterator[None]":
    """Open an output, publish what is written to it inside the `with` block, and leave nothing where that fails."""
    try:
        output.open()
        yield
        output.finish()
        output.publish()
    except BrokenPipeError as error:
        raise unwritable(path, BrokenPipeError(EPIPE, "nobody reads it any more")) from error
    finally:
        output.discard()
