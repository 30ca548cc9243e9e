"""Measures what a dialect costs: whole commands over files that have the same rows, written in other ways.

    python bench/dialects.py [--rows 5e6] [--clients 50000] [--runs 9] [-o bench/results.md]

Runs over each file take turns. Results go to standard output and into a section of a Markdown file. The exit code is 1
where a file costs more than it may (TIMES_MAX).

This file must know only the command of txfast.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from measure import (
    BenchError,
    add_number,
    add_paths,
    cached_input,
    describe_machine,
    markdown_table,
    run_in_turns,
    say,
    txfast_command,
    write_section,
)

COLUMNS = ("type", "client", "tx", "amount")
# Numbers become UUIDs that are spread evenly, each its own.
SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "CHF")


class Form(NamedTuple):
    """A way to write rows: the first line, a row with its ending, and the options that read it."""

    header: str
    line: Callable[[Sequence[str]], str]
    options: tuple[str, ...] = ()


WORDS = {"deposit": "SALE", "withdrawal": "PAYOUT", "dispute": "INQUIRY", "resolve": "WON", "chargeback": "LOST"}


def with_words(fields: Sequence[str]) -> str:
    return ",".join([WORDS.get(fields[0], fields[0]), *fields[1:]]) + "\n"


def fields_of(line: str) -> list[str]:
    return line.rstrip("\n").split(",")


def with_spread_ids(fields: Sequence[str]) -> str:
    """A row whose transaction is a number of up to 63 bits, without a pattern."""
    kind, client, tx, *rest = fields
    return ",".join([kind, client, f"{int(tx) * SPREAD % (1 << 63)}" if tx.isdigit() else tx, *rest]) + "\n"


def with_text_ids(fields: Sequence[str]) -> str:
    """A row whose client has 20 bytes, and whose transaction is a UUID."""
    kind, client, tx, *rest = fields
    if not (client.isdigit() and tx.isdigit()):
        return ",".join(fields) + "\n"
    digits = f"{int(tx) * SPREAD % (1 << 128):032x}"
    uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return ",".join([kind, f"cus_{int(client):016x}", uuid, *rest]) + "\n"


def with_currency(fields: Sequence[str]) -> str:
    """A row with a currency, the same one for each of its client's."""
    kind, client, tx, amount = (*fields, "")[:4]
    return f"{kind},{client},{tx},{amount},{CURRENCIES[int(client) % len(CURRENCIES) if client.isdigit() else 0]}\n"


def as_object(fields: Sequence[str], keys: Sequence[str] = COLUMNS) -> str:
    """A row as an object, whose ids and amount are numbers where they can be."""
    texts = dict(zip(keys, fields, strict=False))
    members = [
        f'"{name}":{text if text.replace(".", "", 1).isdigit() and text[-1] != "." else json.dumps(text)}'
        for name, text in texts.items()
        if text or name != keys[-1]
    ]
    return "{" + ",".join(members) + "}\n"


