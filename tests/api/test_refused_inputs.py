"""Objects that a program gives and that cannot be read: each is refused with what to do."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import txfast
from tests.support.reference import HEADER
from txfast.api.arguments import taken
from txfast.errors import UsageError
from txfast.run.plan import THREADS_USED_MAX

TABLE = pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["5"]})
CALLS: list[Callable[[Any], object]] = [txfast.process, txfast.read, txfast.Ledger().apply]


@pytest.mark.parametrize("call", CALLS)
def test_a_file_for_writing_and_an_ended_generator_are_refused(tmp_path: Path, call: Callable[[Any], object]) -> None:
    def tables() -> Iterator[pa.Table]:
        yield TABLE

    with (tmp_path / "out.csv").open("wb") as file, pytest.raises(UsageError, match="open for writing alone"):
        call(file)
    given = tables()
    assert list(given)
    with pytest.raises(UsageError, match="a generator that has ended has no tables left"):
        call(given)
    with pytest.raises(UsageError, match="give its elements one by one; only tables") as raised:
        call(["a.csv"])
    assert "process" not in str(raised.value)


def test_progress_is_a_switch_or_one_of_the_command_s_words(capfd: pytest.CaptureFixture[str]) -> None:
    words = [True, "always", False, "never", "auto"]
    assert [taken("progress", word) for word in words] == ["always", "always", "never", "never", "auto"]
    for wrong in ("on", None, 1):
        with pytest.raises(UsageError, match="it is True, False or one of auto, always, never"):
            taken("progress", wrong)
    assert len(txfast.process(TABLE, progress="auto").accounts) == 1
    assert capfd.readouterr().err == ""


def test_stats_say_how_many_threads_are_used() -> None:
    assert txfast.process(TABLE, threads=1_000_000).stats["threads"] == THREADS_USED_MAX


@pytest.mark.parametrize("given", [5, b"x", object(), [], io.StringIO("client,available\n")])
def test_what_cannot_be_read_is_no_file_of_balances(given: Any) -> None:
    result = txfast.process(io.BytesIO(HEADER))
    with pytest.raises(UsageError, match=r"^opening: "):
        txfast.process(io.BytesIO(HEADER), opening=given)
    with pytest.raises(UsageError, match=r"^expected: "):
        result.accounts.differences(given)
