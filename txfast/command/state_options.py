"""The options of a state: what a run begins with and keeps, and what may be asked of it instead of a run.

This module must not have code that acts on an option.
"""

from txfast.command.option import Option
from txfast.input.source import LAST_LINE_RULES

STATE_OPTIONS = (
    Option(
        "--state", group="State", metavar="DIR", value="folder_name",
        help="go on from what DIR holds, and keep it there",
        manual="""
            Begin with the accounts and transactions that earlier runs saved in the directory DIR, and save the result
            there when this run succeeds. DIR is created, private to its owner, if it is missing. It holds the
            accounts, the applied deposits and withdrawals with their refunds and the state of their disputes, the
            policy, and for each input, by its real path, how much of it was consumed and the hash of that part.

            The accounts printed are those of all rows ever applied to DIR. Rejects and stats are those of this run
            alone. A run that finds no state in DIR says so. Without FILE, txfast reads no input and prints the accounts
            in DIR. Name - to read standard input: without it, a run fails if rows are piped in, or if standard input is
            a pipe that stays open without a byte.

            An input that DIR knows, and whose consumed part is unchanged, continues from there: the same file again
            adds nothing, and a file that grew adds only its new rows. A file with any other content is a new input,
            read from its start. If the last row consumed had no line ending and the file now continues that very line,
            the run fails and says so. A Parquet or Arrow file is consumed whole, so one that grew is a new input.
            Standard input, pipes and devices are always new. Remote locations are an error. If a new input begins with
            bytes that DIR knows under another name, a warning says so.

            A run reads of DIR what its rows need, and writes what they change: what a run costs is what is new. Memory
            holds the accounts and transactions that rows of this run have named.

            The new state is published last, after all other outputs, by one rename. A run that fails, is killed or
            stops at --max-malformed leaves DIR as it was. The last two states are kept as snapshots. What is read of
            DIR is checked by its hash: if it is damaged, the run fails and names the file. If the newest snapshot
            cannot be opened, a warning says so and the one before it is used. One run at a time may change DIR; a
            second one fails at once. Printing accounts and --verify wait for no run: they read the state before it.

            --state needs a memory limit of at least 256MiB. A state may be larger than the limit.
        """,
    ),
    Option(
        "--last-line", group="State", metavar="WHAT", choices=LAST_LINE_RULES, minor=True,
        help="a last line without ending: take, hold or fail",
        manual="""
            Say what a run with --state does with a last line that has no line ending and is not blank. It may be a part
            of a row, in a file that another program is still writing. take applies it, hold leaves it to the next run,
            and fail ends the run.

            By default, the line of a regular file is held back if a program on this machine has the file open for
            writing. Where the system does not say that (on network file systems, and for files of other users), it is
            held back if the file was changed less than a minute ago. A line that is held back is neither applied nor
            counted as consumed, and a warning says so. Any other last line is applied, as are those of pipes.
        """,
    ),
    Option(
        "--checkpoint", group="State", metavar="SECONDS", value="second_count",
        help="save progress to --state DIR every SECONDS",
        manual="""
            Save the progress of the run in --state DIR each time this many seconds have passed since the last save, and
            when Ctrl-C, SIGTERM or SIGHUP arrives, before it ends the run. A second signal ends the run at once.
            SECONDS is 0 or more, and may have a fraction, such as 0.5.

            The same command then resumes from the last checkpoint. It must have the same inputs, outputs, policy and
            number of malformed rows allowed; --threads may differ, and --checkpoint may be left out. Accounts, rejects
            and stats are those of a run that nothing interrupted, apart from seconds and memory. Another command that
            reads inputs discards the checkpoint with a warning. A run that fails discards its own.

            --checkpoint needs --state, --reader native, and inputs that are files. --rejects must be a regular file
            that ends in .csv, .jsonl or .ndjson. No checkpoint is taken inside a Parquet or Arrow input, and none once
            accounts have moved to disk because of --memory-limit.
        """,
    ),
    Option(
        "--account", group="State", metavar="CLIENT", instead=True, repeats="\n", minor=True,
        help="print only this client's accounts in --state DIR",
        manual="""
            Print only the accounts of CLIENT in --state DIR, and read no FILE. Repeat it for several clients. Little
            of DIR is read, however large it is. A client without an account there is an error, and nothing is printed
            then. It does not wait for a run that uses DIR.

            --account reads no FILE, and excludes --opening, --expect, --rejects and --stats.
        """,
    ),
    Option(
        "--verify", group="State", default=False, instead=True,
        help="check --state DIR and say what is there",
        manual="""
            Check every byte of --state DIR instead of running, and each account against its transactions. txfast
            prints a line for each snapshot, the newest first, then for each checkpoint, with its size, its policy where
            that is not the default, and what --compact would save; below each of these lines, one for each input that
            it has consumed. At the first one that is damaged it stops with exit code 1 and says
            what is wrong. It also fails when DIR holds neither a snapshot nor a checkpoint. It does not wait for a run
            that uses DIR.

            --verify reads no FILE, and excludes --opening, --expect, --output, --rejects and --stats.
        """,
    ),
    Option(
        "--compact", group="State", default=False, instead=True, minor=True,
        help="merge all files of --state DIR",
        manual="""
            Merge the files of --state DIR into as few as there can be, instead of running. Each run merges some of
            them, a few times what it has added; so this is never needed, but DIR is smallest, and looked up fastest,
            after it. It writes all of DIR once, and takes the place of a run: another one at the same time fails.

            --compact reads no FILE, and excludes --opening, --expect, --output, --rejects and --stats.
        """,
    ),
)  # fmt: skip
