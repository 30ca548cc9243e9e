"""Errors of the Python interface: their attributes, and that they pass from process to process."""

from __future__ import annotations

import copy
import errno
import io
import logging
import multiprocessing
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import txfast
from tests.support import replays
from tests.support.reference import HEADER
from txfast import errors
from txfast.errors import (
    HeaderError,
    InputError,
    SourceError,
    SpillError,
    SystemFailure,
    TooManyMalformedError,
    TxfastError,
    unreadable,
    unwritable,
)

ROWS = HEADER + b"deposit,1,1,5\nwithdrawal,1,2,9\nfee,1,3,1\ndeposit,x,4,1\n"


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("txfast"), "disabled", True)


def kinds_of(kind: type[TxfastError]) -> list[type[TxfastError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in kinds_of(below))]


def test_every_error_passes_from_process_to_process() -> None:
    for kind in kinds_of(TxfastError):
        error = kind("a.csv: is bad", "a.csv") if kind is SourceError else kind("a.csv: is bad")
        error.add_note("a note")
        for found in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(found) is kind
            assert str(found) == "a.csv: is bad"
            assert found.__dict__ == error.__dict__


def test_an_error_of_the_system_says_its_number_and_its_file(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.csv")
    with pytest.raises(OSError, match=r"missing\.csv: cannot be read: No such file or directory") as caught:
        txfast.process(missing)
    error = caught.value
    for found in (error, pickle.loads(pickle.dumps(error))):
        assert (found.errno, found.filename, found.strerror) == (errno.ENOENT, missing, "No such file or directory")
        assert str(found) == f"{missing}: cannot be read: No such file or directory"
    accounts = txfast.process(io.BytesIO(HEADER)).accounts
    with pytest.raises(OSError, match="cannot be written") as caught:
        accounts.write(tmp_path / "missing" / "a.csv")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(tmp_path / "missing" / "a.csv"))
    with pytest.raises(OSError, match="no such directory") as caught:
        txfast.Ledger.load(tmp_path / "missing")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(tmp_path / "missing"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="cannot be used as a state directory") as caught:
        txfast.Ledger().save(tmp_path / "file" / "state")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOTDIR, str(tmp_path / "file" / "state"))


@pytest.mark.parametrize(
    ("number", "read", "written"),
    [
        (errno.ENOENT, "", ": make its folder first"),
        (errno.EACCES, ": ask its owner for the permission to read it", ": change the permissions of the file or its "),
        (errno.EISDIR, ": name the files in it", ": name a file in it"),
        (errno.EROFS, ": copy it elsewhere", ": name another place"),
        (errno.ENOSPC, ": free some", ": free some, or name another place"),
        (errno.ENOTDIR, ": a part of its path is a file: check the path", ": a part of its path is a file"),
        (errno.ENAMETOOLONG, ": use a shorter name", ": use a shorter name"),
        (errno.ESTALE, ": its server has replaced or removed it: run the command again", ": its server has"),
        (errno.ENOMEM, ": end other programs, or raise the limit", ": end other programs, or raise the limit"),
        (errno.EPIPE, "", ""),
        (None, "", ""),
    ],
)
def test_an_error_of_the_system_says_what_to_do(number: int | None, read: str, written: str) -> None:
    words = "no words" if number is None else os.strerror(number)
    error = OSError(words) if number is None else OSError(number, words)
    for made, said, way_out in ((unreadable, "read", read), (unwritable, "written", written)):
        message = str(made("a.csv", error))
        assert message.startswith(f"a.csv: cannot be {said}: {words}{way_out}")
        assert bool(way_out) == (message != f"a.csv: cannot be {said}: {words}")
        assert made("a.csv", error).strerror == words
        assert str(made("a.csv", words)) == f"a.csv: cannot be {said}: {words}"


