"""The channel `email` against a real SMTP server: every kind of connection, and every kind of rejection."""

import asyncio
import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.batches import make_batch
from tests.support.certificates import Authority, new_authority
from tests.support.loopback import hang_up, serving, silent
from tests.support.mailbox import PASSWORD, URL_LOGIN, USER, Mailbox, mail_server
from tests.support.server import free_port
from vigilbase.channels import CHANNELS, Channel, email_sending, send_batch
from vigilbase.channels.email import EmailConfig, send_email
from vigilbase.channels.errors import PermanentDeliveryError, TemporaryDeliveryError

SENDER, TEAM, BOSS = "vigilbase@example.com", "team@example.com", "boss@example.com"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path)


def make_config(smtp: str, *to: str, **more: object) -> EmailConfig:
    return EmailConfig.model_validate({"to": to or (TEAM,), "from": SENDER, "smtp": smtp, **more})


def make_plain_config(mailbox: Mailbox, *to: str) -> EmailConfig:
    return make_config(f"smtp://127.0.0.1:{mailbox.port}", *to)


async def test_send_email_delivers_and_returns_server_answer() -> None:
    with mail_server() as mailbox:
        channel = Channel("team", "email", make_plain_config(mailbox, TEAM, BOSS))
        batch = make_batch()
        assert await send_batch(channel, batch) == "250 2.0.0 queued as 4711"
    assert mailbox.recipients == [[TEAM, BOSS]]
    assert mailbox.mails[0]["Message-ID"].startswith(f"<{batch.id}@")
    assert mailbox.encrypted == [False]
    assert CHANNELS["email"].can_batch
    assert CHANNELS["email"].describe(channel.config) == f"127.0.0.1:{mailbox.port}"


async def test_send_email_offered_starttls_is_used_with_any_certificate(authority: Authority) -> None:
    with mail_server(starttls=authority.server("elsewhere.example.com")) as mailbox:
        await send_email(make_plain_config(mailbox), make_batch())
    assert mailbox.encrypted == [True]


async def test_send_email_tls_and_required_starttls_log_in_to_trusted_server(authority: Authority) -> None:
    trusted = {"ca_file": authority.ca_file}
    with mail_server(tls=authority.server("127.0.0.1"), login=False) as mailbox:
        await send_email(make_config(f"smtps://127.0.0.1:{mailbox.port}", **trusted), make_batch())
    assert mailbox.encrypted == [True]
    with mail_server(starttls=authority.server("127.0.0.1"), login=True) as mailbox:
        await send_email(make_config(f"smtp+starttls://{URL_LOGIN}@127.0.0.1:{mailbox.port}", **trusted), make_batch())
    assert (mailbox.encrypted, mailbox.logins) == ([True], [USER])


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_send_email_untrusted_certificate_sends_neither_password_nor_email(
    authority: Authority, scheme: str
) -> None:
    context = authority.server("127.0.0.1")
    server = mail_server(tls=context) if scheme == "smtps" else mail_server(starttls=context)
    with server as mailbox, pytest.raises(TemporaryDeliveryError, match="certificate is not trusted"):
        await send_email(make_config(f"{scheme}://{URL_LOGIN}@127.0.0.1:{mailbox.port}"), make_batch())
    assert (mailbox.logins, mailbox.mails) == ([], [])


async def test_send_email_missing_required_starttls_is_permanent() -> None:
    with mail_server() as mailbox, pytest.raises(PermanentDeliveryError) as failure:
        await send_email(make_config(f"smtp+starttls://127.0.0.1:{mailbox.port}"), make_batch())
    assert str(failure.value) == f"127.0.0.1:{mailbox.port}: SMTP STARTTLS extension not supported by server"
    assert mailbox.mails == []


async def test_send_email_rejected_login_is_redacted_and_permanent_unless_4xx(authority: Authority) -> None:
    encoded = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    with mail_server(starttls=authority.server("127.0.0.1"), login=True) as mailbox:
        url = f"smtp+starttls://{URL_LOGIN}@127.0.0.1:{mailbox.port}"
        with_login = make_config(url, ca_file=authority.ca_file)
        mailbox.answers["AUTH"] = f"535 no {PASSWORD} of {USER}, {encoded}"
        with pytest.raises(PermanentDeliveryError) as failure:
            await send_email(with_login, make_batch())
        assert str(failure.value) == "535 no **** of ****, ****"
        assert failure.value.is_channel_fault
        mailbox.answers["AUTH"] = "454 4.7.0 try later"
        with pytest.raises(TemporaryDeliveryError, match=r"454 4\.7\.0 try later"):
            await send_email(with_login, make_batch())
    assert PASSWORD not in repr(with_login) + with_login.model_dump_json()


async def test_send_email_server_without_login_is_permanent() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n")
        while (await reader.readline()) != b"":
            writer.write(b"250 mail.example.com\r\n")

    async with serving(answer) as port:
        with pytest.raises(PermanentDeliveryError, match="AUTH"):
            await send_email(make_config(f"smtp://{URL_LOGIN}@localhost:{port}"), make_batch())


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
async def test_send_email_4xx_is_temporary_and_5xx_permanent(command: str) -> None:
    with mail_server() as mailbox:
        mailbox.answers[command] = f"451 4.3.0 {TEAM} is busy"
        with pytest.raises(TemporaryDeliveryError, match=r"^451 4\.3\.0 \*\*\*\* is busy$"):
            await send_email(make_plain_config(mailbox), make_batch())
        mailbox.answers[command] = "550 5.7.1 not from you"
        with pytest.raises(PermanentDeliveryError, match=r"^550 5\.7\.1 not from you$") as failure:
            await send_email(make_plain_config(mailbox), make_batch())
        # A rejection of the content concerns this email only.
        assert failure.value.is_channel_fault == (command == "MAIL")


