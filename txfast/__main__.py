"""The process of the command: what the console script and `python -m txfast` run."""

# What `signal` is made of, without its names, which take longer to import than a small file to replay.
import _signal  # type: ignore[import-not-found]
import os
import sys


def entry() -> None:
    """Run the command, and end the process.

    Everything is written and closed by then, so the interpreter's own clean-up, which only costs time, is passed over.
    """
    # While modules are imported there is nothing to clean up, and an exception there could get lost: Ctrl-C ends the
    # process by itself, as it does any other, until a run begins.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    # pyarrow imports it where it is there, for conversions that the command has no use for: half of pyarrow's start.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    from txfast.command.main import main

    os._exit(main())


if __name__ == "__main__":
    entry()
