"""A file that replaces another keeps its owner, group, permissions and extended attributes, and is never wider."""

from __future__ import annotations

import errno
import os
import stat
import struct
from pathlib import Path

import pytest

from tests.support.failures import failing
from txfast.errors import SourceError
from txfast.writers.attributes import attributes_of, without_group
from txfast.writers.output import Output

ACCESS_LIST, DEFAULT_LIST = "system.posix_acl_access", "system.posix_acl_default"
# Tags of a POSIX access control list (linux/posix_acl_xattr.h), and the id of entries that need none.
OWNER, USER, GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
NO_ID = 0xFFFFFFFF
READ, WRITE = 4, 2

each_way = pytest.mark.parametrize("named", [False, True], ids=["without a name", "with a name"])
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(autouse=True)
def ordinary_umask() -> object:
    umask = os.umask(0o022)
    yield
    os.umask(umask)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    return path


def access_list(*, group: int, mask: int, others: int = 0, user: int | None = None) -> bytes:
    """An access control list: the owner reads and writes, user 1234 may do this."""
    entries = [(OWNER, READ | WRITE, NO_ID), (GROUP, group, NO_ID), (MASK, mask, NO_ID), (OTHERS, others, NO_ID)]
    if user is not None:
        entries.insert(1, (USER, user, 1234))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def set_attribute(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EPERM):
            raise
        pytest.skip(f"this file system has no {name}")


def replace(path: Path, monkeypatch: pytest.MonkeyPatch | None = None, *, named: bool = False) -> os.stat_result:
    """Replace a file, and return what there is to be known of the new one."""
    if named and monkeypatch is not None:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    output = Output(str(path))
    output.open()
    output.write(b"new")
    output.finish()
    output.publish()
    output.discard()
    assert path.read_bytes() == b"new"
    return path.stat()


def permissions(found: os.stat_result) -> int:
    return stat.S_IMODE(found.st_mode)


# ---- Permissions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o604, 0o400, 0o755])
@each_way
def test_permissions_stay(old: Path, monkeypatch: pytest.MonkeyPatch, mode: int, named: bool) -> None:
    old.chmod(mode)
    assert permissions(replace(old, monkeypatch, named=named)) == mode


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6777, 0o1644])
def test_setuid_setgid_and_sticky_bits_do_not_stay(old: Path, mode: int) -> None:
    old.chmod(mode)
    assert permissions(replace(old)) == mode & 0o777


