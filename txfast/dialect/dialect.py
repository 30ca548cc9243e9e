"""Dialects: what the bytes of a file mean. PARTS is the one list of the parts of a dialect, their values and meanings.

The command, its manual, the reference of the documents, stats, states and error messages are made from it. Readers get
a dialect compiled (compiled.pyx). This module must not know how files are read.
"""

from collections.abc import Mapping

from txfast.dialect.names import COLUMN_NAMES, DECIMALS, IGNORE, KINDS, ROUNDINGS
from txfast.errors import UsageError
from txfast.printable import printable
from txfast.text.words import did_you_mean

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from txfast.dialect.compiled import CompiledDialect
    from txfast.dialect.currencies import Currencies
    from txfast.dialect.text_ids import TextIds

CREDIT, DEBIT, CURRENCY = "credit", "debit", "currency"
COLUMNS = (*COLUMN_NAMES, CURRENCY, CREDIT, DEBIT)
POSITIVE, NEGATIVE = "types.+", "types.-"
ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252")
AMOUNT_FORMS = ("major", "minor")
TEXT = "text"
ID_FORMS = ("number", TEXT)
ID_COLUMNS = ("client", "tx")
SKIP_MAX = 1_000_000
COMMENT_BYTES_MAX = 16
# Words of types, of one list of words, and columns that are kept: more than any file has.
WORDS_MAX = 64
KEPT_MAX = 8
ENDINGS_AND_NUL = b"\r\n\0"


class Part:
    """One part of a dialect. `values` and `meaning` are for people; `parse` returns the value of a text in its normal
    form, or raises UsageError with the right form. A name that ends in a point is the beginning of many names. A
    default of "" stands for none."""

    __slots__ = ("default", "meaning", "name", "parse", "values")

    def __init__(self, name: str, values: str, default: str, meaning: str, parse: "Callable[[str], str]") -> None:
        self.name = name
        self.values = values
        self.default = default
        self.meaning = meaning
        self.parse = parse


def one_byte(text: str) -> str:
    """A byte of ASCII that is no letter, digit or line ending; a tab may be called `tab`."""
    text = "\t" if text.lower() in ("tab", "\\t") else text
    if len(text) != 1 or not text.isascii() or text.isalnum() or text in "\r\n\0":
        raise UsageError("it is one character, no letter or digit, or tab")
    return "tab" if text == "\t" else text


def quote_byte(text: str) -> str:
    """One byte that is no blank, or `none`."""
    if text.lower() == "none":
        return "none"
    if len(text) != 1 or not text.isascii() or text.isalnum() or text <= " ":
        raise UsageError("it is one character, no letter, digit or blank, or none")
    return text


def number_mark(text: str) -> str:
    """One byte that may stand between digits."""
    if len(text) != 1 or not text.isascii() or text.isalnum() or text in "+-\r\n\0":
        raise UsageError("it is one character, no letter, digit or sign")
    return text


def no_or_number_mark(text: str) -> str:
    return "none" if text.lower() == "none" else number_mark(text)


def one_of(*values: str) -> "Callable[[str], str]":
    """The parser of a part with these values."""

    def parse(text: str) -> str:
        lowered = text.lower()
        if lowered not in values:
            raise UsageError(f"it is one of {', '.join(values)}{did_you_mean(lowered, values)}")
        return lowered

    return parse


def whole_number(least: int, most: int) -> "Callable[[str], str]":
    """The parser of a whole number in this range."""

    def parse(text: str) -> str:
        if not text.isascii() or not text.isdigit() or len(text) > len(str(most)) or not least <= int(text) <= most:
            raise UsageError(f"it is a whole number from {least} to {most:,}")
        return str(int(text))

    return parse


def comment_prefix(text: str) -> str:
    """What a comment begins with."""
    size = len(text.encode())
    if not 1 <= size <= COMMENT_BYTES_MAX or text[0] in " \t\v\f" or any(each in text for each in '"\r\n\0'):
        raise UsageError("it is 1 to 16 bytes, without quotes and line endings, no blank first")
    return text


def word_list(text: str) -> str:
    """Words, separated by commas. They have no blanks around them."""
    words = [word.strip() for word in text.split(",")]
    if not all(words) or len(words) > WORDS_MAX:
        raise UsageError(f"it is a list of 1 to {WORDS_MAX} words, separated by commas")
    return ",".join(dict.fromkeys(words))


def column_name(text: str) -> str:
    name = text.strip()
    if not name:
        raise UsageError("it is the name of a column in the file's header, or its number where header=no")
    return name


