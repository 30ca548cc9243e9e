"""CSV files that a query names alone, as FROM 'payments.csv': no value of theirs may become another.

By itself DuckDB makes floats of numbers with a point, and guesses which of 01/02/2026 is the day. It takes a column for
whole numbers by the first 20,480 rows, and from then on rounds 1.5 to 2 and reads 0x10 as 16. Here each column is text,
except those of whole numbers, so that these sort as numbers; there a value that is none fails the query.
"""

import os
import re

from txfast.errors import InputError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import duckdb

# DuckDB reads a file that a query names alone by this function. A query that calls it itself means DuckDB's own.
CSV_FUNCTION = "read_csv_auto"
# What DuckDB says, between two of these, of a name that it meets for the first time.
MARK = "\x1f"
# With another quote than this one, an apostrophe at the start of a text would hide the rows up to the next one. The
# default buffer, of 32 MB, does not fit in the least memory that a query gets, and a smaller one is no slower.
FORM = "quote = '\"', escape = '\"', comment = '', hive_types_autocast = false, buffer_size = 8000000"
WHOLE_NUMBERS = "BIGINT"
# How DuckDB ends the name of a column that another one has too.
RENAMED = re.compile(r"_[0-9]+$")


def rows_of(connection: "duckdb.DuckDBPyConnection", statement: "duckdb.Statement") -> "duckdb.DuckDBPyRelation":
    """The rows of a query, which reads the CSV files that it names alone as this module says.

    Before it runs a query, DuckDB asks how to read each name. There is no answer to the first question about a name: so
    the query fails, the file is looked at, and the query is begun again.
    """
    import duckdb

    readings: dict[str, str] = {}
    while True:
        connection.execute(macro_of(readings))
        try:
            return connection.sql(statement)
        except duckdb.Error as error:
            name = str(error).partition(MARK)[2].partition(MARK)[0]
            if not name or name in readings:
                raise
        readings[name] = reading_of(connection, name)


def macro_of(readings: dict[str, str]) -> str:
    """The function that reads each of these files by its query, and asks about any other."""
    answers = "".join(f"WHEN {quoted(name)} THEN {quoted(reading)} " for name, reading in readings.items())
    question = f"error({quoted(MARK)} || path || {quoted(MARK)})"
    return (
        f"CREATE OR REPLACE MACRO {CSV_FUNCTION}(path) AS TABLE "
        f"SELECT * FROM query(CASE path {answers or 'WHEN NULL THEN NULL '}ELSE {question} END)"
    )


def reading_of(connection: "duckdb.DuckDBPyConnection", path: str) -> str:
    """The query that reads these files. Where they cannot be read, it fails, and DuckDB says why."""
    import duckdb

    file = quoted(path)
    if os.path.exists(path) and not os.path.isfile(path):  # it cannot be read twice
        raise duckdb.InvalidInputException(f"{path} is no file: copy it to one, or name it as a FILE of its own")
    guessed = f"SELECT * FROM read_csv({file}, {FORM}, auto_type_candidates = ['{WHOLE_NUMBERS}', 'VARCHAR'])"
    try:
        rows = connection.sql(guessed)
    except duckdb.Error:
        return guessed
    refuse_double(connection, path, rows.columns)
    whole = [name for name, kind in zip(rows.columns, rows.types, strict=True) if str(kind) == WHOLE_NUMBERS]
    columns = ", ".join(map(whole_number, whole))
    replaced = f"REPLACE ({columns})" if columns else ""
    return f"SELECT * {replaced} FROM read_csv({file}, {FORM}, all_varchar = true)"


def refuse_double(connection: "duckdb.DuckDBPyConnection", path: str, columns: list[str]) -> None:
    """Raise InputError where a header names a column twice: DuckDB gives the second one another name, unseen."""
    if not any(RENAMED.search(name) for name in columns):
        return
    first = connection.sql(f"FROM read_csv({quoted(path)}, {FORM}, header = false, all_varchar = true) LIMIT 1")
    names = [str(name).strip().lower() for row in first.fetchall() for name in row if name is not None]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise InputError(
            f"{path}: its header names {double!r} twice: leave one out, or call read_csv('FILE', all_varchar = true), "
            f"in which the second one is {double + '_1'!r}"
        )


def whole_number(name: str) -> str:
    """A column of text as whole numbers, nothing where it is empty. It fails at any other value."""
    column = quoted(name, '"')
    number = f"TRY_CAST({column} AS {WHOLE_NUMBERS})"
    found = quoted(f"column {name!r}: ")
    way_out = quoted(
        " is no whole number as those before it: have all read as text: read_csv('FILE', all_varchar = true)"
    )
    failure = f"error({found} || {column} || {way_out})"
    return (
        f"CASE WHEN CAST({number} AS VARCHAR) = trim({column}) THEN {number} "
        f"WHEN trim({column}) <> '' THEN {failure} END AS {column}"
    )


def quoted(text: str, quote: str = "'") -> str:
    """A text, or a name, as SQL writes it."""
    return quote + text.replace(quote, 2 * quote) + quote
