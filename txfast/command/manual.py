"""The manual page, made from the table of options: `python -m txfast.command.manual > txfast/command/txfast.1`.

The page has neither date nor version, so that it changes only when what it says does. This module must not be needed
by a run.
"""

from txfast.command.options import EXAMPLES, OPTIONS, POSITIONALS, SWITCH_WORDS, Option, wrapped

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

# No hyphenation, which would put one into names; no justification, which would tear gaps where names are long.
HEAD = (".TH TXFAST 1", ".nh", ".ad l")
SOURCE_COLUMNS = 72
SYNOPSIS = r"\fBtxfast\fR [\fIOPTION\fR ...\&] [\fIFILE\fR ...\&] [\fILEVEL\fR]"
NAME = "txfast - replay payment transactions into account balances"

# A paragraph each.
DESCRIPTION = (
    "txfast reads transactions (deposits, withdrawals, disputes, resolves and chargebacks) and prints the balances of "
    "the accounts that they lead to. Money is kept in whole units of 0.0001 and never rounded. Rows of one client are "
    "applied in the order of the input, and the same input gives the same bytes, however many threads there are.",
    "Accounts go to standard output, everything else to standard error.",
)
INPUT = (
    "A transactions file is CSV with a header that names the columns type, client, tx and amount, in any order and "
    "among any others. Lines end with LF, CRLF or CR. Fields may have blanks around them, and may be quoted.",
    "Several files are read in the order given, as one stream; each has a header of its own. Ids are whole numbers "
    "below 2^64. An amount has at most four decimals, and is at most 922337203685477.5807.",
    "A row that breaks these rules is malformed: it is skipped, counted under one reason, and logged. The reasons are "
    "row_too_long (over 1 MiB), bad_quoting, missing_field, bad_type, bad_client, bad_tx and bad_amount.",
)
OUTPUT = (
    "The accounts are CSV with the columns client, available, held, total and locked, in ascending order of client. "
    "Amounts have four decimals; total is available plus held; locked is true or false.",
)
RULES = (
    "The id of a transaction belongs to its client. A row is applied whole, or is rejected and changes nothing; then "
    "the first reason that fits is the one given. A locked account rejects everything (account_locked).",
    "A deposit adds to available, and a withdrawal takes from it. They are rejected when the id was applied before "
    "(duplicate_transaction), without an amount (amount_required), with one below zero (negative_amount), a withdrawal "
    "of more than is available (insufficient_funds), and when the money would not fit in 64 bits (overflow, "
    "with any row).",
    "A dispute moves the amount of an applied deposit from available, which may fall below zero, to held. It is "
    "rejected when there is no such deposit (transaction_not_found), or it was disputed before (duplicate_dispute).",
    "A resolve moves that amount back. A chargeback takes it out of held, and locks the account for good. They are "
    "rejected when the deposit was never disputed (dispute_not_found), or the dispute is over "
    "(dispute_not_in_progress).",
)
SECTIONS = (("Input", INPUT), ("Output", OUTPUT), ("Rules", RULES))

# What there is to say of an option beyond its help, by name.
DETAILS = {
    "output": "A file appears whole or not at all: it is written beside its place, and renamed when it is complete. "
    "A symbolic link is followed. A device or a pipe is written to as it is. - is standard output.",
    "rejects": "The columns are file, line, status (malformed or rejected), reason, type, client, tx, amount and row, "
    "in the order of the input. The suffix of the name says the format; a device or a pipe without one gets "
    "CSV. - is standard output, when the accounts go elsewhere.",
    "stats": "It is one object: rows by what became of them, sums over the accounts, time and memory. - is standard "
    "output, when the accounts go elsewhere.",
    "max_malformed": "N is 0 or more. Without this option, any number is skipped and logged. After such a stop, "
    "rejects and stats are put out all the same, the accounts are not.",
    "strict": "The same as --max-malformed 0.",
    "threads": "N is 1 or more. The result does not depend on it.",
    "reader": "Both give the same accounts. arrow stops with an error at a row longer than its block of 4 MiB, and at "
    "a row with the byte 0x01, which pyarrow cannot carry.",
    "log_level": "error has the first 100 malformed rows and then their number by reason; a level that is named leaves "
    "none out. warn adds rejected rows, info the figures of the run, debug every applied row, and trace each "
    "block read.",
    "quiet": "This goes for progress too.",
    "progress": "Progress is shown on standard error.",
    "completion": "Nothing is read. A comment at the head of the script says how it is loaded.",
}

