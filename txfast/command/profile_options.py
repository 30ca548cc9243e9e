"""The options of profiles, for the table in options.py. This module must not have code that acts on an option."""

from txfast.command.option import Option

PROFILE = Option(
    "--profile", group="Input", metavar="FILE", minor=True, value="file_name",
    help="read options, dialect and policy from a TOML file",
    manual="""
        Read options from FILE, in TOML: each option by its long name without dashes before it, as in threads = 2; true
        or false for a switch; a list for an option that may be repeated. The tables [columns], [types], [dialect] and
        [policy] have the names and values of the options of these names. A part of the dialect whose name has a point
        may be a table of its own, such as [dialect.keep]. In [policy], preset = "card" stands for its settings.
        Relative names of files begin at the current directory.

        Flags override variables, variables override FILE. Of the dialect and the policy they override single parts:
        --columns client=Payer leaves the other columns as FILE says. An option or a value that is unknown is an error.
        --dialect-of makes such a FILE for a file of transactions. Options that do something else than a run cannot
        stand in it.
    """,
)  # fmt: skip
DIALECT_OF = Option(
    "--dialect-of", group="Input", metavar="FILE", instead=True, value="file_name",
    help="print a profile that reads FILE, to look over",
    manual="""
        Look at the start of FILE, of any format that an input may have, and print a profile for it on standard output,
        instead of running: delimiter, encoding, quotes, lines before the header, names of columns, words of types,
        marks of amounts. It is a guess from the first MiB. What could not be told stands there as a comment, with what
        was found: fill it in, save it, and give it to --profile. Where the default dialect reads FILE already, the
        output says so.

        --dialect-of reads nothing but FILE, which may be - for standard input, and takes no option but those of the
        log.
    """,
)  # fmt: skip
