"""The dialect in the manifest of a snapshot: that of all inputs that were ever read into it.

This module must not know what a dialect means.
"""

from txfast.dialect.dialect import Dialect, find_part
from txfast.dialect.names import DECIMALS
from txfast.errors import UsageError
from txfast.state.policies import OtherPolicyError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.dialect.text_ids import TextIds
    from txfast.state.manifest import Fields


class OtherDialectError(OtherPolicyError):
    """A state has another dialect than the run. It ends the run: an older snapshot must not be used in its place."""


def fields_of_dialect(dialect: Dialect | None) -> dict[str, dict[str, str]]:
    """What a manifest has of a dialect: the parts that are not the default; no field for the default one."""
    return {"dialect": dict(dialect)} if dialect else {}


def dialect_of(fields: "Fields") -> Dialect | None:
    """The dialect of a snapshot with this manifest; None for the default one, which those without the field have.

    Raises StateError, and UnknownFormatError for a part that came with a later version.
    """
    if not fields.has("dialect"):
        return None
    saved = fields.part("dialect")
    settings = {name: saved.take(name, str) for name in saved.names()}
    for name in settings:
        try:
            find_part(name)
        except UsageError as error:
            raise fields.unknown(f"the dialect {name}={settings[name]}") from error
    try:
        return Dialect(settings) if settings else None
    except UsageError as error:
        raise fields.error("dialect") from error


def decimals_of(dialect: Dialect | None) -> int:
    """The decimals of amounts in a state of this dialect."""
    return DECIMALS if dialect is None else dialect.decimals


def text_ids_of(dialect: Dialect | None) -> "TextIds | None":
    """Which ids are texts in a state of this dialect, and its currencies; None where all ids are numbers, and accounts
    have no currency."""
    return None if dialect is None else dialect.text_ids


def check_dialect(folder: str, saved: Dialect | None, chosen: Dialect | None) -> None:
    """Raise OtherDialectError where a state in this folder was saved in another dialect than the chosen one."""
    saved, chosen = saved or Dialect(), chosen or Dialect()
    if saved != chosen:
        raise OtherDialectError(
            f"{folder}: its inputs were read in another dialect, in which {saved.differences(chosen)}: go on in that "
            f"one, or begin a new state"
        )
