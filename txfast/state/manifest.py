"""The manifest of a snapshot: JSON that describes the other files, and whose hash shows any change of a byte.

The hash of all other fields is itself a field, and the text is canonical: a manifest is good only where writing its
fields again gives the same text. That holds for every format; the number of the format says which fields there are.

This module must not know what the fields mean.
"""

from txfast.errors import StateError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

# The format that is written: its files are segments, and a run looks up in them. Earlier ones are read: 1, the first;
# 2 shared its entries with other snapshots; 3 was in shards, or had inputs with several parts. These had no policy, and
# did not say how a dispute had ended. 4 has both, 5 also opening balances or a dialect.
FORMAT = 6
FORMATS = (1, 2, 3, 4, 5, FORMAT)
NAME = "manifest.json"
# The largest manifest, in bytes, that is written or read. An input takes about 300 bytes, and 90 more for each part in
# which it was hashed: a year with one input a day makes some 100 KiB.
BYTES_MAX = 1 << 28
# How bytes that may not be UTF-8 become text, and text becomes bytes again.
TEXT = ("utf-8", "surrogateescape")


def text_from(line: bytes) -> str:
    """Any bytes as text for a manifest; `Fields.encoded` makes the same bytes of it."""
    return line.decode(*TEXT)


def text_of(fields: "dict[str, Any]") -> bytes:
    """The text of a manifest with these fields, and their hash as the last one."""
    import json

    from xxhash import xxh3_128_hexdigest

    bare = json.dumps(fields, indent=1)
    return json.dumps({**fields, "hash": xxh3_128_hexdigest(bare.encode())}, indent=1).encode() + b"\n"


def parse(path: str, text: bytes) -> "dict[str, Any]":
    """The fields of a manifest, without the hash.

    Raises StateError where the text is not a manifest or was changed, and UnknownFormatError.
    """
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
    """A good manifest of a format that this version does not know.

    It ends the run: an older snapshot must not be used in its place.
    """


class Fields:
    """Fields of a manifest, or of a part of it, with checks. Methods raise StateError for a field that is missing or
    has another type.

    `name` is the path of the part, as messages show it: "inputs: ".
    """

    def __init__(self, path: str, fields: "Any", name: str = "") -> None:
        self._path = path
        self._name = name
        if not isinstance(fields, dict):
            raise self._error(name or "the whole")
        self._fields = fields

    def error(self, name: str) -> StateError:
        """The error for a field of this name with a value that cannot be."""
        return self._error(f"{self._name}{name}")

    def unknown(self, what: str) -> UnknownFormatError:
        """The error for a good manifest with something that this version does not know."""
        return UnknownFormatError(
            f"{self._path}: has {what}, which this txfast does not know, written by txfast "
            f"{self._fields.get('txfast')!r}: use the one that wrote it"
        )

    def _error(self, name: str) -> StateError:
        return StateError(f"{self._path}: is damaged: {name} is not what it should be")

    def take(self, name: str, kind: type) -> "Any":
        """A field of this type; an int must be from 0 to 2^63 - 1."""
        found = self._fields.get(name)
        if type(found) is not kind or (isinstance(found, int) and not 0 <= found < 1 << 63):
            raise self.error(name)
        return found

    def whole(self, name: str) -> int:
        """An int of any size and sign."""
        found = self._fields.get(name)
        if type(found) is not int:
            raise self.error(name)
        return found

    def part(self, name: str) -> "Fields":
        """A field that has fields itself."""
        return Fields(self._path, self._fields.get(name), f"{self._name}{name}: ")

    def choice(self, name: str, choices: "Sequence[str]") -> str:
        """A field that is one of these texts."""
        found = self.take(name, str)
        if found not in choices:
            raise self.error(name)
        return str(found)

    def encoded(self, name: str) -> bytes:
        """The bytes that `text_from` was given."""
        try:
            return bytes(self.take(name, str).encode(*TEXT))
        except UnicodeEncodeError as error:
            raise self.error(name) from error

    def without(self, *names: str) -> "dict[str, Any]":
        """All fields except these."""
        return {name: value for name, value in self._fields.items() if name not in names}

    def parts(self, name: str) -> "list[Fields]":
        """A field that is a list of fields."""
        prefix = f"{self._name}{name}: "
        return [Fields(self._path, each, prefix) for each in self.take(name, list)]

    def numbers(self, name: str) -> list[int]:
        """A field that is a list of ints of any size and sign."""
        found: list[int] = self.take(name, list)
        if any(type(each) is not int for each in found):
            raise self.error(name)
        return found

    def has(self, name: str) -> bool:
        """Whether there is a field of this name that is not null."""
        return self._fields.get(name) is not None

    def names(self) -> "list[str]":
        """The names of all fields."""
        return list(self._fields)
