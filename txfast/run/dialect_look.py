"""Looks at the start of one file, and makes a profile with which txfast would read it.

What is found is tried on the same rows with the reader of a run, so that the profile says how many of them it reads.
This module must not know how a dialect is detected.
"""

from io import BytesIO

from txfast.batch.batch import TransactionBatch
from txfast.batch.header_advice import PROFILE_HINT
from txfast.dialect.detect import detect, detect_table
from txfast.dialect.findings import Findings, listed
from txfast.dialect.profile_text import profile_text
from txfast.dialect.shape import lines_of
from txfast.errors import InputError, MemoryLimitError, UsageError
from txfast.input.open import open_input
from txfast.input.position import read_into
from txfast.input.ref import STANDARD_INPUT
from txfast.input.source import CSV, JSON_LINES, TABLE, TEXT_KINDS, Source
from txfast.run.intake import InputFigures, Intake, MalformedRows, make_reader
from txfast.run.plan import make_plan
from txfast.text.words import counted

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from io import RawIOBase

    import pyarrow as pa

    from txfast.dialect.dialect import Dialect
    from txfast.input.ref import InputRef
    from txfast.input.source import Stream
else:
    from txfast.late import pa

# Bytes of a text that are looked at.
SAMPLE_BYTES = 1 << 20
# Parts of a dialect that say nothing new where the default one reads a file.
FOUND_BY_DEFAULT = ("columns.", "types.", "delimiter")
HOW_TO_USE = "Look it over, save it as PROFILE, and use it with --profile PROFILE."
WHAT_ELSE = (
    "It may mean something else all the same: take the # from each line below that is right, and from the [...] above "
    "it, save it as PROFILE, and use it with --profile PROFILE."
)


class Rows(list["Stream"]):
    """The first rows of a table, as a program would lend them."""

    def close(self) -> None:
        """Nothing is lent."""


class Trial:
    """Some rows, read in a dialect: how many there are, ignored ones apart, the malformed ones by reason, and why they
    cannot be read at all, "" where they can."""

    __slots__ = ("failure", "ignored", "malformed", "rows")

    def __init__(self, name: str, start: "Start", dialect: "Dialect | None") -> None:
        figures, malformed = InputFigures(name), MalformedRows()
        self.failure = ""
        try:
            source = start.source(name)
            reader = make_reader(source, make_plan(cores=1, memory_used=0), dialect=dialect)
            intake, batch = Intake(source, reader, malformed, figures), TransactionBatch()
            while intake.fill(batch):
                intake.scan(batch)
                intake.note(batch)
                malformed.add(name, batch)
        except (InputError, MemoryLimitError) as error:
            self.failure = str(error).removeprefix(f"{name}: ").removesuffix(f"; {PROFILE_HINT}")
        self.rows, self.ignored, self.malformed = figures.rows, figures.ignored_rows, malformed.by_reason()

    @property
    def refused(self) -> int:
        """The number of malformed rows."""
        return sum(self.malformed.values())

    @property
    def is_good(self) -> bool:
        """Whether there are rows, and all of them are well-formed."""
        return not self.failure and self.rows > 0 and not self.refused

    def words(self) -> str:
        """What became of the rows."""
        if self.failure:
            return f"it cannot be read: {self.failure}"
        ignored = f", and {counted(self.ignored, 'row')} ignored" if self.ignored else ""
        if not self.refused:
            rows = "the only row seen is" if self.rows == 1 else f"all {self.rows:,} rows seen are"
            return f"{rows} well-formed{ignored}" if self.rows else f"it has no row{ignored}"
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.malformed.items() if count)
        return f"{self.rows - self.refused:,} of {counted(self.rows, 'row')} seen are well-formed{ignored}; {reasons}"


class Start:
    """The start of a file: some bytes of a text, or the first rows of a table."""

    __slots__ = ("kind", "rows", "sample")

    def __init__(self, kind: str, sample: bytes = b"", rows: "pa.RecordBatch | None" = None) -> None:
        self.kind = kind
        self.sample = sample
        self.rows = rows

    def source(self, name: str) -> Source:
        """An input with these bytes or rows."""
        file: RawIOBase = BytesIO(self.sample)  # type: ignore[assignment]
        if self.kind in TEXT_KINDS:
            return Source(name, file, None, self.kind)
        tables = [] if self.rows is None else [pa.RecordBatchReader.from_batches(self.rows.schema, [self.rows])]
        return Source(name, file, 0, TABLE, Rows(tables))


