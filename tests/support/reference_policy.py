"""The reference for policies: which choices there are, and what a policy text says.

It is written from the rules alone, as reference.py is, and must not import `txfast`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

# The values of each switch; the first is the default.
SWITCHES = {
    "redispute": ("never", "after-resolve"),
    "locked": ("closed", "deposits", "disputes", "deposits+disputes"),
    "withdrawal-dispute": ("reject", "hold", "credit", "mark"),
    "overdraft": ("disputes", "none", "withdrawals", "all"),
    "open-account": ("any-row", "valid-row", "applied-row"),
    "zero-amount": ("accept", "reject"),
    "dispute-amount": ("ignore", "partial"),
    "direct-chargeback": ("reject", "allow"),
    "withdrawal-ids": ("checked", "ignored"),
}

PRESETS = {"card": "redispute=after-resolve,locked=disputes,withdrawal-dispute=hold,dispute-amount=partial"}

# The rows that a locked account still takes. It takes every reversal, and never a withdrawal or a refund.
LOCKED_TAKES = {
    "closed": ("reversal",),
    "deposits": ("deposit", "reversal"),
    "disputes": ("dispute", "resolve", "chargeback", "reversal"),
    "deposits+disputes": ("deposit", "dispute", "resolve", "chargeback", "reversal"),
}

# The rows that may take available below zero. A direct chargeback counts as a dispute.
MAY_OVERDRAW = {
    "disputes": ("dispute",),
    "none": (),
    "withdrawals": ("withdrawal",),
    "all": ("dispute", "withdrawal", "refund"),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a row means, where that can be chosen. The fields are the switches, with their values as text."""

    redispute: str = "never"
    locked: str = "closed"
    withdrawal_dispute: str = "reject"
    overdraft: str = "disputes"
    open_account: str = "any-row"
    zero_amount: str = "accept"
    dispute_amount: str = "ignore"
    direct_chargeback: str = "reject"
    withdrawal_ids: str = "checked"

    @classmethod
    def parse(cls, text: str) -> Policy:
        """The policy of a text like `card,overdraft=none`. Raises ValueError.

        A bare word is a preset. Of a switch that is said more than once, the last value counts. An empty text is the
        default policy.
        """
        values: dict[str, str] = {}
        for name, value in parse_items(text):
            if name not in SWITCHES:
                raise ValueError(f"no switch of a policy: {name!r}")
            if value not in SWITCHES[name]:
                raise ValueError(f"no value of {name}: {value!r}")
            values[name.replace("-", "_")] = value
        policy = cls(**values)
        if policy.withdrawal_ids == "ignored" and policy.withdrawal_dispute != "reject":
            raise ValueError("withdrawal-ids=ignored keeps nothing of withdrawals, so that none can be disputed")
        return policy

    def text(self) -> str:
        """All switches, in the order of the rules."""
        values = {field.name.replace("_", "-"): getattr(self, field.name) for field in fields(self)}
        return ",".join(f"{name}={value}" for name, value in values.items())

    def locked_takes(self, kind: str) -> bool:
        """Whether a locked account takes a row of this kind."""
        return kind in LOCKED_TAKES[self.locked]

    def may_overdraw(self, kind: str) -> bool:
        """Whether a row of this kind may take available below zero."""
        return kind in MAY_OVERDRAW[self.overdraft]

    def opens_account(self, kind: str, amount: int | None, outcome: str) -> bool:
        """Whether a row of this kind, with this amount and this outcome, creates its client's account."""
        if outcome == "applied" or self.open_account == "any-row":
            return True
        if self.open_account == "applied-row":
            return False
        if kind not in ("deposit", "withdrawal"):
            return True
        if amount is None or amount < 0:
            return False
        return amount > 0 or self.zero_amount == "accept"


def parse_items(text: str) -> list[tuple[str, str]]:
    """The names and values of a policy text, with presets replaced by their switches."""
    items: list[tuple[str, str]] = []
    for item in text.split(",") if text else []:
        name, sign, value = item.partition("=")
        if sign:
            items.append((name, value))
        elif name in PRESETS:
            items += parse_items(PRESETS[name])
        else:
            raise ValueError(f"no preset of a policy: {name!r}")
    return items
