#!/usr/bin/env python3
"""Makes the parts of the pages that say what a table in the code says: `python docs/make_reference.py`.

Such a part stands between `<!-- made: NAME -->` and `<!-- made: end -->`; a test holds every page to it. Where the code
has no words for a row of a table, its last cell is written by hand in the page, and is kept when the table is made
again: a new row comes with an empty cell, which the test finds.
"""

import inspect
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT_ROOT))

import txfast  # noqa: E402
from docs.interface import docstring, filled, interface  # noqa: E402
from txfast import errors  # noqa: E402
from txfast.batch.batch import KINDS  # noqa: E402
from txfast.command.option import Option  # noqa: E402
from txfast.command.options import OPTIONS  # noqa: E402
from txfast.input.first_bytes import REFUSED, TAR  # noqa: E402
from txfast.ledger.ledger import STATUSES  # noqa: E402
from txfast.ledger.policy import EXCLUDED, PRESETS, SWITCHES  # noqa: E402
from txfast.writers.formats import (  # noqa: E402
    COMPRESSIONS,
    CONTENTS,
    FOREIGN_SUFFIXES,
    FORMAT_NAMES,
    SUFFIXES,
    TEXTS,
)
from txfast.writers.reject_tables import reject_schema  # noqa: E402

PACKAGE = PROJECT_ROOT / "txfast"
MADE = re.compile(r"(<!-- made: (?!end)(.*?) -->\n).*?(<!-- made: end -->)", re.S)

# From the ground up: a package imports from those before it.
PACKAGES = (
    *("text", "batch", "input", "ledger", "store", "readers", "writers", "spill", "state", "report", "log", "run"),
    *("command", "api", "cluster"),
)

Kept = dict[str, str]


def pages() -> list[Path]:
    """The pages that may have such parts."""
    return [PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").rglob("*.md"))]


def made(text: str) -> str:
    """A page's text with all its parts made anew."""

    def part(found: re.Match[str]) -> str:
        name, _, argument = found[2].partition(" ")
        content = files_of(argument) if name == "files" else PARTS[name](kept_in(found[0]))
        return f"{found[1]}\n{content.strip()}\n\n{found[3]}"

    return MADE.sub(part, text)


def kept_in(text: str) -> Kept:
    """What was written by hand: the last cell of each row of a table, by the row's first."""
    rows = [cells_of(line) for line in text.splitlines() if line.startswith("|")]
    return {row[0]: row[-1] for row in rows}


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("\n", " ") for cells in lines)


def code(text: object) -> str:
    return f"`{text}`"


# ---- Rows ----------------------------------------------------------------------------------------


def named_table(head: Sequence[str], names: Iterable[str], kept: Kept) -> str:
    """A name in each row, and what was written about it."""
    return table(head, [(code(name), kept.get(code(name), "")) for name in names])


def kinds(kept: Kept) -> str:
    return named_table(("type", "effect"), KINDS, kept)


def statuses(kept: Kept) -> str:
    return named_table(("reason", "rejected when"), STATUSES[1:], kept)


def malformed_reasons(kept: Kept) -> str:
    return named_table(("reason", "malformed when"), stats_of_a_run()["malformed"], kept)


def switches(kept: Kept) -> str:  # noqa: ARG001 (all of it is in the code)
    """Each switch, with a row for each of its values."""
    lines: list[str] = []
    for switch in SWITCHES:
        rows = [
            (f"{code(value)} (default)" if value == switch.default else code(value), meaning)
            for value, meaning in switch.values.items()
        ]
        lines += [
            f"### {switch.name}",
            "",
            f"{capitalised(switch.summary)}.",
            "",
            table(("value", "meaning"), rows),
            "",
        ]
    return "\n".join(lines)


def presets(kept: Kept) -> str:  # noqa: ARG001 (all of it is in the code)
    return table(("preset", "stands for"), [(code(name), code(settings)) for name, settings in PRESETS.items()])


def exclusions(kept: Kept) -> str:  # noqa: ARG001 (all of it is in the code)
    rows = [(code(f"{name}={value}"), code(f"{other}={needed}")) for name, value, other, needed in EXCLUDED]
    return table(("this value", "goes only with"), rows)


def capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


# ---- The command ---------------------------------------------------------------------------------


def options(kept: Kept) -> str:  # noqa: ARG001 (all of it is in the code)
    """Every option by group: how it is given, and what there is to say of it."""
    lines: list[str] = []
    group = ""
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            lines += [f"### {group}", ""]
        lines += [f"#### {option.flags[-1]}", "", option_text(option), ""]
    return "\n".join(lines)


