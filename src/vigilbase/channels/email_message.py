"""The email for a batch: plain text and HTML, in a thread with all others about the same alert. Pure."""

from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from vigilbase.alerts.batch import Batch, Severity, find_severity, render_lines, render_text, render_title
from vigilbase.alerts.outage import truncate

MAX_SUBJECT = 200
MAX_THREADS = 50
"""An email about more alerts refers to the oldest of them only, so that its headers stay short."""

# ASCII, because every server accepts it. The long lines keep each id in a header in one piece.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=900)
_COLORS: Mapping[Severity, str] = {"failure": "#c62828", "warning": "#f9a825", "success": "#2e7d32", "info": "#1565c0"}


def make_email(batch: Batch, sender: str, recipients: Sequence[str]) -> bytes:
    """The email as it is sent (RFC 5322): the same at every attempt, except for the boundary between its parts."""
    message = EmailMessage(policy=_POLICY)
    domain = sender.rpartition("@")[2]
    threads = " ".join(_make_thread_id(alert.id, domain) for alert in batch.alerts[:MAX_THREADS])
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = _make_subject(render_title(batch))
    message["Date"] = format_datetime(batch.at)
    # The same at every attempt, so that most mail servers hide a duplicate.
    message["Message-ID"] = f"<{batch.id}@vigilbase.{domain}>"
    message["In-Reply-To"] = threads
    message["References"] = threads
    message["Auto-Submitted"] = "auto-generated"  # prevents out-of-office replies (RFC 3834)
    message.set_content(f"{render_text(batch)}\n")
    message.add_alternative(_render_html(batch), subtype="html")
    return message.as_bytes()


def _make_thread_id(alert_id: UUID, domain: str) -> str:
    """The id of an email that is never sent, to which all emails about an alert refer."""
    return f"<alert-{alert_id}@vigilbase.{domain}>"


def _make_subject(title: str) -> str:
    """The title without line breaks, which would let it add headers."""
    return truncate(" ".join("".join(c if c.isprintable() else " " for c in title).split()), MAX_SUBJECT)


def _render_html(batch: Batch) -> str:
    return _load_template().render(
        title=render_title(batch), lines=render_lines(batch), color=_COLORS[find_severity(batch)]
    )


@cache
def _load_template() -> Template:
    loader = PackageLoader("vigilbase", "channels")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("email.html")