def type_name(text: str) -> str:
    return one_of(*KINDS, IGNORE)(text)


PARTS = (
    Part("delimiter", "one character, or `tab`", "found by the header", "what separates the fields", one_byte),
    Part("quote", "one character, or `none`", '"', "what stands around a field that holds delimiters", quote_byte),
    Part("decimal", "one character", ".", "what stands before the decimals of an amount", number_mark),
    Part(
        "thousands", "one character, or `none`", "none", "what stands between groups of three digits of an amount",
        no_or_number_mark,
    ),
    Part(
        "header", "`yes`, `no`", "yes", "whether a header names the columns; without one they are numbers from 1",
        one_of("yes", "no"),
    ),
    Part("skip", "a number", "0", "lines before the header, which are nothing", whole_number(0, SKIP_MAX)),
    Part("comment", "1 to 16 bytes", "", "what lines begin with that are nothing", comment_prefix),
    Part(
        "encoding", ", ".join(f"`{each}`" for each in ENCODINGS), "found by the byte order mark, else `utf-8`",
        "the encoding of the file", one_of(*ENCODINGS),
    ),
    Part("null", "words, separated by commas", "", "texts that mean an empty field", word_list),
    Part("columns.", "the name of a column", "the same name", "which column is the type, client, tx or amount; instead "
         "of type and amount, `credit` and `debit` are two columns of amounts: of deposits and of withdrawals. With a "
         "column `currency` accounts are of a client and a currency, a code of at most 12 bytes",
         column_name),
    Part("types.", f"{', '.join(f'`{each}`' for each in (*KINDS, IGNORE))}", "the seven names of types",
         "what a word in the type column means; a row whose type is to be ignored is nothing, and is counted. Instead "
         "of a type column, `types.+` and `types.-`: what positive and negative amounts are", type_name),
    Part("keep.", "words, separated by commas", "",
         "the texts of a column with which rows are read; all other rows are ignored, and counted", word_list),
    Part(
        "ids", "`number`, `text`", "number",
        "whether ids are numbers, or texts of at most 255 bytes that count as they are", one_of(*ID_FORMS),
    ),
    Part("ids.", "`number`, `text`", "the form in `ids`", "the same for one of `client` and `tx`", one_of(*ID_FORMS)),
    Part("decimals", "0 to 9", str(DECIMALS), "places of amounts and balances", whole_number(0, 9)),
    Part(
        "amounts", "`major`, `minor`", "major", "whether amounts are whole numbers of the smallest unit, as cents",
        one_of(*AMOUNT_FORMS),
    ),
    Part(
        "rounding", ", ".join(f"`{each}`" for each in ROUNDINGS), "refuse",
        "what becomes of further decimals of an amount", one_of(*ROUNDINGS),
    ),
)  # fmt: skip
BY_NAME = {part.name: part for part in PARTS}
FAMILIES = tuple(part.name for part in PARTS if part.name.endswith("."))


