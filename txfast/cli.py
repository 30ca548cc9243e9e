"""The command: arguments, exit codes, signals. The one place where errors become exits.

A command line of positionals alone is read here by hand: argparse takes longer to import than a small file to replay.
"""

import os
import sys

from txfast.errors import TxfastError, UsageError
from txfast.log import DEBUG, ERROR, INFO, LEVELS, Journal
from txfast.read.source import READERS, STANDARD_INPUT
from txfast.write.output import STANDARD_OUTPUT, Output

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from types import FrameType

    from txfast.pipeline import Replay

EXIT_FAILED = 1
EXIT_USAGE = 2


class Option:
    """One option of the command: its flags, its help, and what its text becomes."""

    __slots__ = ("choices", "convert", "default", "flags", "help", "metavar", "name")

    def __init__(
        self,
        *flags: str,
        help: str,  # noqa: A002 (argparse's word)
        metavar: str | None = None,
        default: object = None,
        choices: "Sequence[str] | None" = None,
        convert: "Callable[[str], object]" = str,
    ) -> None:
        self.flags = flags
        self.name = flags[-1].lstrip("-").replace("-", "_")
        self.help = help
        self.metavar = metavar
        self.default = default
        self.choices = choices
        self.convert = convert


def thread_count(text: str) -> int:
    """A number of threads, at least 1."""
    if not (text.isascii() and text.isdigit() and int(text)):
        import argparse

        raise argparse.ArgumentTypeError(f"{text!r} is no number of threads: it is 1 or more")
    return int(text)


# Every option is declared here and nowhere else. One without a metavar is a switch.
OPTIONS = (
    Option(
        "-o", "--output", metavar="FILE", default=STANDARD_OUTPUT,
        help="write the accounts to FILE, whole or not at all (default: standard output)",
    ),
    Option(
        "--reader", metavar="READER", default="native", choices=READERS,
        help="what reads CSV: native (default), or arrow, pyarrow's reader",
    ),
    Option("--threads", metavar="N", convert=thread_count, help="threads to use (default: all cores it may use)"),
    Option("--log-level", metavar="LEVEL", choices=LEVELS, help="the same as LEVEL as last argument"),
    Option("-q", "--quiet", default=False, help="say nothing but why a run failed"),
)  # fmt: skip


class Settings:
    """What the user asked for."""

    __slots__ = ("files", "level", "level_named", "output", "quiet", "reader", "threads")

    def __init__(self, files: list[str], options: dict[str, object]) -> None:
        level = options["log_level"]
        if files and files[-1] in LEVELS and not os.path.exists(files[-1]):
            if level is not None:
                raise UsageError(f"the level is given twice: {files[-1]} and --log-level {level}")
            level = files.pop()
        if not files:
            if sys.stdin is None or os.isatty(sys.stdin.fileno()):
                raise UsageError("no FILE: name the transactions files, or pipe one in")
            files.append(STANDARD_INPUT)
        if files.count(STANDARD_INPUT) > 1:
            raise UsageError("standard input can be read only once")
        self.files = files
        self.level = ERROR if level is None else LEVELS.index(str(level))
        self.level_named = level is not None
        self.output = str(options["output"])
        self.quiet = bool(options["quiet"])
        self.reader = str(options["reader"])
        self.threads: int | None = options["threads"]  # type: ignore[assignment]


def parse_arguments(arguments: list[str]) -> Settings:
    """Read the command line. Raises SystemExit for a wrong one, --help and --version."""
    options = {option.name: option.default for option in OPTIONS}
    if all(word == STANDARD_INPUT or not word.startswith("-") for word in arguments):
        try:
            return Settings(list(arguments), options)
        except UsageError:
            pass  # the parser says how it is meant
    parser = make_parser()
    # argparse loses track of `--` between options and files that are mixed.
    dashes = arguments.index("--") if "--" in arguments else len(arguments)
    try:
        parsed = vars(parser.parse_intermixed_args(arguments[:dashes]))
    finally:
        # Help waits in Python's buffer, which nobody empties later.
        if sys.stdout is not None:
            sys.stdout.flush()
    try:
        return Settings(parsed.pop("files") + arguments[dashes + 1 :], options | parsed)
    except UsageError as error:
        parser.error(str(error))


