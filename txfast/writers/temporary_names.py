"""The names that files have beside an output's final place until it is published:

    NAME.<12 hexadecimal digits>.part      an output that is being written
    NAME.<12 hexadecimal digits>.progress  an output so far, which a checkpoint needs; only a run with checkpoints
                                           that succeeds removes it
    NAME.<12 hexadecimal digits>.old       the file that was replaced, until all outputs of the run are in their places

A long NAME is replaced by its hash. This module must not open or remove files.
"""

import os

from txfast.writers.file import new_hash

PART, PROGRESS, OLD = ".part", ".progress", ".old"
RANDOM_DIGITS = 12
ADDED_BYTES_MAX = 1 + RANDOM_DIGITS + len(PROGRESS)
NAME_BYTES_MAX = 255  # where the file system does not say


def path_beside(final_path: str, kind: str) -> str:
    """A path in the same folder that no other run has."""
    return f"{path_start(final_path)}.{os.urandom(RANDOM_DIGITS // 2).hex()}{kind}"


def path_start(final_path: str) -> str:
    """How all paths beside a final place begin: its path, or one with the hash of a name that is too long."""
    folder, name = os.path.split(final_path)
    try:
        bytes_max = os.pathconf(folder, "PC_NAME_MAX")
    except OSError:
        bytes_max = NAME_BYTES_MAX
    name_bytes = os.fsencode(name)
    if len(name_bytes) + ADDED_BYTES_MAX <= bytes_max:
        return final_path
    name_hash = new_hash()
    name_hash.update(name_bytes)
    return os.path.join(folder, f"txfast-{name_hash.hexdigest()}")


def is_beside(path: str, final_path: str, *kinds: str) -> bool:
    """Whether `path_beside` can have given this path, for one of these kinds."""
    start = path_start(final_path) + "."
    kind = next((kind for kind in kinds if path.endswith(kind)), "")
    digits = path[len(start) : len(path) - len(kind)]
    return bool(kind) and path == start + digits + kind and len(digits) == RANDOM_DIGITS and is_hexadecimal(digits)


def is_hexadecimal(text: str) -> bool:
    """Whether a text has only the digits that bytes.hex() gives."""
    return not text.strip("0123456789abcdef")
