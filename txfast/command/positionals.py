"""The arguments of the command that are no options, with the texts of help and manual."""

# The arguments that are no options: name, line in `-h`, entry in `--help` and the manual page.
POSITIONALS = (
    (
        "FILE", "CSV, JSON lines, Parquet, Arrow, .sql; -: standard input",
        """
            Read transactions from each FILE in the order given, as one stream. - is standard input, which is also read
            when input is piped in and no FILE is named, unless there is --state. To type input at a terminal, name -.

            A FILE that ends in .sql has a query of DuckDB: see --sql. Of any other, the format is detected from the
            content, not the name; pipes work too. FILE may be CSV or JSON lines
            in UTF-8, or in UTF-16 with a byte order mark; a Parquet file; or an Arrow IPC file or stream. It may be
            compressed with gzip, zstd, lz4, bzip2 or xz, or be the one member of a zip archive. Parquet and zip from a
            pipe go through a temporary file. Formats that are known and not read, such as workbooks, XML and tar, are
            refused by their name. All FILEs are looked at before the first row is applied. A location such as s3://bucket/key,
            gs://bucket/key or hdfs://host/path is read where it is, through pyarrow's file systems, with the keys and
            the region that these find in the environment. Keys in a location are not shown in messages.
        """,
    ),
    (
        "LEVEL", "what to log: error (default), warn, info, debug, trace",
        """
            What to log: error (the default), warn, info, debug or trace. The last argument is a LEVEL if it is one of
            these words and no file has that name. The same as --log-level.
        """,
    ),
)  # fmt: skip
