"""The options that say how files are to be read, as one Dialect. This module must not know what its parts mean."""

from txfast.dialect.dialect import Dialect, find_part, parse_parts
from txfast.errors import UsageError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Options that are one part of a dialect, by their name.
PARTS = ("delimiter", "decimal", "ids", "decimals")


def dialect_of(layers: "Sequence[Mapping[str, str]]", base: "Mapping[str, str] | None" = None) -> Dialect | None:
    """The dialect that the texts of --dialect, --columns, --types and the options of PARTS make together; None for the
    default one. Within a layer, the short options override --dialect. Single parts of a layer override those of the
    layers before it, and all of them those of the `base`, by their full names, which a profile gives. Raises
    UsageError."""
    parts = dict(base or {})
    for options in layers:
        settings: dict[str, str] = {}
        for name in ("dialect", "columns", "types", *PARTS):
            if name in options:
                settings |= settings_of(name, options[name])
        parts = overlaid(parts, {find_part(name)[0]: value for name, value in settings.items()})
    dialect = Dialect(parts)
    return dialect if len(dialect) else None


def overlaid(base: "Mapping[str, str]", settings: "Mapping[str, str]") -> dict[str, str]:
    """The parts of the base, with those of the settings in their place. Names of words and of columns count in any case
    of the letters A to Z; `ids` replaces `ids.client` and `ids.tx`."""
    replaced = {folded(name) for name in settings}
    kept = {name for name in base if replaced.isdisjoint((folded(name), folded(name.partition(".")[0])))}
    return {name: value for name, value in base.items() if name in kept} | dict(settings)


def folded(name: str) -> str:
    """A name with small letters for A to Z."""
    return name.encode("utf-8", "surrogateescape").lower().decode("utf-8", "surrogateescape")


def settings_of(option: str, text: str) -> dict[str, str]:
    """The parts of a dialect that the text of an option sets. Raises UsageError."""
    if option == "dialect":
        return dict(map(parse_setting, text.splitlines()))
    if option in ("columns", "types"):
        return {f"{option}.{name}": value for name, value in settings_in(option, text)}
    return {option: text}


def checked(option: str, text: str) -> str:
    """The text of an option, whose values are looked at one by one. Raises UsageError."""
    try:
        parse_parts(settings_of(option, text))
    except UsageError as error:
        raise UsageError(f"{text!r}: {error}") from None
    return text


def settings_in(option: str, text: str) -> list[tuple[str, str]]:
    """The names and values in a list NAME=VALUE,…. Raises UsageError."""
    found = []
    for setting in text.split(","):
        name, equals, value = (part.strip() for part in setting.rpartition("="))
        if not equals or not name or not value:
            form = "client=Customer,tx=id" if option == "columns" else "SALE=deposit,PAYOUT=withdrawal"
            raise UsageError(f"{setting!r} is no NAME=VALUE, as {form}")
        found.append((name, value))
    return found


def parse_setting(text: str) -> tuple[str, str]:
    """The name and value of a setting NAME=VALUE. A name of a word may have an equals sign: the last one counts, but
    for values that are one. Raises UsageError."""
    name, equals, value = text.rpartition("=")
    if name.endswith("=") and not value:
        name, value = name[:-1], "="
    if not equals or not name.strip():
        raise UsageError(f"dialect {text!r}: it is NAME=VALUE, as delimiter=; or columns.client=Customer")
    return name, value
