"""Cuts inputs into ranges: looks at each, finds its header, and divides what follows by size.

With a state, the ranges begin where an earlier run ended. This module must not know an engine.
"""

import os
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, count, islice, repeat

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import JSON_HEADER, Header
from txfast.cluster.ranges import RANGE_BYTES, Range, is_cuttable, open_range_input, version_of
from txfast.cluster.sent_dialect import dialect_in
from txfast.dialect.dialect import Dialect
from txfast.errors import SourceError
from txfast.input.first_bytes import BYTE_ORDER_MARK, FIRST_BYTES
from txfast.input.open_field import DECIDED_BYTES
from txfast.input.position import HEAD_BYTES, Consumption, Position, head_of, late_ending, open_field_at
from txfast.input.ref import QUERY_SUFFIX, STANDARD_INPUT, display_name, is_location, resolve
from txfast.input.source import JSON_LINES, Source, was_changed
from txfast.readers.csv import CsvReader

LINE_ENDING = re.compile(b"\r\n|\n|\r")
# Each input in a remote location takes some round trips.
CUTTING_THREADS = 16


def cut_inputs(names: Sequence[str], range_bytes: int = RANGE_BYTES, dialect: str = "") -> list[Range]:
    """Cut inputs, without a state; `dialect` is a `dialect_text`. Raises InputError for one that is no transactions
    file, and SourceError."""
    return cut_into_ranges(whole_inputs(names, dialect=dialect), range_bytes)


def whole_inputs(names: Sequence[str], *, with_state: bool = False, dialect: str = "") -> list[Range]:
    """Each input as one range, not read yet; with a state, an input that was named before is over. `dialect` is a
    `dialect_text`.

    Raises SourceError.
    """
    with ThreadPoolExecutor(CUTTING_THREADS) as pool:
        inputs = list(pool.map(whole_input, count(), names, repeat(with_state), repeat(dialect)))
    seen: set[str] = set()
    for number, whole in enumerate(inputs):
        if whole.key in seen:
            inputs[number] = replace(whole, is_over=True)
        elif with_state:
            seen.add(whole.key)
    return inputs


def whole_input(number: int, name: str, with_state: bool, dialect: str) -> Range:
    """The input of this number as one range. Raises SourceError."""
    path = name if is_location(name) else absolute(name)
    if name == STANDARD_INPUT or (os.path.exists(path) and not os.path.isfile(path)):
        shown = display_name(name)
        raise SourceError(f"{shown}: is no file that a cluster could read: name files or locations", shown)
    if name.lower().endswith(QUERY_SUFFIX):
        raise SourceError(
            f"{display_name(name)}: a query runs on one machine alone: use txfast, or write its rows to Parquet files",
            display_name(name),
        )
    key = input_key(name) if with_state else ""
    return Range(number, number, display_name(name), path, version=version_of(path), key=key, dialect=dialect)


def absolute(path: str) -> str:
    """A path that is good in any process's folder. It is not normalised: if a folder is a link, only the system knows
    what `..` means after it."""
    return os.path.join(os.getcwd(), path)


def input_key(name: str) -> str:
    """The name of an input in a state. Raises SourceError."""
    return resolve(name).key()


def cut_into_ranges(inputs: Sequence[Range], range_bytes: int) -> list[Range]:
    """Cut inputs into ranges of about this size; one that is compressed or a table stays one range.

    An input with a position is cut from there on: the caller has seen that the bytes before it are unchanged. Raises
    InputError for one that is no transactions file, and SourceError.
    """
    if range_bytes < 1:
        raise ValueError(f"ranges of {range_bytes} bytes hold nothing")
    with ThreadPoolExecutor(CUTTING_THREADS) as pool:
        parts = chain.from_iterable(pool.map(cut_input, inputs, repeat(range_bytes)))
        return [replace(part, number=number) for number, part in enumerate(parts)]


