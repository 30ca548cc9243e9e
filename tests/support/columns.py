"""Columns packed from Python values, as LedgerRestorer takes them."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate


def words(numbers: Sequence[int]) -> memoryview:
    """A column of eight bytes a number."""
    text = b"".join(struct.pack("<Q", number % 2**64) for number in numbers)
    return memoryview(text or bytes(8))


def small(numbers: Sequence[int]) -> memoryview:
    """A column of one byte a number."""
    return memoryview(bytes(numbers) or bytes(1))


def bits(flags: Sequence[bool]) -> memoryview:
    """A column of one bit a flag."""
    whole = bytearray(max((len(flags) + 7) // 8, 1))
    for index, flag in enumerate(flags):
        whole[index // 8] |= bool(flag) << index % 8
    return memoryview(whole)


def text_buffers(texts: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The buffers of a column of texts: where each begins, and the bytes of all."""
    return array("i", accumulate(map(len, texts), initial=0)).tobytes(), b"".join(texts)
