"""Currencies that move between processes: each process numbers the codes that it meets, so it sends these too.

This module must not know what is sent with the codes.
"""

from array import array
from collections.abc import Iterable, Sequence

from txfast.dialect.currencies import Currencies
from txfast.dialect.names import CURRENCY_BYTES_MAX
from txfast.errors import ClusterError


def bytes_of(codes: Iterable[bytes]) -> bytes:
    """Codes in the order of their numbers, as they are sent: each behind its length."""
    return b"".join(bytes([len(code)]) + code for code in codes)


def came_damaged(name: str) -> ClusterError:
    """The error for something that a task sent, and that does not read as it was written."""
    return ClusterError(f"{name} came damaged: something between the tasks is faulty; nothing is put out; run it again")


def add_codes(currencies: Currencies, sent: bytes | memoryview) -> None:
    """Add codes that were sent, which have the next numbers. Raises ClusterError for a damaged list."""
    content = bytes(sent)
    start = 0
    while start < len(content):
        end = start + 1 + content[start]
        due = len(currencies)
        is_code = 0 < content[start] <= CURRENCY_BYTES_MAX and end <= len(content)
        if not is_code or currencies.number(content[start + 1 : end]) != due:
            raise came_damaged("a list of currencies")
        start = end


def currencies_of(sent: bytes | memoryview) -> Currencies:
    """The currencies of another process, from all codes that it sent. Raises as `add_codes`."""
    currencies = Currencies()
    add_codes(currencies, sent)
    return currencies


class Numbers:
    """The numbers in `own` of the currencies of another process: `table` has them by the other's numbers."""

    def __init__(self, own: Currencies) -> None:
        self._own = own
        self.table = array("H")

    def know(self, codes: Sequence[bytes]) -> None:
        """Number all codes of the other process, which may have more than the last time. Raises CapacityError."""
        self.table.extend(map(self._own.number, codes[len(self.table) :]))