def test_an_error_that_is_no_systems_has_no_number() -> None:
    error = unreadable("a.csv", "it is short")
    assert (error.errno, error.strerror, error.filename) == (None, "it is short", "a.csv")
    assert (SpillError("broken").filename, SpillError("broken").strerror) == (None, None)
    inner = unreadable("b.csv", PermissionError(errno.EACCES, "Permission denied"))
    assert str(unreadable("a.csv", inner)) == (
        "a.csv: cannot be read: b.csv: cannot be read: Permission denied: ask its owner for the permission to read it"
    )
    assert isinstance(error, SystemFailure)


@pytest.mark.parametrize("threads", replays.THREADS)
def test_a_run_that_stops_says_where_and_has_its_rejects(threads: int) -> None:
    with pytest.raises(TooManyMalformedError) as caught:
        txfast.process(io.BytesIO(ROWS), max_malformed=1, rejects=True, threads=threads)
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert (error.file, error.line, error.reason) == ("io.BytesIO", 5, "bad_client")
        assert isinstance(error.rejects, txfast.Rejects)
        assert [(reject.line, reject.reason) for reject in error.rejects] == [
            (3, "insufficient_funds"), (4, "bad_type"), (5, "bad_client"),
        ]  # fmt: skip
        assert str(error).startswith("io.BytesIO:5: stopped at malformed row 2 (limit 1)")


def test_a_run_that_stops_has_no_rejects_where_they_were_not_asked_for() -> None:
    with pytest.raises(TooManyMalformedError) as caught:
        txfast.process(io.BytesIO(ROWS), strict=True)
    assert (caught.value.line, caught.value.reason, caught.value.rejects) == (4, "bad_type", None)
    with pytest.raises(TooManyMalformedError) as caught:
        txfast.read(io.BytesIO(ROWS), strict=True).read_all()
    assert (caught.value.line, caught.value.reason, caught.value.rejects) == (4, "bad_type", None)


def stopped(name: str) -> None:
    logging.disable()
    txfast.process(name, strict=True, rejects=True)


def test_an_error_comes_back_from_a_pool(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(ROWS)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(TooManyMalformedError) as caught:
            pool.apply(stopped, (str(tmp_path / "in.csv"),))
        with pytest.raises(SourceError) as missing:
            pool.apply(stopped, (str(tmp_path / "missing.csv"),))
    assert [reject.line for reject in caught.value.rejects] == [3, 4]
    assert missing.value.filename == str(tmp_path / "missing.csv")


def test_every_public_error_is_documented() -> None:
    assert {kind.__name__ for kind in kinds_of(TxfastError) if kind.__module__ == errors.__name__} - set(
        txfast.__all__
    ) == {"ClusterError", "SystemFailure"}


def test_a_reader_of_rows_says_nothing_of_accounts() -> None:
    with pytest.raises(
        TooManyMalformedError, match=r":3: stopped at malformed row 1 \(limit 0\): correct the rows, or"
    ):
        txfast.read(io.BytesIO(HEADER + b"deposit,1,1,1\nfee,1,1,1\n"), strict=True).read_all()
    with pytest.raises(InputError, match=r"the only row is malformed: bad_type, in line 2 \(.*\); txfast --dialect-of"):
        txfast.read(io.BytesIO(HEADER + b"fee,1,1,1\n")).read_all()


@pytest.mark.parametrize("reader", ["native", "arrow"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf", "it is empty|only blank lines"),
        (b"\n \n", "only blank lines"),
        (b"a,b\n", "no column"),
        (b"type,type,client,tx,amount\n", "twice"),
        (b'"type,client,tx,amount\n', "badly quoted"),
        (b"type,client,tx,amount\x02\n", "control byte"),
        (b"x" * (3 << 20), "longer than 1 MiB"),
    ],
)
def test_a_header_that_is_wrong_or_not_there_has_a_type_of_its_own(
    tmp_path: Path, reader: str, content: bytes, found: str
) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    calls: list[Callable[..., Any]] = [txfast.process, lambda path, **given: txfast.read(path, **given).read_all()]
    for call in calls:
        with pytest.raises(HeaderError, match=found) as caught:
            call(path, reader=reader)
        for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
            assert isinstance(error, HeaderError)
            assert str(error).startswith(f"{path}: not a transactions file: ")
            assert error.file == str(path)
