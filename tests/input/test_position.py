"""Positions in inputs: how an input is read on from one."""

from __future__ import annotations

import errno
import io
from typing import cast

import pytest

from txfast.errors import SourceError
from txfast.input.position import read_into
from txfast.input.source import Source


def test_an_input_that_cannot_be_read_on_is_named() -> None:
    class Broken(io.RawIOBase):
        error: OSError

        def readinto(self, _: object) -> int:
            raise self.error

    broken = Broken()
    source = Source("in.csv", cast(io.FileIO, broken), None)
    broken.error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(SourceError, match=r"in\.csv: cannot be read: Input/output error"):
        read_into(source, memoryview(bytearray(1)))
    broken.error = SourceError("in.csv: is cut short", "in.csv")
    with pytest.raises(SourceError, match="is cut short"):
        read_into(source, memoryview(bytearray(1)))
