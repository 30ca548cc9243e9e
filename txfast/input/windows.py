"""Windows of compressed inputs: how much memory a decompressor takes, as the headers of zstd, xz and LZMA say.

This module must not know how a compression is undone, nor how much memory there is.
"""

from txfast.errors import InputError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from txfast.input.watched_bytes import Parser

# pyarrow's decompressor of zstd takes no larger window, as `zstd -d` without --long.
ZSTD_WINDOW_MAX = 128 << 20
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Skippable frames have one of 16 magic numbers, which differ in their first byte, then their size.
SKIPPABLE_MAGIC = b"\x2a\x4d\x18"
# Bytes of the size of the content, and of the dictionary's number, by their codes in a frame's descriptor.
CONTENT_SIZE_BYTES = (0, 2, 4, 8)
DICTIONARY_BYTES = (0, 1, 2, 4)
CHECKSUM_BYTES = 4
RUN_BLOCK = 1  # a byte that is repeated

# xz -9 needs half as much; a file says itself how much it needs, up to 4 GiB.
XZ_MEMORY_BYTES_MAX = 128 << 20
XZ_HEADER_BYTES = 12
# Beside its dictionary, a decompressor of xz or LZMA takes less than this.
XZ_OTHER_BYTES = 1 << 20
# A zip member by LZMA begins with a version, the size of the properties, and these: a byte, then the dictionary.
ZIP_LZMA_DICTIONARY_AT, ZIP_LZMA_HEADER_BYTES = 5, 9
LZMA2 = 0x21
LZMA2_SIZE_MAX = 40


def zstd_windows(name: str, note: "Callable[[int], None]") -> "Parser":
    """Parses the frames of zstd, for WatchedBytes; `note` is called with each window's size, before it is allocated.

    Raises InputError, with the file's name, where a window is larger than ZSTD_WINDOW_MAX. What is damaged is left to
    the decompressor.
    """
    while True:
        magic = yield 4, False
        if magic[1:] == SKIPPABLE_MAGIC:
            size = yield 4, False
            yield int.from_bytes(size, "little"), True
            continue
        if magic != ZSTD_MAGIC:
            break
        [descriptor] = yield 1, False
        is_single = descriptor >> 5 & 1
        window = 0
        if not is_single:
            [byte] = yield 1, False
            base = 1 << (10 + (byte >> 3))
            window = base + base // 8 * (byte & 7)
        yield DICTIONARY_BYTES[descriptor & 3], True
        size_bytes = CONTENT_SIZE_BYTES[descriptor >> 6] or is_single
        content = yield size_bytes, False
        if is_single:
            window = int.from_bytes(content, "little")
        if window > ZSTD_WINDOW_MAX:
            raise InputError(
                f"{name}: zstd needs a window of {window >> 20}MiB to decompress it, and more than "
                f"{ZSTD_WINDOW_MAX >> 20}MiB is not supported: decompress it first: "
                f"zstd -dc --long={(window - 1).bit_length()} FILE | txfast"
            )
        note(window)
        is_last = 0
        while not is_last:
            head = int.from_bytes((yield 3, False), "little")
            is_last = head & 1
            yield 1 if head >> 1 & 3 == RUN_BLOCK else head >> 3, True
        yield CHECKSUM_BYTES * (descriptor >> 2 & 1), True
    while True:
        yield 1 << 30, True


def xz_bytes(first_bytes: bytes) -> int:
    """The memory for decompressing an xz file that begins with these bytes, as the header of its first block says; 0
    where they end before it does."""
    try:
        return XZ_OTHER_BYTES + xz_dictionary_bytes(first_bytes)
    except IndexError:
        return 0


def xz_dictionary_bytes(first_bytes: bytes) -> int:
    """The dictionary of the first block; 0 where there is none. Raises IndexError where the bytes end too early."""
    at = XZ_HEADER_BYTES
    if not first_bytes[at]:
        return 0
    flags = first_bytes[at + 1]
    at += 2
    for bit in (0x40, 0x80):  # sizes of the block
        if flags & bit:
            at = after_number(first_bytes, at)
    for _ in range((flags & 3) + 1):
        is_lzma2 = first_bytes[at] == LZMA2
        at = after_number(first_bytes, at)
        properties = first_bytes[at]
        if is_lzma2:
            code = min(first_bytes[at + 1], LZMA2_SIZE_MAX)
            return (2 | code & 1) << (code // 2 + 11)
        at += 1 + properties
    return 0


def lzma_bytes(member: bytes) -> int:
    """The memory for decompressing a zip member by LZMA that begins with these bytes, as they say its dictionary; 0
    where they end before that."""
    dictionary = member[ZIP_LZMA_DICTIONARY_AT:ZIP_LZMA_HEADER_BYTES]
    return XZ_OTHER_BYTES + int.from_bytes(dictionary, "little") if len(member) >= ZIP_LZMA_HEADER_BYTES else 0


def after_number(content: bytes, at: int) -> int:
    """Where a number ends: each byte but the last has its highest bit set. Raises IndexError."""
    while content[at] & 0x80:
        at += 1
    return at + 1
