"""The email of a batch: content, escaping and threads."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest

from tests.support.batches import NOON, make_alert, make_batch
from vigilbase.alerts.batch import Batch, find_severity, render_title
from vigilbase.channels.email_message import MAX_SUBJECT, MAX_THREADS, make_email

ID = UUID("4f3a21c9-0000-4000-8000-000000000000")


def parse_email(batch: Batch, sender: str = "vigilbase@example.com") -> EmailMessage:
    raw = make_email(batch, sender, ["a@example.com", "b@example.com"])
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998  # RFC 5322, 2.1.1
    parsed = message_from_bytes(raw, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def get_part(parsed: EmailMessage, kind: str) -> str:
    body = parsed.get_body((kind,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def test_make_email_text_and_html_parts_contain_alert_line() -> None:
    parsed = parse_email(make_batch(make_alert("api", "connection refused")))
    assert parsed["Subject"] == "api is down"
    assert parsed["From"] == "vigilbase@example.com"
    assert parsed["To"] == "a@example.com, b@example.com"
    assert parsed["Date"].datetime == NOON
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed.get_content_type() == "multipart/alternative"
    for kind in ("plain", "html"):
        assert "api is down: connection refused (since 2026-11-24 11:57:00 UTC, 3m)" in get_part(parsed, kind)


def test_make_email_repeated_attempt_keeps_message_id() -> None:
    batch = make_batch()
    assert parse_email(batch)["Message-ID"] == parse_email(batch)["Message-ID"] == f"<{batch.id}@vigilbase.example.com>"


def test_make_email_same_alert_shares_thread() -> None:
    alert = make_alert(id=ID)
    emails = [
        parse_email(make_batch(alert)),
        parse_email(make_batch(make_alert(id=ID, is_resolved=True), kind="resolved")),
    ]
    assert len({each["Message-ID"] for each in emails}) == 2
    for each in emails:
        assert each["References"] == each["In-Reply-To"] == f"<alert-{ID}@vigilbase.example.com>"


def test_make_email_several_alerts_references_each_thread_up_to_limit() -> None:
    alerts = [make_alert(f"service {number}") for number in range(MAX_THREADS + 10)]
    domain = f"{'very-' * 10}long.example.com"
    threads = parse_email(make_batch(*alerts), f"vigilbase@{domain}")["References"].split()
    assert threads == [f"<alert-{alert.id}@vigilbase.{domain}>" for alert in alerts[:MAX_THREADS]]
    assert f"service {MAX_THREADS + 9}" in get_part(parse_email(make_batch(*alerts)), "plain")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028", "\x00"])
def test_make_email_line_break_in_name_adds_no_header(end: str) -> None:
    parsed = parse_email(make_batch(make_alert(f"api{end}Bcc: all@example.com{end}{end}<p>")))
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "api Bcc: all@example.com <p> is down"


def test_make_email_names_and_errors_are_html_escaped() -> None:
    html = get_part(parse_email(make_batch(make_alert("<img src=x>", "</p><script>alert('x')</script> & co"))), "html")
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;img src=x&gt; is down" in html
    assert "&lt;/p&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co" in html


def test_make_email_long_unicode_subject_is_truncated() -> None:
    parsed = parse_email(make_batch(make_alert("größe 📈" * 100)))
    assert len(parsed["Subject"]) == MAX_SUBJECT
    assert parsed["Subject"].startswith("größe 📈größe")
    assert parsed["Subject"].endswith("…")
    assert "größe 📈" in get_part(parsed, "plain")


def test_make_email_several_alerts_subject_is_batch_title() -> None:
    batch = make_batch(make_alert("a"), make_alert("b"))
    assert parse_email(batch)["Subject"] == render_title(batch) == "2 services are down"


def test_find_severity_depends_on_kind_and_worst_alert() -> None:
    degraded = make_alert(alert_type="service_degraded")
    assert find_severity(make_batch(degraded, make_alert())) == find_severity(make_batch(kind="reminder")) == "failure"
    assert find_severity(make_batch(degraded)) == "warning"
    assert find_severity(make_batch(kind="acknowledged")) == "info"
    assert find_severity(make_batch(kind="resolved")) == "success"
