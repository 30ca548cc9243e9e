"""Each sample gives the accounts in the file beside it, and the samples show what their page claims."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import reference
from tests.support.project import PROJECT_ROOT

SAMPLES = PROJECT_ROOT / "samples"
ACCOUNTS_SUFFIX = ".accounts.csv"
# Written by bench/generate.py; not part of the repository.
GENERATED = "stress_test.csv"

NAMES = sorted(
    str(path.relative_to(SAMPLES))
    for path in SAMPLES.rglob("*.csv")
    if not path.name.endswith(ACCOUNTS_SUFFIX) and path.name != GENERATED
)
PAGE = (SAMPLES / "README.md").read_text(encoding="utf-8")
# By sample: the policy that the page gives it. The other samples are for the default policy.
POLICIES = dict(re.findall(r"^\| `(policies/[^`]+)` \| (?:none|`([^`]+)`) \| .+ \|$", PAGE, flags=re.MULTILINE))


def accounts_path(name: str) -> Path:
    return SAMPLES / (name.removesuffix(".csv") + ACCOUNTS_SUFFIX)


def replay(name: str) -> reference.Replay:
    return reference.replay((name, (SAMPLES / name).read_bytes()), policy=POLICIES.get(name, ""))


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_gives_the_accounts_beside_it(name: str) -> None:
    run = replay(name)
    assert run.accounts_csv() == accounts_path(name).read_bytes()
    assert run.conserved()


def test_expected_accounts_belong_to_a_sample() -> None:
    assert set(SAMPLES.rglob(f"*{ACCOUNTS_SUFFIX}")) == {accounts_path(name) for name in NAMES}


def test_the_page_lists_every_sample_once() -> None:
    assert sorted(re.findall(r"^\| `([^`]+)` \| .+ \|$", PAGE, flags=re.MULTILINE)) == NAMES


def test_the_samples_of_policies_have_policies_that_matter() -> None:
    assert POLICIES.keys() == {name for name in NAMES if name.startswith("policies/")}
    for name, policy in POLICIES.items():
        content = (SAMPLES / name).read_bytes()
        by_default = reference.replay((name, content))
        assert (by_default.accounts_csv() != replay(name).accounts_csv()) == bool(policy)
        for switch in {item.partition("=")[0] for item in policy.split(",")} - {""}:
            others = ",".join(item for item in policy.split(",") if item.partition("=")[0] != switch)
            without = reference.replay((name, content), policy=others)
            assert without.accounts_csv() != replay(name).accounts_csv(), switch


def test_the_sample_of_a_day_has_every_kind_of_row() -> None:
    run = replay("sample.csv")
    assert 2_900 < run.rows < 3_100
    # Refunds and reversals are in the samples of policies.
    assert set(run.applied) == {kind.decode() for kind in reference.KINDS} - {"refund", "reversal"}
    # A row over 1 MiB and a balance beyond 64 bits are not realistic.
    assert set(run.malformed) == {
        "bad_quoting",
        "too_many_fields",
        "missing_field",
        "bad_type",
        "bad_client",
        "bad_tx",
        "bad_amount",
    }
    assert set(run.rejected) == {
        "account_locked",
        "duplicate_transaction",
        "amount_required",
        "negative_amount",
        "insufficient_funds",
        "transaction_not_found",
        "duplicate_dispute",
        "dispute_not_found",
        "dispute_not_in_progress",
    }


def test_the_sample_of_a_day_has_every_style_of_blanks() -> None:
    lines = (SAMPLES / "sample.csv").read_bytes().split(b"\n")
    assert lines[0] == b"type, client, tx, amount"
    assert any(re.fullmatch(rb"deposit,\d+,\d+,[\d.]+", line) for line in lines)
    assert any(re.fullmatch(rb"deposit, \d+, \d+, [\d.]+", line) for line in lines)
    assert any(re.fullmatch(rb"deposit +, +\d+, +\d+, +[\d.]+", line) for line in lines)
    assert any(b"\t" in line for line in lines)
    assert any(line.endswith(b" ") for line in lines)
    assert b"" in lines[:-1]


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        (
            "disputes.csv",
            {"duplicate_dispute", "dispute_not_found", "dispute_not_in_progress", "transaction_not_found"},
        ),
        ("locks.csv", {"account_locked"}),
        ("precision.csv", {"overflow", "bad_amount"}),
        ("duplicates.csv", {"duplicate_transaction"}),
        (
            "malformed.csv",
            {"bad_quoting", "too_many_fields", "missing_field", "bad_type", "bad_client", "bad_tx", "bad_amount"},
        ),
        ("columns.csv", {"bad_quoting", "too_many_fields", "missing_field"}),
    ],
)
def test_a_small_sample_shows_the_reasons_it_is_about(name: str, reasons: set[str]) -> None:
    run = replay(name)
    assert reasons <= set(run.malformed) | set(run.rejected)


def test_the_sample_of_columns_keeps_bytes_that_an_editor_would_remove() -> None:
    content = (SAMPLES / "columns.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in content
    assert re.search(rb"\r[^\n]", content)
    assert not content.endswith((b"\r", b"\n"))
    with pytest.raises(UnicodeDecodeError):
        content.decode()
