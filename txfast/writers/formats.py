"""The formats of outputs: their names, the format and the compression that a path's suffix means, and the writers of
accounts.

A file must not get content that its name does not say: a suffix of another format is refused, unless the user names the
format. This module must not know the options that name an output.
"""

import os

from txfast.dialect.names import DECIMALS
from txfast.errors import UsageError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.writers.accounts_table import Accounts
    from txfast.writers.output import Output

# The formats of accounts.
CSV, PARQUET, ARROW = FORMATS = ("csv", "parquet", "arrow")
JSON_LINES, JSON = "jsonl", "json"

FORMAT_NAMES = {CSV: "CSV", PARQUET: "Parquet", ARROW: "Arrow", JSON_LINES: "JSON lines", JSON: "JSON"}
# The suffixes of each format, the usual one first. A Feather file is an Arrow IPC file.
SUFFIXES = {
    CSV: (".csv",),
    PARQUET: (".parquet", ".pq"),
    ARROW: (".arrow", ".feather", ".ipc"),
    JSON_LINES: (".jsonl", ".ndjson"),
    JSON: (".json",),
}
# A second suffix after that of a text.
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
TEXTS = (CSV, JSON_LINES, JSON)
# What is written, by the word for it in messages: its formats, and the one for a name without a known suffix.
CONTENTS: dict[str, tuple[tuple[str, ...], str | None]] = {
    "accounts": (FORMATS, CSV),
    "rejects": ((CSV, JSON_LINES, PARQUET), None),
    "differences": ((CSV, JSON_LINES, PARQUET), None),
    "stats": ((JSON,), JSON),
}
# Suffixes of formats that are never written.
FOREIGN_SUFFIXES = {
    f".{suffix}": name
    for name, suffixes in {
        "Excel": "xls xlsb xlsm xlsx",
        "OpenDocument": "ods",
        "Numbers": "numbers",
        "text with tabs": "tab tsv",
        "text with another delimiter": "psv",
        "HTML": "htm html xhtml",
        "XML": "xml",
        "YAML": "yaml yml",
        "TOML": "toml",
        "Markdown": "md",
        "PDF": "pdf",
        "Word": "doc docx",
        "a database": "accdb db duckdb mdb sqlite sqlite3",
        "SQL": "sql",
        "ORC": "orc",
        "Avro": "avro",
        "an Arrow stream": "arrows",
        "Parquet by another suffix than .parquet and .pq": "parq",
        "Arrow by another suffix than .arrow, .feather and .ipc": "arr fea",
        "JSON5": "json5",
        "an unfinished file": "part tmp",
        "HDF5": "h5 hdf hdf5",
        "NumPy": "npy npz",
        "a Python pickle": "pickle pkl",
        "R": "rda rdata rds",
        "SAS": "sas7bdat xpt",
        "SPSS": "sav",
        "Stata": "dta",
        "dBase": "dbf",
        "MessagePack": "msgpack",
        "CBOR": "cbor",
        "Protocol Buffers": "pb",
        "an archive": "7z rar tar tbz tbz2 tgz txz tzst zip",
        "another compression": "br bz2 gzip lz4 lzma snappy xz z zstd",
    }.items()
    for suffix in suffixes.split()
}


def format_of(content: str, path: str, *, chosen: str | None = None, chosen_by: str = "") -> str:
    """The format in which a content, a key of CONTENTS, is written to this path.

    `chosen` is the format that the user has named in words: it overrides the suffix. `chosen_by` says how to do that,
    for messages. Raises UsageError for a suffix of another format, and for a compression of a format that is no text.
    """
    suffix, compression = suffixes_of(path)
    formats, default = CONTENTS[content]
    said = next((each for each, suffixes in SUFFIXES.items() if suffix in suffixes), None)
    found = chosen or (default if said is None and suffix not in FOREIGN_SUFFIXES else said)
    if found not in formats:
        raise UsageError(refusal(content, path, suffix, said, chosen_by))
    if compression and found not in TEXTS:
        raise UsageError(
            f"{path!r}: {compression} compresses text, and {FORMAT_NAMES[found]} is none: end the name in "
            f"{SUFFIXES[found][0]}"
        )
    return found


def compression_of(path: str) -> str | None:
    """The compression that the last suffix of a path names, one of COMPRESSIONS; None for none."""
    return COMPRESSIONS.get(suffixes_of(path)[1])


def suffixes_of(path: str) -> tuple[str, str]:
    """The suffix of the format and that of the compression, in lower case, each empty where there is none."""
    stem, suffix = os.path.splitext(path)
    suffix = suffix.lower()
    if suffix not in COMPRESSIONS:
        return suffix, ""
    return os.path.splitext(stem)[1].lower(), suffix


def refusal(content: str, path: str, suffix: str, said: str | None, chosen_by: str) -> str:
    """The message that refuses a path: the format that its suffix names, those that there are, and the way out."""
    formats, _ = CONTENTS[content]
    names = listed([FORMAT_NAMES[each] for each in formats])
    means = FORMAT_NAMES[said] if said else FOREIGN_SUFFIXES.get(suffix)
    compression = suffixes_of(path)[1]
    if compression and not suffix:
        suffix, means = compression, f"{COMPRESSIONS[compression]} alone"
    found = f"{suffix} means {means}" if means else f"{suffix or 'a name without a suffix'} means no format"
    way_out = f"end the name in {listed(usual_suffixes(content))}"
    if chosen_by:
        way_out += f", or choose the format with {chosen_by}"
    return f"{path!r}: {found}, and {content} are written as {names}: {way_out}"


def usual_suffixes(content: str) -> list[str]:
    """One suffix for each format of a content, then those of compressed texts."""
    formats, _ = CONTENTS[content]
    plain = [SUFFIXES[each][0] for each in formats]
    return plain + [SUFFIXES[each][0] + suffix for each in formats if each in TEXTS for suffix in COMPRESSIONS]


def listed(words: list[str]) -> str:
    """Words as a list that ends with "or"."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def write_accounts(accounts: "Accounts", output: "Output", account_format: str, decimals: int = DECIMALS) -> None:
    """Write accounts to an open output in one of the FORMATS. Amounts have these decimals.

    Raises SourceError, and BrokenPipeError where the output is a pipe without a reader.
    """
    if account_format == CSV:
        from txfast.writers.accounts_csv import csv_blocks

        for block in csv_blocks(accounts, decimals=decimals):
            output.write(block)
        return
    assert account_format in FORMATS, account_format
    from txfast.writers import accounts_table

    write = accounts_table.write_parquet if account_format == PARQUET else accounts_table.write_arrow
    write(accounts, output, decimals)
