"""The command line: the one table of options, what the user chose among them, and the help.

Each option may be given as a flag or set as a variable in the environment; a flag beats a variable. This module must
not know what the options do to a run. A command line of positionals alone, with no variable set, is read by hand:
argparse takes longer to import than a small file to replay.
"""

import os
import stat
import sys
from io import TextIOWrapper

from txfast.errors import SourceError, UsageError
from txfast.input.ref import STANDARD_INPUT, display_name, is_location
from txfast.input.source import READERS
from txfast.log.journal import ERROR, LEVELS
from txfast.run.machine import ARROW_MEMORY_LIMIT_MIN
from txfast.run.values import (
    file_name,
    folder_name,
    memory_size,
    rejects_file,
    row_count,
    second_count,
    spill_folder,
    thread_count,
)  # fmt: skip
from txfast.writers.formats import CSV, FORMATS, format_of
from txfast.writers.output import STANDARD_OUTPUT, named_descriptor

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import IO, NoReturn

VARIABLE_PREFIX = "TXFAST_"
LOG_FORMATS = ("text", "json")
PROGRESS = ("auto", "always", "never")
SHELLS = ("bash", "zsh", "fish")

SWITCH_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
# The options that name an output, and what goes there.
OUTPUTS = {"output": "accounts", "rejects": "rejects", "stats": "stats"}


class Option:
    """One option of the command: its flags, its help, and what its text becomes.

    One without a metavar is a switch; the metavars FILE and DIR are completed as such. `variable` sets it in the
    environment. What is done `instead` of a run has no variable, which would leave every run undone.
    """

    __slots__ = ("choices", "convert", "default", "flags", "group", "help", "metavar", "name", "variable")

    def __init__(
        self,
        *flags: str,
        group: str,
        help: str,  # noqa: A002 (argparse's word)
        metavar: str | None = None,
        default: object = None,
        choices: "Sequence[str] | None" = None,
        convert: "Callable[[str], object]" = str,
        instead: bool = False,
    ) -> None:
        self.flags = flags
        self.name = flags[-1].lstrip("-").replace("-", "_")
        self.variable = None if instead else VARIABLE_PREFIX + self.name.upper()
        self.group = group
        self.help = help
        self.metavar = metavar
        self.default = default
        self.choices = choices
        self.convert = convert

    def parse(self, text: str) -> object:
        """What a text means for this option. Raises UsageError."""
        if self.metavar is None:
            if text.lower() not in SWITCH_WORDS:
                raise UsageError(f"{text!r}: it is one of {', '.join(SWITCH_WORDS)}")
            return SWITCH_WORDS[text.lower()]
        if self.choices is not None and text not in self.choices:
            raise UsageError(f"{text!r}: it is one of {', '.join(self.choices)}")
        return self.convert(text)


