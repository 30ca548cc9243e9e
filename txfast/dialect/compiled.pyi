from collections.abc import Mapping
from typing import Self

from typing_extensions import disjoint_base

from txfast.dialect.currencies import Currencies

ROUNDINGS: tuple[str, ...]
IGNORE: str
KINDS: tuple[str, ...]
OTHER_WORDS: dict[str, str]
ROLES: dict[str, int]

@disjoint_base
class CompiledDialect:
    def __new__(cls, dialect: Mapping[str, str]) -> Self: ...
    @property
    def capsule(self) -> object: ...
    @property
    def currencies(self) -> Currencies | None: ...
