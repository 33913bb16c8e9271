"""A real SMTP server in a thread, with answers that a test chooses."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "vigilbase@example.com", "pass/wörd@h:1"
URL_LOGIN = "vigilbase%40example.com:pass%2Fw%C3%B6rd%40h%3A1"


@dataclass
class Mailbox:
    """The emails that the server accepted. `answers` replaces its usual answers, by command or recipient."""

    answers: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.answers.get("DATA", "250 2.0.0 queued as 4711")
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            email = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(email, EmailMessage)
            self.mails.append(email)
            self.recipients.append(envelope.rcpt_tos)
            assert server.transport is not None
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return answer

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        answer = self.answers.get("AUTH")
        self.logins.append(login.login.decode())
        is_known = (login.login.decode(), login.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=is_known and answer is None, handled=False, message=answer)


class _Controller(Controller):
    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def mail_server(
    *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None, login: bool = False
) -> Iterator[Mailbox]:
    """A server on a free port. `tls` encrypts from the first byte; with `starttls` the server offers STARTTLS."""
    mailbox = Mailbox()
    controller = _Controller(
        mailbox,
        hostname="127.0.0.1",
        port=0,
        ssl_context=tls,
        tls_context=starttls,
        server_hostname="mail.example.com",
        authenticator=mailbox.authenticate,
        auth_required=login,
        auth_require_tls=starttls is not None,
        require_starttls=False,
    )
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()
