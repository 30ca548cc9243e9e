"""A reducer notices every piece that an engine loses, repeats or reorders."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.command import Folder
from tests.support.engines import pieces_of
from txfast.cluster.cutting import cut_inputs
from txfast.cluster.pieces import PIECE_HEADER
from txfast.cluster.reduce import reduce_shard
from txfast.errors import ClusterError


@pytest.fixture
def sent(folder: Folder) -> tuple[list[bytes], int]:
    """The contents of all pieces of a run with one shard, and the number of ranges."""
    parts = cut_inputs([str(folder.path / "in.csv")], 12)
    assert len(parts) > 2
    pieces, _ = pieces_of(parts, 1)
    return [piece.content for piece in pieces[0]], len(parts)


def settle(pieces: Sequence[bytes], ranges: int, shard: int = 0, shards: int = 1) -> None:
    for _ in reduce_shard(pieces, ranges, shard, shards):
        pass


def test_pieces_in_order_are_settled(sent: tuple[list[bytes], int]) -> None:
    settle(*sent)


@pytest.mark.parametrize("index", [0, 1, 2, -1])
def test_a_lost_or_repeated_piece_is_noticed(sent: tuple[list[bytes], int], index: int) -> None:
    pieces, ranges = sent
    index %= len(pieces)
    with pytest.raises(ClusterError, match="nothing is put out"):
        settle(pieces[:index] + pieces[index + 1 :], ranges)
    with pytest.raises(ClusterError, match="nothing is put out"):
        settle(pieces[:index] + pieces[index : index + 1] + pieces[index:], ranges)


def test_pieces_out_of_order_are_noticed(sent: tuple[list[bytes], int]) -> None:
    pieces, ranges = sent
    for first in range(len(pieces) - 1):
        swapped = [*pieces]
        swapped[first], swapped[first + 1] = swapped[first + 1], swapped[first]
        with pytest.raises(ClusterError, match="is due"):
            settle(swapped, ranges)


def test_pieces_of_another_shard_and_other_bytes_are_noticed(sent: tuple[list[bytes], int]) -> None:
    pieces, ranges = sent
    for wrong, shard, shards in (
        (pieces, 1, 2), (pieces, 0, 2), ([b"no piece"], 0, 1), ([b"x" * PIECE_HEADER.size], 0, 1), ([], 0, 1)
    ):  # fmt: skip
        with pytest.raises(ClusterError, match="is due"):
            settle(wrong, ranges, shard, shards)


def test_missing_rows_are_noticed(sent: tuple[list[bytes], int]) -> None:
    pieces, ranges = sent
    short = [piece[: PIECE_HEADER.size] if len(piece) > PIECE_HEADER.size else piece for piece in pieces]
    with pytest.raises(ClusterError, match="0 rows came"):
        settle(short, ranges)