async def test_send_email_rejected_recipient_does_not_affect_others() -> None:
    with mail_server() as mailbox:
        mailbox.answers[BOSS] = f"550 5.1.1 <{BOSS}>: no such user"
        answer = await send_email(make_plain_config(mailbox, TEAM, BOSS), make_batch())
    assert answer == "250 2.0.0 queued as 4711; rejected: to[1]: 550 5.1.1 <****>: no such user"
    assert mailbox.recipients == [[TEAM]]


async def test_send_email_all_recipients_rejected_is_permanent() -> None:
    with mail_server() as mailbox:
        mailbox.answers |= {TEAM: "550 no", BOSS: "551 no"}
        with pytest.raises(PermanentDeliveryError, match=r"all recipients rejected: to\[0\]: 550 no; to\[1\]: 551"):
            await send_email(make_plain_config(mailbox, TEAM, BOSS), make_batch())
    assert mailbox.mails == []


async def test_send_email_temporarily_rejected_recipient_is_retried_alone() -> None:
    batch = make_batch()
    with mail_server() as mailbox:
        mailbox.answers[BOSS] = "450 4.2.0 greylisted"
        with pytest.raises(TemporaryDeliveryError, match=r"temporarily rejected: to\[1\]: 450 4\.2\.0 greylisted"):
            await send_email(make_plain_config(mailbox, TEAM, BOSS), batch)
        del mailbox.answers[BOSS]
        await send_email(make_plain_config(mailbox, TEAM, BOSS), batch)
    assert mailbox.recipients == [[TEAM], [BOSS]]
    assert mailbox.mails[0]["Message-ID"] == mailbox.mails[1]["Message-ID"]


@pytest.mark.parametrize(
    ("command", "rejection"),
    [
        (BOSS, "550 no"),
        (
            "DATA",
            "552 too large",
        ),  # as a permanent error, this would split the batch, and the others would get it twice
    ],
)
async def test_send_email_retried_recipient_finally_rejected_succeeds_for_the_others(
    command: str, rejection: str
) -> None:
    batch = make_batch()
    with mail_server() as mailbox:
        mailbox.answers[BOSS] = "450 wait"
        with pytest.raises(TemporaryDeliveryError):
            await send_email(make_plain_config(mailbox, TEAM, BOSS), batch)
        del mailbox.answers[BOSS]
        mailbox.answers[command] = rejection
        answer = await send_email(make_plain_config(mailbox, TEAM, BOSS), batch)
    assert answer == f"accepted for the others by an earlier attempt; rejected: to[1]: {rejection}"
    assert mailbox.recipients == [[TEAM]]


async def test_send_email_unreachable_server_or_closed_connection_is_temporary() -> None:
    with pytest.raises(TemporaryDeliveryError, match=r": connection refused$"):
        await send_email(make_config(f"smtp://127.0.0.1:{free_port()}"), make_batch())
    async with serving(hang_up) as port:
        with pytest.raises(TemporaryDeliveryError, match=r": connection closed by the mail server$"):
            await send_email(make_config(f"smtp://127.0.0.1:{port}"), make_batch())


@pytest.mark.parametrize("limit", ["STEP_TIMEOUT_S", "TIME_LIMIT_S"])
async def test_send_email_silent_server_is_temporary(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_sending, limit, 0.2)
    async with serving(silent) as port:
        with pytest.raises(TemporaryDeliveryError, match=r": the mail server did not answer in time$"):
            await send_email(make_config(f"smtp://127.0.0.1:{port}"), make_batch())


@pytest.mark.parametrize(
    "url",
    [
        "localhost:25",
        "http://localhost",
        "smtp://",
        "smtp://localhost:0",
        "smtp://localhost:port",
        "smtp://localhost/path",
        "smtps://user@mail.example.com",
        "smtps://user:hunter2/hunter2@mail.example.com",
        "smtp://mail.example.com\n",
    ],
)
def test_email_config_invalid_smtp_url_is_rejected_without_quoting(url: str) -> None:
    with pytest.raises(ValidationError) as rejection:
        make_config(url)
    assert "must be a URL such as smtp://localhost:25" in str(rejection.value)
    assert "hunter2" not in str(rejection.value)


def test_email_config_unencrypted_password_needs_local_server() -> None:
    with pytest.raises(ValidationError, match="must be smtps:// or smtp"):
        make_config("smtp://user:hunter2@mail.example.com")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert make_config(f"smtp://user:hunter2@{host}").server.user == "user"


def test_email_config_missing_port_is_default_of_scheme() -> None:
    ports = [make_config(f"{scheme}://h").server.port for scheme in ("smtp", "smtps", "smtp+starttls")]
    assert ports == [25, 465, 587]


@pytest.mark.parametrize("address", ["team", "a b@example.com", "a@example.com\r\nBcc: x@y", "A <a@example.com>", "@x"])
def test_email_config_invalid_address_is_rejected(address: str) -> None:
    with pytest.raises(ValidationError, match="must be an address such as team@"):
        make_config("smtp://localhost", address)
    with pytest.raises(ValidationError, match="must be an address such as team@"):
        EmailConfig.model_validate({"to": [TEAM], "from": address, "smtp": "smtp://localhost"})
