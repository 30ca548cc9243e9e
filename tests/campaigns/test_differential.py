"""The checks of differential.py, on a few files."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.campaigns import differential
from tests.campaigns.differential import Verdict
from tests.support.rows import STANDARD_HEADER
from txfast.batch.batch import MALFORMED_REASONS
from txfast.readers.parse_line import parse_line

pytestmark = pytest.mark.unmeasured

NAMES = ["type", "client", "tx", "amount"]


@pytest.mark.slow
@pytest.mark.untraced
def test_all_ways_to_read_agree_on_random_files() -> None:
    agreed = differential.campaign(max(150, 3 * settings().max_examples), seed_number=1)
    # Otherwise the check would be weak: most files must be replayed, and most of their rows must be transactions.
    assert agreed["replayed"] > agreed["refused"]
    assert agreed["row as by csv"] > 100
    assert agreed["well-formed"] > sum(agreed[reason] for reason in MALFORMED_REASONS) > 0


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (b"deposit,1,2,1.5", ("deposit", 1, 2, 15_000)),
        (b'"deposit",+1,"002",-.5', ("deposit", 1, 2, -5_000)),
        (b"dispute,1,2", ("dispute", 1, 2, None)),
        (b"withdrawal, 18446744073709551615 ,0,5.00000, ", ("withdrawal", 2**64 - 1, 0, 50_000)),
        (b" \t", None),
        (b'deposit,1,2,"1', "bad_quoting"),
        (b'deposit,1,2,"1"x', "bad_quoting"),
        (b"deposit,1,2,12,50", "too_many_fields"),
        (b'deposit,1,2,1,"","x"', "too_many_fields"),
        (b"deposit,1", "missing_field"),
        (b",1,2,1", "missing_field"),
        (b"Deposits,1,2,1", "bad_type"),
        (b"deposit,1_0,2,1", "bad_client"),
        (b"deposit,1,18446744073709551616,1", "bad_tx"),
        (b"deposit,1,2,1e3", "bad_amount"),
        (b"deposit,1,2,nan", "bad_amount"),
        (b"deposit,1,2,1.00001", "bad_amount"),
        (b"deposit,1,2,922337203685477.5808", "bad_amount"),
    ],
)
def test_csv_and_decimal_agree_with_the_rules(line: bytes, verdict: Verdict) -> None:
    assert differential.agrees_with_csv(line)
    assert differential.verdict_by_csv(NAMES, line) == verdict
    assert parse_line(line, STANDARD_HEADER) == verdict


@pytest.mark.parametrize("line", [b'"deposit" ,1,2,1', b'deposit,1, "2",1', b'deposit,1,2,\t"1"'])
def test_lines_with_blanks_beside_quotes_are_not_compared(line: bytes) -> None:
    assert not differential.agrees_with_csv(line)
    assert differential.verdict_by_csv(NAMES, line) != parse_line(line, STANDARD_HEADER)


@pytest.mark.parametrize("block_bytes", [1, 20, 1 << 18])
def test_csv_agrees_with_the_rules_on_rows_of_several_lines(block_bytes: int) -> None:
    content = (
        b'type,client,tx,amount,"no\r\nte"\r\n\r\ndeposit,1,2,1,"a\n""b"",\rdeposit,1,1,1"\r\n"deposit\n",1,2,1\r\n'
        b'dispute,1,"2",,"\n",x'
    )
    found = [(0, ("deposit", 1, 2, 10_000)), (7, "bad_type"), (9, "too_many_fields")]
    assert differential.rows_by_csv(content) == found
    assert differential.check_rows(content, block_bytes) == {"row as by csv": 1, "bad_type": 1, "too_many_fields": 1}
    for refused in (content + b',"', b'type,client\n"x"\n', b'"\n"'):
        assert differential.rows_by_csv(refused) is None


def test_a_campaign_prints_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert differential.main(["--files", "3", "--seed", "7"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 files of seed 7 agreed in ")
