"""Libraries that cost more to import than a small file to replay: each is imported when it is first used.

A module that needs pyarrow says, beside its other imports,

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        import pyarrow as pa
    else:
        from txfast.late import pa

and then uses `pa.array`, `pa.ipc`, `pa.parquet` and so on like the library itself. This is the one place that imports
it. This module must not import anything of txfast.
"""


class LateModule:
    """Stands for a module, and imports it when an attribute is first asked for. Submodules are attributes too."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> object:
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
