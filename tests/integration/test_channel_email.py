"""The channel `email` against a real SMTP server: over every kind of connection, and with every kind of refusal."""

import asyncio
import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.certificates import Authority, new_authority
from tests.support.loopback import hang_up, serving, silent
from tests.support.mailbox import PASSWORD, URL_LOGIN, USER, Mailbox, mail_server
from tests.support.messages import a_message
from tests.support.server import free_port
from vigilbase.alerts.channels import CHANNELS, Channel, deliver, email
from vigilbase.alerts.channels.email import EmailConfig, send_email
from vigilbase.alerts.channels.sending import PermanentDeliveryError, TemporaryDeliveryError

SENDER, TEAM, BOSS = "vigilbase@example.com", "team@example.com", "boss@example.com"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path)


def config(smtp: str, *to: str, **more: object) -> EmailConfig:
    return EmailConfig.model_validate({"to": to or (TEAM,), "from": SENDER, "smtp": smtp, **more})


def plain(mailbox: Mailbox, *to: str) -> EmailConfig:
    return config(f"smtp://127.0.0.1:{mailbox.port}", *to)


async def test_a_mail_arrives_and_the_server_s_words_are_the_answer() -> None:
    with mail_server() as mailbox:
        channel = Channel("team", "email", plain(mailbox, TEAM, BOSS))
        message = a_message()
        assert await deliver(channel, message) == "250 2.0.0 queued as 4711"
    assert mailbox.recipients == [[TEAM, BOSS]]
    assert mailbox.mails[0]["Message-ID"].startswith(f"<{message.id}@")
    assert mailbox.encrypted == [False]
    assert CHANNELS["email"].groups
    assert CHANNELS["email"].receiver(channel.config) == f"127.0.0.1:{mailbox.port}"


async def test_starttls_is_used_where_it_is_offered_whatever_the_certificate(authority: Authority) -> None:
    with mail_server(starttls=authority.server("elsewhere.example.com")) as mailbox:
        await send_email(plain(mailbox), a_message())
    assert mailbox.encrypted == [True]


async def test_over_tls_or_required_starttls_a_password_is_sent_to_a_trusted_server(authority: Authority) -> None:
    trusted = {"ca_file": authority.ca_file}
    with mail_server(tls=authority.server("127.0.0.1"), login=False) as mailbox:
        await send_email(config(f"smtps://127.0.0.1:{mailbox.port}", **trusted), a_message())
    assert mailbox.encrypted == [True]
    with mail_server(starttls=authority.server("127.0.0.1"), login=True) as mailbox:
        await send_email(config(f"smtp+starttls://{URL_LOGIN}@127.0.0.1:{mailbox.port}", **trusted), a_message())
    assert (mailbox.encrypted, mailbox.logins) == ([True], [USER])


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_a_certificate_that_nobody_vouches_for_gets_neither_password_nor_mail(
    authority: Authority, scheme: str
) -> None:
    context = authority.server("127.0.0.1")
    server = mail_server(tls=context) if scheme == "smtps" else mail_server(starttls=context)
    with server as mailbox, pytest.raises(TemporaryDeliveryError, match="certificate is not trusted"):
        await send_email(config(f"{scheme}://{URL_LOGIN}@127.0.0.1:{mailbox.port}"), a_message())
    assert (mailbox.logins, mailbox.mails) == ([], [])


async def test_a_server_without_the_starttls_that_is_required_is_permanently_wrong() -> None:
    with mail_server() as mailbox, pytest.raises(PermanentDeliveryError) as refused:
        await send_email(config(f"smtp+starttls://127.0.0.1:{mailbox.port}"), a_message())
    assert str(refused.value) == f"127.0.0.1:{mailbox.port}: SMTP STARTTLS extension not supported by server"
    assert mailbox.mails == []


async def test_a_refused_login_is_permanent_unless_it_is_for_now_and_quotes_no_secret(authority: Authority) -> None:
    encoded = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    with mail_server(starttls=authority.server("127.0.0.1"), login=True) as mailbox:
        url = f"smtp+starttls://{URL_LOGIN}@127.0.0.1:{mailbox.port}"
        wanted = config(url, ca_file=authority.ca_file)
        mailbox.answers["AUTH"] = f"535 no {PASSWORD} of {USER}, {encoded}"
        with pytest.raises(PermanentDeliveryError) as refused:
            await send_email(wanted, a_message())
        assert str(refused.value) == "535 no **** of ****, ****"
        assert refused.value.of_the_channel
        mailbox.answers["AUTH"] = "454 4.7.0 try later"
        with pytest.raises(TemporaryDeliveryError, match=r"454 4\.7\.0 try later"):
            await send_email(wanted, a_message())
    assert PASSWORD not in repr(wanted) + wanted.model_dump_json()


async def test_a_server_that_knows_no_login_is_permanently_wrong() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n")
        while (await reader.readline()) != b"":
            writer.write(b"250 mail.example.com\r\n")

    async with serving(answer) as port:
        with pytest.raises(PermanentDeliveryError, match="AUTH"):
            await send_email(config(f"smtp://{URL_LOGIN}@localhost:{port}"), a_message())


