"""The findings of `vigilbase doctor`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

from vigilbase.domain import JSON
from vigilbase.views.terminal import escape

FINDING_TEXTS = {
    "ok": Text("ok", style="green"),
    "warning": Text("warning", style="yellow"),
    "problem": Text("problem", style="bold red"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found about a subject, and what to do.

    A warning works, but not as well as it should or not for long; a problem doesn't work.
    """

    subject: str
    status: Literal["ok", "warning", "problem"]
    message: str
    advice: str = ""


def make_ok(subject: str, message: str, advice: str = "") -> Finding:
    return Finding(subject, "ok", message, advice)


def make_warning(subject: str, message: str, advice: str = "") -> Finding:
    return Finding(subject, "warning", message, advice)


def make_problem(subject: str, message: str, advice: str = "") -> Finding:
    return Finding(subject, "problem", message, advice)


def make_finding_json(finding: Finding) -> Mapping[str, JSON]:
    return asdict(finding)


def make_findings_table(findings: Sequence[Finding]) -> Table:
    """A row for each finding, and the advice below it."""
    table = Table("status", "subject", "finding", box=None, header_style="bold")
    for finding in findings:
        table.add_row(FINDING_TEXTS[finding.status], finding.subject, escape(finding.message))
        if finding.advice:
            table.add_row("", "", escape(f"→ {finding.advice}"))
    return table
