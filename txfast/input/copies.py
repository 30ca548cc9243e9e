"""Files of one run that have the same bytes: their rows would be applied twice.

Files of another size, or that begin otherwise, are not read. This module must not know what is done about it.
"""

from io import FileIO

from txfast.input.first_bytes import FIRST_BYTES, WHITESPACE

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from txfast.input.ref import InputRef

# Bytes of each file that are compared at once.
BLOCK_BYTES = 1 << 20


def copies_among(refs: "Sequence[InputRef]") -> "Iterator[tuple[InputRef, InputRef]]":
    """Iterate (a file, the first one before it that has the same bytes), for regular files that have rows.

    A file that cannot be read has no copies: reading it in earnest says why.
    """
    alike: dict[tuple[int | None, bytes], list[InputRef]] = {}
    for ref in refs:
        if not ref.is_regular or not ref.can_be_read_again or is_header_alone(ref):
            continue
        others = alike.setdefault((ref.size_bytes, ref.first_bytes), [])
        original = next((other for other in others if are_equal(ref, other)), None)
        if original is None:
            others.append(ref)
        else:
            yield ref, original


def is_header_alone(ref: "InputRef") -> bool:
    """Whether a file has one line at most: all files of a kind begin with that."""
    return (ref.size_bytes or 0) <= FIRST_BYTES and len(ref.first_bytes.strip(WHITESPACE).splitlines()) < 2


def are_equal(ref: "InputRef", other: "InputRef") -> bool:
    """Whether two files are one, or have the same bytes."""
    if ref.identity == other.identity:
        return True
    try:
        with FileIO(ref.name) as file, FileIO(other.name) as other_file:
            while (block := file.read(BLOCK_BYTES)) == other_file.read(BLOCK_BYTES):
                if not block:
                    return True
    except OSError:
        pass
    return False


def copy_warning(name: str, original: str) -> str:
    """The warning about a file that has the bytes of one before it in the same run."""
    return (
        f"{name}: has the same bytes as {original}, which is read before it: its rows are applied again, as new ones; "
        f"name each file once"
    )
