"""Which accounts and entries a ledger of the default policy can have saved: the other answer to the target `saved`.

It is written from the rules, and must not import `txfast`.
"""

from __future__ import annotations

from collections.abc import Sequence

# Client, available, held and whether it is locked; client, tx, amount, kind and state.
SavedAccount = tuple[int, int, int, bool]
SavedEntry = tuple[int, int, int, int, int]


def is_ledger(accounts: Sequence[SavedAccount], entries: Sequence[SavedEntry]) -> bool:
    """Whether a ledger can hold this, by the rules of restoring, in numbers of any size."""
    clients = {client for client, _, _, _ in accounts}
    ids = {(client, tx) for client, tx, _, _, _ in entries}
    if len(clients) < len(accounts) or len(ids) < len(entries):
        return False
    for client, _, amount, kind, state in entries:
        if client not in clients or kind > 1 or state not in SAVED_STATES or amount < 0:
            return False
        if kind == 1 and (amount or state):
            return False
    return all(is_account(account, [each for each in entries if each[0] == account[0]]) for account in accounts)


# In dispute, over, resolved, charged back; 8 more where a chargeback was reversed.
IN_DISPUTE, OVER, CHARGED_BACK = 1, 2, 4
SAVED_STATES = (0, IN_DISPUTE, OVER, 3, CHARGED_BACK, 8 + IN_DISPUTE, 8 + 3, 8 + CHARGED_BACK)


def is_account(account: SavedAccount, own: Sequence[SavedEntry]) -> bool:
    """Whether an account can be what these entries of its client make it, under the default policy."""
    _, available, held, locked = account
    total = available + held
    over = [amount for *_, amount, _, state in own if state == OVER]
    charged_back = [amount for *_, amount, _, state in own if state & 7 == CHARGED_BACK]
    if locked and len(over) == 1:
        charged_back += over
    unknown = locked and len(over) > 1
    most = sum(amount for _, _, amount, _, _ in own) - sum(charged_back)
    if not -(2**63) <= total < 2**63 or total > most:
        return False
    if total != most and not unknown and all(kind == 0 for *_, kind, _ in own):
        return False
    if held != sum(amount for *_, amount, _, state in own if state & 7 == IN_DISPUTE):
        return False
    if charged_back:
        return locked and len(charged_back) == 1
    return unknown if locked else total >= 0
