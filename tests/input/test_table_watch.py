"""A table that a state consumes: its file is hashed once, and a change while it is read is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from txfast.errors import InputError
from txfast.input import table_watch
from txfast.input.open import bytes_source
from txfast.input.position import Consumption
from txfast.input.source import Source
from txfast.input.table_watch import TableWatch

HOUR_NANOSECONDS = 3600 * 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    path.write_bytes(b"PAR1 and so on")
    return path


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digest of each time that a file is hashed. Files of this test count as old, whenever they were changed."""
    digests: list[str] = []
    advance = Consumption.advance_over_table

    def noted(consumption: Consumption, source: Source) -> None:
        advance(consumption, source)
        digests.append(consumption.digest)

    monkeypatch.setattr(Consumption, "advance_over_table", noted)
    monkeypatch.setattr(table_watch, "RECENT_NANOSECONDS", -HOUR_NANOSECONDS)
    return digests


def test_a_file_is_hashed_once(path: Path, hashes: list[str]) -> None:
    source, consumption = bytes_source(str(path)), Consumption()
    watch = TableWatch(source, consumption)
    assert hashes == []
    watch.consume()
    assert hashes == [consumption.digest]
    assert (consumption.offset_bytes, consumption.ending) == (14, "table")
    source.close()


@pytest.mark.parametrize("content", [b"PAR1 and so off", b"PAR1 and so no"])
def test_its_size_or_time_tells_of_a_change(path: Path, hashes: list[str], content: bytes) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns - HOUR_NANOSECONDS // 2))
    source = bytes_source(str(path))
    watch = TableWatch(source, Consumption())
    path.write_bytes(content)
    with pytest.raises(InputError, match="was changed while it was read"):
        watch.consume()
    assert len(hashes) == 1
    source.close()


def test_another_name_is_no_change(path: Path, hashes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    source = bytes_source(str(path))
    watch = TableWatch(source, Consumption())
    monkeypatch.setattr(table_watch, "RECENT_NANOSECONDS", HOUR_NANOSECONDS)
    path.rename(path.with_suffix(".done"))
    watch.consume()
    assert len(hashes) == 1
    source.close()


def test_a_file_that_changed_just_now_is_hashed_twice(
    path: Path, hashes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_watch, "RECENT_NANOSECONDS", HOUR_NANOSECONDS)
    source = bytes_source(str(path))
    TableWatch(source, Consumption()).consume()
    assert len(hashes) == 2
    watch = TableWatch(source, Consumption())
    stamps = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_bytes(b"PAR1 and so no")
    os.utime(path, ns=stamps)
    with pytest.raises(InputError, match="was changed while it was read"):
        watch.consume()
    source.close()
