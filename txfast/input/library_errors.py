"""Errors of libraries: the one place where an exception that a library raises about an input becomes the input's error.

Decompressors, pyarrow, DuckDB and the standard library raise exceptions of many types; some derive from no builtin
exception but `Exception`. Every call that gives them bytes of an input stands in a LibraryErrors block. What leaves
such a block names the input.

This module must not import any library: an exception's type is known by the module that it comes from.
"""

from txfast.errors import InputError, MemoryLimitError, TxfastError, reason_of, unreadable
from txfast.input.room import in_mib
from txfast.printable import without_secrets

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

# The modules whose exceptions are always about the input. isal's are of igzip_lib, DuckDB's of _duckdb.
LIBRARIES = {"_duckdb", "_lzma", "duckdb", "igzip_lib", "isal", "lzma", "pyarrow", "struct", "zipfile", "zlib"}
# Unless their type is a library's, these are defects of our own code or of the installation, and stay what they are.
DEFECTS = (AssertionError, AttributeError, ImportError, NameError, SystemError, TypeError)
# An error's words may have bytes of the input in them.
WORDS_LENGTH_MAX = 300
# What follows in DuckDB's words: a line of the query, and advice to people who use DuckDB by hand.
ENDS_OF_WORDS = ("\nLINE ", "\nPossible solutions", "\nPossible fixes", "\nSee also ")
# Words of DuckDB where its limit of memory is too low, where that is because no more may be moved to disk, and where
# an extension is not there, whose name follows.
NO_MEMORY = "Out of Memory Error: "
FULL_FOLDER = "max_temp_directory_size"
NO_EXTENSION = "automatically install the required extension '"
# Words of pyarrow where it gets no memory, or no thread.
NO_RESOURCES = ("Resource temporarily unavailable", "Cannot allocate memory")


class LibraryErrors:
    """Inside its `with` block, an exception of a library becomes an InputError, a SourceError or a MemoryError.

    All of them name the input. `describe` turns the library's words into an InputError's message, without the name.
    Where `is_remote`, an OSError without a number is one of the network, and becomes a SourceError. Where `is_lent`,
    the block also runs code of the calling program: exceptions pass unless their type is a library's.
    """

    __slots__ = ("_describe", "_is_lent", "_is_remote", "name")

    def __init__(
        self, name: str, describe: "Callable[[str], str]", *, is_remote: bool = False, is_lent: bool = False
    ) -> None:
        self.name = name
        self._describe = describe
        self._is_remote = is_remote
        self._is_lent = is_lent

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not self._passes(error):
            raise self._translated(error, self._words(error)) from self._cause(error)

    def _words(self, error: Exception) -> str:
        """What the message says of an exception."""
        return words_of(error)

    def _cause(self, error: Exception) -> Exception:
        """The exception that a traceback shows as the cause."""
        return shown_cause(error)

    def _passes(self, error: Exception) -> bool:
        """Whether an exception leaves the block as it is."""
        if isinstance(error, TxfastError) or is_callers(error):
            return True
        if type(error).__module__.partition(".")[0] in LIBRARIES:
            return False
        if self._is_lent:
            return not isinstance(error, UnicodeDecodeError)
        return isinstance(error, DEFECTS)

    def _translated(self, error: Exception, words: str) -> Exception:
        """The exception to raise instead."""
        if isinstance(error, MemoryError) or any(each in words for each in NO_RESOURCES):
            return MemoryError(f"{self.name}: {words if str(error) else 'the machine has no more'}")
        if isinstance(error, OSError) and (error.errno is not None or self._is_remote):
            return unreadable(self.name, error)
        return InputError(f"{self.name}: {self._describe(words)}")


class LocationErrors(LibraryErrors):
    """Inside its `with` block, what a file system of pyarrow raises becomes a SourceError with the location's name.

    The words of such an error may repeat the location as the user gave it: the name replaces that.
    """

    __slots__ = ("_given",)

    def __init__(self, name: str, given: str | None = None) -> None:
        super().__init__(name, str, is_remote=True)
        self._given = name if given is None else given

    def _translated(self, error: Exception, words: str) -> Exception:
        if isinstance(error, OSError) and error.errno is not None:
            words = words_of(Exception(reason_of(error)))
        for given in (self._given, without_secrets(self._given)):
            words = words.replace(given, self.name)
        return unreadable(self.name, words)


class QueryErrors(LibraryErrors):
    """Inside its `with` block, what DuckDB raises about a query, by itself or through pyarrow, becomes an InputError,
    or a MemoryLimitError where `memory_bytes`, what it may take, are too few.

    DuckDB's words end with a line of the query, which may hold a key: neither message nor traceback shows it.
    """

    __slots__ = ("memory_bytes",)

    def __init__(self, name: str) -> None:
        super().__init__(name, "the query fails: {}".format)
        self.memory_bytes = 0

    def _words(self, error: Exception) -> str:
        text = str(error)
        for end in ENDS_OF_WORDS:
            text = text.partition(end)[0]
        return words_of(Exception(text) if text else error)

    def _cause(self, error: Exception) -> Exception:
        return LibraryMessage(f"{type(error).__name__}: {self._words(error)}").with_traceback(error.__traceback__)

    def _translated(self, error: Exception, words: str) -> Exception:
        if words.startswith(NO_MEMORY) and FULL_FOLDER not in words:
            return MemoryLimitError(
                f"{self.name}: the query needs more memory than the {in_mib(self.memory_bytes)} that DuckDB gets of "
                f"the memory limit: raise the limit, or give fewer columns and rows to what it sorts, joins and groups"
            )
        _, is_missing, rest = words.partition(NO_EXTENSION)
        if is_missing:
            extension = rest.partition(":")[0].strip("'")  # versions differ
            return InputError(
                f"{self.name}: the query needs DuckDB's extension {extension}, which is not installed: once, run "
                f"python3 -c \"import duckdb; duckdb.execute('INSTALL {extension}')\""
            )
        return super()._translated(error, words)


def words_of(error: Exception) -> str:
    """The text of an exception on one line, without secrets, cut where it is long; the name of its type where it has
    none."""
    words = " ".join(without_secrets(str(error)).split())
    if len(words) > WORDS_LENGTH_MAX:
        words = words[:WORDS_LENGTH_MAX] + "…"
    return words or type(error).__name__


class LibraryMessage(Exception):  # noqa: N818 (it is only ever a cause)
    """Stands for an exception of a library whose text has a secret in it, where a traceback shows the cause."""


def shown_cause(error: Exception) -> Exception:
    """The exception, or where its text has a secret in it, one with the same traceback and without the secret."""
    text = str(error)
    if without_secrets(text) == text:
        return error
    return LibraryMessage(f"{type(error).__name__}: {without_secrets(text)}").with_traceback(error.__traceback__)


def mark_as_callers(error: BaseException) -> None:
    """Mark an exception that a file or a generator of the calling program raised: it passes through every block."""
    error._txfast_passes = True  # type: ignore[attr-defined]


def is_callers(error: BaseException) -> bool:
    """Whether the calling program raised this exception."""
    return getattr(error, "_txfast_passes", False) is True
