"""The errors that txfast raises: one family, each kind also the builtin that fits.

The command prints them as one line, so a message names the file, the place and the way out.
"""


class TxfastError(Exception):
    """Any failure that txfast foresees."""


class InputError(TxfastError, ValueError):
    """An input that is not a transactions file, or that the chosen reader cannot carry."""


class SourceError(TxfastError, OSError):
    """An input or output that the system would not open, read or write."""


class ThreadsError(TxfastError, RuntimeError):
    """Threads that the system would not start."""


class TooManyMalformedError(TxfastError, ValueError):
    """More malformed rows than were allowed."""


class ConservationError(TxfastError, ArithmeticError):
    """Accounts that do not hold what the applied rows put there: a defect of txfast, or of the machine."""


class SpillError(TxfastError, OSError):
    """What was moved to disk cannot be written, or does not read as it was written."""


class MemoryLimitError(TxfastError, MemoryError):
    """A memory limit that something is too large for."""


class CapacityError(TxfastError, OverflowError):
    """More accounts or transactions than one ledger can number."""


class StateError(TxfastError, ValueError):
    """A state directory that is damaged, or that another version of txfast wrote."""


class LockedError(TxfastError, RuntimeError):
    """A state directory that another run holds."""


class UsageError(TxfastError, ValueError):
    """A command line, or an argument, that means nothing."""


class ClusterError(TxfastError, RuntimeError):
    """A cluster that lost, repeated or reordered what it was given."""