@each_way
def test_a_file_is_private_until_it_is_whole(old: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    if named:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    old.chmod(0o644)
    output = Output(str(old))
    output.open()
    modes = {
        permissions(os.stat(f"/proc/self/fd/{name}"))
        for name in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{name}") and os.readlink(f"/proc/self/fd/{name}").startswith(str(old.parent))
    }
    modes |= {permissions(path.stat()) for path in old.parent.iterdir() if path != old}
    output.discard()
    assert modes == {0o600}


def test_permissions_that_change_meanwhile_count(old: Path) -> None:
    old.chmod(0o644)
    output = Output(str(old))
    output.open()
    old.chmod(0o600)
    output.finish()
    output.publish()
    assert permissions(old.stat()) == 0o600


def test_a_file_that_is_removed_meanwhile_leaves_its_permissions(old: Path) -> None:
    old.chmod(0o640)
    output = Output(str(old))
    output.open()
    old.unlink()
    output.finish()
    output.publish()
    assert permissions(old.stat()) == 0o640


def test_a_file_system_without_permissions_is_no_failure(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old.chmod(0o644)
    monkeypatch.setattr(os, "fchmod", failing(errno.EPERM))
    assert permissions(replace(old)) == 0o600


def test_a_disk_that_fails_meanwhile_is_a_failure(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old.chmod(0o644)
    monkeypatch.setattr(os, "fchmod", failing(errno.EIO))
    output = Output(str(old))
    output.open()
    with pytest.raises(SourceError, match="out: cannot be written: Input/output error"):
        output.finish()
    output.discard()
    assert old.read_bytes() == b"old"


# ---- Owner and group ---------------------------------------------------------------------------------


@as_root
@each_way
def test_owner_and_group_stay(old: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    os.chown(old, 1234, 4321)
    old.chmod(0o640)
    found = replace(old, monkeypatch, named=named)
    assert (found.st_uid, found.st_gid, permissions(found)) == (1234, 4321, 0o640)


@pytest.mark.parametrize(
    ("before", "after"),
    [(0o640, 0o600), (0o644, 0o644), (0o604, 0o600), (0o664, 0o644), (0o646, 0o644), (0o660, 0o600), (0o777, 0o777)],
)
def test_a_group_that_cannot_be_kept_gets_no_more_than_others_had_and_others_no_more_than_it(
    before: int, after: int
) -> None:
    assert without_group(before) == after


@as_root
def test_a_user_who_cannot_give_the_group_makes_the_file_narrower(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(old, 1234, 4321)
    old.chmod(0o640)
    monkeypatch.setattr(os, "fchown", failing(errno.EPERM))
    found = replace(old)
    assert (found.st_uid, permissions(found)) == (os.geteuid(), 0o600)


@as_root
def test_a_user_who_cannot_give_the_file_away_still_gives_the_group(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(old, 1234, 4321)
    old.chmod(0o640)
    change_owner = os.fchown

    def refuse_owner(descriptor: int, owner: int, group: int) -> None:
        if owner != -1:
            failing(errno.EPERM)()
        change_owner(descriptor, owner, group)

    monkeypatch.setattr(os, "fchown", refuse_owner)
    found = replace(old)
    assert (found.st_uid, found.st_gid, permissions(found)) == (os.geteuid(), 4321, 0o640)


# ---- Extended attributes -----------------------------------------------------------------------------


@each_way
def test_a_users_attributes_stay(old: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    set_attribute(old, "user.origin", b"bank")
    set_attribute(old, "user.empty", b"")
    replace(old, monkeypatch, named=named)
    assert {name: os.getxattr(old, name) for name in os.listxattr(old) if name.startswith("user.")} == {
        "user.origin": b"bank", "user.empty": b"",
    }  # fmt: skip


@as_root
def test_capabilities_of_a_program_do_not_stay(old: Path) -> None:
    set_attribute(old, "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    replace(old)
    assert "security.capability" not in os.listxattr(old)


@each_way
def test_an_access_list_stays(old: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    old.chmod(0o600)
    wanted = access_list(group=0, mask=READ, user=READ)
    set_attribute(old, ACCESS_LIST, wanted)
    before = permissions(old.stat())
    assert permissions(replace(old, monkeypatch, named=named)) == before == 0o640
    assert os.getxattr(old, ACCESS_LIST) == wanted


def test_without_its_access_list_a_file_is_for_its_owner_alone(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The permissions of the group are a mask here: the group itself has none.
    set_attribute(old, ACCESS_LIST, access_list(group=0, mask=READ, user=READ, others=READ))
    monkeypatch.setattr(os, "setxattr", failing(errno.ENOTSUP))
    assert permissions(replace(old)) == 0o600
    assert ACCESS_LIST not in os.listxattr(old)


@as_root
def test_an_access_list_for_another_group_does_not_stay(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(old, -1, 4321)
    set_attribute(old, ACCESS_LIST, access_list(group=READ, mask=READ, user=READ))
    monkeypatch.setattr(os, "fchown", failing(errno.EPERM))
    assert permissions(replace(old)) == 0o600
    assert ACCESS_LIST not in os.listxattr(old)


@each_way
def test_a_folders_default_list_gives_nobody_more_than_before(
    old: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    old.chmod(0o640)
    set_attribute(old.parent, DEFAULT_LIST, access_list(group=READ, mask=READ, user=READ))
    assert permissions(replace(old, monkeypatch, named=named)) == 0o640
    assert ACCESS_LIST not in os.listxattr(old)


def test_a_default_list_that_cannot_be_removed_leaves_the_file_to_its_owner(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.chmod(0o640)
    set_attribute(old.parent, DEFAULT_LIST, access_list(group=READ, mask=READ, user=READ))
    monkeypatch.setattr(os, "removexattr", failing(errno.EIO))
    assert permissions(replace(old)) == 0o600


@each_way
def test_a_new_file_gets_the_folders_default_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    set_attribute(tmp_path, DEFAULT_LIST, access_list(group=READ, mask=READ, user=READ))
    replace(tmp_path / "out", monkeypatch, named=named)
    assert os.getxattr(tmp_path / "out", ACCESS_LIST) == access_list(group=READ, mask=READ, user=READ)


def test_attributes_that_cannot_be_listed_leave_the_file_to_its_owner(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.chmod(0o644)
    monkeypatch.setattr(os, "listxattr", failing(errno.EIO))
    assert permissions(replace(old)) == 0o600


@pytest.mark.parametrize("call", ["listxattr", "getxattr", "setxattr", "removexattr"])
def test_a_system_without_extended_attributes_keeps_the_permissions(
    old: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    old.chmod(0o640)
    monkeypatch.setattr(os, call, failing(errno.ENOTSUP))
    assert permissions(replace(old)) == 0o640
    monkeypatch.delattr(os, "listxattr")
    assert permissions(replace(old)) == 0o640


def test_a_missing_file_has_no_attributes(tmp_path: Path) -> None:
    assert attributes_of(str(tmp_path / "none")) is None