@pytest.mark.parametrize("command", ["MAIL", "DATA"])
async def test_what_the_server_refuses_for_now_is_temporary_and_for_good_permanent(command: str) -> None:
    with mail_server() as mailbox:
        mailbox.answers[command] = f"451 4.3.0 {TEAM} is busy"
        with pytest.raises(TemporaryDeliveryError, match=r"^451 4\.3\.0 \*\*\*\* is busy$"):
            await send_email(plain(mailbox), a_message())
        mailbox.answers[command] = "550 5.7.1 not from you"
        with pytest.raises(PermanentDeliveryError, match=r"^550 5\.7\.1 not from you$") as refused:
            await send_email(plain(mailbox), a_message())
        # What a mail holds is a fault of the message alone.
        assert refused.value.of_the_channel == (command == "MAIL")


async def test_a_recipient_who_is_refused_keeps_nobody_from_their_mail() -> None:
    with mail_server() as mailbox:
        mailbox.answers[BOSS] = f"550 5.1.1 <{BOSS}>: no such user"
        answer = await send_email(plain(mailbox, TEAM, BOSS), a_message())
    assert answer == "250 2.0.0 queued as 4711; refused: to[1]: 550 5.1.1 <****>: no such user"
    assert mailbox.recipients == [[TEAM]]


async def test_when_every_recipient_is_refused_that_is_permanent() -> None:
    with mail_server() as mailbox:
        mailbox.answers |= {TEAM: "550 no", BOSS: "551 no"}
        with pytest.raises(PermanentDeliveryError, match=r"every recipient was refused: to\[0\]: 550 no; to\[1\]: 551"):
            await send_email(plain(mailbox, TEAM, BOSS), a_message())
    assert mailbox.mails == []


async def test_recipients_who_are_refused_for_now_are_tried_again_and_the_others_get_one_mail() -> None:
    message = a_message()
    with mail_server() as mailbox:
        mailbox.answers[BOSS] = "450 4.2.0 greylisted"
        with pytest.raises(TemporaryDeliveryError, match=r"refused for now: to\[1\]: 450 4\.2\.0 greylisted"):
            await send_email(plain(mailbox, TEAM, BOSS), message)
        del mailbox.answers[BOSS]
        await send_email(plain(mailbox, TEAM, BOSS), message)
        assert mailbox.recipients == [[TEAM], [BOSS]]
        assert mailbox.mails[0]["Message-ID"] == mailbox.mails[1]["Message-ID"]
        # One that is refused for good in the end is said in the answer, as the others have it.
        message = a_message()
        mailbox.answers[BOSS] = "450 wait"
        with pytest.raises(TemporaryDeliveryError):
            await send_email(plain(mailbox, TEAM, BOSS), message)
        mailbox.answers[BOSS] = "550 no"
        answer = await send_email(plain(mailbox, TEAM, BOSS), message)
        assert answer == "taken by the others before; refused: to[1]: 550 no"
        assert mailbox.recipients[2:] == [[TEAM]]
        # And so is a mail that is refused for what it holds: taken apart, the others would get it once more.
        message = a_message()
        mailbox.answers[BOSS] = "450 wait"
        with pytest.raises(TemporaryDeliveryError):
            await send_email(plain(mailbox, TEAM, BOSS), message)
        del mailbox.answers[BOSS]
        mailbox.answers["DATA"] = "552 too large"
        answer = await send_email(plain(mailbox, TEAM, BOSS), message)
        assert answer == "taken by the others before; refused: to[1]: 552 too large"


async def test_a_server_that_is_not_there_or_hangs_up_is_a_temporary_fault() -> None:
    with pytest.raises(TemporaryDeliveryError, match=r": connection refused$"):
        await send_email(config(f"smtp://127.0.0.1:{free_port()}"), a_message())
    async with serving(hang_up) as port:
        with pytest.raises(TemporaryDeliveryError, match=r": connection closed by the mail server$"):
            await send_email(config(f"smtp://127.0.0.1:{port}"), a_message())


@pytest.mark.parametrize("limit", ["STEP_S", "TIME_LIMIT_S"])
async def test_a_server_that_says_nothing_is_a_temporary_fault(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email, limit, 0.2)
    async with serving(silent) as port:
        with pytest.raises(TemporaryDeliveryError, match=r": the mail server did not answer in time$"):
            await send_email(config(f"smtp://127.0.0.1:{port}"), a_message())


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
def test_what_is_no_url_of_a_mail_server_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        config(url)
    assert "must be a URL such as smtp://localhost:25" in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


def test_a_password_is_not_sent_in_the_clear_to_another_machine() -> None:
    with pytest.raises(ValidationError, match="a password needs smtps:// or smtp"):
        config("smtp://user:hunter2@mail.example.com")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert config(f"smtp://user:hunter2@{host}").server.user == "user"


def test_without_a_port_it_is_the_usual_one() -> None:
    ports = [config(f"{scheme}://h").server.port for scheme in ("smtp", "smtps", "smtp+starttls")]
    assert ports == [25, 465, 587]


@pytest.mark.parametrize("address", ["team", "a b@example.com", "a@example.com\r\nBcc: x@y", "A <a@example.com>", "@x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="must be an address such as team@"):
        config("smtp://localhost", address)
    with pytest.raises(ValidationError, match="must be an address such as team@"):
        EmailConfig.model_validate({"to": [TEAM], "from": address, "smtp": "smtp://localhost"})