# Every option is declared here and nowhere else; those of a group stand together.
OPTIONS = (
    Option(
        "--reader", group="Input", metavar="READER", default="native", choices=READERS,
        help="what reads CSV: native (default) or arrow, by pyarrow",
    ),
    Option(
        "-o", "--output", group="Output", metavar="FILE", default=STANDARD_OUTPUT, convert=file_name,
        help="accounts to FILE instead of standard output",
    ),
    Option(
        "--output-format", group="Output", metavar="FMT", choices=FORMATS,
        help="csv, parquet or arrow (default: as FILE ends, else csv)",
    ),
    Option(
        "--rejects", group="Output", metavar="FILE", convert=rejects_file,
        help="rows not applied and why, as .csv, .jsonl or .parquet",
    ),
    Option(
        "--stats", group="Output", metavar="FILE", convert=file_name,
        help="the figures of the run, as JSON",
    ),
    Option(
        "--state", group="State", metavar="DIR", convert=folder_name,
        help="go on from what DIR holds, and keep it there",
    ),
    Option(
        "--checkpoint", group="State", metavar="SECONDS", convert=second_count,
        help="keep progress in --state DIR so often, to go on from",
    ),
    Option(
        "--verify", group="State", default=False, instead=True,
        help="check --state DIR and say what is there",
    ),
    Option(
        "--max-malformed", group="Failure", metavar="N", convert=row_count,
        help="stop at malformed row N + 1, with exit code 3",
    ),
    Option("--strict", group="Failure", default=False, help="stop at the first malformed row"),
    Option(
        "--threads", group="Running", metavar="N", convert=thread_count,
        help="threads to use (default: all cores it may use)",
    ),
    Option(
        "--memory-limit", group="Running", metavar="SIZE", convert=memory_size,
        help="memory to use at most, as 512MiB (default: 80 % of all)",
    ),
    Option(
        "--spill-dir", group="Running", metavar="DIR", convert=spill_folder,
        help="folder for what does not fit (default: TMPDIR, /var/tmp)",
    ),
    Option(
        "--progress", group="Running", metavar="WHEN", default="auto", choices=PROGRESS,
        help="progress: auto (default: on a terminal), always, never",
    ),
    Option("--log-level", group="Log", metavar="LEVEL", choices=LEVELS, help="the same as LEVEL, the last argument"),
    Option(
        "--log-format", group="Log", metavar="FORMAT", default="text", choices=LOG_FORMATS,
        help="log as text (default) or json, an object a line",
    ),
    Option("-q", "--quiet", group="Log", default=False, help="say nothing but why a run failed"),
    Option(
        "--completion", group="Other", metavar="SHELL", choices=SHELLS, instead=True,
        help="print the completion script for bash, zsh or fish",
    ),
    Option("--version", group="Other", default=False, instead=True, help="say which version this is"),
    Option("-h", "--help", group="Other", default=False, instead=True, help="say how it is used"),
)  # fmt: skip

# The variable of an option gives way to a flag of this other option, which says the contrary.
BEATEN_BY = {"strict": "max_malformed", "max_malformed": "strict", "quiet": "log_level"}


