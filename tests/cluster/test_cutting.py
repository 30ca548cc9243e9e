"""How inputs are named in a state and cut into ranges, and how ranges are grouped in tasks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.command import Folder
from txfast.cluster.cutting import cut_inputs, find_header, input_key, whole_input
from txfast.cluster.ranges import Range, group_in_tasks
from txfast.errors import InputError, SourceError
from txfast.input.open import open_source


def test_small_ranges_share_a_task_and_a_large_one_has_its_own() -> None:
    def tasks(*sizes: int | None, cores: int = 1) -> list[list[int]]:
        ranges = [Range(number, 0, "", "", 0, size) for number, size in enumerate(sizes)]
        return [[part.number for part in parts] for parts in group_in_tasks(ranges, cores)]

    assert tasks(*[1] * 8) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert tasks(*[1] * 3) == [[0], [1], [2]]
    assert tasks(0) == [[0]]
    assert tasks(100, 1, 1, 1, 1, 100) == [[0], [1, 2, 3, 4, 5]]
    # The size of an input that cannot be cut is not known.
    assert tasks(None, 1, None, 1, 1, cores=9) == [[0], [1, 2], [3, 4]]


def test_a_header_is_found_after_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\n  \r\rtype,client,tx,amount\r\ndeposit,1,1,1\n")
    source = open_source(str(path))
    assert find_header(source, "in.csv")[1:] == (path.read_bytes().index(b"deposit"), 4)
    source.close()


def test_cutting_refuses_a_file_without_transactions(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError, match=r"in\.csv"):
        cut_inputs([str(path)])
    with pytest.raises(SourceError, match=r"missing\.csv"):
        cut_inputs([str(tmp_path / "missing.csv")])
    with pytest.raises(ValueError, match="ranges of 0 bytes"):
        cut_inputs([str(path)], 0)


def test_an_input_that_is_no_file_is_refused_before_it_is_opened(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe")
    for name in (str(folder.path / "pipe"), str(folder.path), "-"):
        with pytest.raises(SourceError, match="is no file that a cluster could read"):
            cut_inputs([name])


def test_the_key_of_an_input_holds_no_secret(folder: Folder) -> None:
    assert input_key("s3://user:sec%2Fret@bucket/a@1/in.csv") == "s3://bucket/a@1/in.csv"
    assert input_key("hdfs://nn:8020/a@1/x.csv") != input_key("hdfs://nn:8020/b@1/x.csv")
    assert input_key("gs://bucket/a%20b") == input_key("gcs://bucket/a b")
    with_options = {input_key(f"s3://bucket/in.csv{options}") for options in ("", "?endpoint_override=a", "?token=b")}
    assert len(with_options) == 3
    assert input_key("abfss://jan@account.dfs.core.windows.net/in.csv") == (
        "abfs://jan@account.dfs.core.windows.net/in.csv"
    )
    assert input_key("abfs://:secret@account/jan/in.csv") == "abfs://account/jan/in.csv"
    assert input_key("s3://b/x?a=\udcff").startswith("s3://b/x?")
    assert all("token" not in key for key in with_options)
    os.symlink("in.csv", "link.csv")
    assert input_key("link.csv") == input_key(f"file://{folder.path}/link.csv") == str(folder.path / "in.csv")
    with pytest.raises(SourceError, match="cannot be read"):
        input_key("missing.csv")
    with pytest.raises(SourceError, match=r"file://host/in\.csv: cannot be read"):
        input_key("file://host/in.csv")


def test_a_format_that_is_not_read_fails_before_any_range_is_read(folder: Folder) -> None:
    """The driver opens every input to cut it, so the last of many fails the run at once."""
    folder.write("export.json", b'[{"type": "deposit"}]\n')
    names = [str(folder.path / name) for name in ("in.csv", "export.json")]
    with pytest.raises(InputError, match=r"export\.json: JSON in an array: put each object into a line"):
        cut_inputs(names)
    with pytest.raises(SourceError, match="No such file"):
        cut_inputs([names[0], str(folder.path / "missing.csv")])


def test_a_query_is_refused() -> None:
    with pytest.raises(SourceError, match=r"^q\.sql: a query runs on one machine alone: use txfast"):
        whole_input(0, "q.sql", with_state=False, dialect="")
