"""Files with another delimiter than a comma on a cluster: the header tells it, and each range finds its rows by it."""

from __future__ import annotations

import pytest

import txfast
from tests.support.command import Folder
from tests.support.engines import run_cluster
from txfast.errors import StateError

CONTENT = "type;client;tx;amount;note\n" + "".join(
    f'deposit;{tx % 7};{tx};{tx}.25;"{tx}; a note,\nwith ""two"" lines"\n' for tx in range(60)
)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("range_bytes", [20, 137, 100_000])
def test_ranges_give_what_one_run_gives(folder: Folder, delimiter: str, range_bytes: int) -> None:
    path = folder.write("in.csv", CONTENT.replace(";", delimiter).encode())
    whole = txfast.process(path)
    found = run_cluster("in.csv", range_bytes=range_bytes)
    folder.run("in.csv", "-o", "accounts.csv")
    assert found.accounts == folder.read("accounts.csv")
    assert whole.stats["rows"] == 60


def test_a_state_in_a_dialect_is_refused(folder: Folder) -> None:
    folder.write("in.csv", b"type,client,tx,amount\ndeposit,1,1,5\n")
    folder.run("--state", "state", "--decimals", "2", "in.csv")
    with pytest.raises(StateError, match="in another dialect, in which decimals is 2 and not the default"):
        run_cluster("in.csv")
