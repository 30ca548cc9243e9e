"""The user's choice, in two stages: options as they were given, and the settings of a run that they mean.

Flags override variables, variables override a profile, and that overrides defaults. This module must not know how the
command line is parsed, nor how a run uses a setting.
"""

import os
import sys

from txfast.command.option import VARIABLE_PREFIX
from txfast.command.options import OPTIONS
from txfast.errors import MemoryLimitError, UsageError
from txfast.input.ref import LOCATION, STANDARD_INPUT, display_name, have_queries, resolve, resolve_query
from txfast.input.source import READERS
from txfast.log.journal import ERROR, LEVELS
from txfast.run.destinations import OUTPUTS, Destination, check_destinations
from txfast.run.machine import (
    ARROW_MEMORY_LIMIT_MIN,
    MEMORY_PERCENT,
    QUERY_MEMORY_LIMIT_MIN,
    default_memory_limit,
)
from txfast.writers.formats import CSV, PARQUET, compression_of, format_of
from txfast.writers.output import STANDARD_OUTPUT, named_descriptor

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

    from txfast.dialect.dialect import Dialect
    from txfast.input.ref import InputRef
    from txfast.ledger.policy import Policy
    from txfast.run.profile import Profile

    # Texts of flags, True of a switch, by name of the option.
    Flags = Mapping[str, object]

# By option: the flags that override its variable, because they say the contrary. They, and such variables, override
# what a profile says too.
OVERRIDDEN_BY = {
    "strict": {"max_malformed"}, "max_malformed": {"strict"}, "quiet": {"log_level", "verbose"}, "verbose": {"quiet"},
}  # fmt: skip
# Options that make the dialect together.
DIALECT_OPTIONS = ("dialect", "columns", "types", "delimiter", "decimal", "ids", "decimals")
# Options that --dialect-of takes: those of the log.
LOG_OPTIONS = ("log_level", "log_format", "color", "quiet", "verbose")


class GivenOptions:
    """The values of all options by name: as given by flag, else by variable, else by profile, else by default."""

    __slots__ = ("_flags", "_profile", "_values", "_variables")

    def __init__(self, flags: "Flags", variables: "Mapping[str, str]", profile: "Profile | None" = None) -> None:
        """Take texts of flags, True of a switch, and texts of variables, by name of the option; and a profile.

        Raises UsageError for a wrong value, except one that is overridden.
        """
        self._flags = flags
        self._variables = variables
        self._profile = profile
        self._values: dict[str, object] = {}
        for option in OPTIONS:
            name = option.name
            self._values[name] = flags.get(name, option.default)
            contrary = OVERRIDDEN_BY.get(name, set())
            if name in flags:
                given, text = flag_of(name), flags[name]
            elif name in variables and contrary.isdisjoint(flags):
                given, text = str(option.variable), variables[name]
            elif profile is not None and name in profile.options and not self._are_set(contrary):
                given, text = f"{profile.path}: {flag_of(name)[2:]}", profile.text(name)
            else:
                continue
            if isinstance(text, str):
                try:
                    self._values[name] = option.parse(text)
                except UsageError as error:
                    raise UsageError(f"{given}: {error}") from None

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def _are_set(self, names: "set[str]") -> bool:
        """Whether one of these options is given by a flag, or by a variable that does not say no."""
        from txfast.run.values import SWITCH_WORDS

        variables = self._variables
        return any(
            name in self._flags or (name in variables and SWITCH_WORDS.get(variables[name].lower()) is not False)
            for name in names
        )

    def as_given(self, name: str) -> str:
        """Return an option with its value as the user gave it, for messages."""
        if name in self._variables and name not in self._flags:
            return f"{VARIABLE_PREFIX}{name.upper()}={self._variables[name]}"
        if self._profile is not None and name in self._profile.options and name not in self._flags:
            return self._profile.given(name)
        text = self._flags.get(name, self._values[name])
        return flag_of(name) if text is True else f"{flag_of(name)} {text}"

    def named(self, name: str) -> str:
        """An option by its flag where that was given; else as it was given."""
        return flag_of(name) if name in self._flags else self.as_given(name)

    @property
    def dialect(self) -> "Dialect | None":
        """The dialect that options make together, with the profile's below; None for the default one. Raises
        UsageError."""
        given = {name: str(self[name]) for name in DIALECT_OPTIONS if self[name] is not None}
        base = None if self._profile is None else self._profile.dialect
        if not base and not given:
            return None
        from txfast.run.dialect_options import dialect_of

        by_flag = {name: text for name, text in given.items() if name in self._flags}
        by_variable = {name: text for name, text in given.items() if name not in by_flag}
        try:
            return dialect_of([by_variable, by_flag], base)
        except UsageError as error:
            raise UsageError(f"{error}{self._beside_profile()}") from None

    @property
    def policy(self) -> "Policy | None":
        """The policy, with the profile's settings below; None for the default one. Raises UsageError."""
        policy: Policy | None = self["policy"]  # type: ignore[assignment]
        if self._profile is None or not self._profile.policy:
            return policy
        from txfast.run.values import policy as policy_of

        given = self._flags.get("policy", self._variables.get("policy"))
        settings = [*self._profile.policy, *([] if given is None else [str(given)])]
        try:
            return policy_of(",".join(settings))
        except UsageError as error:
            raise UsageError(f"{error}{self._beside_profile()}") from None

    def _beside_profile(self) -> str:
        """The end of a message about parts that do not go together."""
        return "" if self._profile is None else f" ({self._profile.path} is the profile)"


