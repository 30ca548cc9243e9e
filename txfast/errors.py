"""The errors that txfast raises, and the exit codes that they become.

All are TxfastErrors; each is also the builtin exception that fits. The command prints an error as one line, so a
message names the file, the place and the way out. This module must not import anything of txfast.
"""

EXIT_FAILED = 1
EXIT_MISUSED = 2
EXIT_TOO_MANY_MALFORMED = 3


class TxfastError(Exception):
    """The base of all errors that txfast raises on purpose."""


class InputError(TxfastError, ValueError):
    """An input is not a transactions file, is damaged, or has rows that the chosen reader cannot read."""


class SourceError(TxfastError, OSError):
    """The system cannot open, read or write an input or output."""


class ThreadsError(TxfastError, RuntimeError):
    """The system cannot start as many threads."""


class TooManyMalformedError(TxfastError, ValueError):
    """There are more malformed rows than were allowed."""


class ConservationError(TxfastError, ArithmeticError):
    """The accounts do not add up to what the applied rows put into them: a defect of txfast or of the machine."""


class SpillError(TxfastError, OSError):
    """Ledgers or rows that were moved to disk cannot be written, or are not the same when they are read."""


class MemoryLimitError(TxfastError, MemoryError):
    """An input, a state or a client needs more memory than the limit."""


class CapacityError(TxfastError, OverflowError):
    """There are more accounts or transactions than one ledger can number."""


class StateError(TxfastError, ValueError):
    """A state directory is damaged, missing, of an unknown format, or does not fit the call."""


class LockedError(TxfastError, RuntimeError):
    """Another run is using the state directory."""


class UsageError(TxfastError, ValueError):
    """A command line or an argument has no meaning."""


class ClusterError(TxfastError, RuntimeError):
    """A cluster lost, repeated or reordered some of its data, or its engine is not installed."""


def unreadable(name: str, reason: Exception | str) -> SourceError:
    """The error for an input, or a file of a state, that cannot be read. `reason` is text, or the error met."""
    return SourceError(f"{name}: cannot be read: {reason_of(reason)}")


def unwritable(name: str, reason: Exception | str) -> SourceError:
    """The error for an output, or a file of a state, that cannot be written. `reason` is text, or the error met."""
    return SourceError(f"{name}: cannot be written: {reason_of(reason)}")


def reason_of(reason: Exception | str) -> str:
    """The system's words for an error, without its number and file name; else the text of the error."""
    return str(getattr(reason, "strerror", None) or reason)


def exit_code_of(error: Exception) -> int:
    """The exit code of a command that this error ends."""
    if isinstance(error, UsageError):
        return EXIT_MISUSED
    return EXIT_TOO_MANY_MALFORMED if isinstance(error, TooManyMalformedError) else EXIT_FAILED


def describe_failure(error: Exception) -> str:
    """One line for the log that says what went wrong and where."""
    if isinstance(error, TxfastError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"out of memory: {str(error) or 'the machine has no more'}"
    if isinstance(error, OSError):
        return f"{error.filename or 'standard output'}: {reason_of(error)}"
    if isinstance(error, ImportError | SystemError):
        # Too little memory shows itself so: a library cannot be mapped, or fails while it is made ready.
        return (
            f"a library cannot be loaded: {error}: if memory is limited (ulimit -v), raise the limit; else install anew"
        )
    return f"internal error: {type(error).__name__}: {error} (run it with the level debug to see where)"
