"""The encoding of an input, where an error should tell it. This module must not know what a header is."""

from txfast.errors import HeaderError
from txfast.input.last_line import files_of
from txfast.input.utf16 import Utf16File

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from io import RawIOBase


def tell_encoding(error: HeaderError, file: "RawIOBase") -> None:
    """Have the error say so where the file is read from a layer of UTF-16: as such, with tabs, spreadsheets write their
    "Unicode text"."""
    if any(isinstance(each, Utf16File) for each in files_of(file)):
        error.args = (f"{error} (the file is UTF-16)",)
