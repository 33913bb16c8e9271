"""What `vigilbase doctor` finds: about what, how bad it is, and what to do."""

from dataclasses import dataclass
from typing import Literal

GRANT = "connect as the tables' owner or as service_role, or GRANT the role what is missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a subject, how bad it is, and what to do."""

    subject: str
    verdict: Literal["ok", "warning", "problem"]
    found: str
    advice: str = ""


def ok(subject: str, found: str, advice: str = "") -> Finding:
    """All is well."""
    return Finding(subject, "ok", found, advice)


def warning(subject: str, found: str, advice: str = "") -> Finding:
    """It works, but not as well as it should, or not for long."""
    return Finding(subject, "warning", found, advice)


def problem(subject: str, found: str, advice: str = "") -> Finding:
    """It doesn't work."""
    return Finding(subject, "problem", found, advice)
