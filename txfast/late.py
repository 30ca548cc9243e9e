"""Imports pyarrow when it is first used: the import takes longer than replaying a small file.

A module that needs pyarrow has, beside its other imports,

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        import pyarrow as pa
    else:
        from txfast.late import pa

and then uses `pa.array`, `pa.ipc`, `pa.parquet` and so on, as if it had imported the library. This module must not
import anything of txfast but its errors, and these only where it raises one.
"""

import sys

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Any


# pyarrow crashes at its import with less, and hangs where its CSV reader starts a thread.
PYARROW_ADDRESS_BYTES = 128 << 20
THREAD_ADDRESS_BYTES = 32 << 20


class LateModule:
    """Stands for a module, and imports it when an attribute is first used. Submodules are attributes too."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> "tuple[object, ...]":
        # Spark sends functions with the globals that they use.
        return LateModule, (self._name,)

    def __getattr__(self, attribute: str) -> "Any":
        from importlib import import_module

        if "pyarrow" not in sys.modules:
            check_address_space(PYARROW_ADDRESS_BYTES)
        module = import_module(self._name)
        try:
            found: object = getattr(module, attribute)
        except AttributeError:
            try:
                found = import_module(f"{self._name}.{attribute}")
            except ModuleNotFoundError:
                raise AttributeError(f"module {self._name!r} has no attribute {attribute!r}") from None
        setattr(self, attribute, found)
        return found


pa = LateModule("pyarrow")


def address_space_limit() -> int | None:
    """The limit of this process's address space in bytes (`ulimit -v`); None where there is none."""
    from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit

    limit = getrlimit(RLIMIT_AS)[0]
    return None if limit == RLIM_INFINITY else limit


def pyarrow_may_start_threads() -> bool:
    """Whether pyarrow may use threads of its own. Not under a limit of the address space: where a thread cannot be
    started, pyarrow frees what others still read, and the process crashes."""
    return address_space_limit() is None


def check_address_space(needed: int) -> None:
    """Raise MemoryLimitError where the limit of the address space leaves too little for pyarrow, which may crash or
    hang then."""
    limit = address_space_limit()
    if limit is None:
        return
    from resource import getpagesize

    try:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * getpagesize()
    except OSError:
        return
    if limit - used < needed:
        from txfast.errors import MemoryLimitError

        raise MemoryLimitError(
            f"pyarrow needs {needed >> 20}MiB of address space and more, and the limit leaves "
            f"{max(0, limit - used) >> 20}MiB: raise it (ulimit -v)"
        )