def flag_of(name: str) -> str:
    """The long flag of an option."""
    return "--" + name.replace("_", "-")


def without_level(words: list[str], flags: "Flags") -> "tuple[list[str], Flags]":
    """The arguments that are files, and the flags with the level, where the last argument is one. Raises UsageError."""
    if not words or words[-1] not in LEVELS or os.path.exists(words[-1]):
        if words:
            refuse_mistyped_level(words[-1])
        return list(words), flags
    if "log_level" in flags:
        raise UsageError(f"the level is given twice: {words[-1]} and --log-level {flags['log_level']}")
    return words[:-1], {**flags, "log_level": words[-1]}


def only_looked_at(
    files: list[str], flags: "Flags", variables: "Mapping[str, str]"
) -> "tuple[list[str], dict[str, str]]":
    """The file that --dialect-of looks at, and the variables that count then. Raises UsageError where there are other
    files or options beside it."""
    if files:
        raise UsageError(f"--dialect-of looks at one file: leave {display_name(files[0])} out")
    others = [name for name in flags if name not in ("dialect_of", *LOG_OPTIONS)]
    if others:
        raise UsageError(f"--dialect-of finds out by itself: leave {flag_of(others[0])} out")
    return [str(flags["dialect_of"])], {name: text for name, text in variables.items() if name in LOG_OPTIONS}


def refuse_mistyped_level(word: str) -> None:
    """Raise UsageError if a last argument that is no file looks like a level."""
    if os.path.exists(word) or not word.isalpha():
        return
    from txfast.text.words import nearest

    level = nearest(word, LEVELS)
    if level is not None:
        raise UsageError(f"{word!r}: there is no file of this name, and it is no level; did you mean {level!r}?")