def option_text(option: Option) -> str:
    metavar = f" {option.metavar}" if option.metavar else ""
    flags = ", ".join(code(flag + metavar) for flag in option.flags)
    variable = f", or the variable {code(option.variable)}" if option.variable else ""
    text = f"{flags}{variable}: {option.help}."
    if option.choices:
        text += f" One of {', '.join(map(code, option.choices))}."
    manual = inspect.cleandoc(getattr(option, "manual", ""))
    manual = re.sub(r"(?<!\S)(--[a-z][a-z-]*|-)(?=[\s,.;:]|$)", r"`\1`", manual)  # what the user types
    return "\n\n".join([text, *(filled(paragraph) for paragraph in manual.split("\n\n") if paragraph)])


def exit_codes(kept: Kept) -> str:
    """The codes that errors have, and those that all commands have."""
    own = {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}
    return named_table(("exit code", "when"), [*sorted({"0", "2", *own}), "130", "143", "129", "141"], kept)


def error_family(kept: Kept) -> str:  # noqa: ARG001 (all of it is in the code)
    """Each error, the builtin that it is too, and what its docstring says."""
    rows = []
    for name in txfast.__all__:
        found = getattr(txfast, name)
        if inspect.isclass(found) and issubclass(found, Exception) and found is not txfast.TxfastError:
            builtin = next(base for base in found.__mro__ if base.__module__ == "builtins")
            rows.append((code(name), code(builtin.__name__), docstring(found)))
    return table(("error", "is also a", "meaning"), rows)


# ---- Rejects, stats, tables ----------------------------------------------------------------------


def reject_columns(kept: Kept) -> str:
    rows = [(code(field.name), code(field.type), kept.get(code(field.name), "")) for field in reject_schema()]
    return table(("column", "type in Parquet and Arrow", "content"), rows)


def account_columns(kept: Kept) -> str:
    schema = txfast.process(io.BytesIO(SMALL_INPUT)).accounts.schema
    rows = [(code(field.name), code(field.type), kept.get(code(field.name), "")) for field in schema]
    return table(("column", "type in Parquet and Arrow", "content"), rows)


def transaction_columns(kept: Kept) -> str:
    batch = next(txfast.read(io.BytesIO(SMALL_INPUT)))
    rows = [(code(field.name), code(type_name(field.type)), kept.get(code(field.name), "")) for field in batch.schema]
    return table(("column", "type", "content"), rows)


def suffixes(kept: Kept) -> str:  # noqa: ARG001 (all of it is in the code)
    """What each known suffix means for each output."""
    rows = []
    for known, found in SUFFIXES.items():
        names = [suffix + after for suffix in found for after in ("", *(COMPRESSIONS if known in TEXTS else ()))]
        formats = [FORMAT_NAMES[known] if known in allowed else "refused" for allowed, _ in CONTENTS.values()]
        rows.append((", ".join(map(code, names)), *formats))
    foreign = ", ".join(map(code, FOREIGN_SUFFIXES))
    rows.append((foreign, *["refused"] * len(CONTENTS)))
    return table(("suffix", *CONTENTS), rows)


def type_name(arrow_type: object) -> str:
    return re.sub(r"dictionary<values=(\w+),.*>", r"dictionary of \1", str(arrow_type))


SMALL_INPUT = b"type,client,tx,amount\ndeposit,1,1,2.5\ndispute,1,1,\nwithdrawal,1,2,1\n"


def stats_of_a_run() -> dict[str, Any]:
    return txfast.process(io.BytesIO(SMALL_INPUT)).stats


def stats_keys(kept: Kept) -> str:
    """The keys of a run's figures. Those inside a mapping that is not by a word of the rules have their own rows."""
    words = {*KINDS, *STATUSES[1:], *stats_of_a_run()["malformed"]}
    return table(("key", "value", "meaning"), keys_of(stats_of_a_run(), "", words, kept))


def keys_of(fields: dict[str, Any], before: str, words: set[str], kept: Kept) -> Iterator[tuple[str, str, str]]:
    for name, value in fields.items():
        if name in words:
            continue
        shown = code(before + name)
        yield shown, json_type(value), kept.get(shown, "")
        inside = value[0] if isinstance(value, list) else value
        if isinstance(inside, dict):
            yield from keys_of(inside, f"{before}{name}.", words, kept)


def json_type(value: object) -> str:
    names = {str: "text", bool: "true or false", int: "whole number", float: "number", dict: "object", list: "list"}
    return names[type(value)]


# ---- State ---------------------------------------------------------------------------------------


def state_files(kept: Kept) -> str:
    """The files of a small state, and their columns."""
    import pyarrow as pa

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        snapshot = save_small_state(folder)
        for path in sorted(snapshot.glob("*.arrow")):
            with pa.OSFile(str(path)) as file:
                for field in pa.ipc.open_file(file).schema:
                    name = code(f"{path.name}: {field.name}")
                    rows.append((name, code(field.type), kept.get(name, "")))
    return table(("file and column", "type", "content"), rows)


