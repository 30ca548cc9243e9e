"""An option of the command: its flags, its value and its texts. options.py is the table of all of them.

This module must not know which options there are.
"""

from txfast.errors import UsageError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

VARIABLE_PREFIX = "TXFAST_"


class Option:
    """One option: its flags, the value that it takes, and its texts.

    An option without a metavar is a switch. `value` names the function of run/values.py that parses the text of its
    value; None takes the text as it is. `help` is the line in `-h`; `manual` is the entry in `--help` and the manual
    page, its paragraphs divided by empty lines. One that `repeats` may be given several times, and its values are
    joined by this text. `-h` lists `minor` options by name alone, at its end. `variable` sets the option in the
    environment. An option that acts `instead` of a run has no variable: a variable would stay set and prevent every
    run.
    """

    __slots__ = (
        "choices",
        "default",
        "flags",
        "group",
        "help",
        "manual",
        "metavar",
        "minor",
        "name",
        "repeats",
        "value",
        "variable",
    )  # fmt: skip

    def __init__(
        self,
        *flags: str,
        group: str,
        help: str,  # noqa: A002 (argparse's word)
        manual: str,
        metavar: str | None = None,
        default: object = None,
        choices: "Sequence[str] | None" = None,
        value: str | None = None,
        instead: bool = False,
        repeats: str = "",
        minor: bool = False,
    ) -> None:
        self.flags = flags
        self.name = flags[-1].lstrip("-").replace("-", "_")
        self.variable = None if instead else VARIABLE_PREFIX + self.name.upper()
        self.group = group
        self.help = help
        self.manual = manual
        self.metavar = metavar
        self.default = default
        self.choices = choices
        self.value = value
        self.repeats = repeats
        self.minor = minor

    def parse(self, text: str) -> object:
        """Return the value that a text means. Raises UsageError."""
        if self.choices is not None:
            one_of(self.choices, text)
        if self.value is None and self.metavar is not None:
            return text
        # Imported late: a plain run parses no value, and starts 1 % sooner without this module.
        from txfast.run import values

        value: object = getattr(values, self.value or "switch")(text)
        return value


def one_of(words: "Collection[str]", text: str) -> str:
    """The text, if it is one of these words. Raises UsageError, which names the one that may be meant."""
    if text in words:
        return text
    from txfast.text.words import did_you_mean

    raise UsageError(f"{text!r}: it is one of {', '.join(words)}{did_you_mean(text, words)}")
