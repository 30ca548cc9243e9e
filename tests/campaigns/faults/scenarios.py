"""The runs into which the campaign of faults injects faults, and their inputs."""

from __future__ import annotations

import random
from typing import NamedTuple

OUTPUTS = ("a.csv", "a.csv.gz", "r.csv", "r.jsonl", "r.jsonl.gz", "r.parquet", "s.json", "target.csv")


class Scenario(NamedTuple):
    """A command line, the files that it finds, and its exit code."""

    name: str
    arguments: tuple[str, ...]
    files: tuple[str, ...]
    exit_code: int = 0
    earlier_outputs: bool = True
    stdin: str | None = None
    links: tuple[tuple[str, str], ...] = ()  # (symbolic link, target)
    spills: bool = False  # ledgers go to disk at once, into the folder `spill`
    state_of: tuple[str, ...] = ()  # the arguments of an earlier run that has made the state; none where there is none
    named: bool = False  # temporary files have names, as on file systems without O_TMPFILE

    @property
    def outputs(self) -> list[str]:
        """The files that the run publishes."""
        named = [dict(self.links).get(word, word) for word in self.arguments]
        return [word for word in named if word in OUTPUTS]


STATS = ("--stats", "s.json")
SPILL = "spill"
STATE = "state"
CURRENCIES = ("--columns", "currency=ccy")
SCENARIOS = (
    Scenario(
        "one thread",
        ("large.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS),
        ("large.csv",),
    ),
    Scenario(
        "three threads",
        ("large.csv", "-q", "--threads", "3", "-o", "a.csv", "--rejects", "r.jsonl", *STATS),
        ("large.csv",),
    ),
    Scenario(
        "several inputs, nothing there before",
        ("small.csv", "other.csv", "large.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS),
        ("small.csv", "other.csv", "large.csv"),
        earlier_outputs=False,
    ),
    Scenario(
        "standard input and output",
        ("-", "-q", "--threads", "3", "--rejects", "r.jsonl", *STATS),
        ("large.csv",),
        stdin="large.csv",
    ),
    Scenario(
        "strict",
        ("small.csv", "-q", "--strict", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS),
        ("small.csv",),
        exit_code=3,
    ),
    Scenario(
        "an input that is none",
        ("small.csv", "none.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS),
        ("small.csv", "none.csv"),
        exit_code=1,
    ),
    Scenario(
        "a link to the output",
        ("small.csv", "-q", "--threads", "1", "-o", "link.csv"),
        ("small.csv",),
        links=(("link.csv", "target.csv"),),
    ),
    Scenario(
        "temporary files with names",
        ("small.csv", "-q", "--threads", "1", "-o", "link.csv", "--rejects", "r.csv", *STATS),
        ("small.csv",),
        links=(("link.csv", "target.csv"),),
        named=True,
    ),
    Scenario(
        "compressed outputs",
        ("small.csv", "-q", "--threads", "1", "-o", "a.csv.gz", "--rejects", "r.jsonl.gz", *STATS),
        ("small.csv",),
    ),
    Scenario(
        "moved to disk",
        (
            "other.csv", "small.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.csv", *STATS,
            "--memory-limit", "96MiB", "--spill-dir", SPILL,
        ),
        ("other.csv", "small.csv"),
        spills=True,
    ),
    Scenario(
        "Parquet rejects",
        ("small.csv", "-q", "--threads", "1", "-o", "a.csv", "--rejects", "r.parquet", *STATS),
        ("small.csv",),
    ),
    Scenario(
        "a state",
        (
            "small.csv", "other.csv", "-q", "--threads", "1", "--state", STATE, "-o", "a.csv", "--rejects", "r.csv",
            *STATS,
        ),
        ("small.csv", "other.csv"),
        state_of=("small.csv",),
    ),
    Scenario(
        "a state of currencies",
        (
            "purses.csv", *CURRENCIES, "-q", "--threads", "1", "--state", STATE, "-o", "a.csv", "--rejects", "r.csv",
            *STATS,
        ),
        ("purses.csv",),
        state_of=("coins.csv", *CURRENCIES),
    ),
)  # fmt: skip


def inputs() -> dict[str, bytes]:
    """The content of the inputs by name. large.csv takes several blocks, and makes the tables and the index grow."""
    header = b"type,client,tx,amount\n"
    chance = random.Random(1)
    large = []
    for tx in range(52_000):
        kind = chance.choice((b"deposit", b"deposit", b"deposit", b"withdrawal", b"dispute", b"resolve", b"fee"))
        large.append(b"%s,%d,%d,%d.25\n" % (kind, chance.randrange(tx // 2 + 5) + 1, tx, chance.randrange(900)))
    small = [b"deposit,%d,%d,7\n" % (tx % 90, tx) for tx in range(200)]
    small[20:20] = [b"refund,5,5,3\n", b"dispute,5,5,1\n", b"refund,6,6,1\n", b"dispute,7,7,2\nchargeback,7,7\n"]
    small += [b"withdrawal,3,300,900\n", b"fee,4,301,1\n", b"dispute,3,3,\n", b"chargeback,3,3,\n"]
    other = [b"deposit,%d,%d,2\n" % (tx % 500, tx + 1000) for tx in range(5000)]
    purses = [b"deposit,%d,%d,7,%s\n" % (tx % 90, tx, (b"EUR", b"USD", b"GBP")[tx % 7 % 3]) for tx in range(900)]
    purses += [b"dispute,4,4,,USD\n", b"chargeback,4,4,,USD\n", b"refund,5,5,3,GBP\n", b"deposit,1,1,1,\n"]
    with_currency = header[:-1] + b",ccy\n"
    return {
        "coins.csv": with_currency + b"".join(purses[:50]),
        "purses.csv": with_currency + b"".join(purses),
        "large.csv": header + b"".join(large),
        "small.csv": header + b"".join(small),
        "other.csv": header + b"".join(other),
        "none.csv": b"no,transactions\n1,2\n",
    }
