"""Columns in Arrow files: only plain buffers are accepted."""

from __future__ import annotations

import pyarrow as pa
import pytest

from txfast.state.arrow_columns import buffers_of


def test_a_column_with_nulls_or_without_values_is_refused() -> None:
    class Bare:
        null_count = offset = 0

        def buffers(self) -> tuple[None, None]:
            return None, None

    with pytest.raises(ValueError, match="a column without values"):
        buffers_of(Bare())
    with pytest.raises(ValueError, match="nulls"):
        buffers_of(pa.nulls(3, pa.uint64()))
