"""The option --sql, with its long text: an element of the one table of options."""

from txfast.command.option import Option

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
