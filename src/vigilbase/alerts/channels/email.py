"""The channel `email`: a mail through an SMTP server (RFC 5321)."""

import asyncio
import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPResponse, SMTPResponseException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from vigilbase.alerts.channels.mail import mail
from vigilbase.alerts.channels.remaining import forget, note_taken, remaining
from vigilbase.alerts.channels.sending import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.alerts.channels.smtp import SmtpServer, smtp_server
from vigilbase.alerts.message import Message, shortened
from vigilbase.probes.masking import masked
from vigilbase.probes.trust import CaFile, trusted
from vigilbase.probes.words import in_words

STEP_S = 10.0
TIME_LIMIT_S = 25.0
_GOODBYE_S = 1.0
_MOST_SAID = 300


def _address(value: str) -> str:
    if not re.fullmatch(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value, re.ASCII):
        raise ValueError("must be an address such as team@example.com")
    return value


def _url(value: SecretStr) -> SecretStr:
    smtp_server(value.get_secret_value())
    return value


Address = Annotated[str, AfterValidator(_address)]


class EmailConfig(BaseModel):
    """What a channel of the kind email says: to whom, from whom, and which server takes the mails."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    to: tuple[Address, ...] = Field(min_length=1, description="Who gets the mails.")
    from_: Address = Field(alias="from", description="Who they come from.")
    smtp: Annotated[SecretStr, AfterValidator(_url)] = Field(
        description="The server: smtp://HOST:25, smtps://USER:PASSWORD@HOST:465 or smtp+starttls://…:587."
    )
    ca_file: CaFile | None = Field(None, description="A PEM file with further authorities to trust.")

    @property
    def server(self) -> SmtpServer:
        """What the URL says."""
        return smtp_server(self.smtp.get_secret_value())


def email_receiver(config: EmailConfig) -> str:
    """The server, without user and password."""
    return f"{config.server.host}:{config.server.port}"


async def send_email(config: EmailConfig, message: Message) -> str:
    """Hand a mail to the server, and return what it said.

    Recipients whom it refuses keep nobody from their mail; those whom it refuses for now are tried again, alone.
    """
    try:
        async with asyncio.timeout(TIME_LIMIT_S):
            refused, said = await _hand_over(config, message)
    except TimeoutError:
        raise TemporaryDeliveryError(f"{email_receiver(config)}: the mail server did not answer in time") from None
    except SMTPDataError as error:
        left = remaining(message.id, config.to)
        if error.code < 500 or len(left) == len(config.to):
            raise _failure(error, config) from None
        # The others have it, and would get it once more if it were taken apart.
        refused, said = dict.fromkeys(left, SMTPResponse(error.code, error.message)), ""
    except (SMTPException, OSError) as error:
        raise _failure(error, config) from None
    return _outcome(config, message, refused, said)


async def _hand_over(config: EmailConfig, message: Message) -> tuple[Mapping[str, SMTPResponse], str]:
    """Who was refused, and what the server said to the mail (nothing, if all were)."""
    recipients = remaining(message.id, config.to)
    client = _client(config)
    try:
        await client.connect()
        refused, said = await client.sendmail(config.from_, recipients, mail(message, config.from_, config.to))
        note_taken(message.id, [recipient for recipient in recipients if recipient not in refused])
    except SMTPRecipientsRefused as error:
        refused, said = {each.recipient: SMTPResponse(each.code, each.message) for each in error.recipients}, ""
    finally:
        with suppress(SMTPException, OSError):
            await client.quit(timeout=_GOODBYE_S)
        client.close()
    return refused, said


def _client(config: EmailConfig) -> SMTP:
    server = config.server
    # Whoever could forge a certificate could as well hide the offer, so where encryption is a mere offer, any will do.
    is_checked = server.encryption != "if offered" or config.ca_file is not None
    return SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password if server.user else None,
        timeout=STEP_S,
        use_tls=server.encryption == "from the start",
        start_tls={"if offered": None, "from the start": False, "starttls": True}[server.encryption],
        validate_certs=is_checked,
        tls_context=trusted(config.ca_file) if is_checked else None,
    )


def _outcome(config: EmailConfig, message: Message, refused: Mapping[str, SMTPResponse], said: str) -> str:
    for_now = {recipient: answer for recipient, answer in refused.items() if answer.code < 500}
    if for_now:
        raise TemporaryDeliveryError(f"refused for now: {_in_words(for_now, config)}")
    if len(refused) == len(config.to):
        raise PermanentDeliveryError(f"every recipient was refused: {_in_words(refused, config)}")
    forget(message.id, config.to)
    answer = f"250 {_without_secrets(said, config)}".strip() if said else "taken by the others before"
    return f"{answer}; refused: {_in_words(refused, config)}" if refused else answer


def _in_words(refused: Mapping[str, SMTPResponse], config: EmailConfig) -> str:
    """Who was refused, by the place in the file: addresses are nobody's business outside of it."""
    places = [(config.to.index(recipient), answer) for recipient, answer in refused.items()]
    return "; ".join(f"to[{place}]: {_said(answer.code, answer.message, config)}" for place, answer in places)


def _failure(error: SMTPException | OSError, config: EmailConfig) -> DeliveryError:
    if isinstance(error, SMTPResponseException):
        said = _said(error.code, error.message, config)
        if error.code < 500:
            return TemporaryDeliveryError(said)
        return PermanentDeliveryError(said, of_the_channel=not isinstance(error, SMTPDataError))
    if isinstance(error, OSError):  # connecting failed, or the connection was lost
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        words = "connection closed by the mail server" if isinstance(cause, SMTPException) else in_words(cause)
        return TemporaryDeliveryError(f"{email_receiver(config)}: {_without_secrets(words, config)}")
    # What is left is a server that can't do what the URL asks for.
    return PermanentDeliveryError(f"{email_receiver(config)}: {_without_secrets(str(error).rstrip('.'), config)}")


def _said(code: int, text: str, config: EmailConfig) -> str:
    return f"{code} {_without_secrets(text, config)}".strip()


def _without_secrets(text: str, config: EmailConfig) -> str:
    return shortened(" ".join(masked(text, _secrets(config)).split()), _MOST_SAID)


def _secrets(config: EmailConfig) -> Iterator[str]:
    """Addresses, and user and password as they are and as they go over the wire: a server may quote any of them."""
    yield from (*config.to, config.from_)
    user, password = config.server.user, config.server.password
    if user:
        yield from (user, password)
        for text in (user, password, f"\0{user}\0{password}"):
            yield base64.b64encode(text.encode()).decode()