class Dialect(Mapping[str, str]):
    """The parts of a dialect that are not the default: a mapping from their name to their value.

    >>> Dialect({"delimiter": ";", "columns.client": "Customer"})["delimiter"]
    ';'

    Its parts do not change; `currencies` collects the codes of a run. Two are equal if all their parts are. Raises
    UsageError for a name or value that has no meaning, and for parts that exclude each other.
    """

    __slots__ = ("_compiled", "_currencies", "_hash_key", "_parts")

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        parts = with_ids_once(parse_parts(settings or {}))
        order = {part.name: index for index, part in enumerate(PARTS)}
        self._parts = dict(sorted(parts.items(), key=lambda each: (order[find_part(each[0])[1].name], each[0])))
        self._compiled: CompiledDialect | None = None
        self._currencies: Currencies | None = None
        self._hash_key: bytes | None = None
        self._check()

    def __getitem__(self, name: str) -> str:
        return self._parts[name]

    def __iter__(self) -> "Iterator[str]":
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.items())

    def __repr__(self) -> str:
        return f"Dialect({self._parts!r})"

    def __hash__(self) -> int:
        return hash(tuple(self._parts.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dialect) and self._parts == other._parts

    def part(self, name: str) -> str:
        """The value of a part, or its default."""
        return self._parts.get(name, BY_NAME[name].default)

    def family(self, name: str) -> dict[str, str]:
        """The values of a family of parts, by what stands behind the point of their names."""
        return {each.removeprefix(name): value for each, value in self.items() if each.startswith(name)}

    def words(self, name: str) -> list[str]:
        """The words of a part that is a list of them."""
        return self._parts[name].split(",") if name in self._parts else []

    @property
    def delimiter(self) -> str | None:
        """The delimiter; None where the header tells it."""
        value = self._parts.get("delimiter")
        return "\t" if value == "tab" else value

    @property
    def decimals(self) -> int:
        return int(self.part("decimals"))

    def has_text(self, name: str) -> bool:
        """Whether the ids in the column `client` or `tx` are texts."""
        return TEXT in (self.get("ids"), self.get(f"ids.{name}"))

    @property
    def text_ids(self) -> "TextIds | None":
        """Which ids are texts, and the currencies; None where all ids are numbers, and accounts have no currency."""
        client, tx = map(self.has_text, ID_COLUMNS)
        if not client and not tx and not self.has_currency:
            return None
        from txfast.dialect.text_ids import TextIds

        return TextIds(client=client, tx=tx, key=self._hash_key, currencies=self.currencies)

    def hash_by(self, key: bytes) -> None:
        """Have ids that are texts hashed by this key (text_ids.py), not by that of this process."""
        self._hash_key, self._compiled = key, None

    def with_parts(self, parts: Mapping[str, str]) -> "Dialect":
        """A dialect of other parts, in which ids hash as in this one. Raises UsageError."""
        other = Dialect(parts)
        other._hash_key = self._hash_key
        return other

    @property
    def encoding(self) -> str | None:
        """The encoding of files; None where their first bytes tell it."""
        return self._parts.get("encoding")

    @property
    def has_header(self) -> bool:
        return self.part("header") == "yes"

    @property
    def has_signs(self) -> bool:
        """Whether signs of amounts are the types."""
        return POSITIVE in self

    @property
    def has_debits(self) -> bool:
        """Whether credits and debits are columns of their own."""
        return "columns.credit" in self

    @property
    def has_currency(self) -> bool:
        """Whether accounts are of a client and a currency."""
        return f"columns.{CURRENCY}" in self

    @property
    def currencies(self) -> "Currencies | None":
        """The currencies that files in this dialect were found to have; None where accounts have none."""
        if self._currencies is None and self.has_currency:
            from txfast.dialect.currencies import Currencies

            self._currencies = Currencies()
        return self._currencies

    @property
    def roles(self) -> tuple[str, ...]:
        """The columns that a file must have: names of COLUMNS."""
        roles: tuple[str, ...] = COLUMN_NAMES
        if self.has_debits:
            roles = ("client", "tx", CREDIT, DEBIT)
        elif self.has_signs:
            roles = ("client", "tx", "amount")
        return (*roles, CURRENCY) if self.has_currency else roles

    @property
    def columns(self) -> dict[str, str]:
        """The names of the columns that a file must have, by role; without a header their numbers."""
        if not self.has_header and not self.family("columns."):
            return dict(zip(COLUMN_NAMES, "1234", strict=True))
        return {role: self._parts.get(f"columns.{role}", role) for role in self.roles}

    @property
    def kept(self) -> dict[str, list[str]]:
        """The words of each column that tells which rows are read."""
        return {name: value.split(",") for name, value in self.family("keep.").items()}

    @property
    def line_parts(self) -> list[str]:
        """The parts that say which lines are rows, or where rows end: what only the native reader knows."""
        return [name for name in ("quote", "comment", "skip", "header") if name in self]

    @property
    def changes_meaning(self) -> bool:
        """Whether fields have another meaning than by default."""
        names = (
            "decimal", "thousands", "null", "decimals", "amounts", "rounding", "columns.credit",
            "columns.currency", "ids",
        )  # fmt: skip
        return any(name in names or name.startswith(("types.", "keep.", "ids.")) for name in self)

    @property
    def compiled(self) -> "CompiledDialect":
        """The form that readers use."""
        if self._compiled is None:
            from txfast.dialect.compiled import CompiledDialect

            self._compiled = CompiledDialect(self)
        return self._compiled

    def differences(self, other: "Dialect") -> str:
        """The parts of both where they differ, in words; "" where they are the same."""
        names = [*self, *(name for name in other if name not in self)]
        return ", ".join(
            f"{name} is {self.get(name, 'the default')} and not {other.get(name, 'the default')}"
            for name in names
            if self.get(name) != other.get(name)
        )

    def _check(self) -> None:
        """Raise UsageError where parts exclude each other."""
        types = self.family("types.")
        if ("+" in types) != ("-" in types):
            given, other = (POSITIVE, NEGATIVE) if "+" in types else (NEGATIVE, POSITIVE)
            raise UsageError(f"dialect {given} needs {other}: what the other amounts are")
        if IGNORE in (types.get("+"), types.get("-")):
            raise UsageError(f"dialect {POSITIVE} and {NEGATIVE} are types, not {IGNORE}")
        if ("columns.credit" in self) != ("columns.debit" in self):
            raise UsageError("dialect columns.credit and columns.debit need each other")
        if self.has_debits:
            for name in ("columns.type", "columns.amount", *(f"types.{word}" for word in types)):
                if name in self:
                    raise UsageError(f"dialect {name} excludes columns.credit, which says what a row is")
        elif self.has_signs:
            for name in ("columns.type", *(f"types.{word}" for word in types if word not in "+-")):
                if name in self:
                    raise UsageError(f"dialect {name} excludes {POSITIVE}, which says what a row is")
        if len(types) > WORDS_MAX or len(self.kept) > KEPT_MAX:
            raise UsageError(f"dialect: at most {WORDS_MAX} words of types and {KEPT_MAX} columns in keep")
        self._check_marks()
        self._check_numbers()

    def _check_marks(self) -> None:
        """Raise UsageError where two marks are the same."""
        if self.part("decimal") == self.part("thousands"):
            raise UsageError(f"dialect decimal and thousands are both {self.part('decimal')!r}: choose two")
        if self.delimiter is not None and self.delimiter == self.part("quote"):
            raise UsageError(f"dialect delimiter and quote are both {self.delimiter!r}: choose two")
        quote = self.part("quote")
        if "comment" in self and quote != "none" and quote in self["comment"]:
            raise UsageError("dialect comment has the quote in it: choose another quote")

    def _check_numbers(self) -> None:
        """Raise UsageError where columns are not numbers though there is no header."""
        if self.has_header:
            return
        columns, kept = self.family("columns."), self.kept
        for name, value in (*((f"columns.{role}", value) for role, value in columns.items()),
                            *((f"keep.{column}", column) for column in kept)):  # fmt: skip
            if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= SKIP_MAX:
                raise UsageError(f"dialect {name}: {value!r} is no column: without a header they are numbers from 1")
        if self.roles != COLUMN_NAMES or columns:
            missing = [role for role in self.roles if role not in columns]
            if missing:
                raise UsageError(f"dialect header=no needs columns.{missing[0]}, the number of that column")
        if len({int(value) for value in columns.values()}) < len(columns):
            raise UsageError("dialect columns: one column has two meanings")


def parse_parts(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings by the full names of their parts, without those that are the default. Raises UsageError."""
    parts = {}
    for given, value in settings.items():
        name, part = find_part(given)
        try:
            parsed = part.parse(value)
        except UsageError as error:
            raise UsageError(printable(f"dialect {name}={value}: {error}")) from None
        if parsed != part.default:
            parts[name] = parsed
    return parts


def with_ids_once(parts: dict[str, str]) -> dict[str, str]:
    """Parts in which each form of ids is said in one way: `ids` for both, else `ids.NAME` for the one that is text."""
    forms = {name: parts.get(f"ids.{name}", parts.get("ids", BY_NAME["ids"].default)) for name in ID_COLUMNS}
    others = {name: value for name, value in parts.items() if name.partition(".")[0] != "ids"}
    texts = [name for name, form in forms.items() if form == TEXT]
    if len(texts) == len(ID_COLUMNS):
        return {**others, "ids": TEXT}
    return {**others, **{f"ids.{name}": TEXT for name in texts}}


def find_part(name: str) -> tuple[str, Part]:
    """The full name of a part, and the part, from a name as a person gives it. Raises UsageError."""
    name = name.strip()
    head, point, rest = name.partition(".")
    if point and f"{head}." in FAMILIES:
        family = BY_NAME[f"{head}."]
        rest = rest.strip()
        if not rest:
            raise UsageError(f"dialect {name!r}: a name is missing behind the point")
        if family.name == "columns." and rest not in COLUMNS:
            raise UsageError(f"dialect {name!r}: it is one of {', '.join(COLUMNS)}{did_you_mean(rest, COLUMNS)}")
        if family.name == "ids." and rest not in ID_COLUMNS:
            raise UsageError(f"dialect {name!r}: it is one of {', '.join(ID_COLUMNS)}{did_you_mean(rest, ID_COLUMNS)}")
        return f"{head}.{rest}", family
    if name in BY_NAME and not name.endswith("."):
        return name, BY_NAME[name]
    names = [part.name + ("NAME" if part.name.endswith(".") else "") for part in PARTS]
    raise UsageError(
        f"dialect {name!r}: there is no such part; there are {', '.join(names)}{did_you_mean(name, names)}"
    )
