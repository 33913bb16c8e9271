"""Facts about a service's target that a check need not repeat while they stay the same. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from vigilbase.domain import JSON, Status

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

A probe must report a fact whatever its value, since a missing one doesn't count as a change. So postgres'
`in_recovery` isn't among them, which a primary leaves out, nor the `url` of a redirect.
"""


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """The newest value of each fact since the start, and whether the last check was down."""

    facts: Mapping[str, JSON]
    was_down: bool


def drop_known_facts(
    check_details: Mapping[str, JSON] | None, status: Status, known: KnownFacts | None
) -> tuple[Mapping[str, JSON] | None, KnownFacts]:
    """The details without known facts (None where nothing remains), and what is known after the check.

    `known` is None for the first check after a start. Facts stay in that check, in every `down` check, in the check
    after one, and in a check in which a fact has changed.
    """
    details = check_details or {}
    reported = {name: details[name] for name in FACTS if name in details}
    before = {} if known is None else known.facts
    has_changed = any(name not in before or before[name] != value for name, value in reported.items())
    is_down = status == "down"
    after = KnownFacts({**before, **reported} if has_changed else before, is_down)
    if known is None or known.was_down or is_down or has_changed:
        return details or None, after
    return {name: value for name, value in details.items() if name not in reported} or None, after


def find_changed_facts(before: KnownFacts | None, after: KnownFacts) -> Mapping[str, JSON] | None:
    """All facts known now, if they differ from those before; None if there is nothing to save."""
    if not after.facts or (before is not None and before.facts == after.facts):
        return None
    return after.facts
