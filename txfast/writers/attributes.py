"""The attributes of a file that is replaced: its owner, group, permissions, access lists and some extended attributes.

Its successor takes them over as far as the system allows, and where it does not, must not be readable by more users
than before. This module must not know why a file is replaced.
"""

import os
from errno import ENOTSUP, EPERM

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Access control lists: POSIX (Linux), NFS version 4.
ACCESS_LISTS = ("system.posix_acl_access", "system.nfs4_acl")
# Other attributes that are kept, by the start of their names. The rest belong to the content (checksums that the system
# keeps) or give rights to a program.
OTHERS_KEPT = ("user.", "security.selinux", "security.SMACK64")

PERMISSIONS = 0o777  # without setuid, setgid and sticky
OF_OWNER = 0o700


class Attributes:
    """Owner, group, permissions and extended attributes as they were when `attributes_of` looked."""

    __slots__ = ("_extended", "_group", "_owner", "_permissions")

    def __init__(self, found: os.stat_result, extended: "dict[str, bytes | None]") -> None:
        """Take what `stat` has found, and the extended attributes by name, None for one that cannot be read."""
        self._owner = found.st_uid
        self._group = found.st_gid
        self._permissions = found.st_mode & PERMISSIONS
        self._extended = extended

    def give_to(self, descriptor: int) -> None:
        """Give these attributes to a file of ours that no other user can read yet. Raises OSError.

        The owner and the group are not for everyone to give, and not every file system has extended attributes: without
        them the file gets fewer permissions, never more.
        """
        made = os.fstat(descriptor)
        has_group = made.st_gid == self._group or was_done(os.fchown, descriptor, -1, self._group)
        permissions = self._permissions if has_group else without_group(self._permissions)
        for name, value in self._extended.items():
            if value is not None and name.startswith(OTHERS_KEPT):
                was_done(os.setxattr, descriptor, name, value)
        if not self._gives_access_lists(descriptor, has_group=has_group):
            permissions &= OF_OWNER
        if os.fstat(descriptor).st_mode & PERMISSIONS != permissions:
            change_permissions(descriptor, permissions)
        if made.st_uid != self._owner:
            was_done(os.fchown, descriptor, self._owner, -1)

    def _gives_access_lists(self, descriptor: int, *, has_group: bool) -> bool:
        """Give the file the access lists, and no other; False where that is not possible.

        The permissions of the group are only a mask where there is a list: without the list they would give more.
        """
        present = extended_names(descriptor)
        for name in ACCESS_LISTS:
            if name in self._extended:
                value = self._extended[name]
                if value is None or not has_group or not was_done(os.setxattr, descriptor, name, value):
                    return False
            elif name in present and not was_done(os.removexattr, descriptor, name):  # the folder has a default
                return False
        return True


def attributes_of(path: str) -> Attributes | None:
    """The attributes of a file; None where there is none. Raises OSError."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return Attributes(found, {name: extended_attribute(path, name) for name in extended_names(path)})


def extended_names(file: str | int) -> "Sequence[str]":
    """The names of a file's extended attributes. Where they cannot be listed, there may be an access list."""
    if not hasattr(os, "listxattr"):
        return ()
    try:
        return os.listxattr(file)
    except OSError as error:
        return () if error.errno == ENOTSUP else ACCESS_LISTS


def extended_attribute(path: str, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError:
        return None


def without_group(permissions: int) -> int:
    """Permissions for a file whose group cannot be kept: group and others get what both of them had."""
    both = permissions >> 3 & permissions & 0o7
    return permissions & OF_OWNER | both << 3 | both


def was_done(call: "Callable[..., object]", *arguments: object) -> bool:
    """Call a function of the system; whether it succeeded."""
    try:
        call(*arguments)
    except OSError:
        return False
    return True


def change_permissions(descriptor: int, permissions: int) -> None:
    """Change a file's permissions where its file system has permissions. Raises OSError."""
    try:
        os.fchmod(descriptor, permissions)
    except OSError as error:
        if error.errno not in (EPERM, ENOTSUP):
            raise