def cut_input(whole: Range, range_bytes: int) -> list[Range]:
    """Cut one input. The ranges do not have their numbers yet."""
    if whole.is_over:
        return [whole]
    source = open_range_input(whole)
    try:
        if not is_cuttable(source):
            return [whole]
        size = source.size_bytes or 0
        if whole.position is None:
            header, first, lines = find_header(source, whole.name, dialect_in(whole.dialect))
            position = position_after_header(source, header, first, lines) if whole.key else None
            skipped = 0
            if position is not None:
                position.head = head_of(source.read_at(0, HEAD_BYTES))
        else:
            position = after_late_ending(source, whole.position)
            position.open_bytes = still_open_bytes(source, position, dialect_in(whole.dialect))
            position.head = position.head or head_of(source.read_at(0, HEAD_BYTES))
            header, first, lines, skipped = (
                position.header,
                position.offset_bytes,
                position.lines,
                position.offset_bytes,
            )
        return [
            replace(
                whole, start=start, end=min(start + range_bytes, size), size_bytes=size, header=header,
                lines_before=lines if start == first else 0, bytes_skipped=skipped,
                position=position if start == first else None, rows_begin=first,
            )
            for start in range(first, max(size, first + 1), range_bytes)
        ]  # fmt: skip
    finally:
        source.close()


def find_header(source: Source, name: str, dialect: Dialect | None = None) -> tuple[bytes, int, int]:
    """The header line of a file, the offset of the line after it, and the number of lines before that.

    JSON lines have their first line that is not blank after it, and so has a file of a dialect without a header.
    Raises InputError.
    """
    if source.kind == JSON_LINES:
        Header(JSON_HEADER, name, dialect=dialect)  # refuses a dialect that JSON lines cannot have
        blank = source.read_at(0, FIRST_BYTES).partition(JSON_HEADER)[0]
        endings = list(LINE_ENDING.finditer(blank))
        return JSON_HEADER, endings[-1].end() if endings else 0, len(endings)
    # The reader finds the header and checks it; the consumption tells where the block with the header begins.
    block = Consumption()
    reader = CsvReader(source.file, name, consumption=block, dialect=dialect)
    batch = TransactionBatch()
    start = lines = 0
    while reader.header is None:
        start = block.offset_bytes
        lines += batch.lines_before + batch.lines
        reader.fill(batch)
    lines += batch.lines_before
    if not batch.lines_before:  # the first row is the block's first line
        has_mark = start == 0 and source.read_at(0, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK
        return reader.header.line, start + has_mark * len(BYTE_ORDER_MARK), lines
    # One byte more, since it may be the LF of a CR LF.
    text = source.read_at(start, block.offset_bytes - start + 1)
    header_ending = next(islice(LINE_ENDING.finditer(text), batch.lines_before - 1, None), None)
    return reader.header.line, start + (len(text) if header_ending is None else header_ending.end()), lines


def position_after_header(source: Source, header: bytes, first: int, lines: int) -> Position:
    """The position after a header, where the line at offset `first` begins."""
    consumption = Consumption()
    for block in source.blocks(0, first):
        consumption.advance(block)
    if consumption.offset_bytes != first:
        raise was_changed(source.name)
    return consumption.position(lines, header)


def after_late_ending(source: Source, position: Position) -> Position:
    """The position moved past the ending of the last line before it, if only this run finds that ending.

    Raises as `late_ending`.
    """
    ending = late_ending(source.name, position, source.read_at(position.offset_bytes, 2))
    if not ending:
        return position
    consumption = Consumption()
    consumption.advance(ending)
    return position_after(position, [consumption.position(0, position.header)])


def still_open_bytes(source: Source, position: Position, dialect: Dialect | None = None) -> int:
    """The `open_bytes` of a position; 0 where the bytes after it show that the field there is never closed.

    Raises InputError where they close it, and SourceError.
    """
    if not position.open_bytes:
        return 0
    text = source.read_at(position.offset_bytes - position.open_bytes, DECIDED_BYTES)
    delimiter = None if dialect is None else dialect.delimiter
    opened = open_field_at(source.name, position, text[: position.open_bytes], delimiter)
    field = opened.go_on(text[position.open_bytes :])
    if field is None:
        return 0
    field.end()
    return position.open_bytes


def position_after(position: Position, pieces: Iterable[Position]) -> Position:
    """The position where the input's next pieces end; each piece was counted and hashed from its own start."""
    offset, lines, ending = position.offset_bytes, position.lines, position.ending
    open_bytes = position.open_bytes
    parts = [part for part in position.all_parts if part[0]]  # JSON lines may begin at the start of the input
    for piece in pieces:
        if piece.offset_bytes:
            offset += piece.offset_bytes
            lines += piece.lines
            ending = piece.ending
            open_bytes += piece.offset_bytes if open_bytes else piece.open_bytes
            parts.append((offset, piece.digest))
    return Position(offset, lines, parts[-1][1], ending, position.header, tuple(parts[:-1]), position.head, open_bytes)
