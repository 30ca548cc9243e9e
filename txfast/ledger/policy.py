"""Policies: what a row means where firms differ. SWITCHES is the one list of the choices, their values and meanings.

The command, its help and manual, the reference of the documents, stats, states and error messages are made from it.
The rules (rules.pxd) get a policy as a C struct, in the order of SWITCHES (policy.pxd).
"""

from collections.abc import Mapping

from txfast.errors import UsageError
from txfast.text.words import did_you_mean

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator


class Switch:
    """One choice. `values` has the meaning of each value by its name; the first is the default."""

    __slots__ = ("name", "summary", "values")

    def __init__(self, name: str, summary: str, values: dict[str, str]) -> None:
        self.name = name
        self.summary = summary
        self.values = values

    @property
    def default(self) -> str:
        return next(iter(self.values))


SWITCHES = (
    Switch(
        "redispute",
        "whether a payment may be disputed again",
        {
            "never": "a payment is disputed once, however that dispute ended",
            "after-resolve": "a resolved payment may be disputed again, and one whose chargeback was reversed",
        },
    ),
    Switch(
        "locked",
        "which rows a locked account takes, beside reversals",
        {
            "closed": "no other row",
            "deposits": "deposits",
            "disputes": "disputes, resolves and chargebacks",
            "deposits+disputes": "deposits, disputes, resolves and chargebacks",
        },
    ),
    Switch(
        "withdrawal-dispute",
        "whether withdrawals may be disputed, and where their amount is meanwhile",
        {
            "reject": "a withdrawal cannot be disputed",
            "hold": "the amount is put into held, and a chargeback moves it to available",
            "credit": "the amount is lent to available and owed in held, and a chargeback clears the debt",
            "mark": "no money moves before a chargeback, which puts the amount into available",
        },
    ),
    Switch(
        "overdraft",
        "which rows may take available below zero",
        {
            "disputes": "disputes and direct chargebacks",
            "none": "none: they are rejected with insufficient_funds",
            "withdrawals": "withdrawals alone",
            "all": "withdrawals, refunds, disputes and direct chargebacks",
        },
    ),
    Switch(
        "open-account",
        "which rows open an account for a new client",
        {
            "any-row": "each well-formed row, also a rejected one",
            "valid-row": "the same, but no deposit or withdrawal whose amount is missing, negative or a refused zero",
            "applied-row": "applied rows",
        },
    ),
    Switch(
        "zero-amount",
        "deposits and withdrawals of zero",
        {
            "accept": "they are applied",
            "reject": "they are rejected with zero_amount",
        },
    ),
    Switch(
        "dispute-amount",
        "the amount on a dispute",
        {
            "ignore": "it does not count: a dispute moves all that is left of the payment",
            "partial": "it is the part that the dispute moves; without an amount, all that is left",
        },
    ),
    Switch(
        "direct-chargeback",
        "a chargeback of a deposit that is not in dispute",
        {
            "reject": "it is rejected",
            "allow": "it takes what is left of the deposit from available",
        },
    ),
    Switch(
        "withdrawal-ids",
        "the transaction ids of withdrawals",
        {
            "checked": "an id that the client has used is rejected with duplicate_transaction",
            "ignored": "withdrawals have no ids: they are never duplicates, and none is kept",
        },
    ),
)  # fmt: skip
NAMES = tuple(switch.name for switch in SWITCHES)

# A preset stands for these settings.
PRESETS = {"card": "redispute=after-resolve,locked=disputes,withdrawal-dispute=hold,dispute-amount=partial"}

# Settings that need another: a switch, its value, the other switch, and the only value that this may have then.
EXCLUDED = (("withdrawal-ids", "ignored", "withdrawal-dispute", "reject"),)


class Policy(Mapping[str, str]):
    """A value for each switch: a mapping from its name. `str(policy)` names those that are not the default.

    >>> Policy("card,redispute=never")["locked"]
    'disputes'
    """

    __slots__ = ("_values",)

    def __init__(self, text: str = "") -> None:
        """Parse settings `NAME=VALUE` and presets, separated by commas; the later counts. Raises UsageError."""
        self._values = {switch.name: switch.default for switch in SWITCHES}
        for setting in text.split(",") if text else ():
            self._values.update(parse_setting(setting))
        for name, value, other, needed in EXCLUDED:
            if self[name] == value and self[other] != needed:
                raise UsageError(
                    f"policy {name}={value} excludes {other}={self[other]}: choose {other}={needed}, or another {name}"
                )

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> "Iterator[str]":
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __str__(self) -> str:
        return ",".join(f"{each.name}={self[each.name]}" for each in SWITCHES if self[each.name] != each.default)

    def __repr__(self) -> str:
        return f"Policy({str(self)!r})"

    def __hash__(self) -> int:
        return hash(self.codes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self.codes == other.codes

    @property
    def codes(self) -> bytes:
        """The index of each switch's value, in the order of SWITCHES."""
        return bytes(tuple(switch.values).index(self[switch.name]) for switch in SWITCHES)

    def differences(self, other: "Policy") -> str:
        """The settings of both where they differ, in words; "" where they are the same."""
        differing = [name for name in NAMES if self[name] != other[name]]
        return ", ".join(f"{name} is {self[name]} and not {other[name]}" for name in differing)


def parse_setting(text: str) -> dict[str, str]:
    """The values that one setting gives, by switch: `NAME=VALUE`, or the name of a preset. Raises UsageError."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not name:
        raise UsageError(f"policy {text!r}: a setting is missing: is a variable of the shell not set?")
    if not equals:
        if name in PRESETS:
            return dict(each.split("=") for each in PRESETS[name].split(","))
        if name in NAMES:
            raise UsageError(f"policy {name} has no value: it is one of {values_of(name)}")
        meant = did_you_mean(name, (*PRESETS, *NAMES))
        raise UsageError(f"policy {name!r}: there is no such preset; there is {', '.join(PRESETS)}{meant}")
    if name not in NAMES:
        raise UsageError(
            f"policy {name!r}: there is no such switch; there are {', '.join(NAMES)}{did_you_mean(name, NAMES)}"
        )
    values = SWITCHES[NAMES.index(name)].values
    if value not in values:
        raise UsageError(f"policy {name}={value}: it is one of {values_of(name)}{did_you_mean(value, values)}")
    return {name: value}


def values_of(name: str) -> str:
    return ", ".join(SWITCHES[NAMES.index(name)].values)
