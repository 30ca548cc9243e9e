"""The policy in the manifest of a snapshot: that of all rows that were ever applied to it.

This module must not know what a policy means.
"""

from txfast.errors import StateError, UsageError
from txfast.ledger.policy import NAMES, SWITCHES, Policy

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.state.manifest import Fields


class OtherPolicyError(StateError):
    """A state has another policy than the run. It ends the run: an older snapshot must not be used in its place."""


def fields_of_policy(policy: Policy | None) -> dict[str, str]:
    """A policy as a manifest has it: every switch, so that a later version with other defaults reads the same."""
    return dict(policy or Policy())


def policy_of(fields: "Fields") -> Policy | None:
    """The policy of a snapshot with this manifest; None for the default one, which those without the field have. A
    switch that is not there was added after the state was saved, and has its default.

    Raises StateError, and UnknownFormatError for a switch or a value that only a newer txfast knows.
    """
    if not fields.has("policy"):
        return None
    saved = fields.part("policy")
    settings = {name: saved.take(name, str) for name in saved.names()}
    for name, value in settings.items():
        if name not in NAMES or value not in SWITCHES[NAMES.index(name)].values:
            raise fields.unknown(f"the policy {name}={value}")
    try:
        policy = Policy(",".join(f"{name}={value}" for name, value in settings.items()))
    except UsageError as error:
        raise fields.error("policy") from error
    return policy if str(policy) else None


def check_policy(folder: str, saved: Policy | None, chosen: Policy | None) -> None:
    """Raise OtherPolicyError where a state in this folder was saved under another policy than the chosen one."""
    saved, chosen = saved or Policy(), chosen or Policy()
    if saved != chosen:
        raise OtherPolicyError(
            f"{folder}: its rows were applied by another policy, in which {saved.differences(chosen)}: go on with "
            f"{f'--policy {saved}' if str(saved) else 'the default policy'}, or begin a new state"
        )
