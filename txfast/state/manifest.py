"""The manifest of a snapshot: what its folder holds, as JSON that says when a byte of it was changed.

The text is the one way to write what it says, with a hash of the rest inside: another byte anywhere makes another text
than would be written, or another hash. So it is in every format, whose number says what the other fields are.

This module must not know what the fields mean.
"""

from txfast.errors import StateError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

FORMAT = 1
# Of a snapshot that shares its entries with others.
SHARED_FORMAT = 2
# Of one in shards, or that knows of inputs in parts.
SHARDED_FORMAT = 3
FORMATS = (FORMAT, SHARED_FORMAT, SHARDED_FORMAT)
NAME = "manifest.json"
# Nothing larger is written or read. Of a year's inputs a day it has some hundred KiB: an input takes about 300 bytes,
# and 90 more for each part in which it was hashed.
BYTES_MAX = 1 << 28
# Bytes as text, whatever they are.
TEXT = ("utf-8", "surrogateescape")


def text_from(line: bytes) -> str:
    """Bytes as a text that a manifest can have."""
    return line.decode(*TEXT)


def text_of(fields: "dict[str, Any]") -> bytes:
    """A manifest's text: the fields, and the hash of them."""
    import json

    from xxhash import xxh3_128_hexdigest

    bare = json.dumps(fields, indent=1)
    return json.dumps({**fields, "hash": xxh3_128_hexdigest(bare.encode())}, indent=1).encode() + b"\n"


def parse(path: str, text: bytes) -> "dict[str, Any]":
    """A manifest's fields. Raises StateError where the text is none, or of a format that is not known here."""
    import json

    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StateError(f"{path}: is damaged: it is no manifest") from error
    if not isinstance(fields, dict) or "hash" not in fields:
        raise StateError(f"{path}: is damaged: it is no manifest")
    del fields["hash"]
    if text_of(fields) != text:
        raise StateError(f"{path}: is damaged: it does not have the hash that it names")
    if fields.get("format") not in FORMATS:
        raise UnknownFormatError(
            f"{path}: has state format {fields.get('format')!r}, written by txfast {fields.get('txfast')!r}; "
            f"this txfast knows formats {', '.join(map(str, FORMATS))}: use the one that wrote it"
        )
    return fields


class UnknownFormatError(StateError):
    """A manifest that is whole, of a format that this version does not know. Nothing older may stand in for it."""


class Fields:
    """A part of a manifest, taken field by field. Raises StateError where one is not what it should be."""

    def __init__(self, path: str, fields: "Any", name: str = "") -> None:
        self._path = path
        self._name = name
        if not isinstance(fields, dict):
            raise self._error(name or "the whole")
        self._fields = fields

    def error(self, name: str) -> StateError:
        """That this field is not what it should be."""
        return self._error(f"{self._name}{name}")

    def _error(self, name: str) -> StateError:
        return StateError(f"{self._path}: is damaged: {name} is not what it should be")

    def take(self, name: str, kind: type) -> "Any":
        """A field of this type; a number at least 0, and in 64 bits."""
        found = self._fields.get(name)
        if type(found) is not kind or (isinstance(found, int) and not 0 <= found < 1 << 63):
            raise self.error(name)
        return found

    def whole(self, name: str) -> int:
        """A whole number of any size."""
        found = self._fields.get(name)
        if type(found) is not int:
            raise self.error(name)
        return found

    def part(self, name: str) -> "Fields":
        """The fields inside a field."""
        return Fields(self._path, self._fields.get(name), f"{self._name}{name}: ")

    def choice(self, name: str, choices: "Sequence[str]") -> str:
        """One of these words."""
        found = self.take(name, str)
        if found not in choices:
            raise self.error(name)
        return str(found)

    def encoded(self, name: str) -> bytes:
        """The bytes that `text_from` made a text of."""
        try:
            return bytes(self.take(name, str).encode(*TEXT))
        except UnicodeEncodeError as error:
            raise self.error(name) from error

    def without(self, *names: str) -> "dict[str, Any]":
        """All but these."""
        return {name: value for name, value in self._fields.items() if name not in names}

    def parts(self, name: str) -> "list[Fields]":
        """The fields of each of a list."""
        place = f"{self._name}{name}: "
        return [Fields(self._path, each, place) for each in self.take(name, list)]

    def numbers(self, name: str) -> list[int]:
        """A list of whole numbers."""
        found: list[int] = self.take(name, list)
        if any(type(each) is not int for each in found):
            raise self.error(name)
        return found

    def names(self) -> "list[str]":
        return list(self._fields)
