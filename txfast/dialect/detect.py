"""Detects what a strange file means: pure functions from the start of a file, or from the columns of a table, to
Findings.

Nothing is certain: a person looks the findings over. What is not in the bytes is not claimed. This module must not know
where the bytes come from, nor how findings are shown.
"""

import codecs
from collections import Counter

from txfast.dialect.dialect import CURRENCY, ID_COLUMNS, WORDS_MAX
from txfast.dialect.findings import UNKNOWN, Findings, listed, shown_text
from txfast.dialect.likely_names import (
    FINAL_WORDS,
    OTHER_STATUS_WORDS,
    is_ambiguous,
    is_known_type,
    is_likely,
    likely_columns,
    likely_type,
    word_key,
)
from txfast.dialect.marks import NO_VALUES, Marks, may_be_thousands
from txfast.dialect.names import COLUMN_NAMES, CURRENCY_BYTES_MAX, DECIMALS, IGNORE, KINDS
from txfast.dialect.shape import Shape, shape_of, status_columns
from txfast.text.words import counted

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ID_MAX = (1 << 64) - 1
ID_DIGITS_MAX = 40
DECIMALS_MAX = 9
PAIR = ("credit", "debit")
SIGNS = ("+", "-")
# Of the texts of ids, so many that are no numbers may be mistakes.
STRAY_SHARE = 0.1
# Bytes that cp1252 leaves without a character.
NOT_IN_CP1252 = b"\x81\x8d\x8f\x90\x9d"
CHOICES = f"{', '.join(KINDS)} or {IGNORE}"


class Table:
    """The columns of a file: their names, numbers from 1 where it has none, and their texts row by row. Those of
    `numbers` have numbers alone, which are not written in the marks of a country."""

    __slots__ = ("has_header", "names", "numbers", "rows")

    def __init__(
        self,
        names: "list[str]",
        rows: "list[tuple[int, list[str]]]",
        *,
        has_header: bool = True,
        numbers: "Collection[str]" = (),
    ) -> None:
        self.names = names
        self.rows = rows
        self.has_header = has_header
        self.numbers = numbers

    def texts(self, name: str) -> "list[tuple[int, str]]":
        """The texts of a column with the numbers of their lines."""
        index = self.names.index(name)
        return [(line, fields[index]) for line, fields in self.rows if len(fields) > index]

    def words(self, name: str) -> "Counter[str]":
        """How often each text of a column is there, without empty ones."""
        return Counter(text for _, text in self.texts(name) if text)


def detect(sample: bytes, *, is_whole: bool = True) -> Findings:
    """What a text shows, from its first bytes; `is_whole` says that these are all."""
    text, encoding = decoded(sample, is_whole=is_whole)
    shape = shape_of(text.removeprefix("\ufeff"), is_whole=is_whole)
    findings = Findings()
    if shape is None:
        findings.missing = list(COLUMN_NAMES)
        findings.remarks.append("Nothing in it is like a header, or like rows of three fields or more.")
        return findings
    good = [(line + 1, fields) for line, fields, _ in shape.rows if fields is not None]
    names = shape.header or [str(number) for number in range(1, 1 + max((len(row) for _, row in good), default=0))]
    findings.rows = len(shape.rows)
    if not is_whole:
        findings.end = shape.rows[-1][2] if shape.rows else shape.header_line
    add_shape(findings, shape)
    add_encoding(findings, text, encoding)
    has_commas = add_misfits(findings, shape)
    add_columns(findings, Table(names, good, has_header=shape.header is not None), has_marks=not has_commas)
    return findings


def detect_table(
    names: "list[str]", rows: "list[tuple[int, list[str]]]", *, numbers: "Collection[str]" = ()
) -> Findings:
    """What the columns of a table show, whose values are given as texts, each row with its number. `numbers` are the
    names of columns that have numbers alone."""
    findings = Findings()
    findings.rows = len(rows)
    add_columns(findings, Table(names, rows, numbers=numbers), has_marks=True)
    return findings


# ---- The text ------------------------------------------------------------------------------------


