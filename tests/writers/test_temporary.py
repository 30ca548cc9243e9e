"""Temporary files of outputs: without a name where that is possible, else removed by the next run."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from pathlib import Path

import pytest

from tests.support.failures import failing
from txfast.errors import SourceError
from txfast.writers import temporary
from txfast.writers.left_files import remove_left
from txfast.writers.output import Output
from txfast.writers.temporary_names import OLD, PART, PROGRESS, is_beside, path_beside

PART_NAME = re.compile(r"out\.[0-9a-f]{12}\.part")

each_way = pytest.mark.parametrize("named", [False, True], ids=["without a name", "with a name"])


def make_named(monkeypatch: pytest.MonkeyPatch, *, named: bool) -> None:
    """Have temporary files get names, as on file systems without O_TMPFILE."""
    if named:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)


def begin(path: Path, content: bytes = b"new") -> Output:
    output = Output(str(path))
    output.open()
    output.write(content)
    return output


def publish(path: Path, content: bytes = b"new") -> None:
    output = begin(path, content)
    output.finish()
    output.publish()
    output.discard()


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# ---- While an output is written --------------------------------------------------------------------


@pytest.mark.parametrize("there_before", [False, True])
@each_way
def test_only_a_file_system_that_needs_it_shows_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool, there_before: bool
) -> None:
    make_named(monkeypatch, named=named)
    if there_before:
        (tmp_path / "out").write_bytes(b"old")
    output = begin(tmp_path / "out")
    found = [name for name in names_in(tmp_path) if name != "out"]
    assert [bool(PART_NAME.fullmatch(name)) for name in found] == ([True] if named else [])
    output.finish()
    assert (tmp_path / "out").exists() == there_before
    output.publish()
    assert names_in(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"new"


@pytest.mark.parametrize("error", ["EOPNOTSUPP", "EISDIR", "ENOENT", "EINVAL"])
def test_a_file_system_or_kernel_that_refuses_files_without_names_gets_named_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    import errno

    open_file, fail = os.open, failing(getattr(errno, error))

    def refuse(path: str, flags: int, *arguments: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            fail()
        return open_file(path, flags, *arguments)

    monkeypatch.setattr(os, "open", refuse)
    output = begin(tmp_path / "out")
    assert PART_NAME.fullmatch(names_in(tmp_path)[0])
    output.finish()
    output.publish()
    assert names_in(tmp_path) == ["out"]


def test_without_proc_files_get_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "isdir", lambda path: not str(path).startswith("/proc"))
    output = begin(tmp_path / "out")
    assert PART_NAME.fullmatch(names_in(tmp_path)[0])
    output.discard()
    assert names_in(tmp_path) == []


@each_way
def test_a_file_that_appears_meanwhile_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    make_named(monkeypatch, named=named)
    output = begin(tmp_path / "out")
    (tmp_path / "out").write_bytes(b"appeared")
    output.finish()
    output.publish()
    assert names_in(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"new"


@each_way
def test_the_target_of_a_link_is_replaced_and_not_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    make_named(monkeypatch, named=named)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/out")
    for content in (b"first", b"second"):
        publish(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "out").read_bytes() == content
    assert names_in(tmp_path) == ["folder", "link"]


@pytest.mark.parametrize("ending", ["published", "discarded", "revoked"])
@each_way
def test_no_descriptor_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool, ending: str) -> None:
    make_named(monkeypatch, named=named)
    (tmp_path / "out").write_bytes(b"old")
    before = open_descriptors()
    output = begin(tmp_path / "out")
    if ending != "discarded":
        output.finish()
        output.publish(revocable=True)
    if ending == "revoked":
        output.revoke()
    output.discard()
    assert open_descriptors() == before
    assert names_in(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == (b"new" if ending == "published" else b"old")


# ---- Long names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [200, 232, 233, 235, 236, 237, 240, 255])
@pytest.mark.parametrize("letter", ["a", "ä"])
@each_way
def test_names_of_every_length_that_the_file_system_takes_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool, length: int, letter: str
) -> None:
    make_named(monkeypatch, named=named)
    name = letter * (length // len(letter.encode())) + "a" * (length % len(letter.encode()))
    assert len(name.encode()) == length
    for content in (b"first", b"second"):
        output = begin(tmp_path / name, content)
        output.finish()
        output.publish(revocable=True)
        assert len(names_in(tmp_path)) == (1 if content == b"first" else 2)
        output.discard()
        assert names_in(tmp_path) == [name]
        assert (tmp_path / name).read_bytes() == content
    output = begin(tmp_path / name, b"third")
    output.finish()
    output.publish(revocable=True)
    output.revoke()
    output.discard()
    assert (tmp_path / name).read_bytes() == b"second"


def test_a_name_that_is_too_long_for_the_file_system_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="aaa: cannot be written: File name too long"):
        Output(str(tmp_path / ("a" * 256))).open()


def test_names_beside_a_place_are_known_as_such() -> None:
    for final in ("/f/out", "/f/" + "x" * 255, "/f/.", "/f/a.part"):
        for kind in (PART, PROGRESS, OLD):
            path = path_beside(final, kind)
            assert is_beside(path, final, PART, PROGRESS, OLD)
            assert is_beside(path, final, kind)
            assert not is_beside(path + "x", final, kind)
            assert not is_beside(path, "/f/other", kind)
            assert not is_beside(path.replace("/f/", "/g/"), final, kind)
            assert not is_beside(path, final, *({PART, PROGRESS, OLD} - {kind}))
            assert len(os.path.basename(path)) <= 255
    for digits in ("", "0" * 11, "0" * 13, "A" * 12, "g" * 12, "00000000000 ", "0" * 12 + ".part"):
        assert not is_beside(f"/f/out.{digits}.part", "/f/out", PART)


# ---- Files that killed runs have left --------------------------------------------------------------


@each_way
def test_the_next_run_removes_what_a_killed_run_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    make_named(monkeypatch, named=named)
    for _ in range(3):
        Path(path_beside(str(tmp_path / "out"), PART)).write_bytes(b"left")
        Path(path_beside(str(tmp_path / "out"), OLD)).write_bytes(b"left")
    output = begin(tmp_path / "out")
    assert len([name for name in names_in(tmp_path) if name.endswith(PART)]) == int(named)
    # The file that an earlier run has replaced, but did not put back, stays until this run has succeeded.
    assert len([name for name in names_in(tmp_path) if name.endswith(OLD)]) == 3
    output.finish()
    output.publish()
    output.discard()
    assert names_in(tmp_path) == ["out"]


def test_only_files_of_the_same_place_and_pattern_are_removed(tmp_path: Path) -> None:
    digits = "0123456789ab"
    kept = [
        f"other.{digits}.part", f"out.csv.{digits}.part", f"out.{digits}.part.gz", f"out.{digits[:-1]}.part",
        f"out.{digits.upper()}.part", "out.part", f"out{digits}.part", f"out.{digits}.tmp", f"out.{digits}.progress",
    ]  # fmt: skip
    for name in kept:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / f"out.{digits}.part").write_bytes(b"left")
    (tmp_path / "folder").mkdir()
    (tmp_path / f"out.{digits[::-1]}.part").symlink_to(tmp_path / "folder")
    (tmp_path / "out.aaaaaaaaaaaa.part").mkdir()
    os.mkfifo(tmp_path / "out.bbbbbbbbbbbb.part")
    (tmp_path / "target").write_bytes(b"mine")
    (tmp_path / "out.cccccccccccc.part").symlink_to(tmp_path / "target")
    before = set(names_in(tmp_path))
    publish(tmp_path / "out")
    assert before - set(names_in(tmp_path)) == {f"out.{digits}.part"}
    assert (tmp_path / "target").read_bytes() == b"mine"


@each_way
def test_a_file_that_another_process_is_writing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    make_named(monkeypatch, named=named)
    first = begin(tmp_path / "out", b"first")
    second = begin(tmp_path / "out", b"second")
    second.finish()
    second.publish(revocable=True)
    first.finish()
    first.publish(revocable=True)
    assert (tmp_path / "out").read_bytes() == b"first"
    second.discard()
    first.revoke()
    first.discard()
    assert (tmp_path / "out").read_bytes() == b"second"
    assert names_in(tmp_path) == ["out"]


def test_a_file_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(path_beside(str(tmp_path / "out"), PART))
    path.write_bytes(b"theirs")
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        remove_left(str(tmp_path / "out"), PART)
        assert path.exists()
        (tmp_path / "out").write_bytes(b"old")  # of the user whose file the other is
        remove_left(str(tmp_path / "out"), PART)
        assert not path.exists()


def test_a_file_that_is_locked_by_hand_stays(tmp_path: Path) -> None:
    path = Path(path_beside(str(tmp_path / "out"), PART))
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        remove_left(str(tmp_path / "out"), PART)
        assert path.exists()
    remove_left(str(tmp_path / "out"), PART)
    assert not path.exists()


def test_a_file_system_without_locks_keeps_what_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    make_named(monkeypatch, named=True)
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    path = Path(path_beside(str(tmp_path / "out"), PART))
    path.write_bytes(b"maybe in use")
    publish(tmp_path / "out")
    assert names_in(tmp_path) == ["out", path.name]


def test_a_file_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_named(monkeypatch, named=True)
    lock, removals = temporary.lock, 0

    def remove_and_lock(descriptor: int, *, shared: bool = False) -> bool:
        nonlocal removals
        if removals == 0:
            removals += 1
            [name] = names_in(tmp_path)
            (tmp_path / name).unlink()
        return lock(descriptor, shared=shared)

    monkeypatch.setattr(temporary, "lock", remove_and_lock)
    before = open_descriptors()
    publish(tmp_path / "out")
    assert removals == 1
    assert open_descriptors() == before
    assert names_in(tmp_path) == ["out"]


def test_a_folder_that_cannot_be_listed_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    monkeypatch.setattr(os, "listdir", failing(errno.EACCES))
    publish(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"new"


# ---- Rejects that a checkpoint keeps -------------------------------------------------------------------


@each_way
def test_what_a_checkpoint_keeps_is_left_by_runs_without_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    make_named(monkeypatch, named=named)
    kept = Output(str(tmp_path / "out"))
    kept.follow()
    kept.open()
    kept.write(b"kept")
    assert [name.endswith(PROGRESS) for name in names_in(tmp_path)] == [False] * named
    progress = kept.progress()
    assert kept.progress() == progress
    assert names_in(tmp_path) == [os.path.basename(str(progress["path"]))]
    kept.keep_temporary()
    kept.discard()
    assert str(progress["path"]).endswith(PROGRESS)
    publish(tmp_path / "out", b"of a run without checkpoints")
    assert Path(str(progress["path"])).read_bytes() == b"kept"
    resumed = Output(str(tmp_path / "out"))
    resumed.reopen(str(progress["path"]), 4, str(progress["xxh3_128"]))
    resumed.write(b", then more")
    resumed.finish()
    resumed.publish()
    assert names_in(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"kept, then more"


@pytest.mark.parametrize("succeeds", [True, False])
def test_a_run_with_checkpoints_removes_what_another_has_kept_once_it_has_succeeded(
    tmp_path: Path, *, succeeds: bool
) -> None:
    kept = path_beside(str(tmp_path / "out"), PROGRESS)
    Path(kept).write_bytes(b"kept")
    output = Output(str(tmp_path / "out"))
    output.follow()
    output.open()
    output.write(b"more")
    assert os.path.basename(kept) in names_in(tmp_path)
    if succeeds:
        output.finish()
        output.publish()
    output.discard()
    assert names_in(tmp_path) == ["out" if succeeds else os.path.basename(kept)]


def test_a_file_that_an_earlier_version_has_kept_goes_on(tmp_path: Path) -> None:
    kept = Output(str(tmp_path / "out"))
    kept.follow()
    kept.open()
    kept.write(b"kept")
    progress = kept.progress()
    kept.keep_temporary()
    kept.discard()
    path = path_beside(str(tmp_path / "out"), PART)
    os.rename(str(progress["path"]), path)
    resumed = Output(str(tmp_path / "out"))
    resumed.reopen(path, 4, str(progress["xxh3_128"]))
    resumed.finish()
    resumed.publish()
    assert names_in(tmp_path) == ["out"]


def test_a_file_elsewhere_is_not_continued(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    with pytest.raises(SourceError, match="victim: is not what was written to it"):
        Output(str(tmp_path / "out")).reopen(str(victim), 0, "0")
    assert victim.read_bytes() == b"mine"


def test_progress_that_cannot_get_a_name_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    output = Output(str(tmp_path / "out"))
    output.follow()
    output.open()
    monkeypatch.setattr(os, "link", failing(errno.ENOSPC))
    with pytest.raises(SourceError, match="out: cannot be written: No space left on device"):
        output.progress()
    output.discard()
    assert names_in(tmp_path) == []


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    umask = os.umask(0o027)
    try:
        for named in (False, True):
            make_named(monkeypatch, named=named)
            publish(tmp_path / f"out{named}")
            assert stat.S_IMODE((tmp_path / f"out{named}").stat().st_mode) == 0o640
    finally:
        os.umask(umask)
