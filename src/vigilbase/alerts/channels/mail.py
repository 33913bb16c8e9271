"""The mail of a message: text and HTML, and headers by which mail programs thread what belongs to one alert. Pure."""

from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from vigilbase.alerts.channels.tone import Tone, tone
from vigilbase.alerts.message import Message, lines, shortened, text, title

MAX_SUBJECT = 200
MAX_THREADS = 50
"""A mail about more alerts refers to the oldest of them, or its header would grow without a limit."""

# In ASCII, so that every server takes it. An id in a header must stay in one piece, however long the domain is.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=900)
_COLORS: Mapping[Tone, str] = {"failure": "#c62828", "warning": "#f9a825", "success": "#2e7d32", "info": "#1565c0"}


def mail(message: Message, sender: str, recipients: Sequence[str]) -> bytes:
    """The mail as it goes over the wire: on every try the same, but for the boundary between its parts."""
    made = EmailMessage(policy=_POLICY)
    domain = sender.rpartition("@")[2]
    threads = " ".join(_thread_id(alert.id, domain) for alert in message.alerts[:MAX_THREADS])
    made["From"] = sender
    made["To"] = ", ".join(recipients)
    made["Subject"] = _subject(title(message))
    made["Date"] = format_datetime(message.at)
    made["Message-ID"] = f"<{message.id}@vigilbase.{domain}>"
    made["In-Reply-To"] = threads
    made["References"] = threads
    made["Auto-Submitted"] = "auto-generated"  # so that nobody's absence is answered to us (RFC 3834)
    made.set_content(f"{text(message)}\n")
    made.add_alternative(_html(message), subtype="html")
    return made.as_bytes()


def _thread_id(alert: UUID, domain: str) -> str:
    """The id of a mail that was never sent, to which all about one alert refer."""
    return f"<alert-{alert}@vigilbase.{domain}>"


def _subject(said: str) -> str:
    """A line that can't end its header and begin another."""
    return shortened(" ".join("".join(c if c.isprintable() else " " for c in said).split()), MAX_SUBJECT)


def _html(message: Message) -> str:
    return _template().render(title=title(message), lines=lines(message), color=_COLORS[tone(message)])


@cache
def _template() -> Template:
    loader = PackageLoader("vigilbase.alerts", "channels")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("mail.html")
