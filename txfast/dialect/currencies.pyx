"""Currencies: the codes that a run has met, each with a number.

Accounts and batches have the numbers. No output depends on them: accounts are sorted and shown by the codes.
"""

from txfast.dialect.names import CURRENCY_BYTES_MAX
from txfast.errors import CapacityError

assert CURRENCY_BYTES_MAX == CODE_BYTES_MAX

# A number has two bytes.
CURRENCIES_MAX = 1 << 16


def too_many_currencies():
    """The error where there are more than CURRENCIES_MAX."""
    return CapacityError(
        f"there are more than {CURRENCIES_MAX:,} currencies: does columns.currency name the right column?"
    )


cdef class Currencies:
    """The codes of currencies in a run: bytes of 1 to 12, as they are in the input, by their numbers from 0 on.

    Any thread may add one: the GIL, which no step here gives up, keeps two from having one number.
    """

    cdef readonly list codes
    cdef dict numbers

    def __cinit__(self):
        self.codes = []
        self.numbers = {}

    def __len__(self):
        return len(self.codes)

    def number(self, bytes code not None):
        """The number of a code, which is given one if it is new. Raises CapacityError where there are CURRENCIES_MAX
        others."""
        number = self.numbers.get(code)
        if number is None:
            number = len(self.codes)
            if number == CURRENCIES_MAX:
                raise too_many_currencies()
            self.codes.append(code)
            self.numbers[code] = number
        return number

    def find(self, code):
        """The number of a code; None where no row had it."""
        return self.numbers.get(code)