class Settings:
    """What the user asked for.

    `level_named` says that the level was chosen; `max_malformed` is None where any number is allowed.
    """

    __slots__ = (
        "checkpoint", "files", "level", "level_named", "log_format", "max_malformed", "memory_limit", "output",
        "output_format", "progress", "quiet", "reader", "rejects", "spill_dir", "state", "stats", "threads", "verify",
    )  # fmt: skip

    def __init__(self, words: list[str], flags: "Mapping[str, object]", variables: "Mapping[str, str]") -> None:
        """`words` are the arguments that are no options; `flags` and `variables` are by name of the option.

        Raises UsageError.
        """
        self.files = list(words)
        if self.files and self.files[-1] in LEVELS and not os.path.exists(self.files[-1]):
            if "log_level" in flags:
                raise UsageError(f"the level is given twice: {self.files[-1]} and --log-level {flags['log_level']}")
            flags = {**flags, "log_level": self.files.pop()}
        options = Options(flags, variables)
        self.output = str(options["output"])
        self.output_format = str(options["output_format"] or format_of(self.output))
        self.rejects: str | None = options["rejects"]  # type: ignore[assignment]
        self.stats: str | None = options["stats"]  # type: ignore[assignment]
        self.max_malformed = allowed_malformed_rows(options)
        level = options["log_level"]
        self.level = ERROR if level is None else LEVELS.index(str(level))
        self.level_named = level is not None
        self.log_format = str(options["log_format"])
        self.quiet = bool(options["quiet"])
        self.progress = "never" if self.quiet else str(options["progress"])
        self.reader = str(options["reader"])
        self.threads: int | None = options["threads"]  # type: ignore[assignment]
        self.state: str | None = options["state"]  # type: ignore[assignment]
        self.checkpoint: float | None = options["checkpoint"]  # type: ignore[assignment]
        self.verify = bool(options["verify"])
        self.memory_limit: int | None = options["memory_limit"]  # type: ignore[assignment]
        self.spill_dir: str | None = options["spill_dir"]  # type: ignore[assignment]
        self._check_memory_limit(options)
        self._check_output(options)
        self._check_inputs()
        if self.checkpoint is not None:
            self._check_checkpoint(options.as_given("checkpoint"))
        check_places(self.files, options)

    def _check_memory_limit(self, options: "Options") -> None:
        if self.needs_arrow and self.memory_limit is not None and self.memory_limit < ARROW_MEMORY_LIMIT_MIN:
            raise UsageError(
                f"{options.as_given('memory_limit')} is too little for {self.needs_arrow}: the least is "
                f"{ARROW_MEMORY_LIMIT_MIN >> 20}MiB"
            )

    def _check_output(self, options: "Options") -> None:
        """See that a terminal gets text. Raises UsageError."""
        descriptor = 1 if self.output == STANDARD_OUTPUT else named_descriptor(self.output)
        if self.output_format != CSV and descriptor is not None and os.isatty(descriptor):
            raise UsageError(
                f"{options.as_given('output_format')} is nothing for a terminal: redirect it, or name a file with -o"
            )

    @property
    def needs_arrow(self) -> str:
        """What of the settings needs pyarrow; empty where nothing does."""
        if self.state is not None:
            return "--state"
        if any(map(is_location, self.files)):
            return "a remote input"
        if self.output_format != CSV:
            return f"accounts as {self.output_format}"
        if self.rejects is not None and self.rejects.endswith(".parquet"):
            return "Parquet"
        return "--reader arrow" if self.reader == "arrow" else ""

    def _check_inputs(self) -> None:
        if self.verify:
            self._check_verify()
        elif not self.files and self.state is None:
            if sys.stdin is None or os.isatty(sys.stdin.fileno()):
                raise UsageError("no FILE: name the transactions files, or pipe one in")
            self.files.append(STANDARD_INPUT)
        elsewhere = next(filter(is_location, self.files), None)
        if self.state is not None and elsewhere is not None:
            raise UsageError(f"--state goes with files here and standard input: {display_name(elsewhere)} is elsewhere")
        if self.files.count(STANDARD_INPUT) > 1:
            raise UsageError("standard input can be read only once")

    def _check_checkpoint(self, given: str) -> None:
        """See that a run can go on from a checkpoint. Raises UsageError."""
        if self.state is None:
            raise UsageError(f"{given} needs --state DIR, where checkpoints are kept")
        if self.reader != READERS[0]:
            raise UsageError(f"{given} needs --reader {READERS[0]}: the other does not say where a batch ends")
        for file in self.files:
            if file == STANDARD_INPUT or (os.path.exists(file) and not os.path.isfile(file)):
                raise UsageError(f"{given} needs files: {display_name(file)} cannot be read a second time")
        if self.rejects is not None:
            from txfast.writers.rejects import is_text_file

            if not is_text_file(self.rejects):
                raise UsageError(
                    f"{given} needs rejects that can be cut back: a .csv or .jsonl file, not {self.rejects}"
                )

    def _check_verify(self) -> None:
        """See that nothing is asked for beside --verify. Raises UsageError."""
        if self.state is None:
            raise UsageError("--verify needs --state DIR, the state to check")
        if self.files:
            raise UsageError(f"--verify reads no FILE: leave {display_name(self.files[0])} out")
        for name in OUTPUTS:
            if getattr(self, name) not in (None, STANDARD_OUTPUT):
                raise UsageError(f"--verify writes to standard output alone: leave --{name} out")


class Options:
    """The values of all options by name: from the flags, else from the variables, else the defaults."""

    __slots__ = ("_flags", "_values", "_variables")

    def __init__(self, flags: "Mapping[str, object]", variables: "Mapping[str, str]") -> None:
        """Raises UsageError for a variable that means nothing, unless a flag stands in its place."""
        self._flags = flags
        self._variables = variables
        self._values: dict[str, object] = {}
        for option in OPTIONS:
            name = option.name
            self._values[name] = flags.get(name, option.default)
            if name in variables and name not in flags and BEATEN_BY.get(name) not in flags:
                try:
                    self._values[name] = option.parse(variables[name])
                except UsageError as error:
                    raise UsageError(f"{option.variable}: {error}") from None

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def as_given(self, name: str) -> str:
        """An option's value as the user gave it, for messages."""
        if name in self._flags or name not in self._variables:
            flag = "--" + name.replace("_", "-")
            return flag if self._values[name] is True else f"{flag} {self._values[name]}"
        return f"{VARIABLE_PREFIX}{name.upper()}={self._variables[name]}"


