"""The mail of a message: what is in it, what is escaped, and how it is threaded."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest

from tests.support.messages import NOON, a_message, an_alert
from vigilbase.alerts.channels.mail import MAX_SUBJECT, MAX_THREADS, mail
from vigilbase.alerts.channels.tone import tone
from vigilbase.alerts.message import Message, title

ID = UUID("4f3a21c9-0000-4000-8000-000000000000")


def read(message: Message, sender: str = "vigilbase@example.com") -> EmailMessage:
    raw = mail(message, sender, ["a@example.com", "b@example.com"])
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998  # RFC 5322, 2.1.1
    parsed = message_from_bytes(raw, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def part(parsed: EmailMessage, kind: str) -> str:
    found = parsed.get_body((kind,))
    assert isinstance(found, EmailMessage)
    return str(found.get_content())


def test_it_says_what_the_message_says_as_text_and_as_html() -> None:
    parsed = read(a_message(an_alert("api", "connection refused")))
    assert parsed["Subject"] == "api is down"
    assert parsed["From"] == "vigilbase@example.com"
    assert parsed["To"] == "a@example.com, b@example.com"
    assert parsed["Date"].datetime == NOON
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed.get_content_type() == "multipart/alternative"
    for kind in ("plain", "html"):
        assert "api is down: connection refused (since 2026-11-24 11:57:00 UTC, 3 min)" in part(parsed, kind)


def test_on_every_try_it_has_the_same_id() -> None:
    message = a_message()
    assert read(message)["Message-ID"] == read(message)["Message-ID"] == f"<{message.id}@vigilbase.example.com>"


def test_all_about_one_alert_is_one_thread() -> None:
    alert = an_alert(id=ID)
    mails = [read(a_message(alert)), read(a_message(an_alert(id=ID, resolved=True), kind="resolved"))]
    assert len({each["Message-ID"] for each in mails}) == 2
    for each in mails:
        assert each["References"] == each["In-Reply-To"] == f"<alert-{ID}@vigilbase.example.com>"


def test_a_group_belongs_to_the_threads_of_its_alerts() -> None:
    alerts = [an_alert(f"service {number}") for number in range(MAX_THREADS + 10)]
    domain = f"{'very-' * 10}long.example.com"
    threads = read(a_message(*alerts), f"vigilbase@{domain}")["References"].split()
    assert threads == [f"<alert-{alert.id}@vigilbase.{domain}>" for alert in alerts[:MAX_THREADS]]
    assert f"service {MAX_THREADS + 9}" in part(read(a_message(*alerts)), "plain")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028", "\x00"])
def test_a_name_can_not_begin_another_header(end: str) -> None:
    parsed = read(a_message(an_alert(f"api{end}Bcc: everybody@example.com{end}{end}<p>")))
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "api Bcc: everybody@example.com <p> is down"


def test_names_and_errors_are_no_html() -> None:
    html = part(read(a_message(an_alert("<img src=x>", "</p><script>alert('x')</script> & co"))), "html")
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;img src=x&gt; is down" in html
    assert "&lt;/p&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co" in html


def test_a_subject_is_bounded_and_may_have_any_letters() -> None:
    parsed = read(a_message(an_alert("größe 📈" * 100)))
    assert len(parsed["Subject"]) == MAX_SUBJECT
    assert parsed["Subject"].startswith("größe 📈größe")
    assert parsed["Subject"].endswith("…")
    assert "größe 📈" in part(parsed, "plain")


def test_a_group_is_titled_as_its_message_is() -> None:
    message = a_message(an_alert("a"), an_alert("b"))
    assert read(message)["Subject"] == title(message) == "2 services are down"


def test_the_tone_is_as_bad_as_the_worst_alert() -> None:
    degraded = an_alert(alert_type="service_degraded")
    assert tone(a_message(degraded, an_alert())) == tone(a_message(kind="reminder")) == "failure"
    assert tone(a_message(degraded)) == "warning"
    assert tone(a_message(kind="acknowledged")) == "info"
    assert tone(a_message(kind="resolved")) == "success"