OTHER_COLUMNS = ("Kind", "Customer", "Reference", "Gross")
AS_OTHERS = (
    *("--columns", ",".join(f"{role}={name}" for role, name in zip(COLUMNS, OTHER_COLUMNS, strict=True))),
    *("--types", ",".join(f"{word}={kind}" for kind, word in WORDS.items())),
)
FILES = {
    "the default": Form("type,client,tx,amount", lambda fields: ",".join(fields) + "\n"),
    "semicolons": Form("type;client;tx;amount", lambda fields: ";".join(fields) + "\n"),
    "other columns and words": Form(",".join(OTHER_COLUMNS), with_words, AS_OTHERS),
    "decimal commas": Form(
        "type;client;tx;amount", lambda fields: ";".join(fields).replace(".", ",") + "\n", ("--decimal", ",")
    ),
    "spread numbers": Form("type,client,tx,amount", with_spread_ids),
    "text ids": Form("type,client,tx,amount", with_text_ids, ("--ids", "text")),
    "a fifth column": Form("type,client,tx,amount,ccy", with_currency),
    "currencies": Form("type,client,tx,amount,ccy", with_currency, ("--columns", "currency=ccy")),
    "JSON lines": Form("", as_object),
    "JSON lines, other keys and words": Form(
        "", lambda fields: as_object(fields_of(with_words(fields)), OTHER_COLUMNS), AS_OTHERS
    ),
    "JSON lines, text ids": Form("", lambda fields: as_object(fields_of(with_text_ids(fields))), ("--ids", "text")),
}
# What a file is compared with, where it is not the default.
COMPARED = {
    "text ids": "spread numbers",
    "currencies": "a fifth column",
    "JSON lines, other keys and words": "JSON lines",
    "JSON lines, text ids": "text ids",
}
# The most that a file may cost, in times of that.
TIMES_MAX = {"semicolons": 1.05, "other columns and words": 1.05, "text ids": 1.6, "currencies": 1.1}
HEADER = ("file", "MB", "seconds", "rows/s", "times", "of", "at most")
TEXT = """\
Medians of whole commands in fresh processes that took turns. Text ids are clients of 20 bytes, and UUIDs: they come in
no order, as spread numbers do, and those of the default count up.
"""


def write_file(path: Path, transactions: Path, form: Form) -> None:
    """Write the rows of a file in another form."""
    with open(transactions, encoding="ascii") as lines, open(path, "w", encoding="ascii", newline="") as file:
        next(lines)
        if form.header:
            file.write(form.header + "\n")
        file.writelines(form.line(fields_of(line)) for line in lines)


def measure(paths: dict[str, Path], runs: int, folder: Path) -> dict[str, float]:
    """The median seconds of each file."""
    commands = {name: txfast_command(str(path), "--quiet", *FILES[name].options) for name, path in paths.items()}
    found = run_in_turns(commands, runs, folder / "accounts.csv")
    return {name: statistics.median(run.seconds for run in each) for name, each in found.items()}


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what a dialect costs.")
    add_number(parser, "--rows", 5_000_000, "rows of each file")
    add_number(parser, "--clients", 50_000, "clients in each file")
    add_number(parser, "--runs", 9, "runs over each file")
    add_paths(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write; return the exit code."""
    options = parse_arguments(arguments)
    try:
        options.cache.mkdir(parents=True, exist_ok=True)
        transactions = cached_input(options.cache, options.rows, options.clients)
        with tempfile.TemporaryDirectory(prefix="txfast-dialects-") as name:
            folder = Path(name)
            paths = {file: folder / f"{number}.csv" for number, file in enumerate(FILES)}
            for file, path in paths.items():
                say(f"writing {file} …")
                write_file(path, transactions, FILES[file])
            megabytes = {file: path.stat().st_size / 1e6 for file, path in paths.items()}
            medians = measure(paths, options.runs, folder)
        of = {file: COMPARED.get(file, "the default") for file in FILES}
        times = {file: seconds / medians[of[file]] for file, seconds in medians.items()}
        table = [
            [
                *(file, f"{megabytes[file]:.0f}", f"{medians[file]:.3f}", f"{options.rows / medians[file]:,.0f}"),
                *(f"{times[file]:.2f}", of[file], f"{TIMES_MAX[file]:.2f}" if file in TIMES_MAX else ""),
            ]
            for file in FILES
        ]
        text = markdown_table(HEADER, table)
        title = f"## Dialects\n\n{options.rows:,} rows of {options.clients:,} clients. {describe_machine(['txfast'])}"
        write_section(options.output, "dialects", [title, text, TEXT])
        print(text)
    except BenchError as error:
        say(f"dialects: {error}")
        return 1
    slow = [file for file, most in TIMES_MAX.items() if times[file] > most]
    for file in slow:
        say(f"dialects: {file}: {times[file]:.2f} times the seconds of {of[file]}, at most {TIMES_MAX[file]:.2f}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
