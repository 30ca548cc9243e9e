"""Several Parquet or Arrow files joined into one: a reader finds only the last one's footer.

That footer counts its offsets from the start of the last file. A reader that counts them from the start of all would
read the first file's rows in its place. This module must not know what a footer says beyond where the table's content
ends.
"""

from txfast.errors import InputError
from txfast.readers.parquet_footer import PARQUET_MAGIC

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    from txfast.readers.arrow_messages import ReadAt
    from txfast.readers.parquet_footer import RowGroup

# Between the content that a footer names and the footer there may be indexes: at most so many bytes are searched.
INDEX_BYTES_MAX = 1 << 20


def refuse_joined(name: str, read_at: "ReadAt", magic: bytes, content_end: int, footer_start: int) -> None:
    """Raise InputError where the end of another file of this kind precedes the file that the footer belongs to.

    `content_end` is the last byte that the footer names, plus one, as the footer counts; `footer_start` is where the
    footer is.
    """
    gap = footer_start - content_end
    if gap < 2 * len(magic):
        return
    start = max(0, gap - INDEX_BYTES_MAX)
    if 2 * magic in read_at(start, gap + len(magic) - start):
        raise InputError(
            f"{name}: several files joined into one, of which only one would be read: give each as a file of its own"
        )


def refuse_joined_parquet(name: str, read_at: "ReadAt", footer_start: int, groups: "Sequence[RowGroup]") -> None:
    """Raise InputError where a Parquet file whose footer names these row groups is several files joined into one."""
    content_end = max([len(PARQUET_MAGIC), *(group.end for group in groups[-1:])])
    refuse_joined(name, read_at, PARQUET_MAGIC, content_end, footer_start)
