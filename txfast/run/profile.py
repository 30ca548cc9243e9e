"""Reads a profile: a TOML file with options of a run, and tables for the dialect and the policy.

This module must not know which options a front end has, nor what their values mean.
"""

from txfast.dialect.dialect import FAMILIES, find_part, parse_parts
from txfast.errors import UsageError, unreadable
from txfast.input.location import keep_secrets_of
from txfast.input.ref import STANDARD_INPUT, display_name
from txfast.ledger.policy import NAMES as SWITCHES
from txfast.ledger.policy import PRESETS, Policy, parse_setting
from txfast.printable import printable
from txfast.run.dialect_options import PARTS, overlaid, settings_of
from txfast.text.words import did_you_mean

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from txfast.dialect.dialect import Part

BYTES_MAX = 1 << 20
# Options that are tables too, and the parts of a dialect that each has.
TABLES = {"dialect": "", "columns": "columns.", "types": "types."}
POLICY = "policy"
PRESET = "preset"
DIALECT_OPTIONS = (*TABLES, *PARTS)
WORD_LISTS = ("null", "keep.")
HEADER = "header"


class Profile:
    """A profile that was read.

    `options` has the values of options by their name, as they are in the file: texts, whole numbers, and True or False
    for those that are switches. `dialect` has parts of a dialect by their full name, and `policy` settings of a policy,
    in the order in which they count; both were checked. `path` is the file as messages name it, and `keys` are those
    that options have in it.
    """

    __slots__ = ("dialect", "keys", "options", "path", "policy")

    def __init__(self, path: str, keys: "Collection[str]") -> None:
        self.path = path
        self.keys = keys
        self.options: dict[str, str | int] = {}
        self.dialect: dict[str, str] = {}
        self.policy: list[str] = []

    def error(self, key: str, message: object) -> UsageError:
        """The error about a key of this profile."""
        return UsageError(f"{self.path}: {printable(key) or repr(key)}: {message}")

    def hint(self, name: str) -> str:
        """The end of a message about an unknown name in a table: "" but for an option, which stands in none."""
        return "; an option stands before the first table" if name in self.keys else ""

    def text(self, name: str) -> str:
        """The value of an option as a text: "true" or "false" for a switch."""
        value = self.options[name]
        return str(value).lower() if isinstance(value, bool) else str(value)

    def given(self, name: str) -> str:
        """How an option is given here, for messages."""
        return f"{key_of(name)} = {self.text(name)} in {self.path}"


def key_of(name: str) -> str:
    """The key of an option in a profile: its long flag without dashes before it."""
    return name.replace("_", "-")


def read_profile(path: str, options: "Mapping[str, bool]", refused: "Mapping[str, str]") -> Profile:
    """Read a profile.

    `options` has the names of the options that it may have, and whether each is a switch; `refused` names others, with
    the reason why they cannot be there. Raises SourceError for a file that cannot be read, and UsageError for one that
    is no TOML, and for a key or a value that has no meaning.
    """
    if path == STANDARD_INPUT:
        raise UsageError("a profile is a file, and - is none: name it, or write /dev/stdin")
    profile = Profile(display_name(path), [key_of(name) for name in options])
    content = parse(profile.path, read_text(path, profile.path))
    for text in texts_in(content):
        keep_secrets_of(text)
    for key, value in content.items():
        name = key.replace("-", "_")
        if name in refused and key == key_of(name):
            raise profile.error(key, refused[name])
        if name not in options or key != key_of(name):
            meant = f"; write {key_of(name)}" if name in options else did_you_mean(key, profile.keys)
            raise profile.error(key, f"there is no such option{meant or '; txfast -h lists the options'}")
        if isinstance(value, dict) and name == POLICY:
            profile.policy = list(policy_of(profile, value))
        elif isinstance(value, dict) and name not in TABLES:
            tables = ", ".join(f"[{each}]" for each in (*TABLES, POLICY))
            raise profile.error(key, f"it is one value; tables are {tables}")
        elif name == POLICY:
            profile.policy = [text for each in values_of(profile, key, value) for text in each.split(",")]
            if not any(profile.policy):
                raise profile.error(key, "it is empty: leave it out for the default")
        elif name not in DIALECT_OPTIONS:
            profile.options[name] = scalar_of(profile, key, value, is_switch=options[name])
    # As on the command line, the short options beat [dialect].
    for name in DIALECT_OPTIONS:
        if key_of(name) in content:
            profile.dialect = overlaid(profile.dialect, dialect_parts(profile, name, content[name]))
    try:
        Policy(",".join(profile.policy))
    except UsageError as error:
        raise profile.error(POLICY, error) from None
    return profile


# ---- The file ------------------------------------------------------------------------------------


def read_text(path: str, shown: str) -> str:
    """The text of a file. Raises SourceError and UsageError."""
    try:
        with open(path, "rb") as file:
            content = file.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise unreadable(shown, error) from error
    if len(content) > BYTES_MAX:
        raise UsageError(f"{shown}: is longer than 1 MiB: is it a profile?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{shown}:{line}: is not UTF-8: save it as UTF-8") from None