def allowed_malformed_rows(options: Options) -> int | None:
    """How many malformed rows are allowed; None for any number. Raises UsageError."""
    allowed: int | None = options["max_malformed"]  # type: ignore[assignment]
    if not options["strict"]:
        return allowed
    if allowed:
        given = " and ".join(map(options.as_given, ("strict", "max_malformed")))
        raise UsageError(f"{given} contradict each other")
    return 0


def check_places(inputs: "Sequence[str]", options: Options) -> None:
    """See that no output goes where an input comes from or another output goes. Raises UsageError."""
    for name in OUTPUTS:
        path = str(options[name])
        if is_location(path) and not os.path.isdir(os.path.dirname(path)):
            raise UsageError(f"--{name} goes to a file here: {display_name(path)} is elsewhere")
    outputs = {name: set(places_of(str(options[name]))) for name in OUTPUTS if options[name] is not None}
    names = {
        name: "standard output" if options[name] == STANDARD_OUTPUT else options.as_given(name) for name in outputs
    }
    for number, name in enumerate(outputs):
        for other in list(outputs)[:number]:
            shared = outputs[name] & outputs[other]
            if 1 in shared:
                raise UsageError(
                    f"the {OUTPUTS[name]} and the {OUTPUTS[other]} would both go to standard output: name a file"
                )
            if shared:
                raise UsageError(f"{names[other]} and {names[name]} are the same file")
    for file in inputs:
        place = input_place(file)
        for name in outputs:
            if place in outputs[name]:
                raise UsageError(f"{names[name]} would overwrite the input {display_name(file)}")


def places_of(path: str) -> "Iterator[object]":
    """What an output's path leads to: a descriptor's number, a file's identity or, where there is none, its real path.

    A device, pipe or terminal is nobody's own.
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


def input_place(file: str) -> tuple[int, int] | None:
    """The identity of the regular file that an input is; None for anything else."""
    try:
        found = os.fstat(0) if file == STANDARD_INPUT else os.stat(file)
    except OSError:
        return None  # that it cannot be read is for its reader to say
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def parse_arguments(arguments: list[str]) -> Settings:
    """Read the command line and the environment.

    Raises SystemExit for a wrong one, and after --help, --version and --completion.
    """
    # Looking each up takes 10 µs in all; an empty variable counts as not set.
    variables = {
        option.name: text for option in OPTIONS if option.variable and (text := os.environ.get(option.variable))
    }
    if not variables and all(word == STANDARD_INPUT or not word.startswith("-") for word in arguments):
        try:
            return Settings(arguments, {}, {})
        except UsageError:
            pass  # the parser says how it is meant
    parser = make_parser()
    # argparse loses track of `--` between options and files that are mixed.
    dashes = arguments.index("--") if "--" in arguments else len(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # help has a sign that not every terminal knows
    try:
        flags = vars(parser.parse_intermixed_args(arguments[:dashes]))
    finally:
        # Help waits in Python's buffer, which nobody empties later.
        if sys.stdout is not None:
            sys.stdout.flush()
    words = flags.pop("files") + arguments[dashes + 1 :]
    if "completion" in flags:
        print_completion(flags["completion"])
    try:
        return Settings(words, flags, variables)
    except UsageError as error:
        parser.error(str(error))


def print_completion(shell: str) -> "NoReturn":
    """Print the script that completes the command in a shell, and end there."""
    from txfast.command.completion import completion_script

    if sys.stdout is None:
        raise SourceError("standard output: cannot be written: it is closed")
    print(completion_script(shell, OPTIONS), end="", flush=True)
    raise SystemExit(0)


def make_parser() -> "argparse.ArgumentParser":
    """argparse's parser of the flags: it leaves out what was not given."""
    import argparse

    from txfast import __version__

    class Parser(argparse.ArgumentParser):
        """Shows our help, and nothing on standard output that belongs on standard error."""

        def format_help(self) -> str:
            return help_text(terminal_columns())

        def print_usage(self, file: "IO[str] | None" = None) -> None:  # type: ignore[override]
            if file is not None:
                super().print_usage(file)

        def error(self, message: str) -> "NoReturn":
            from txfast.log.lines import ESCAPES

            super().error(message.translate(ESCAPES))

    parser = Parser(prog="txfast", usage=USAGE, add_help=False, allow_abbrev=False)
    parser.add_argument("files", nargs="*", metavar="FILE")
    for option in OPTIONS:
        if option.name == "help":
            parser.add_argument(*option.flags, action="help")
        elif option.name == "version":
            parser.add_argument(*option.flags, action="version", version=f"txfast {__version__}")
        elif option.metavar is None:
            parser.add_argument(*option.flags, action="store_true", default=argparse.SUPPRESS)
        else:
            parser.add_argument(
                *option.flags, metavar=option.metavar, type=argument_type(option), default=argparse.SUPPRESS
            )
    return parser