def make_parser() -> "argparse.ArgumentParser":
    import argparse

    from txfast import __version__

    parser = argparse.ArgumentParser(
        prog="txfast",
        usage="txfast [OPTION …] [FILE …] [LEVEL]",
        description="Replay payment transactions into account balances: exactly, and in order.",
        epilog="Accounts go to standard output, everything else to standard error.",
        add_help=False,
        formatter_class=help_formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE",
        help="transactions, as CSV with the columns type, client, tx and amount; - or none is standard input. "
        "A last argument that is a LEVEL (error, warn, info, debug or trace) and no file sets what is logged",
    )  # fmt: skip
    for option in OPTIONS:
        if option.metavar is None:
            parser.add_argument(*option.flags, action="store_true", default=option.default, help=option.help)
        else:
            parser.add_argument(
                *option.flags, metavar=option.metavar, default=option.default, choices=option.choices,
                type=option.convert, help=option.help,
            )  # fmt: skip
    parser.add_argument(
        "--version", action="version", version=f"txfast {__version__}", help="say which version this is"
    )
    parser.add_argument("-h", "--help", action="help", help="say how it is used")
    return parser


def help_formatter(prog: str) -> "argparse.HelpFormatter":
    """argparse's own, with the terminal's width found here: what it would import for that takes 4 ms."""
    import argparse

    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return argparse.HelpFormatter(prog, width=int(columns) - 2)
    try:
        return argparse.HelpFormatter(prog, width=os.get_terminal_size().columns - 2)
    except OSError:
        return argparse.HelpFormatter(prog, width=78)


class Terminated(BaseException):
    """SIGTERM arrived."""


def main() -> int:
    """Run the command with the process's arguments; return its exit code.

    The one place where what goes wrong becomes one line and an exit code, or the signal that ends the process.
    """
    journal, level = Journal(), ERROR
    try:
        settings = parse_arguments(sys.argv[1:])
        level = settings.level
        journal = Journal(level, named=settings.level_named, quiet=settings.quiet)
        replay_files(settings, journal)
    except SystemExit as end:
        return int(end.code or 0)
    except BrokenPipeError:
        return end_by_signal("SIGPIPE")
    except KeyboardInterrupt:
        return end_by_signal("SIGINT")
    except Terminated:
        return end_by_signal("SIGTERM")
    except Exception as error:
        journal.failure(describe_failure(error))
        if level >= DEBUG and sys.stderr is not None:
            import traceback

            traceback.print_exc()
        return EXIT_FAILED
    return 0


def entry() -> None:
    """What the console script calls: the command, and the end of the process.

    Everything is written and closed by then, so the interpreter's own clean-up, which only costs time, is passed over.
    """
    os._exit(main())


def replay_files(settings: Settings, journal: Journal) -> None:
    """The run itself: read the inputs in their order, then put the accounts out."""
    import time

    from txfast.ledger.columns import AccountColumns
    from txfast.pipeline import Replay
    from txfast.write.accounts import csv_blocks

    started = time.perf_counter()
    if settings.output != STANDARD_OUTPUT:
        end_cleanly_when_terminated()
    output = Output(settings.output)
    try:
        output.open()
        replay = Replay(journal, reader=settings.reader, threads=settings.threads)
        for file in settings.files:
            replay.read(file)
        journal.malformed_totals(replay.malformed())
        writing_started = time.perf_counter()
        for block in csv_blocks(AccountColumns(replay.ledgers)):
            output.write(block)
        output.publish()
        ended = time.perf_counter()
    finally:
        output.discard()
    if journal.shows(INFO):
        replay.seconds["write"] = ended - writing_started
        log_totals(replay, ended - started, journal)


def log_totals(replay: "Replay", seconds: float, journal: Journal) -> None:
    """The run in a few lines."""
    from txfast.write.stats import describe, make_stats

    for line in describe(make_stats(replay, seconds)):
        journal.log(INFO, line)


def describe_failure(error: Exception) -> str:
    """One line that says what went wrong and where."""
    if isinstance(error, TxfastError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"out of memory: {error or 'the machine has no more'}"
    if isinstance(error, OSError):
        reason = error.strerror or error
        return f"{error.filename or 'standard output'}: {reason}"
    return f"internal error: {type(error).__name__}: {error} (run it with the level debug to see where)"


def end_cleanly_when_terminated() -> None:
    """Have SIGTERM end the run as Ctrl-C does. Needed only where there is something to clean up."""
    import signal

    def terminate(signal_number: int, frame: "FrameType | None") -> None:  # noqa: ARG001 (the protocol's arguments)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)


def end_by_signal(name: str) -> int:
    """End the process by this signal, as if it had not been caught, so that its parent sees which it was."""
    import signal

    number = signal.Signals[name]
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number  # where the signal is blocked
