"""The errors that txfast raises, and the exit codes that they become.

All are TxfastErrors; each is also the builtin exception that fits. The command prints an error as one line, so a
message names the file, the place and the way out. This module must not import anything of txfast.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Any

EXIT_FAILED = 1
EXIT_MISUSED = 2
EXIT_TOO_MANY_MALFORMED = 3
EXIT_UNEXPECTED_ACCOUNTS = 4

# What was done when an error of the system came, for `way_out`.
READING, WRITING = 0, 1
ASK = "ask its owner for the permission to read it"


class TxfastError(Exception):
    """The base of all errors that txfast raises on purpose."""


class SystemFailure(TxfastError, OSError):  # noqa: N818 (its kinds end in Error)
    """What the system, or a library in its place, cannot do.

    `filename` is the file as messages name it, and `errno` the system's number of the error; each is None where there
    is none. The text of the error is its message alone, which names the file.
    """

    filename: str | None

    def __init__(self, message: str, filename: str | None = None, reason: Exception | str | None = None) -> None:
        """`reason` is the error met, or its text."""
        super().__init__(message)
        self.errno = getattr(reason, "errno", None)
        self.strerror = None if reason is None else reason_of(reason)
        self.filename = filename

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> "tuple[type[SystemFailure], tuple[str, str | None], dict[str, object]]":
        """For pickle and copy, which would lose what OSError keeps outside its `__dict__`."""
        state = {**self.__dict__, "errno": self.errno, "strerror": self.strerror}
        return type(self), (str(self), self.filename), state


class InputError(TxfastError, ValueError):
    """An input is not a transactions file, is damaged, or has rows that the chosen reader cannot read."""


class HeaderError(InputError):
    """An input is not a transactions file: it has no header, or a wrong one. `file` names it."""

    def __init__(self, message: str, file: str | None = None) -> None:
        super().__init__(message)
        self.file = file


class SourceError(SystemFailure):
    """The system cannot open, read or write an input or output. `errno` and `filename` say which, and why."""

    def __init__(self, message: str, filename: str, reason: Exception | str | None = None) -> None:
        """The file's name is required here: no such error is made without one."""
        super().__init__(message, filename, reason)


class ThreadsError(TxfastError, RuntimeError):
    """The system cannot start as many threads as were asked for."""


class TooManyMalformedError(TxfastError, ValueError):
    """There are more malformed rows than were allowed. `file`, `line` and `reason` are those of the row that stopped
    the run; `rejects` are the rows that were not applied up to there, where `process` was asked for them, else None."""

    def __init__(
        self, message: str, file: str | None = None, line: int | None = None, reason: str | None = None
    ) -> None:
        super().__init__(message)
        self.file = file
        self.line = line
        self.reason = reason
        self.rejects: Any = None  # a txfast.Rejects, which this module must not know


class UnexpectedAccountsError(TxfastError, ValueError):
    """The accounts of a run are not those that were expected. `count` is the number of differences."""

    def __init__(self, message: str, count: int = 0) -> None:
        super().__init__(message)
        self.count = count


class ConservationError(TxfastError, ArithmeticError):
    """The accounts do not add up to what the applied rows put into them: a defect of txfast or of the machine."""


class SpillError(SystemFailure):
    """Ledgers or rows that were moved to disk cannot be written, or are not the same when they are read."""


class MemoryLimitError(TxfastError, MemoryError):
    """An input, a state, a client or a library needs more memory than the run's limit, or that of the process's address
    space."""


class CapacityError(TxfastError, OverflowError):
    """There are more accounts or transactions than one ledger can number."""


class StateError(TxfastError, ValueError):
    """A state directory is damaged, missing, of an unknown format, or does not fit the call."""


class LockedError(TxfastError, RuntimeError):
    """Another run is using the state directory, or the call that a generator serves is using the ledger."""


class UsageError(TxfastError, ValueError):
    """A command line or an argument has no meaning."""


class ClusterError(TxfastError, RuntimeError):
    """A cluster lost, repeated or reordered some of its data; a worker or its engine failed, has another Python, or has
    ended; or the engine is not installed or cannot be reached."""


