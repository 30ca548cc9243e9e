"""The folders in a state directory: their names, and how they are removed.

A folder that is half written, or half removed, has a name that ends in `.part`. This module must not know what is in a
folder.
"""

import os
import re
import shutil
from contextlib import suppress

from txfast.writers.temporary_names import PART

SNAPSHOT_NAME = re.compile(r"snapshot-([1-9][0-9]{0,17})")
SNAPSHOT_PART = re.compile(SNAPSHOT_NAME.pattern + r"(\.[0-9a-f]+)?\.part")
CHECKPOINT_NAME = re.compile(r"checkpoint-([1-9][0-9]{0,17})")


def remove_folder(path: str) -> None:
    """Remove a folder and everything in it. Errors are ignored.

    It gets the name with `.part` first: a folder without that name is always whole.
    """
    part = path if path.endswith(PART) else path + PART
    shutil.rmtree(part, ignore_errors=True)
    if part != path:
        try:
            os.rename(path, part)
        except OSError:
            return
        shutil.rmtree(part, ignore_errors=True)


def remove_others(folder: str, kept: "set[str]") -> None:
    """Remove all files and folders in a folder except these. Errors are ignored."""
    with suppress(OSError), os.scandir(folder) as found:
        for entry in list(found):
            if entry.name in kept:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)
