"""The engine against others, a little of it; `python tests/differential.py` looks at tens of thousands of files."""

from __future__ import annotations

import differential
import harness
from hypothesis import given


@harness.examples(4)
@given(differential.lines)
def test_a_row_is_what_csv_and_decimal_make_of_it(line: bytes) -> None:
    differential.compare_row(line)


@given(differential.any_files, harness.block_sizes)
def test_readers_threads_and_blocks_make_no_difference(content: bytes, block_bytes: int) -> None:
    differential.compare_file(content, block_bytes)


def test_a_campaign_says_what_it_tried() -> None:
    assert differential.main(["--rows", "50", "--files", "5", "--seed", "3"]) == 0
