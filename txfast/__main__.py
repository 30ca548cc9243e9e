"""The entry point of the command, for the console script and for `python -m txfast`."""

# The C part of `signal`. The enums of `signal` itself take longer to import than a small file takes to replay.
import _signal  # type: ignore[import-not-found]
import os
import sys


def entry() -> None:
    """Run the command and end the process.

    By then everything is written and closed, so the process ends without the interpreter's clean-up, which takes time.
    """
    # Until a run begins, Ctrl-C ends the process by the signal itself: there is nothing to clean up yet, and an
    # exception could get lost in an import.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    # pyarrow imports numpy if it is installed, for conversions that the command does not use. That would double the
    # time that pyarrow takes to import.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    from txfast.command.main import main

    os._exit(main())


if __name__ == "__main__":
    entry()
