"""Makes the manual page from the table of options: `python -m txfast.command.manual > txfast/command/txfast.1`.

The page has neither date nor version, so it changes only when its text does. This module must not be imported by a run.
"""

from txfast.command.help import EXAMPLES, paragraphs_of, wrapped
from txfast.command.options import OPTIONS
from txfast.command.positionals import POSITIONALS
from txfast.run.values import SWITCH_WORDS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

    from txfast.command.option import Option

# .nh: no hyphenation, which would put hyphens into names. .ad l: no justification, which would tear gaps in lines.
HEAD = (".TH TXFAST 1", ".nh", ".ad l")
SOURCE_COLUMNS = 72
SYNOPSIS = r"\fBtxfast\fR [\fIOPTION\fR ...\&] [\fIFILE\fR ...\&] [\fILEVEL\fR]"
NAME = "txfast - replay payment transactions into account balances"

# Each section is a tuple of paragraphs.
DESCRIPTION = (
    "txfast reads transactions (deposits, withdrawals, refunds, disputes and how they end) and prints the balances of "
    "the accounts that they lead to. Money is counted in whole units of 0.0001, unless --decimals says otherwise. The "
    "rows of a client are applied in input order. The same input gives the same bytes, whatever the number of threads.",
    "Accounts go to standard output, everything else to standard error.",
)
INPUT = (
    "A transactions file is CSV, JSON lines, a Parquet file, or an Arrow IPC file or stream. It has the columns type, "
    "client, tx and amount, in any order and among any others. The format is detected from the content, not the name. "
    "CSV and JSON lines may be compressed with gzip, zstd, lz4, bzip2 or xz, or be the one member of a zip file. FILE "
    "may also be a remote location, such as s3://bucket/key.",
    "CSV begins with a header that names the columns. Lines end with LF, CRLF or CR. Fields may have blanks around "
    "them, and may be quoted. A line ending inside quotes belongs to the field.",
    "JSON lines are one flat object a line, whose keys are the columns' names. Values are texts, numbers (as they are "
    "written, never as floats) or null. Other keys are ignored, nested values too.",
    "In Parquet and Arrow, type is text; client and tx are integers, decimals without decimal places, or text; amount "
    "is one of these or a decimal of any scale. Dictionaries of these are accepted. A null is an empty field. A float "
    "column is an error, because a float cannot hold 0.1 exactly.",
    "A type is deposit, withdrawal or withdraw, dispute, resolve, chargeback, refund or reversal, in any case.",
    "Several files are read in the order given, as one stream. Each CSV file has a header of its own. Ids are whole "
    "numbers below 2^64. An amount is at most 922337203685477.5807; after its fourth decimal only zeros may follow.",
    "A row that breaks these rules is malformed: it is skipped, counted under one reason, and logged. The reasons are "
    "row_too_long (over 1 MiB), bad_quoting, bad_json, too_many_fields, missing_field, bad_type, bad_client, bad_tx, "
    "bad_currency and bad_amount.",
)
OUTPUT = (
    "The accounts are CSV with the columns client, available, held, total and locked, in ascending order of client. "
    "Amounts have four decimals; total is available plus held; locked is true or false. See --output-format for "
    "Parquet and Arrow.",
)
RULES = (
    "The id of a transaction belongs to its client. A row is applied whole, or it is rejected and moves no money. A "
    "rejected row has one reason: the first that holds, in the order given here. A locked account rejects everything "
    "but a reversal (account_locked). --policy changes some of these rules.",
    "A deposit adds to available, and a withdrawal takes from it. They are rejected if the id was applied before "
    "(duplicate_transaction), without an amount (amount_required), if the amount is below zero (negative_amount), "
    "if it is zero and the policy rejects that (zero_amount), if a withdrawal is more than is available "
    "(insufficient_funds), and if the money would not fit in 64 bits (overflow, with any row).",
    "A dispute moves the amount of an applied deposit from available, which may fall below zero, to held. It is "
    "rejected if there is no such deposit (transaction_not_found), if it was disputed before (duplicate_dispute), and, "
    "where the policy lets a dispute be about a part, if its amount is none or more than is left of the deposit "
    "(amount_too_large).",
    "A resolve moves that amount back. A chargeback takes it out of held, and locks the account. They are "
    "rejected if the deposit was never disputed (dispute_not_found), and if the dispute is over "
    "(dispute_not_in_progress).",
    "A refund takes its amount, which is a deposit or a part of it, from available; a later dispute moves only the "
    "rest. It is rejected if there is no such deposit, if its amount is missing or below zero, if it is more than is "
    "left of the deposit, and if it is more than is available.",
    "A reversal puts back what a chargeback took, and opens the account unless another of its chargebacks stands. It "
    "is rejected if the deposit was never charged back (chargeback_not_found), and if its chargeback was reversed "
    "before (duplicate_reversal).",
)
SECTIONS = (("Input", INPUT), ("Output", OUTPUT), ("Rules", RULES))