def not_transactions(name: str, found: str) -> HeaderError:
    """The error for an input whose header is not there, or wrong. `found` says what is wrong, and what to do."""
    return HeaderError(f"{name}: not a transactions file: {found}", name)


def unreadable(name: str, reason: Exception | str) -> SourceError:
    """The error for an input, or a file of a state, that cannot be read. `reason` is text, or the error met."""
    return SourceError(f"{name}: cannot be read: {reason_of(reason)}{way_out(reason, READING)}", name, reason)


def unwritable(name: str, reason: Exception | str) -> SourceError:
    """The error for an output, or a file of a state, that cannot be written. `reason` is text, or the error met."""
    return SourceError(f"{name}: cannot be written: {reason_of(reason)}{way_out(reason, WRITING)}", name, reason)


def reason_of(reason: Exception | str) -> str:
    """The system's words for an error, without its number and file name; else the text of the error."""
    if isinstance(reason, TxfastError):
        return str(reason)
    return str(getattr(reason, "strerror", None) or reason)


def way_out(reason: Exception | str, doing: int) -> str:
    """What to do about an error of the system, as the end of its message; "" where nothing is known to help, and for
    any other error."""
    if isinstance(reason, TxfastError) or not isinstance(reason, OSError):
        return ""
    import errno

    # Where reading and writing differ: (what to do of an input, of an output).
    ways = {
        errno.ENOENT: ("", "make its folder first"),
        errno.EACCES: (ASK, "change the permissions of the file or its folder, or name another place"),
        errno.EPERM: (ASK, "change the permissions of the file or its folder, or name another place"),
        errno.EISDIR: ("name the files in it", "name a file in it"),
        errno.EROFS: ("copy it elsewhere", "name another place"),
        errno.ENOSPC: ("free some", "free some, or name another place"),
        errno.EDQUOT: ("free some of it", "free some of it, or name another place"),
        errno.EFBIG: ("", "raise the limit (ulimit -f), or name a place on another file system"),
        errno.ENOTDIR: ("a part of its path is a file: check the path",) * 2,
        errno.ENAMETOOLONG: ("use a shorter name",) * 2,
        errno.ELOOP: ("its links lead in a circle: name the file itself",) * 2,
        errno.ENXIO: ("it is a socket, or a device that is not there: name a file",) * 2,
        errno.ESTALE: ("its server has replaced or removed it: run the command again",) * 2,
        errno.EIO: ("the disk or the network has failed: the system's log says more",) * 2,
        errno.EMFILE: ("raise the limit of open files (ulimit -n)",) * 2,
        errno.ENFILE: ("end other programs, which have too many files open",) * 2,
        errno.ENOMEM: ("end other programs, or raise the limit of memory (ulimit -v)",) * 2,
    }
    words = ways.get(reason.errno or 0, ("", ""))[doing]
    return words and f": {words}"


def exit_code_of(error: Exception) -> int:
    """The exit code of a command that this error ends."""
    if isinstance(error, UsageError):
        return EXIT_MISUSED
    if isinstance(error, UnexpectedAccountsError):
        return EXIT_UNEXPECTED_ACCOUNTS
    return EXIT_TOO_MANY_MALFORMED if isinstance(error, TooManyMalformedError) else EXIT_FAILED


def describe_failure(error: Exception) -> str:
    """One line for the log that says what went wrong and where."""
    if isinstance(error, TxfastError):
        return str(error)
    if isinstance(error, MemoryError):
        found = str(error) or "the machine has no more"
        return f"out of memory: {found}: name a lower --memory-limit, so that data goes to disk in time"
    if isinstance(error, OSError):
        return f"{error.filename or 'standard output'}: {reason_of(error)}{way_out(error, WRITING)}"
    if isinstance(error, ImportError | SystemError):
        # Too little memory shows itself so: a library cannot be mapped, or fails while it is made ready.
        return (
            f"a library cannot be loaded: {error}: if memory is limited (ulimit -v), raise the limit; else install anew"
        )
    return f"internal error: {type(error).__name__}: {error} (run it with the level debug to see where)"