def look(ref: "InputRef") -> str:
    """The text of a profile for an input, made from its start.

    Raises SourceError, InputError where its format is not read, and MemoryLimitError.
    """
    source = open_input(ref)
    try:
        start, findings = look_at_text(source) if source.kind in TEXT_KINDS else look_at_table(source)
    finally:
        source.close()
    name = ref.display_name
    default = Trial(name, start, None)
    if default.is_good:
        for setting in findings.settings:
            setting.is_open = True
        findings.missing = []
        findings.settings = [each for each in findings.settings if not each.name.startswith(FOUND_BY_DEFAULT)]
        head = [f"{name} is read without a profile: in the default dialect, {default.words()}."]
        return profile_text(findings, [*head, WHAT_ELSE] if findings.settings else head)
    head = [f"Made by: txfast --dialect-of {STANDARD_INPUT if ref.name == STANDARD_INPUT else name}", HOW_TO_USE]
    if findings.missing and findings.settings:
        *others, last = findings.missing
        missing = f"{', '.join(others)} and {last}" if others else last
        head.append(f"No column is known for {missing}: fill that in below.")
    else:
        head.append(trial_sentence(name, start, findings))
    return profile_text(findings, head)


def trial_sentence(name: str, start: Start, findings: Findings) -> str:
    """What becomes of the rows with the settings that were found."""
    try:
        dialect = findings.dialect()
    except UsageError as error:
        return f"These settings do not go together: {error}."
    settings = "these settings" if len(dialect) else "the default dialect"
    return f"With {settings}, {Trial(name, start, dialect if len(dialect) else None).words()}."


# ---- The start of a file -------------------------------------------------------------------------


def look_at_text(source: Source) -> tuple[Start, Findings]:
    """The first bytes of a text, and what they show. Raises SourceError and InputError."""
    sample = bytearray(SAMPLE_BYTES + 1)
    filled = 0
    while filled < len(sample) and (count := read_into(source, memoryview(sample)[filled:])):
        filled += count
    content, is_whole = bytes(sample[: min(filled, SAMPLE_BYTES)]), filled <= SAMPLE_BYTES
    if source.kind == JSON_LINES:
        content = content if is_whole else content[: content.rfind(b"\n") + 1]
        names, rows, numbers = members_of(content)
        return Start(JSON_LINES, content), detect_table(names, rows, numbers=numbers)
    findings = detect(content, is_whole=is_whole)
    if findings.end is not None:
        content = b"".join(content.splitlines(keepends=True)[: findings.end])
    return Start(CSV, content), findings


def members_of(content: bytes) -> tuple[list[str], list[tuple[int, list[str]]], set[str]]:
    """The keys of lines of JSON in the order in which they come, the values of each line as texts, and the keys whose
    values are numbers or null in all of them."""
    from txfast.log.json_hints import Members, Number, parse, text_of

    objects: list[tuple[int, dict[str, str]]] = []
    texts: set[str] = set()
    for number, line in enumerate(lines_of(content.decode("utf-8", "replace").removeprefix("\ufeff")), 1):
        try:
            members = parse(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(members, Members):
            objects.append((number, {key: text_of(value) for key, value in members if not isinstance(value, list)}))
            texts.update(key for key, value in members if value is not None and not isinstance(value, Number))
    names = list(dict.fromkeys(name for _, members in objects for name in members))
    rows = [(number, [members.get(name, "") for name in names]) for number, members in objects]
    return names, rows, set(names) - texts


def look_at_table(source: Source) -> tuple[Start, Findings]:
    """The first rows of a table, and what they show. Raises InputError, SourceError and MemoryLimitError."""
    from txfast.readers.table_start import table_start, texts_of

    names, rows = table_start(source)
    if rows is None:
        findings = detect_table(names, [])
    else:
        findings = detect_table(list(rows.schema.names), texts_of(rows))
        if others := [name for name in names if name not in rows.schema.names]:
            findings.remarks.append(f"Columns that are nested, or there twice: {listed(others)}.")
    return Start(source.kind, rows=rows), findings
