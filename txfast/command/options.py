"""The one table of options: names, values, and the texts of help and manual.

The parser, `--help`, the manual page and the completion scripts are made from this table. `settings.py` holds the
value. This module must not have code that acts on an option.
"""

from txfast.command.input_options import DIALECT_OF, DIALECT_OPTIONS, SQL
from txfast.command.option import Option
from txfast.command.state_options import STATE_OPTIONS
from txfast.input.source import READERS
from txfast.log.journal import COLOR_MODES, LEVELS, LOG_FORMATS, PROGRESS_MODES
from txfast.writers.formats import FORMATS
from txfast.writers.output import STANDARD_OUTPUT

SHELLS = ("bash", "zsh", "fish")

# In the order of the help. Options of one group are neighbours.
OPTIONS = (
    *DIALECT_OPTIONS,
    DIALECT_OF,
    Option(
        "--reader", group="Input", metavar="READER", default="native", choices=READERS, minor=True,
        help="what reads CSV: native (default) or arrow, by pyarrow",
        manual="""
            Choose the reader of CSV input. native, the default, reads and parses the bytes in txfast's own code. With
            arrow, pyarrow reads the lines, and the same row parser parses them; this takes about four times as long. It
            is there to check the first reader against. Both give the same accounts, rejects and figures.

            arrow stops with an error at what pyarrow cannot carry: a row longer than its block of 4 MiB, a row with a
            byte 0x01, a row with a line ending inside quotes, and a second byte order mark at the beginning. It needs a
            memory limit of at least 256MiB, and excludes --checkpoint. Parquet and Arrow inputs are read in the same
            way with either value.
        """,
    ),
    SQL,
    Option(
        "--policy", group="Input", metavar="NAME=VALUE", value="named_policy", repeats=",",
        help="what rows mean: card, or NAME=VALUE, ... (see --help)",
        manual="""
            Choose what rows mean where firms differ. NAME=VALUE sets one switch; several are separated by commas, or
            --policy is repeated. Of a switch that is set twice, the later value counts. A bare word is a preset: card
            stands for redispute=after-resolve, locked=disputes, withdrawal-dispute=hold, dispute-amount=partial.

            The switches and their values, the first of which is the default: redispute (never, after-resolve); locked
            (closed, deposits, disputes, deposits+disputes); withdrawal-dispute (reject, hold, credit, mark); overdraft
            (disputes, none, withdrawals, all); open-account (any-row, valid-row, applied-row); zero-amount (accept,
            reject); dispute-amount (ignore, partial); direct-chargeback (reject, allow); withdrawal-ids (checked,
            ignored). The reference of policies says what each value changes. withdrawal-ids=ignored excludes the
            dispute of withdrawals.

            --stats has the whole policy. A state keeps it: a run with inputs and another policy fails, and names the
            difference.
        """,
    ),
    Option(
        "--opening", group="Input", metavar="FILE", value="file_name",
        help="accounts to begin with: client, available",
        manual="""
            Begin with the accounts in FILE: a column client, and a column available or opening, the amount that the
            account has before the first transaction. It may be below 0. Where the dialect names a column of currencies,
            FILE has one too. Other columns are ignored. FILE may have any format that an input may have, and is read in
            the same dialect; a file of accounts that txfast has written is such a FILE in any dialect. A row that is
            wrong fails the run, and so does an account that is there twice.

            Opening balances count as money that came in: --stats has their sum as opening, and conserved includes it.
            They use no transaction ids, and cannot be disputed.

            With --state, they are applied once, and kept there: a run that resumes from a checkpoint does not apply
            them again. A client that the state knows already fails the run, so leave --opening out of later runs, or
            name a file of new clients alone.
        """,
    ),
    Option(
        "-o", "--output", group="Output", metavar="FILE", default=STANDARD_OUTPUT, value="file_name",
        help="accounts to FILE instead of standard output",
        manual="""
            Write the accounts to FILE. The default is -, standard output. The suffix of FILE chooses the format: .csv;
            .parquet or .pq; .arrow, .feather or .ipc. .csv.gz and .csv.zst are compressed. A suffix of any other
            format, such as .xlsx or .json, is refused before an input is read; a name with no suffix, or with one that
            means no format, such as .txt, gets CSV. --output-format overrides the suffix.

            FILE appears whole or not at all. txfast writes to a file that has no name yet, waits until all its bytes
            are on the disk, and gives it the name FILE when the run has succeeded. A run that fails or is interrupted
            leaves an existing FILE as it was. A file that replaces another takes over its owner, group, permissions,
            access control list, SELinux and SMACK labels and attributes that begin with "user.", as far as the user
            may, but no setuid bits. If FILE is a symbolic link, its target is replaced and the link stays. A device or
            a pipe is written to directly.

            FILE must not be an input, nor the file of --rejects, --differences or --stats.
        """,
    ),
    Option(
        "--output-format", group="Output", metavar="FMT", choices=FORMATS, minor=True,
        help="csv, parquet or arrow (default: as FILE ends, else csv)",
        manual="""
            Write the accounts in this format, whatever the suffix of the --output file. A last suffix .gz or .zst still
            compresses csv, and is refused with the other two. arrow is the format of Arrow IPC files. In parquet and
            arrow, client is uint64, the three amounts are decimal128(19, 4), and locked is a boolean.

            parquet, arrow and .zst need a memory limit of at least 256MiB. Tables cannot be written to a terminal.
        """,
    ),
    Option(
        "--changed", group="Output", default=False, minor=True,
        help="put out only the accounts that this run has changed",
        manual="""
            Put out only the accounts that rows of this run have changed, or opened, instead of all accounts in --state
            DIR: what is to be copied to another place after a run. A run that resumes from a checkpoint counts as one
            with the run that was interrupted. The figures in --stats are of all accounts all the same.

            --changed needs --state, and excludes --expect.
        """,
    ),
    Option(
        "--rejects", group="Output", metavar="FILE", value="rejects_file",
        help="rows not applied and why, as .csv, .jsonl or .parquet",
        manual="""
            Write each row that was not applied to FILE, in input order. The columns are file, line, status (malformed
            or rejected), reason, type, client, tx, amount and row. type, client, tx and amount are the text of these
            fields, without blanks and quotes around it; they are empty for row_too_long, bad_quoting and bad_json. row
            is the row as it was read, without its line ending, cut at 64 KiB. For a row of a Parquet or Arrow input,
            line is the number of the row, from 1, and row is empty.

            The suffix of FILE chooses the format: .csv, .jsonl or .ndjson, .parquet or .pq. Any other suffix is an
            error. A further suffix .gz or .zst compresses CSV and JSON lines. A device or a pipe without a suffix gets
            CSV. - is standard output, which is allowed when the accounts go elsewhere. In CSV, a field that a
            spreadsheet would run as a formula gets an apostrophe in front. Parquet and .zst need a memory limit of at
            least 256MiB.

            FILE appears whole or not at all, as with --output. If the run stops at --max-malformed, it is written all
            the same, with the rows up to there.
        """,
    ),
    Option(
        "--expect", group="Output", metavar="FILE", value="file_name",
        help="accounts as they should be: exit code 4 where not",
        manual="""
            Compare the accounts with those in FILE: a column client, a column of currencies where the dialect names
            one, and any of available, held, total and locked. Other columns are ignored. Rows may come in any order,
            and FILE may have any format that an input may have, and is read in the same dialect. A row that is wrong
            fails the run before the first transaction, and so does an account that is there twice.

            Amounts are compared exactly. An account that only one side has is a difference too. Where there are
            differences, the first ten are named on standard error, a line each, and the run ends with exit code 4. It
            writes --rejects, --differences and --stats, but no accounts, and leaves --state as it was. A file of
            accounts that txfast has written is such a FILE in any dialect. Without FILE of transactions, --expect
            checks the accounts in --state DIR. Expected accounts are kept in memory, 16 to 56 bytes each, more where
            clients are texts.
        """,
    ),
    Option(
        "--differences", group="Output", metavar="FILE", value="differences_file",
        help="all differences from --expect, as --rejects are",
        manual="""
            Write each difference from --expect to FILE, in order of client. The columns are client, column, expected
            and found, with currency behind client where accounts have one. column is available, held, total or locked;
            or account, whose values are present and missing, where one side has no such account. Without differences,
            FILE has no rows.

            The suffix of FILE chooses the format: .csv, .jsonl or .ndjson, .parquet or .pq. A further suffix .gz or
            .zst compresses CSV and JSON lines. Parquet and .zst need a memory limit of at least 256MiB. FILE appears
            whole or not at all, as with --output. A run that stops at --max-malformed compares nothing, and leaves FILE
            as it was.
        """,
    ),
    Option(
        "--stats", group="Output", metavar="FILE", value="stats_file",
        help="the figures of the run, as JSON",
        manual="""
            Write the figures of the run to FILE as one JSON object: bytes and rows of each input, applied rows by type,
            rejected and malformed rows by reason, the number of accounts and of locked accounts, the policy, seconds by
            stage, rows per second, peak memory in bytes, bytes moved to disk, threads and reader. opening is the sum of
            the balances of --opening; available, held and total are sums over all accounts. They are decimal strings,
            exact beyond 64 bits. conserved is always true: if the accounts did not add up to opening balances and the
            money of the applied rows, the run would fail.

            A suffix of another format, such as .csv, is refused; .json.gz and .json.zst are compressed. FILE appears
            whole or not at all, as with --output. - is standard output, which is allowed when the accounts go
            elsewhere. If the run stops at --max-malformed, the file is written all the same.
        """,
    ),
    *STATE_OPTIONS,
    Option(
        "--max-malformed", group="Running", metavar="N", value="row_count",
        help="stop at malformed row N + 1, with exit code 3",
        manual="""
            Stop at malformed row N + 1, counted over all inputs, with exit code 3. N is 0 or more. Rejected rows do not
            count: they are well-formed. Without this option, any number of malformed rows is skipped and logged.

            A run that stops writes --rejects and --stats. It writes no accounts, and leaves --state as it was.
        """,
    ),
    Option(
        "--strict", group="Running", default=False,
        help="stop at the first malformed row",
        manual="""
            Stop at the first malformed row. The same as --max-malformed 0. Together with --max-malformed N, where N is
            not 0, it is an error.
        """,
    ),
    Option(
        "--threads", group="Running", metavar="N", value="thread_count",
        help="threads to use (default: all cores it may use)",
        manual="""
            Read and apply rows with N threads. N is 1 or more; at most 128 threads are used. The default is the number
            of cores that the process may use: those that it is allowed to run on, or fewer if its control group has a
            CPU quota. Accounts, rejects and the log's lines about rows do not depend on N. With 1, no thread is
            started.
        """,
    ),
    Option(
        "--memory-limit", group="Running", metavar="SIZE", value="memory_size",
        help="memory to use at most, as 512MiB (default: 80 % of all)",
        manual="""
            Keep the memory of the whole process below SIZE: accounts, transactions, buffers and Python itself. SIZE is
            a number and a unit, such as 512MiB, 2GB or 1G: kB, MB, GB and TB count in powers of 1000; KiB, MiB, GiB and
            TiB, and k, M, G and T, in powers of 1024. The default is 80 % of the memory of the machine, or of the
            process's control group if that has less.

            Accounts and rows that do not fit are moved to a file in --spill-dir, divided by client into partitions. At
            the end, the rows of each partition are applied by themselves. Accounts, rejects and the log's lines about
            rows are the same, in the same order, as in memory. With --rejects, or at level warn or more detailed, the
            text of the rows moves to disk too, and refused rows are reported at the end of the run. Such a run takes
            1.1 to 2.4 times as long as one in memory.

            The least SIZE is 96MiB. It is 256MiB where pyarrow takes part: with Parquet and Arrow inputs and outputs,
            outputs that end in .zst, remote locations, --state and --reader arrow. If a single client, or a page or
            record batch of a table, is too large for the limit, the run fails; the message says what limit it needs,
            where that is known.
        """,
    ),
    Option(
        "--spill-dir", group="Running", metavar="DIR", value="spill_folder", minor=True,
        help="folder for what does not fit (default: TMPDIR, /var/tmp)",
        manual="""
            If the run reaches --memory-limit, it moves accounts and rows to a file in DIR. DIR is created if it is
            missing. The default is the first of these that is there and can be written to: the directory that TMPDIR
            names, /var/tmp, /tmp, the current directory. DIR should not be on a file system in memory.

            The file has no name, or loses its name as soon as it is created. So nothing is left of it however the run
            ends. Disk space is checked first if the size of the input is known. If the disk fills up, the run fails.
        """,
    ),
    Option(
        "--progress", group="Running", metavar="WHEN", default="auto", choices=PROGRESS_MODES, minor=True,
        help="progress: auto (default: on a terminal), always, never",
        manual="""
            Show on standard error how far the run is: bytes, rows, rows per second and the time left. auto, the
            default, shows a bar if standard error is a terminal, except at the levels debug and trace and with
            --log-format json. always writes a line every two seconds where there is no terminal. never shows nothing,
            and so does --quiet.
        """,
    ),
    Option(
        "--log-level", group="Log", metavar="LEVEL", choices=LEVELS, minor=True,
        help="the same as LEVEL, the last argument",
        manual="""
            Log this level and the graver ones on standard error. error logs malformed rows, warn also rejected rows,
            info also the figures of the run, debug also each applied row, and trace also each block read. A line for a
            row gives file, line number, reason and the row, cut at 200 bytes. Lines come in input order.

            If you name no level, it is error, and only the first 100 malformed rows are logged one by one. If there are
            more, the log ends with their number for each reason. If you name a level, every line is logged.
            At debug and trace, a failure comes with its traceback.

            Giving both --log-level and LEVEL as last argument is an error.
        """,
    ),
    Option(
        "--log-format", group="Log", metavar="FORMAT", default="text", choices=LOG_FORMATS, minor=True,
        help="log as text (default) or json, an object a line",
        manual="""
            Write the log as lines of text or as JSON, one object a line. Each object has time (UTC), level and message.
            A row's object also has file, line, reason and row; at info, one object has all figures of the run. The
            reference of messages lists the other fields.
        """,
    ),
    Option(
        "--color", group="Log", metavar="WHEN", default="auto", choices=COLOR_MODES, minor=True,
        help="colours: auto (default: on a terminal), always, never",
        manual="""
            Colour what begins a line of the log, the bar and the table of figures. auto, the default, uses colours if
            standard error is a terminal, unless the variable NO_COLOR has any value.
        """,
    ),
    Option(
        "-q", "--quiet", group="Log", default=False,
        help="say nothing but why a run failed",
        manual="""
            Log nothing but the one line of a failure, at any level. Progress and warnings are not shown either.
        """,
    ),
    Option(
        "-v", "--verbose", group="Log", default=False,
        help="show the figures of the run, and no row",
        manual="""
            Show the figures of the run, as the level info does, but no line for each refused row. Together with a level
            that is named, show both: the rows of that level and the figures. --quiet and --verbose contradict each
            other.
        """,
    ),
    Option(
        "--completion", group="Other", metavar="SHELL", choices=SHELLS, instead=True, minor=True,
        help="print the completion script for bash, zsh or fish",
        manual="""
            Print the script that completes txfast's options and their values in this shell, instead of running. A
            comment at the top of the script says how to load it.
        """,
    ),
    Option(
        "-V", "--version", group="Other", default=False, instead=True,
        help="say which version this is",
        manual="Print the version of txfast on standard output. No input is read.",
    ),
    Option(
        "-h", group="Other", default=False, instead=True,
        help="print this summary",
        manual="Print a summary of the options on standard output, a line for each. No input is read.",
    ),
    Option(
        "--help", group="Other", default=False, instead=True,
        help="print all there is to say about each option",
        manual="Print the whole text of each option on standard output. No input is read.",
    ),
)  # fmt: skip
