"""Imports pyarrow when it is first used: the import takes longer than replaying a small file.

A module that needs pyarrow has, beside its other imports,

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        import pyarrow as pa
    else:
        from txfast.late import pa

and then uses `pa.array`, `pa.ipc`, `pa.parquet` and so on, as if it had imported the library. This module must not
import anything of txfast.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Any


class LateModule:
    """Stands for a module, and imports it when an attribute is first used. Submodules are attributes too."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> "tuple[object, ...]":
        # Spark sends functions with the globals that they use.
        return LateModule, (self._name,)

    def __getattr__(self, attribute: str) -> "Any":
        from importlib import import_module

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