def parse(shown: str, text: str) -> "dict[str, object]":
    """A text of TOML; numbers with a fraction are their texts. Raises UsageError, which names the line."""
    import re
    import tomllib

    try:
        return tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.S)
        words, line, column = found.groups() if found else (str(error), None, None)
        place = line or text.count("\n") + 1
        at = f" in column {column}" if column else " at the end"
        raise UsageError(
            f"{shown}:{place}: is no TOML: {printable(words)}{at}; a line is NAME = VALUE, and texts stand in quotes, "
            f'as decimal = ","'
        ) from None
    except RecursionError:
        raise UsageError(f"{shown}: is no profile: its lists or tables are nested too deeply") from None


def texts_in(value: object) -> "Iterator[str]":
    """All texts in a value of TOML, which may be nested deeply."""
    values = [value]
    while values:
        each = values.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict | list):
            values += each.values() if isinstance(each, dict) else each


# ---- Values --------------------------------------------------------------------------------------


def scalar_of(profile: Profile, key: str, value: object, *, is_switch: bool) -> str | int:
    """The value of an option. Raises UsageError."""
    if isinstance(value, bool) and not is_switch:
        raise profile.error(key, f"{str(value).lower()}: it has a value of its own, and is no switch")
    if not isinstance(value, str | int):
        raise profile.error(key, "it is one text, number, true or false")
    return value


def values_of(profile: Profile, key: str, value: object) -> list[str]:
    """The texts of an option that may be given several times: one, or a list of them. Raises UsageError."""
    values = value if isinstance(value, list) else [value]
    texts = [each for each in values if isinstance(each, str)]
    if len(texts) < len(values):
        raise profile.error(key, "it is a text, a list of texts, or a table")
    return texts


def dialect_parts(profile: Profile, option: str, value: object) -> dict[str, str]:
    """The parts of a dialect that an option or a table sets, by their full name. Raises UsageError."""
    if isinstance(value, dict):
        return dict(parts_in(profile, option, TABLES[option], value))
    if option in PARTS:
        text = scalar_of(profile, option, value, is_switch=False)
        return dict([checked_part(profile, option, option, str(text))])
    parts: dict[str, str] = {}
    for text in values_of(profile, option, value):
        try:
            found = settings_of(option, text)
            parts = overlaid(parts, {find_part(name)[0]: each for name, each in found.items()})
            parse_parts(found)
        except UsageError as error:
            raise profile.error(option, error) from None
    return parts


def parts_in(profile: Profile, table: str, prefix: str, values: "dict[str, object]") -> "Iterator[tuple[str, str]]":
    """The parts of a dialect in a table, and in those inside of it; names begin with the prefix. Raises UsageError."""
    for name, value in values.items():
        key, full = f"{table}.{name}", prefix + name
        if isinstance(value, dict):
            if f"{full}." not in FAMILIES:
                known_part(profile, key, full)
                hint = ": put a name that has a point in it into quotes" if prefix else ""
                raise profile.error(key, f"it is no table{hint}")
            yield from parts_in(profile, key, f"{full}.", value)
        else:
            yield checked_part(profile, key, full, part_text(profile, key, full, value))


def part_text(profile: Profile, key: str, name: str, value: object) -> str:
    """The text of a part of a dialect. Raises UsageError."""
    if isinstance(value, bool):
        if name != HEADER:
            raise profile.error(key, f"{str(value).lower()}: it is a text or a number")
        return "yes" if value else "no"
    if isinstance(value, list):
        if not name.startswith(WORD_LISTS):
            raise profile.error(key, "it is one text or number; lists are for null and keep")
        words = [each if isinstance(each, str) else str(each) for each in value if type(each) in (str, int)]
        if len(words) < len(value) or not words or any("," in word for word in words):
            raise profile.error(key, "it is a list of words that have no comma")
        return ",".join(words)
    if not isinstance(value, str | int):
        raise profile.error(key, "it is a text, a number or a list of words")
    return str(value)


def checked_part(profile: Profile, key: str, name: str, text: str) -> tuple[str, str]:
    """The full name of a part of a dialect, and its value. Raises UsageError for a name or a value that is none."""
    full, part = known_part(profile, key, name)
    try:
        part.parse(text)
    except UsageError as error:
        raise profile.error(key, f"{printable(repr(text))}: {error}") from None
    return full, text


def known_part(profile: Profile, key: str, name: str) -> "tuple[str, Part]":
    """The full name of a part of a dialect, and the part. Raises UsageError where there is none of this name."""
    try:
        return find_part(name)
    except UsageError as error:
        raise profile.error(key, printable(str(error)) + profile.hint(key.rpartition(".")[2])) from None


def policy_of(profile: Profile, values: "dict[str, object]") -> "Iterator[str]":
    """The settings of a policy in a table: a preset first, which the others change. Raises UsageError."""
    for name, value in sorted(values.items(), key=lambda each: each[0] != PRESET):
        key = f"{POLICY}.{name}"
        if not isinstance(value, str):
            raise profile.error(key, "it is a text")
        if name == PRESET and value not in PRESETS:
            raise profile.error(key, f"{value!r}: it is one of {', '.join(PRESETS)}{did_you_mean(value, PRESETS)}")
        if name not in (PRESET, *SWITCHES):
            known = (PRESET, *SWITCHES)
            hint = profile.hint(name) or did_you_mean(name, known)
            raise profile.error(key, f"it is one of {', '.join(known)}{hint}")
        setting = value if name == PRESET else f"{name}={value}"
        try:
            parse_setting(setting)
        except UsageError as error:
            raise profile.error(key, error) from None
        yield setting
