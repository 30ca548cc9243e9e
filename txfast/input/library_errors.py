"""Errors of libraries: the one place where an exception that a library raises about an input becomes the input's error.

Decompressors, pyarrow and the standard library raise exceptions of many types; some derive from no builtin exception
but `Exception`. Every call that gives them bytes of an input stands in a LibraryErrors block. What leaves such a block
names the input.

This module must not import any library: an exception's type is known by the module that it comes from.
"""

from txfast.errors import InputError, TxfastError, reason_of, unreadable
from txfast.printable import without_secrets

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

# The modules whose exceptions are always about the input. isal's are of igzip_lib.
LIBRARIES = {"_lzma", "igzip_lib", "isal", "lzma", "pyarrow", "struct", "zipfile", "zlib"}
# Unless their type is a library's, these are defects of our own code or of the installation, and stay what they are.
DEFECTS = (AssertionError, AttributeError, ImportError, NameError, SystemError, TypeError)
# An error's words may have bytes of the input in them.
WORDS_LENGTH_MAX = 300
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
            raise self._translated(error, words_of(error)) from shown_cause(error)

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
