"""The folder for large temporary files, where the user names no other."""

import os

# Folders that are likely to have room for large files: the default, in this order.
FOLDERS = ("/var/tmp", "/tmp")


def default_folder() -> str:
    """The folder that TMPDIR names, or one of FOLDERS, or the current folder."""
    named = os.environ.get("TMPDIR")
    for folder in (named, *FOLDERS):
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return os.curdir
