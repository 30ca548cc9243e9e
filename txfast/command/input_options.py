"""The options that say what is read, and how, for the table in options.py: the dialect, profiles and queries.

This module must not have code that acts on an option.
"""

from txfast.command.option import Option

# In the order of the help.
DIALECT_OPTIONS = (
    Option(
        "-d", "--delimiter", group="Input", metavar="CHAR", value="delimiter",
        help="what separates fields (default: found by the header)",
        manual="""
            The character that separates the fields of CSV input, or tab. By default it is the one of comma, semicolon,
            tab and pipe by which the header names all columns. It is a part of the dialect: see --dialect.
        """,
    ),
    Option(
        "--columns", group="Input", metavar="NAME=COL", repeats=",", value="columns",
        help="names of columns: client=Payer, tx=Ref, ...",
        manual="""
            Say which columns of the input are type, client, tx and amount, where they have other names:
            --columns client=Customer,tx=Reference. Names of columns count in any case where exactly one fits. Instead
            of type and amount, credit and debit may be named: two columns of amounts, of deposits and of withdrawals.
            With a column currency each client has an account in each currency.
            Without a header (--dialect header=no) columns are numbers from 1. A name that has a comma in it goes into
            --dialect columns.NAME=COLUMN.
        """,
    ),
    Option(
        "--types", group="Input", metavar="WORD=TYPE", repeats=",", value="types",
        help="what words of types mean: SALE=deposit, ...",
        manual="""
            Say what words in the type column mean: --types SALE=deposit,PAYOUT=withdrawal,FEE=ignore. A type is one of
            deposit, withdrawal, dispute, resolve, chargeback, refund and reversal; a row whose type is to be ignored is
            nothing, whatever else it holds, and --stats counts it. Words count in any case. The names of the types keep
            their meaning unless they are given another one. +=deposit,-=withdrawal says that there is no type column,
            and what positive and negative amounts are.
        """,
    ),
    Option(
        "--decimal", group="Input", metavar="CHAR", minor=True, value="decimal",
        help="what stands before decimals (default: a point)",
        manual="""
            The character before the decimals of an amount, a point by default. With --decimal , and
            --dialect thousands=. an amount is 1.234,56.
        """,
    ),
    Option(
        "--ids", group="Input", metavar="KIND", choices=("number", "text"), minor=True, value="ids",
        help="whether ids are numbers (default) or texts",
        manual="""
            Say whether the ids of clients and transactions are numbers, the default, or texts. Texts are compared by
            their bytes, without blanks and quotes around them, and come out as they went in; they have 1 to 255 bytes,
            and upper and lower case differ. Accounts then come in the order of their clients' bytes. --dialect
            ids.client=text and ids.tx=text say it of one of the two.
        """,
    ),
    Option(
        "--decimals", group="Input", metavar="N", minor=True, value="decimals",
        help="places of amounts and balances (default: 4)",
        manual="""
            The places of amounts and balances, from 0 to 9; 4 by default. An amount with more decimals is malformed,
            unless they are zeros or --dialect rounding=RULE says how they are rounded.
        """,
    ),
    Option(
        "--dialect", group="Input", metavar="NAME=VALUE", repeats="\n", minor=True, value="dialect_parts",
        help="any part of how files are to be read (see --help)",
        manual="""
            Say how files are to be read, one part at a time; repeat the option for each part. The parts are delimiter,
            quote, decimal, thousands, header, skip, comment, encoding, null, columns.NAME, types.WORD, keep.COLUMN,
            decimals, amounts and rounding. The reference of dialects says what values each has. --delimiter, --columns,
            --types, --decimal and --decimals beat it. In the variable, each part has a line of its own.

            --stats has the dialect. A state keeps it: a run with inputs and another dialect fails, and names the
            difference. The arrow reader knows no quote, header, skip and comment but the default.
        """,
    ),
    Option(
        "--profile", group="Input", metavar="FILE", minor=True, value="file_name",
        help="read options, dialect and policy from a TOML file",
        manual="""
            Read options from FILE, in TOML: each option by its long name without dashes before it, as in threads = 2;
            true or false for a switch; a list for an option that may be repeated. The tables [columns], [types],
            [dialect] and [policy] have the names and values of the options of these names. A part of the dialect whose
            name has a point may be a table of its own, such as [dialect.keep]. In [policy], preset = "card" stands for
            its settings. Relative names of files begin at the current directory.

            Flags override variables, variables override FILE. Of the dialect and the policy they override single parts:
            --columns client=Payer leaves the other columns as FILE says. An option or a value that is unknown is an
            error. --dialect-of makes such a FILE for a file of transactions. Options that do something else than a run
            cannot stand in it.
        """,
    ),
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
# No query has this byte: several that are given are told by it, and refused, so that none is dropped in silence.
BETWEEN_QUERIES = "\0"
SQL = Option(
    "--sql", group="Input", metavar="QUERY", minor=True, value="query", repeats=BETWEEN_QUERIES,
    help="the rows of a DuckDB query, or of one in FILE.sql",
    manual="""
        Read the rows of a DuckDB query, in its order, after those of each FILE. They have the columns type, client, tx
        and amount, and others, which are ignored; --columns, --types and other parts of the dialect hold as for tables.
        So joins, filters, calculations and ORDER BY stand before the replay: --sql "FROM 'payments.csv' ORDER BY day".
        QUERY is one statement that begins with SELECT, FROM, WITH or VALUES. A QUERY that ends in .sql is the name of
        a file with one, and so is a FILE that ends so: for several queries, name several. Names of files in a query are
        relative to the current folder.

        Amounts must be exact, as in any table: a column of floats is refused. So in a CSV file that a query names as
        FROM 'payments.csv', only whole numbers are numbers, and all else is text, dates too: CAST(amount AS DECIMAL(18,
        4)) computes with amounts. In read_csv(...) DuckDB guesses types itself: add all_varchar = true. Without ORDER
        BY, rows of one file come as they stand in it; add ORDER BY after a join or a GROUP BY, and where there are
        several files.

        DuckDB streams the rows, with as many threads as the run, in a quarter of what --memory-limit leaves after
        libraries and buffers; what it sorts beyond that goes to --spill-dir. It takes extensions that are installed,
        and never installs one. Messages and rejects call the query sql, or by the name of its file, with the number of
        the row, and never show its text. Other users may see that in the list of processes: keep keys in DuckDB's
        persistent secrets.

        With --state, a query is always new, as standard input is, so let it give new rows alone; --checkpoint excludes
        it. It needs the package duckdb (pip install 'txfast[sql]') and a memory limit of at least 384MiB.
    """,
)  # fmt: skip