def manifest_keys(kept: Kept) -> str:
    """The keys of a small state's manifest."""
    with tempfile.TemporaryDirectory() as folder:
        fields = json.loads((save_small_state(folder) / "manifest.json").read_text(encoding="utf-8"))
    rows = []
    for name, value in fields.items():
        rows.append((code(name), json_type(value), kept.get(code(name), "")))
    return table(("key", "value", "meaning"), rows)


def save_small_state(folder: str) -> Path:
    ledger = txfast.Ledger()
    ledger.apply(io.BytesIO(SMALL_INPUT))
    ledger.save(os.path.join(folder, "state"))
    return Path(folder, "state", "snapshot-1")


# ---- The code map --------------------------------------------------------------------------------


def files_of(package: str) -> str:
    """The files of a package, or of txfast/ itself for `.`, each with the first sentence of its docstring."""
    stems: dict[str, dict[str, Path]] = {}
    for path in sorted((PACKAGE / package).iterdir()):
        if path.suffix in (".py", ".pyx", ".pxd", ".h") and path.name not in ("__init__.py", "_version.py"):
            stems.setdefault(path.stem, {})[path.suffix] = path
    rows = []
    for found in stems.values():
        names = ", ".join(code(path.name) for _, path in sorted(found.items(), reverse=True))
        described = next(found[suffix] for suffix in (".py", ".pyx", ".pxd", ".h") if suffix in found)
        rows.append((names, first_sentence(described)))
    return table(("file", "what it is"), rows)


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring, or of a header's comment."""
    text = path.read_text(encoding="utf-8")
    found = re.match(r'(?:#!.*\n)?"""(.*?)"""', text, re.S) or re.match(r"/\*(.*?)\*/", text, re.S)
    assert found is not None, f"{path}: says nothing of itself"
    paragraph = " ".join(re.sub(r"^ \*", "", found[1].strip(), flags=re.M).split("\n\n")[0].split())
    sentence = re.split(r"(?<=\.) ", paragraph)[0].replace("|", "\\|")
    return sentence.rstrip(":")


# ---- Figures -------------------------------------------------------------------------------------

# What the README shows of the race: rows of bench/results.md, and what they are called.
SHOWN_RIVALS = {
    "`txfast`": "**txfast**, replays into accounts",
    "Polars": "Polars, only adds up amounts by client",
    "csv + Decimal, by hand": "Python's `csv` and `Decimal`, replays into accounts",
}


def speed(kept: Kept) -> str:  # noqa: ARG001 (all of it is in the results)
    """Three rows of the race, rounded."""
    results = (PROJECT_ROOT / "bench" / "results.md").read_text(encoding="utf-8")
    cells = {row[0]: row for row in map(cells_of, results.splitlines()) if len(row) > 1}
    rows = []
    for name, shown in SHOWN_RIVALS.items():
        seconds, rows_per_second, megabytes = cells[name][2], cells[name][4], cells[name][7]
        millions = int(rows_per_second.replace(",", "")) / 1e6
        rows.append((shown, f"{float(seconds):.3g}", f"{millions:.1f}", megabytes))
    lines = table(("", "seconds", "million rows/s", "peak MB"), rows).splitlines()
    return "\n".join([lines[0], "|---|---:|---:|---:|", *lines[2:]])


def refused_formats(_: Kept) -> str:
    """Formats of inputs that are known and not read, each once, in the order of the table."""
    return table(
        ["format", "what to do"],
        dict.fromkeys((what, way_out.replace("|", r"\|")) for what, way_out in (TAR, *REFUSED.values())),
    )


# ---- All of it -----------------------------------------------------------------------------------

PARTS: dict[str, Callable[[Kept], str]] = {
    "account-columns": account_columns,
    "api": interface,
    "error-family": error_family,
    "exclusions": exclusions,
    "exit-codes": exit_codes,
    "kinds": kinds,
    "malformed-reasons": malformed_reasons,
    "manifest-keys": manifest_keys,
    "options": options,
    "presets": presets,
    "refused-formats": refused_formats,
    "reject-columns": reject_columns,
    "speed": speed,
    "state-files": state_files,
    "stats-keys": stats_keys,
    "statuses": statuses,
    "suffixes": suffixes,
    "switches": switches,
    "transaction-columns": transaction_columns,
}


def main() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (text_made := made(text)) != text:
            page.write_text(text_made, encoding="utf-8")
            print(f"made anew: {page.relative_to(PROJECT_ROOT)}")


if __name__ == "__main__":
    main()
