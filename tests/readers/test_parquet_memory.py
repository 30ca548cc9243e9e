"""How much memory a Parquet file takes is known before it is decoded: what takes too much is refused."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support.command import Folder
from tests.support.peaks import peak_bytes
from tests.support.tables import NAMES, ROWS, of_texts, reads_of, write_table
from txfast.errors import MemoryLimitError
from txfast.readers.allowance import Allowance
from txfast.readers.parquet_footer import Leaf, RowGroup, footer_place, read_footer
from txfast.readers.parquet_memory import LUMP_BYTES, ColumnMemory, ParquetMemory

MIB = 1 << 20
TEXTS = pa.string()


def written(columns: Sequence[Sequence[Any] | pa.Array], **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table(list(columns), names=list(NAMES)), sink, store_schema=False, **options)
    return sink.getvalue()


def runs_of(content: bytes, allowed: int, rows_max: int = 1000) -> list[tuple[list[int], int]]:
    memory = ParquetMemory("in.parquet", reads_of(content), len(content), 4096, Allowance(allowed), rows_max)
    return list(memory.runs(*footer_of(content)))


def footer_of(content: bytes) -> tuple[list[Leaf], list[RowGroup]]:
    offset, size = footer_place(reads_of(content), len(content))
    return read_footer(content[offset : offset + size], NAMES)


def texts(rows: int, tx: Sequence[str]) -> list[list[str]]:
    return [["deposit"] * rows, ["1"] * rows, list(tx), ["1"] * rows]


# ---- Runs of row groups ------------------------------------------------------------------------------


def test_row_groups_are_read_together_up_to_so_many_rows() -> None:
    content = written(texts(25, ["1"] * 25), row_group_size=4)
    assert runs_of(content, MIB, rows_max=10) == [([0, 1, 2], 10), ([3, 4, 5], 10), ([6], 10)]
    assert runs_of(content, MIB, rows_max=1) == [([number], 1) for number in range(7)]


LONG = "x" * 10_000


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
def test_long_texts_are_decoded_few_at_once(codec: str) -> None:
    plain = written(
        texts(100, [LONG] * 100), compression=codec, use_dictionary=False, data_page_size=1, write_batch_size=1
    )
    shared = written(texts(100, [LONG] * 100), compression=codec)
    repeated = written(
        texts(100, [LONG] * 100), compression=codec, use_dictionary=False, column_encoding={"tx": "DELTA_BYTE_ARRAY"}
    )
    for content in (plain, shared, repeated):
        [(_, all_at_once)] = runs_of(content, 100 * MIB, rows_max=64)
        assert all_at_once == 64
        [(_, rows)] = runs_of(content, MIB, rows_max=64)
        assert 8 <= rows <= 32
        with pytest.raises(MemoryLimitError, match=r"^in\.parquet: .*column 'tx'.* takes 1MiB of memory to read"):
            runs_of(content, 20_000, rows_max=64)


def test_a_dictionary_in_a_codec_that_is_not_read_here_counts_as_one_text() -> None:
    """The file says that it has LZ4's old frames."""
    content = written(texts(100, [LONG + str(row) for row in range(100)]), compression="none", data_page_size=MIB)
    [(_, rows)] = runs_of(content, 8 * MIB, rows_max=64)
    _, [group] = footer_of(content)
    assert rows == 64
    assert [chunk.codec for chunk in group.chunks] == [0] * 4
    memory = ParquetMemory("in", lambda _offset, _count: b"", 0, 1, Allowance(0), 1)
    page = type("Page", (), {"uncompressed_bytes": 12345})()
    assert memory._longest(page, 5) == 12345


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3 * LUMP_BYTES // 2)), max_size=12),
    st.integers(1, 12),
    st.integers(0, 9),
)
def test_no_rows_in_a_row_take_more_than_is_reckoned(pages: list[tuple[int, int]], rows: int, longest: int) -> None:
    column = ColumnMemory()
    column.longest = longest
    pages_of_rows: list[int] = []  # by row, the page that it is in
    for number, (count, size) in enumerate(pages):
        column.add_lump(count, size)
        pages_of_rows += [number] * count
    sums = [
        sum(size for number, (_, size) in enumerate(pages) if window[0] <= number <= window[-1])
        for start in range(len(pages_of_rows))
        if (window := pages_of_rows[start : start + rows])
    ]
    reckoned = column.most_bytes(rows)
    assert reckoned >= max(sums, default=0) + rows * longest
    assert reckoned <= sum(size for _, size in pages) + rows * longest


# ---- Runs of the command -----------------------------------------------------------------------------


ONE_PAGE: dict[str, Any] = {"compression": "zstd", "use_dictionary": False}


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("rows", "text", "options", "refused"),
    [
        (1, "x" * 200_000_000, ONE_PAGE, True),
        (1500, "x" * 200_000, ONE_PAGE | {"data_page_size": 1 << 30}, True),
        (1500, "x" * 200_000, ONE_PAGE | {"data_page_size": 1, "write_batch_size": 1}, False),
        (1500, "x" * 200_000, ONE_PAGE | {"column_encoding": {"tx": "DELTA_BYTE_ARRAY"}}, False),
        (1500, "x" * 200_000, {"compression": "zstd"}, False),
    ],
    ids=["a text", "a page", "many pages", "prefixes", "a dictionary"],
)
def test_a_small_file_that_becomes_large_keeps_within_the_limit(
    folder: Folder, rows: int, text: str, options: dict[str, Any], refused: bool
) -> None:
    path = folder.path / "in.parquet"
    write_table(
        path,
        of_texts(list(zip(*texts(rows, [*["1"] * (rows > 1), *[text] * rows][:rows]), strict=True)), TEXTS),
        rows,
        **options,
    )
    assert path.stat().st_size < MIB
    peak, code, errors = peak_bytes(folder, "-q", "in.parquet", "--memory-limit", "256MiB")
    assert peak < 256 * MIB
    assert code == int(refused), errors
    if refused:
        [line] = errors.splitlines()
        assert line.startswith("txfast: in.parquet: row group 1, most of all column 'tx', takes ")
        assert line.partition(" of memory to read, and ")[2].startswith(
            "the memory limit of 256MiB leaves 40MiB for it: write the file with smaller pages, or raise the limit to "
        )


def test_the_limit_that_a_message_names_is_enough(folder: Folder) -> None:
    path = folder.path / "in.parquet"
    write_table(
        path, of_texts([["deposit", "1", "x" * 30_000_000, "1"], ["deposit", "1", "1", "1"]], TEXTS), **ONE_PAGE
    )
    run = folder.run("-q", "in.parquet", "--memory-limit", "256MiB")
    run.assert_failed("takes 115MiB of memory")
    limit = run.errors.strip().rpartition(" ")[2]
    assert folder.run("-q", "in.parquet", "--memory-limit", limit).exit_code == 0


def test_a_ledger_in_a_program_has_a_limit_too(monkeypatch: pytest.MonkeyPatch, folder: Folder) -> None:
    import txfast
    from txfast.run import intake

    path = str(write_table(folder.path / "in.parquet", of_texts(ROWS, TEXTS)))
    assert txfast.Ledger().apply(path)["applied"] == 2
    monkeypatch.setattr(intake, "default_memory_limit", lambda: 4000)
    with pytest.raises(MemoryLimitError, match="a table may take 1MiB on this machine: write the file with smaller"):
        txfast.Ledger().apply(path)
