"""Finds an input's first bytes among those that a state has consumed under another name.

A run takes a file under a new name as a new input, so a renamed or copied file would be applied again without a word.
The hash of the first HEAD_BYTES rules out most files: only a file that begins so is read to its known position. This
module must not know what is done about it.
"""

from txfast.errors import TxfastError
from txfast.input.first_bytes import WHITESPACE
from txfast.input.position import (
    HEAD_BYTES,
    TABLE_ENDING,
    Consumption,
    Position,
    consume_parts,
    head_of,
    take,
)
from txfast.input.source import TEXT_KINDS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from txfast.input.source import Source


def find_known(open_again: "Callable[[], Source]", known: "Mapping[str, Position]") -> tuple[str, int] | None:
    """The name and the bytes of the longest known part that an input begins with; None where there is none.

    `open_again` opens the input at its start. Offsets are those of `known`: of a compressed input, bytes after
    decompression; a table is known as a whole. A known part without rows does not count. An input that cannot be read
    is not known: reading it in earnest says why.
    """
    try:
        source = open_again()
        try:
            found = known_text(source, open_again, known) if source.kind in TEXT_KINDS else known_table(source, known)
        finally:
            source.close()
    except TxfastError:
        return None
    return None if found is None else (found, known[found].offset_bytes)


def find_known_start(text: bytes, known: "Mapping[str, Position]") -> tuple[str, int] | None:
    """The name and the bytes of the longest known part that an input begins with, as far as its first HEAD_BYTES tell:
    of a longer part, HEAD_BYTES are known. None where there is none. `text` is shorter only if all of the input is."""
    head = head_of(text)
    for name, position in sorted(known.items(), key=lambda each: -each[1].offset_bytes):
        if position.ending == TABLE_ENDING:
            continue
        if position.offset_bytes <= len(text):
            if has_rows(text, position) and begins_with(text, position):
                return name, position.offset_bytes
        elif head and position.head == head:
            return name, HEAD_BYTES
    return None


def known_table(source: "Source", known: "Mapping[str, Position]") -> str | None:
    """The name of a known table with the same bytes. A table of another size is not hashed. Raises SourceError."""
    names = [
        name
        for name, position in known.items()
        if position.ending == TABLE_ENDING and position.offset_bytes == source.size_bytes
    ]
    if not names:
        return None
    consumption = Consumption()
    consumption.advance_over_table(source)
    return next((name for name in names if known[name].digest == consumption.digest), None)


def known_text(source: "Source", open_again: "Callable[[], Source]", known: "Mapping[str, Position]") -> str | None:
    """The name of the longest known part that this text begins with. Raises SourceError and InputError."""
    text = take(source, HEAD_BYTES)
    head = head_of(text)
    size = len(text) if len(text) < HEAD_BYTES else source.size_bytes
    for name, position in sorted(known.items(), key=lambda each: -each[1].offset_bytes):
        if position.ending == TABLE_ENDING or (size is not None and position.offset_bytes > size):
            continue
        if position.offset_bytes <= len(text):
            if has_rows(text, position) and begins_with(text, position):
                return name
        elif position.head in ("", head) and is_part(open_again(), position):
            return name
    return None


def has_rows(text: bytes, position: Position) -> bool:
    """Whether there is more than a header before a position in this text: all files of a kind begin with that."""
    return bool(text[: position.offset_bytes].partition(position.header)[2].strip(WHITESPACE))


def begins_with(text: bytes, position: Position) -> bool:
    """Whether the bytes before a position are these."""
    from xxhash import xxh3_128_hexdigest

    start = 0
    for end, digest in position.all_parts:
        if xxh3_128_hexdigest(text[start:end]) != digest:
            return False
        start = end
    return True


def is_part(source: "Source", position: Position) -> bool:
    """Whether the bytes before a position are those of the source, which is closed. Raises SourceError, InputError."""
    try:
        return consume_parts(source, position, Consumption())
    finally:
        source.close()


def known_bytes_warning(name: str, known_name: str, byte_count: int) -> str:
    """The warning about an input that begins with bytes which were consumed under another name."""
    return (
        f"{name}: begins with the {byte_count:,} bytes that were applied before as {known_name}: their rows are "
        f"applied again, as new ones; to read only what is new, give the file the name that it had"
    )


def other_bytes_warning(name: str, position: Position) -> str:
    """The warning about an input that was read up to this position, and has other bytes there now."""
    is_table = position.ending == TABLE_ENDING
    found = "it does not have the content that was" if is_table else "its first {:,} bytes are not those that were"
    return (
        f"{name}: {found.format(position.offset_bytes)} applied before under this name: it is read from its start as a "
        f"new input; if it should be the same input, restore what was applied, and begin with the state before this run"
    )
