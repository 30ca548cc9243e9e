"""System calls that fail on purpose."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import pytest


def failing(number: int) -> Callable[..., NoReturn]:
    """A stand-in for a system call, which raises OSError with this number."""

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def fail_renames(patched: pytest.MonkeyPatch, word: str) -> None:
    """Make os.rename fail with ENOSPC if the new name contains this word."""
    rename, fail = os.rename, failing(errno.ENOSPC)

    def fail_on_word(old: str, new: str) -> None:
        (fail if word in new else rename)(old, new)

    patched.setattr(os, "rename", fail_on_word)


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """A function that raises this error."""

    def fail(*_: object) -> NoReturn:
        raise error

    return fail


def closing_with_an_error() -> Callable[[int], None]:
    """An `os.close` that closes, and then fails with an error of the disk."""
    close = os.close

    def close_and_fail(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    return close_and_fail