ENVIRONMENT = (
    "Each option of a run can be set by a variable. Flags override variables, variables override a --profile, and that "
    "overrides defaults. A flag "
    "also overrides the variable of an option that says the contrary: with TXFAST_STRICT=1 in the environment, "
    "--max-malformed 5 allows five malformed rows. LEVEL as last argument overrides TXFAST_LOG_LEVEL and TXFAST_QUIET.",
    "A switch is set by 1, true or yes, and not set by 0, false or no. An empty variable counts as not set. A value "
    "that the option does not accept is an error, as on the command line. If the level comes from a variable, every "
    "line is logged, as with --log-level.",
    "--dialect-of, --verify, --completion, --version, -h and --help, which do something else than a run, have no "
    "variables.",
    "Remote locations use the variables of pyarrow's file systems, such as AWS_ACCESS_KEY_ID, AWS_DEFAULT_REGION and "
    "AWS_ENDPOINT_URL.",
)

EXIT_STATUS = (
    ("0", "Done, even if rows were malformed or rejected."),
    ("1", "Failed. One line on standard error names the file and says what to do. Nothing is published: existing files "
     "keep their content."),
    ("2", "The command line or a variable is wrong."),
    ("3", "There were more malformed rows than --max-malformed allows. Rejects and stats are published, accounts are "
     "not."),
    ("4", "The accounts are not those of --expect. Rejects, differences and stats are published, accounts and the "
     "state are not."),
    ("130, 143, 129, 141", "Interrupted (SIGINT), terminated (SIGTERM), the terminal was closed (SIGHUP), or the "
     "reader of standard output went away (SIGPIPE). After cleaning up, the process ends by that signal, which a shell "
     "shows as this code."),
)  # fmt: skip

FILES = (
    "The files of --output, --rejects, --differences and --stats must be different, and none may be an input: txfast "
    "never overwrites what it reads. While an output is being written, it has no name, and is gone when the run is "
    "killed. Where the file system needs a name for it, that ends in .part, in the same directory, and the next run to "
    "the same output removes what a killed run has left. The outputs are published together when the run has "
    "succeeded: rejects, differences, stats, accounts, state.",
)


def manual_page() -> str:
    """Return the page in the language of man(7), in ASCII."""
    lines = [*HEAD, ".SH NAME", roff(NAME), ".SH SYNOPSIS", SYNOPSIS, ".SH DESCRIPTION", *paragraphs(DESCRIPTION)]
    for title, texts in SECTIONS:
        lines += [f".SS {title}", *paragraphs(texts)]
    lines += [".SH OPTIONS"]
    for name, _, text in POSITIONALS:
        lines += entry(rf"\fI{name}\fR", *paragraphs_of(text))
    group = None
    for option in OPTIONS:
        if option.group != group:
            group = option.group
            lines.append(f".SS {group}")
        lines += entry(invocation(option), *paragraphs_of(option.manual))
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
    """Return paragraphs in the language of the page. The first one needs no mark, because it follows a heading."""
    return [line for text in texts for line in (".PP", *text_lines(text))][1:]


def entry(head: str, *texts: str) -> list[str]:
    """Return an entry of a list: a head in the language of the page, and paragraphs of plain text beside it."""
    return [".TP", head, *[line for text in texts for line in (".IP", *text_lines(text))][1:]]


def text_lines(text: str) -> list[str]:
    """Break a paragraph into lines of the source. Each sentence begins a line, so that a diff shows it alone."""
    sentences = [f"{each}." for each in text.removesuffix(".").split(". ")]
    return [roff(line) for each in sentences for line in wrapped(each, SOURCE_COLUMNS)]


def invocation(option: "Option") -> str:
    """Return an option as it is typed, its flags bold, its metavar in italics."""
    flags = ", ".join(rf"\fB{roff(flag)}\fR" for flag in option.flags)
    return flags if option.metavar is None else rf"{flags} \fI{option.metavar}\fR"


def flag_name(option: "Option") -> str:
    return option.name.replace("_", "-")


def accepted(option: "Option") -> str:
    """Return the words that an option's variable accepts, if it accepts a few words only."""
    words = tuple(SWITCH_WORDS) if option.metavar is None else option.choices
    return "" if words is None else f": {', '.join(words[:-1])} or {words[-1]}"


def roff(text: str) -> str:
    """Escape plain text for the language of the page."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("^", r"\(ha")
    return r"\&" + text if text.startswith(".") else text


if __name__ == "__main__":
    print(manual_page(), end="")
