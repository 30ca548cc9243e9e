"""Checks where outputs go: each to a file of its own on this machine, and never over an input.

This module must not know what is written to an output.
"""

import os
import stat

from txfast.errors import UsageError
from txfast.input.ref import display_name, is_location
from txfast.writers.output import STANDARD_OUTPUT, named_descriptor

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from txfast.input.ref import InputRef

# The options that name an output, and the word for its content in messages.
OUTPUTS = {"output": "accounts", "rejects": "rejects", "differences": "differences", "stats": "stats"}
STANDARD_OUTPUT_DESCRIPTOR = 1


class Destination:
    """Where one output goes: its `path`, and `given`, the option as the user gave it, for messages."""

    __slots__ = ("given", "identities", "path")

    def __init__(self, path: str, given: str) -> None:
        self.path = path
        self.given = "standard output" if path == STANDARD_OUTPUT else given
        self.identities = set(identities_of(path))


def check_destinations(inputs: "Sequence[InputRef]", outputs: "Mapping[str, Destination]") -> None:
    """Check outputs, by the name of their option, against each other and against the inputs. Raises UsageError."""
    for name, output in outputs.items():
        if is_location(output.path) and not os.path.isdir(os.path.dirname(output.path)):
            raise UsageError(
                f"--{name} goes to a file here: {display_name(output.path)} is elsewhere: write it here, and copy it"
            )
    for number, name in enumerate(outputs):
        for other in list(outputs)[:number]:
            check_two_outputs(outputs, name, other)
    for ref in inputs:
        for output in outputs.values():
            if ref.identity in output.identities:
                raise UsageError(f"{output.given} would overwrite the input {ref.display_name}: name another file")


def check_two_outputs(outputs: "Mapping[str, Destination]", name: str, other: str) -> None:
    """Check that two outputs, by the names of their options, do not share a file. Raises UsageError."""
    shared = outputs[name].identities & outputs[other].identities
    if STANDARD_OUTPUT_DESCRIPTOR in shared:
        raise UsageError(f"the {OUTPUTS[name]} and the {OUTPUTS[other]} would both go to standard output: name a file")
    if shared:
        raise UsageError(f"{outputs[other].given} and {outputs[name].given} are the same file: name two")


def identities_of(path: str) -> "Iterator[object]":
    """Yield the identities of what an output's path leads to. Two outputs that have one in common clash.

    A descriptor is identified by its number, a regular file by (device, inode), and a missing file by its real path.
    Devices, pipes and terminals have no identity: several outputs may go there.
    """
    descriptor = named_descriptor(path)
    try:
        if descriptor is not None:
            yield descriptor
            found = os.fstat(descriptor)
        else:
            found = os.stat(path)
    except OSError:
        if descriptor is None:
            yield os.path.realpath(path)
        return
    if stat.S_ISREG(found.st_mode):
        yield found.st_dev, found.st_ino
