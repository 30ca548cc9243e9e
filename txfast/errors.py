"""The errors that txfast raises: one family, each kind also the builtin that fits; and the exits that they become.

The command prints an error as one line, so a message names the file, the place and the way out. This module must not
import anything of txfast.
"""

EXIT_FAILED = 1
EXIT_TOO_MANY_MALFORMED = 3


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


def unreadable(name: str, reason: Exception | str) -> SourceError:
    """The error for an input, or a file of a state, that cannot be read: for this reason, or because of this error."""
    return SourceError(f"{name}: cannot be read: {reason_of(reason)}")


def unwritable(name: str, reason: Exception | str) -> SourceError:
    """The error for an output, or a file of a state, that cannot be written; as `unreadable`."""
    return SourceError(f"{name}: cannot be written: {reason_of(reason)}")


def reason_of(reason: Exception | str) -> str:
    """The system's words for an error, without number and file name; the error's own text where it has none."""
    return str(getattr(reason, "strerror", None) or reason)


def exit_code_of(error: Exception) -> int:
    """The exit code of a command that ends by this error."""
    return EXIT_TOO_MANY_MALFORMED if isinstance(error, TooManyMalformedError) else EXIT_FAILED


def describe_failure(error: Exception) -> str:
    """One line for the log: what went wrong, and where."""
    if isinstance(error, TxfastError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"out of memory: {str(error) or 'the machine has no more'}"
    if isinstance(error, OSError):
        return f"{error.filename or 'standard output'}: {reason_of(error)}"
    return f"internal error: {type(error).__name__}: {error} (run it with the level debug to see where)"
