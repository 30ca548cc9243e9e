"""The reference as a command: prints the accounts of transactions files as CSV.

    python -m tests.support.run_reference [--policy TEXT] [--rejects FILE] FILE...

`--policy` is a text such as `card,overdraft=none`. `--rejects` writes a line `file<TAB>line<TAB>status<TAB>reason` for
each row that was not applied.
"""

from __future__ import annotations

import argparse
import os
import sys

from tests.support.reference import Replay
from tests.support.reference_rows import NotTransactions


def main() -> int:
    parser = argparse.ArgumentParser(description="Replay transactions by the reference.")
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--policy", metavar="TEXT", default="", help="what rows mean, such as card,overdraft=none")
    parser.add_argument("--rejects", metavar="FILE", help="write a line for every row not applied")
    arguments = parser.parse_args()
    try:
        run = Replay(arguments.policy, takes_malformed=False)
        for name in arguments.files:
            with open(name, "rb") as file:
                run.read(name, file.read())
    except (NotTransactions, OSError, ValueError) as error:
        print(f"reference: {error}", file=sys.stderr)
        return 1
    if arguments.rejects is not None:
        with open(arguments.rejects, "wb") as rejects:
            for reject in run.rejects:
                line = f"{reject.file}\t{reject.line}\t{reject.status}\t{reject.reason}\n"
                rejects.write(os.fsencode(line))
    sys.stdout.buffer.write(run.accounts_csv())
    return 0


if __name__ == "__main__":
    sys.exit(main())