ENVIRONMENT = (
    "An option given on the command line beats its variable, and a variable beats the default. The same holds for "
    "options that contradict each other: with TXFAST_STRICT=1 in the environment, --max-malformed 5 allows five "
    "malformed rows. LEVEL as last argument beats TXFAST_LOG_LEVEL and TXFAST_QUIET.",
    "A switch is set by 1, true or yes, and not set by 0, false or no. An empty variable counts as not set. A value "
    "that the option would not take is an error, as on the command line. A level that comes from a variable "
    "counts as named.",
    "--completion, --version and --help have no variables.",
)

EXIT_STATUS = (
    ("0", "Done, whatever the rows were."),
    ("1", "Failed. One line on standard error names the file and says what to do; nothing is put out, and files that "
     "were there keep what they hold."),
    ("2", "The command line, or a variable, is wrong."),
    ("3", "There were more malformed rows than allowed."),
    ("130, 143, 141", "Interrupted, terminated, or the reader of standard output went away. After cleaning up, the "
     "process ends by that signal, which a shell shows so."),
)  # fmt: skip

FILES = (
    "-o, --rejects and --stats must not name the same file, nor one of the inputs: txfast never overwrites what it "
    "reads. A file in the making ends in .part, and lies beside the place where it goes.",
)


def manual_page() -> str:
    """The page in the language of man(7), in ASCII."""
    lines = [*HEAD, ".SH NAME", roff(NAME), ".SH SYNOPSIS", SYNOPSIS, ".SH DESCRIPTION", *paragraphs(DESCRIPTION)]
    for title, texts in SECTIONS:
        lines += [f".SS {title}", *paragraphs(texts)]
    lines += [".SH OPTIONS"]
    for name, text in POSITIONALS:
        lines += entry(rf"\fI{name}\fR", sentence(text))
    group = None
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            lines.append(f".SS {group}")
        lines += entry(invocation(option), sentence(option.help), *filter(None, [DETAILS.get(option.name)]))
    lines += [".SH ENVIRONMENT", *paragraphs(ENVIRONMENT)]
    for option in OPTIONS:
        if option.variable:
            lines += entry(rf"\fB{roff(option.variable)}\fR", f"As --{flag_name(option)}{accepted(option)}.")
    lines.append(".SH EXIT STATUS")
    for codes, text in EXIT_STATUS:
        lines += entry(rf"\fB{codes}\fR", text)
    lines += [".SH FILES", *paragraphs(FILES), ".SH EXAMPLES"]
    lines += [".nf", *map(roff, EXAMPLES), ".fi"]
    return "\n".join(lines) + "\n"


def paragraphs(texts: "Iterable[str]") -> list[str]:
    """Paragraphs; the first follows a heading, which needs none between."""
    return [line for text in texts for line in (".PP", *text_lines(text))][1:]


def entry(head: str, *texts: str) -> list[str]:
    """A word in the language of the page, and what it means."""
    return [".TP", head, *(line for text in texts for line in text_lines(text))]


def text_lines(text: str) -> list[str]:
    """Lines of the source, a sentence beginning on its own, so that a change of one shows as such."""
    sentences = [f"{each}." for each in text.removesuffix(".").split(". ")]
    return [roff(line) for each in sentences for line in wrapped(each, SOURCE_COLUMNS)]


def sentence(text: str) -> str:
    """The words of the help as a sentence."""
    return text[0].upper() + text[1:] + "."


def invocation(option: Option) -> str:
    """An option as it is written, its flags bold."""
    flags = ", ".join(rf"\fB{roff(flag)}\fR" for flag in option.flags)
    return flags if option.metavar is None else rf"{flags} \fI{option.metavar}\fR"


def flag_name(option: Option) -> str:
    return option.name.replace("_", "-")


def accepted(option: Option) -> str:
    """What an option's variable may hold, where that is one of a few words."""
    words = tuple(SWITCH_WORDS) if option.metavar is None else option.choices
    return "" if words is None else f": {', '.join(words[:-1])} or {words[-1]}"


def roff(text: str) -> str:
    """Plain text in the language of the page."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("^", r"\(ha")
    return r"\&" + text if text.startswith(".") else text


if __name__ == "__main__":
    print(manual_page(), end="")