class Settings:
    """The settings of a run, checked against each other.

    `inputs` are the inputs in order, each looked up once, with `sql`, a query, as the last one; `opening` and `expect`
    are files of balances. `level` is an index into LEVELS; `level_named` says that the user chose it. `policy` and
    `dialect` are None for the default ones. `max_malformed` is None if any number of malformed rows is allowed.
    `threads` and `memory_limit` (in bytes) are None if the machine decides. `dialect_of` says that the one input is to
    be looked at, instead of a run.
    """

    __slots__ = (
        "account", "changed", "checkpoint", "color", "compact", "dialect", "dialect_of", "differences",
        "expect", "inputs", "last_line", "level", "level_named", "log_format", "max_malformed", "memory_limit",
        "opening", "output", "output_format", "policy", "progress", "quiet", "reader", "rejects", "spill_dir",
        "sql", "state", "stats", "threads", "verbose", "verify",
    )  # fmt: skip

    def __init__(
        self, words: list[str], flags: "Flags", variables: "Mapping[str, str]", profile: "Profile | None" = None
    ) -> None:
        """Take the arguments that are no options, and flags, variables and profile as GivenOptions takes them.

        Raises UsageError.
        """
        files, flags = without_level(words, flags)
        self.dialect_of = "dialect_of" in flags
        if self.dialect_of:
            files, variables = only_looked_at(files, flags, variables)
        options = GivenOptions(flags, variables, profile)
        self.sql = query_input(options["sql"])
        self.inputs = [*map(resolve, files), *([] if self.sql is None else [self.sql])]
        self.output = str(options["output"])
        chosen: str | None = options["output_format"]  # type: ignore[assignment]
        self.output_format = format_of("accounts", self.output, chosen=chosen, chosen_by="--output-format")
        self.rejects: str | None = options["rejects"]  # type: ignore[assignment]
        self.differences: str | None = options["differences"]  # type: ignore[assignment]
        self.stats: str | None = options["stats"]  # type: ignore[assignment]
        self.opening = balance_file(options["opening"])
        self.expect = balance_file(options["expect"])
        self.max_malformed = allowed_malformed_rows(options)
        level = options["log_level"]
        self.level, self.level_named = ERROR if level is None else LEVELS.index(str(level)), level is not None
        self.color = str(options["color"])
        self.log_format = str(options["log_format"])
        self.quiet = bool(options["quiet"])
        self.verbose = bool(options["verbose"])
        if self.quiet and self.verbose:
            given = " and ".join(map(options.as_given, ("quiet", "verbose")))
            raise UsageError(f"{given} contradict each other: leave one of them out")
        self.progress = "never" if self.quiet else str(options["progress"])
        self.policy, self.dialect = options.policy, options.dialect
        self.reader = str(options["reader"])
        self.threads: int | None = options["threads"]  # type: ignore[assignment]
        self._take_state(options)
        self.memory_limit: int | None = options["memory_limit"]  # type: ignore[assignment]
        self.spill_dir: str | None = options["spill_dir"]  # type: ignore[assignment]
        self._check_memory_limit(options)
        self._check_terminal(options)
        self._check_inputs(options)
        self._check_last_line(options)
        if self.checkpoint is not None:
            self._check_checkpoint(options.as_given("checkpoint"))
        self._check_balances(options)
        if self.changed:
            self._check_changed(options.as_given("changed"))
        check_destinations(
            [*self.inputs, *self.balances, *([] if profile is None else [resolve(profile.path)])],
            {
                name: Destination(path, options.as_given(name))
                for name in OUTPUTS
                if (path := getattr(self, name)) is not None
            },
        )

    def _take_state(self, options: GivenOptions) -> None:
        """Take what is said of a state. Raises UsageError."""
        self.state: str | None = options["state"]  # type: ignore[assignment]
        self.checkpoint: float | None = options["checkpoint"]  # type: ignore[assignment]
        self.last_line: str | None = options["last_line"]  # type: ignore[assignment]
        self.verify = bool(options["verify"])
        self.compact = bool(options["compact"])
        self.account = account_names(options["account"])
        self.changed = bool(options["changed"])

    @property
    def needs_arrow(self) -> str:
        """The first setting found that needs pyarrow, in words; empty if none does."""
        if have_queries([*self.inputs, *self.balances]):
            return "a query"
        if self.state is not None:
            return "--state"
        if any(ref.origin == LOCATION for ref in [*self.inputs, *self.balances]):
            return "a remote input"
        if self.output_format != CSV:
            return f"accounts as {self.output_format}"
        if self.rejects is not None:
            from txfast.writers.rejects import rejects_format

            if rejects_format(self.rejects) == PARQUET:
                return "Parquet"
        if self.differences is not None and format_of("differences", self.differences) == PARQUET:
            return "Parquet"
        outputs = (self.output, self.rejects, self.differences, self.stats)
        if any(path is not None and compression_of(path) == "zstd" for path in outputs):
            return "an output that zstd compresses"
        return "--reader arrow" if self.reader == "arrow" else ""

    @property
    def balances(self) -> "list[InputRef]":
        """The files of opening balances and of expected accounts."""
        return [ref for ref in (self.opening, self.expect) if ref is not None]

    # ---- Checks, each of which raises UsageError -----------------------------------------------------

    def _check_memory_limit(self, options: GivenOptions) -> None:
        """Check that the limit leaves enough for pyarrow. Raises MemoryLimitError where it is the machine's."""
        if not self.needs_arrow:
            return
        has_queries = have_queries([*self.inputs, *self.balances])
        least_bytes = QUERY_MEMORY_LIMIT_MIN if has_queries else ARROW_MEMORY_LIMIT_MIN
        least = f"{least_bytes >> 20}MiB"
        if self.memory_limit is None and default_memory_limit() < least_bytes:
            raise MemoryLimitError(
                f"the memory that this machine or its control group has is too little for {self.needs_arrow}: "
                f"{MEMORY_PERCENT} % of it is less than {least}: give it more, or name --memory-limit {least} if "
                f"nothing else needs it"
            )
        if self.memory_limit is not None and self.memory_limit < least_bytes:
            raise UsageError(
                f"{options.as_given('memory_limit')} is too little for {self.needs_arrow}: the least is {least}"
            )

    def _check_terminal(self, options: GivenOptions) -> None:
        """Check that a terminal gets text."""
        descriptor = named_descriptor(self.output)
        if self.output_format != CSV and descriptor is not None and os.isatty(descriptor):
            raise UsageError(
                f"{options.as_given('output_format')} is nothing for a terminal: redirect it, or name a file with -o"
            )

    def _check_queries(self) -> None:
        """Check that there is what queries need."""
        query = next((ref for ref in [*self.inputs, *self.balances] if have_queries([ref])), None)
        if query is not None:
            from txfast.input.query import need_duckdb

            need_duckdb(query.given_name)

    def _check_inputs(self, options: GivenOptions) -> None:
        """Check that the inputs can be read together, and add standard input if it is meant."""
        self._check_queries()
        if self.verify or self.compact or self.account:
            self._check_instead(options)
        elif not self.inputs and self.state is None:
            if sys.stdin is None or os.isatty(sys.stdin.fileno()):
                raise UsageError("no FILE: name the transactions files, or pipe one in")
            self.inputs.append(resolve(STANDARD_INPUT))
        elif not self.inputs and sys.stdin is not None:
            from txfast.command.unread_input import refuse_piped_input

            refuse_piped_input(sys.stdin.fileno())
        if self.state is not None:
            for ref in self.inputs:
                if ref.origin == LOCATION:
                    raise UsageError(
                        f"--state goes with files here and standard input: {ref.display_name} is elsewhere: "
                        f"copy it here first"
                    )
        if sum(ref.origin == STANDARD_INPUT for ref in [*self.inputs, *self.balances]) > 1:
            raise UsageError("standard input can be read only once: name - once")

    def _check_last_line(self, options: GivenOptions) -> None:
        """Check that there is a state where the user says what becomes of a last line."""
        if self.last_line is not None and self.state is None:
            raise UsageError(f"{options.as_given('last_line')} needs --state DIR: any other run takes the last line")

    def _check_balances(self, options: GivenOptions) -> None:
        """Check what the files of balances need."""
        if self.opening is not None and not self.inputs:
            raise UsageError(f"{options.as_given('opening')} needs a FILE of transactions: this run reads none")
        if self.differences is not None and self.expect is None:
            raise UsageError(f"{options.as_given('differences')} needs --expect FILE, the accounts to compare with")

    def _check_instead(self, options: GivenOptions) -> None:
        """Check that what acts on a state instead of a run is one, comes with a state, and without what a run has."""
        asked = [f"--{name}" for name in ("verify", "compact", "account") if getattr(self, name)]
        if len(asked) > 1:
            raise UsageError(f"{asked[0]} and {asked[1]} exclude each other: name one")
        if self.state is None:
            raise UsageError(f"{asked[0]} needs --state DIR, the state that it is about")
        if self.inputs:
            raise UsageError(f"{asked[0]} reads no FILE: leave {self.inputs[0].given_name} out")
        for name in OUTPUTS:
            if getattr(self, name) not in (None, STANDARD_OUTPUT) and not (self.account and name == "output"):
                raise UsageError(f"{asked[0]} writes to standard output alone: leave {options.named(name)} out")
        for name in ("opening", "expect"):
            if getattr(self, name) is not None:
                raise UsageError(f"{asked[0]} compares nothing: leave {options.named(name)} out")

    def _check_changed(self, given: str) -> None:
        """Check that there is a state of which the changed accounts are a part."""
        if self.state is None:
            raise UsageError(f"{given} needs --state DIR: without one, this run has opened all accounts")
        if not self.inputs:
            raise UsageError(f"{given} needs a FILE of transactions: a run without changes nothing")
        if self.expect is not None:
            raise UsageError(f"{given} and --expect exclude each other: all accounts are compared")

    def _check_checkpoint(self, given: str) -> None:
        """Check that the same command can resume from a checkpoint."""
        if self.state is None:
            raise UsageError(f"{given} needs --state DIR, where checkpoints are kept")
        if self.reader != READERS[0]:
            raise UsageError(f"{given} needs --reader {READERS[0]}: the other does not say where a batch ends")
        for ref in self.inputs:
            if not ref.can_be_read_again:
                raise UsageError(f"{given} needs files: {ref.given_name} cannot be read a second time")
        if self.rejects is not None:
            from txfast.writers.rejects import can_be_continued

            if not can_be_continued(self.rejects):
                raise UsageError(
                    f"{given} needs rejects that can be cut back: a .csv or .jsonl file, not {self.rejects}"
                )


def query_input(text: object) -> "InputRef | None":
    """The input of a query, or of the name of a file with one; None where there is none."""
    return None if text is None else resolve_query(str(text))


def balance_file(name: object) -> "InputRef | None":
    """A file of balances, looked up; None where none is named."""
    return None if name is None else resolve(str(name))


def account_names(given: object) -> list[str]:
    """The clients of --account. Raises UsageError for one that is empty."""
    names = [] if given is None else str(given).split("\n")
    if "" in names:
        raise UsageError("--account: it is empty: name a client")
    return names


def allowed_malformed_rows(options: GivenOptions) -> int | None:
    """Return how many malformed rows are allowed, None for any number. Raises UsageError."""
    allowed: int | None = options["max_malformed"]  # type: ignore[assignment]
    if not options["strict"]:
        return allowed
    if allowed:
        given = " and ".join(map(options.as_given, ("strict", "max_malformed")))
        raise UsageError(f"{given} contradict each other")
    return 0