def decoded(sample: bytes, *, is_whole: bool) -> tuple[str, str]:
    """The text of a sample, and its encoding; "" for UTF-8."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(sample, final=is_whole), ""
    except UnicodeDecodeError:
        encoding = "latin-1" if any(byte in sample for byte in NOT_IN_CP1252) else "cp1252"
        return sample.decode(encoding), encoding


def add_encoding(findings: Findings, text: str, encoding: str) -> None:
    """Add the encoding of a text that is not UTF-8. Which of those with one byte a character it is, no byte tells."""
    if encoding:
        letter = next(each for each in text if each > "\x7f")
        findings.add("encoding", encoding, f"not UTF-8: is {shown_text(letter)} right? else latin-1 or cp1252")


def add_shape(findings: Findings, shape: Shape) -> None:
    """Add what says how a text is cut into fields."""
    if shape.delimiter != "," or shape.header is None:
        findings.add("delimiter", "tab" if shape.delimiter == "\t" else shape.delimiter)
    if shape.quote != '"':
        findings.add("quote", shape.quote)
    if shape.skip:
        findings.add("skip", str(shape.skip), f"before the header: {listed(shape.lines[: shape.skip][:3])}")
    if shape.comment:
        findings.add("comment", shape.comment)
    if shape.header is None:
        findings.add("header", "no", "the first line is a row: columns are numbers from 1")


def add_misfits(findings: Findings, shape: Shape) -> bool:
    """Add remarks about rows that do not fit the header. Whether amounts seem to have decimal commas without quotes."""
    bad = [line for line, fields, _ in shape.rows if fields is None]
    if bad:
        findings.remarks.append(f"{counted(len(bad), 'row')} badly quoted, first in line {bad[0] + 1:,}.")
    wide = [
        (line, fields)
        for line, fields, _ in shape.rows
        if fields is not None and shape.width and any(fields[shape.width :])
    ]
    if not wide:
        return False
    line, fields = wide[0]
    has_commas = shape.delimiter == "," and len(fields) == shape.width + 1 and fields[-1].isdigit()
    hint = ": are these decimal commas without quotes? no dialect reads them" if has_commas else ""
    findings.remarks.append(
        f"{counted(len(wide), 'row')} with more fields than the header, first in line {line + 1:,}{hint}."
    )
    return has_commas


# ---- Columns -------------------------------------------------------------------------------------


def add_columns(findings: Findings, table: Table, *, has_marks: bool) -> None:
    """Add which column is what, and what its texts mean; of amounts, only where it `has_marks` that tell something."""
    roles = roles_of(table) if table.has_header else roles_by_content(table)
    amounts = [roles[role] for role in ("amount", *PAIR) if role in roles]
    marks = Marks([each for name in amounts for each in table.texts(name)])
    has_signs = "type" not in roles and "amount" in roles and marks.has_both_signs
    if "credit" in roles:
        needed: tuple[str, ...] = ("client", "tx", *PAIR)
    else:
        needed = ("client", "tx", "amount") if has_signs else COLUMN_NAMES
    is_standard = not table.has_header and [roles.get(role) for role in COLUMN_NAMES] == ["1", "2", "3", "4"]
    for role in needed:
        if role not in roles:
            findings.missing.append(role)
            free = [name for name in table.names if name not in roles.values()]
            note = f"not told; not used yet: {listed(free)}" if free else "not told, and each column is used"
            findings.add(f"columns.{role}", UNKNOWN, note, is_open=True)
        elif not is_standard and (role in PAIR or roles[role].lower() != role):
            findings.add(f"columns.{role}", roles[role], doubt_about(table, roles, role))
    if is_standard:
        findings.remarks.append("Columns 1 to 4 are taken for type, client, tx and amount, in this order.")
    if "type" in roles:
        add_types(findings, table, roles, marks)
    elif has_signs:
        above = counted(marks.numbers - marks.negative, "amount")
        findings.add("types.+", "deposit", f"{above} from zero on: is it money that comes in? else swap both")
        findings.add("types.-", "withdrawal", f"{counted(marks.negative, 'amount')} below zero")
    elif "credit" in roles:
        add_negative(findings, marks)
    else:
        findings.add("types.+", "deposit", "if the sign of an amount says what a row is", is_open=True)
        findings.add("types.-", "withdrawal", "the same", is_open=True)
    if has_marks:
        written = [name for name in amounts if name not in table.numbers]
        add_marks(findings, marks, [text for name in written for _, text in table.texts(name)])
        add_decimals(findings, marks)
    add_nulls(findings, table, roles, marks)
    add_ids(findings, table, roles)
    add_kept(findings, table, roles)
    add_currency(findings, table, roles)


def roles_of(table: Table) -> dict[str, str]:
    """The column of each role, by its name, and the type by its words too."""
    roles = likely_columns(table.names, COLUMN_NAMES)
    free = [name for name in table.names if name not in roles.values()]
    pair = likely_columns(free, PAIR)
    if len(pair) == len(PAIR) and not ("type" in roles and "amount" in roles):
        return {role: name for role, name in roles.items() if role not in ("type", "amount")} | pair
    if "type" not in roles and (found := column_of_types(table, free)):
        roles["type"] = found
    return roles


def doubt_about(table: Table, roles: dict[str, str], role: str) -> str:
    """What may be wrong about the column of a role: other columns that are as likely, or that no name tells it."""
    if not table.has_header:
        texts = list(dict.fromkeys(text for _, text in table.texts(roles[role]) if text))
        return f"told by its texts alone: {listed(texts[:3])}"
    others = [name for name in table.names if name not in roles.values() and is_likely(name, role)]
    return f"or is it {listed(others)}?" if others else ""


def add_negative(findings: Findings, marks: Marks) -> None:
    """Add a remark where columns of credits and debits have amounts below zero."""
    if marks.negative:
        findings.remarks.append(
            f"{counted(marks.negative, 'amount')} below zero in the columns of credits and debits: such a row is "
            f"rejected."
        )


def column_of_types(table: Table, names: "Sequence[str]") -> str:
    """The first of these columns in which most texts are likely words of types; "" where there is none."""
    for name in names:
        words = table.words(name)
        known = sum(count for word, count in words.items() if likely_type(word))
        if words and len(words) <= WORDS_MAX and 2 * known > words.total():
            return name
    return ""


def roles_by_content(table: Table) -> dict[str, str]:
    """The column of each role in a table without a header, as far as its texts tell."""
    roles: dict[str, str] = {}
    free = list(table.names)
    if found := column_of_types(table, free):
        roles["type"] = found
        free.remove(found)
    numbers = [name for name in free if all(text.isdigit() or not text for _, text in table.texts(name))]
    amounts = [name for name in free if name not in numbers and is_amounts(table, name)]
    standard = [name for name in ("2", "3") if name in numbers]
    if roles.get("type") == "1" and len(standard) == 2 and ("4" in amounts or "4" in numbers):
        return {"type": "1", "client": "2", "tx": "3", "amount": "4"}
    if len(amounts) == 1:
        roles["amount"] = amounts[0]
    if len(numbers) == 2 and table.rows:
        # A client has several transactions; an id of a transaction mostly comes once.
        fewer, more = sorted(numbers, key=lambda name: len(table.words(name)))
        if len(table.words(fewer)) < len(table.words(more)):
            roles |= {"client": fewer, "tx": more}
    return roles


def is_amounts(table: Table, name: str) -> bool:
    """Whether the texts of a column are numbers, with decimals or signs."""
    marks = Marks(table.texts(name))
    return bool(marks.numbers) and not marks.unread


# ---- What texts mean -----------------------------------------------------------------------------


def add_types(findings: Findings, table: Table, roles: dict[str, str], marks: Marks) -> None:
    """Add what the words of types mean."""
    words = table.words(roles["type"])
    if len(words) > WORDS_MAX:
        findings.remarks.append(
            f"The column {shown_text(roles['type'])} has {len(words):,} different words: it may be no column of types."
        )
        return
    below = Counter[str]()
    if "amount" in roles and marks.negative:
        amount, kind = (table.names.index(roles[role]) for role in ("amount", "type"))
        below.update(row[kind] for _, row in table.rows if len(row) > max(amount, kind) and row[amount].startswith("-"))
    known = []
    for word, count in words.most_common():
        seen = counted(count, "row")
        if is_known_type(word):
            known.append(f"{shown_text(word)} ({seen})")
            continue
        if word in SIGNS:
            findings.remarks.append(
                f"No setting says what {shown_text(word)} in the column of types means ({seen}): in [types] it stands "
                f"for the sign of amounts. Change it where the file is made."
            )
            continue
        meant = likely_type(word)
        if below[word]:
            seen += f", {below[word]:,} below zero"
        if meant is None or (meant == "deposit" and 2 * below[word] > count):
            findings.add(f"types.{word}", UNKNOWN, f"{seen}: {CHOICES}?", is_open=True)
        elif is_ambiguous(word):
            findings.add(f"types.{word}", meant, f"{seen}, but it often means something else: {CHOICES}?", is_open=True)
        else:
            findings.add(f"types.{word}", meant, seen)
    if known:
        findings.remarks.append(f"Words of types that need no setting: {', '.join(known)}.")
    if below:
        findings.remarks.append(
            f"{counted(below.total(), 'amount')} below zero: such a deposit or withdrawal is rejected. If signs say "
            f'what rows are, leave type and its words out, and set "+" and "-" in [types].'
        )


def add_marks(findings: Findings, marks: Marks, texts: "Sequence[str]") -> None:
    """Add the marks of amounts."""
    if marks.choices:
        for decimal, thousands in marks.choices:
            note = "one of these two: no amount tells whether this mark is before decimals or between thousands"
            if decimal != ".":
                findings.add("decimal", decimal, note, is_open=True)
                if thousands is not None:
                    findings.add("thousands", thousands, f"together with decimal = {shown_text(decimal)}", is_open=True)
            else:
                findings.add("thousands", str(thousands), note, is_open=True)
    else:
        if marks.decimal != ".":
            findings.add("decimal", marks.decimal)
        if marks.thousands is not None:
            findings.add("thousands", marks.thousands)
        elif marks.decimal == "." and may_be_thousands(texts):
            note = "if points are between thousands: each one in an amount stands before three digits"
            findings.add("decimal", ",", note, is_open=True)
            findings.add("thousands", ".", "the same", is_open=True)
    if marks.unread:
        line, text = marks.unread[0]
        findings.remarks.append(
            f"{counted(len(marks.unread), 'amount')} that no dialect reads, such as {shown_text(text)} in line "
            f"{line:,}: change them where the file is made."
        )


def add_decimals(findings: Findings, marks: Marks) -> None:
    """Add the places of amounts."""
    if marks.choices or not marks.numbers:
        return
    if marks.places > DECIMALS_MAX:
        findings.add("decimals", str(DECIMALS_MAX), f"amounts have up to {marks.places} decimals: the most is 9")
        findings.add("rounding", "half-even", "or half-up, truncate: of the further decimals", is_open=True)
    elif marks.places > DECIMALS:
        findings.add("decimals", str(marks.places), "the most places that an amount has")
    elif marks.whole:
        findings.add(
            "amounts", "minor", "all amounts are whole numbers: if they are cents, with decimals = 2", is_open=True
        )


def add_nulls(findings: Findings, table: Table, roles: dict[str, str], marks: Marks) -> None:
    """Add the words that stand for nothing in the columns that are read."""
    words = list(marks.nulls)
    for role in ("client", "tx"):
        if role in roles:
            words += [word for word in table.words(roles[role]) if word.lower() in NO_VALUES]
    if words:
        findings.add("null", ",".join(dict.fromkeys(words)))


def add_ids(findings: Findings, table: Table, roles: dict[str, str]) -> None:
    """Add whether ids are numbers or texts. It is open where they may be numbers that are written in another way."""
    texts: dict[str, str] = {}
    is_open = False
    for role in ("client", "tx"):
        if role not in roles:
            continue
        ids = [(line, text) for line, text in table.texts(roles[role]) if text and text.lower() not in NO_VALUES]
        others = [(line, text) for line, text in ids if not is_id(text)]
        if not others:
            continue
        line, text = others[0]
        example = f"{shown_text(text)} in line {line:,}"
        if len(others) < STRAY_SHARE * len(ids):
            findings.remarks.append(f"{counted(len(others), f'{role} id')} that are no numbers, such as {example}.")
        else:
            texts[role] = f"{role} ids are no whole numbers, such as {example}"
            is_open = is_open or not all(may_be_text(each) for _, each in others)
    if texts:
        name = "ids" if len(texts) == len(ID_COLUMNS) else f"ids.{next(iter(texts))}"
        findings.add(name, "text", "; ".join(texts.values()), is_open=is_open)


def may_be_text(text: str) -> bool:
    """Whether an id is surely meant as a text: it has letters, or is a whole number that is too large."""
    return (text.isascii() and text.isdigit()) or any(each.isalpha() for each in text)


def is_id(text: str) -> bool:
    """Whether a text is a number that an id may be."""
    digits = text.removeprefix("+")
    return digits.isascii() and digits.isdigit() and len(digits) <= ID_DIGITS_MAX and int(digits) <= ID_MAX


def add_kept(findings: Findings, table: Table, roles: dict[str, str]) -> None:
    """Add the words of a status by which rows are kept."""
    for name in status_columns(table.names):
        words = table.words(name)
        if name in roles.values() or not 0 < len(words) <= WORDS_MAX or any("," in word for word in words):
            continue
        without = len(table.rows) - words.total()
        final = [word for word in words if word_key(word) in FINAL_WORDS]
        others = [word for word in words if word not in final]
        known = all(word_key(word) in OTHER_STATUS_WORDS for word in others)
        out = ", ".join(f"{shown_text(word)} ({counted(words[word], 'row')})" for word in others)
        if final and others and known and not without:
            findings.add(f"keep.{name}", ",".join(final), f"leaves out {out}")
        else:
            # No setting keeps a row without a word.
            note = f"leaves out {counted(without, 'row')} without a word" if without else "keeps all rows seen"
            note += f"; take out the words that are not final: {out}" if out else ""
            findings.add(f"keep.{name}", ",".join(words), note, is_open=True)


def add_currency(findings: Findings, table: Table, roles: dict[str, str]) -> None:
    """Add the column of currencies where amounts are of several, which must not be added up."""
    for name in table.names:
        words = table.words(name) if is_likely(name, CURRENCY) and name not in roles.values() else Counter[str]()
        if len(words) > 1:
            without = len(table.rows) - words.total()
            note = f"{listed(list(words))}: each client has an account in each"
            if without:
                note = f"{counted(without, 'row')} without one would be refused; {note}"
            is_open = bool(without) or any(len(word.encode()) > CURRENCY_BYTES_MAX for word in words)
            findings.add("columns.currency", name, note, is_open=is_open)
            return
