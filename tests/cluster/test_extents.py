"""How workers hash extents of files."""

from __future__ import annotations

import pytest

from tests.support.command import Folder
from txfast.cluster.extents import Extent, hash_extent
from txfast.errors import ClusterError, SourceError


def test_an_extent_that_a_worker_does_not_see_is_an_error(folder: Folder) -> None:
    length = len(folder.read("in.csv"))
    path = str(folder.path / "in.csv")
    assert hash_extent(Extent(path, 0, length))
    assert hash_extent(Extent(path, 0, length)) != hash_extent(Extent(path, 1, length))
    assert hash_extent(Extent(path, 0, length)) == hash_extent(Extent(f"file://{path}", 0, length))
    with pytest.raises(ClusterError, match=f"ends at byte {length} where a worker sees it, and at {length + 1} "):
        hash_extent(Extent(path, 0, length + 1))
    for missing in (path + "x", f"file://{path}x", path + "\0"):
        with pytest.raises(SourceError, match="cannot be read"):
            hash_extent(Extent(missing, 0, 1))
    # Bytes that look compressed are hashed as they are.
    folder.write("in.csv", b"\x1f\x8b\x08 no gzip")
    assert hash_extent(Extent(path, 0, 5))
