"""What a check needn't repeat: facts about its service's target that are the same as last time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from vigilbase.vocabulary import JSON, Status

FACTS = (
    "remote_address",
    "certificate",
    "certificate_days",
    "protocol",
    "cipher",
    "server_version",
    "role",
    "resolver",
)
"""The details that describe the target rather than one check of it.

A probe must report such a fact in every value that it can have: silence is not a change. So postgres' `in_recovery` is
none, as a primary doesn't mention it, nor is the `url` of redirects.
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the checks of a service since the start have told: the newest value of each fact, and how the last ended."""

    facts: Mapping[str, JSON]
    failed: bool


def thin(
    check_details: Mapping[str, JSON] | None, status: Status, known: Known | None
) -> tuple[Mapping[str, JSON] | None, Known]:
    """The details without facts that need no repeating, None where nothing is left, and what is known after the check.

    `known` is None for the first check after a start. Facts stay in that one, in every `down` check and in the one
    after it, and in one that tells something new.
    """
    details = check_details or {}
    told = {name: details[name] for name in FACTS if name in details}
    before = {} if known is None else known.facts
    is_news = any(name not in before or before[name] != value for name, value in told.items())
    failed = status == "down"
    after = Known({**before, **told} if is_news else before, failed)
    if known is None or known.failed or failed or is_news:
        return details or None, after
    return {name: value for name, value in details.items() if name not in told} or None, after


def changed_facts(before: Known | None, after: Known) -> Mapping[str, JSON] | None:
    """All facts known now, if they are not those known before; None where there is nothing to write."""
    if not after.facts or (before is not None and before.facts == after.facts):
        return None
    return after.facts