def argument_type(option: Option) -> "Callable[[str], object]":
    """What argparse makes a flag's value with: the option's own parsing, its errors in argparse's words."""
    import argparse

    def parse(text: str) -> object:
        try:
            return option.parse(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


# ---- Help ------------------------------------------------------------------------------------------

USAGE = "txfast [OPTION …] [FILE …] [LEVEL]"
PURPOSE = "Replay payment transactions into account balances: exactly, and in order."
POSITIONALS = (
    ("FILE", "CSV, Parquet, Arrow: type, client, tx, amount; -: stdin"),
    ("LEVEL", "what to log: error (default), warn, info, debug, trace"),
)
EXAMPLES = (
    "txfast january.csv february.csv > accounts.csv",
    "txfast january.csv -o accounts.csv --rejects rejects.csv --max-malformed 10",
    "unzip -p january.zip | TXFAST_LOG_LEVEL=info txfast --strict > accounts.csv",
)
NOTES = (
    "Options may be set in the environment, which flags beat: TXFAST_THREADS=2.",
    "Accounts go to standard output, everything else to standard error.",
)

HELP_COLUMN = 24
COLUMNS_DEFAULT = 80
# Narrower, words no longer find room beside the flags.
COLUMNS_MIN = 40


def help_text(columns: int) -> str:
    """The whole help, for a terminal so wide."""
    columns = max(columns, COLUMNS_MIN)
    lines = [f"usage: {USAGE}", "", *wrapped(PURPOSE, columns), ""]
    for name, text in POSITIONALS:
        lines += help_entry(name, text, columns)
    group = None
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            lines.append(f"{group}:")
        lines += help_entry(invocation(option), option.help, columns)
    lines += ["Examples:", *(f"  {example}" for example in EXAMPLES), ""]
    for note in NOTES:
        lines += wrapped(note, columns)
    return "\n".join(lines) + "\n"


def invocation(option: Option) -> str:
    """An option as it is written: its flags, then what they take."""
    flags = ", ".join(option.flags)
    return flags if option.metavar is None else f"{flags} {option.metavar}"


def help_entry(name: str, text: str, columns: int) -> list[str]:
    """A name and, beside it, what it means."""
    lines = [" " * HELP_COLUMN + line for line in wrapped(text, columns - HELP_COLUMN)]
    head = f"  {name}"
    if len(head) > HELP_COLUMN - 2:
        return [head, *lines]
    return [head.ljust(HELP_COLUMN) + lines[0].lstrip(), *lines[1:]]


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most so many columns, where words allow it."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > columns:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def terminal_columns() -> int:
    """How wide standard output is. Not by shutil, which takes 4 ms to import."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size().columns
    except OSError:
        return COLUMNS_DEFAULT
