"""Sends an email through an SMTP server, and says what each answer means (RFC 5321)."""

import asyncio
import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPResponse, SMTPResponseException

from vigilbase.alerts.batch import Batch
from vigilbase.alerts.outage import truncate
from vigilbase.channels.email import EmailConfig, describe_email
from vigilbase.channels.email_message import make_email
from vigilbase.channels.errors import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.channels.partial_delivery import forget, list_remaining, mark_accepted
from vigilbase.net.error_text import describe_error
from vigilbase.net.redaction import redact
from vigilbase.net.tls_context import make_tls_context

STEP_TIMEOUT_S = 10.0
# Below the 30 s that the worker gives an attempt (`Timings.send_within_s`).
TIME_LIMIT_S = 25.0
# Short, because the server has already accepted or rejected the email before the QUIT.
_QUIT_TIMEOUT_S = 1.0
_MAX_ANSWER_LENGTH = 300


async def send(config: EmailConfig, batch: Batch) -> str:
    """Send an email, and return the server's answer.

    Rejected recipients don't keep the others from getting it. If the server rejects recipients temporarily, the next
    attempt goes only to them.

    Raises:
        TemporaryDeliveryError: the server did not answer, or rejected the email or a recipient temporarily.
        PermanentDeliveryError: the server rejected the email or all recipients, or lacks what the URL requires.

    """
    try:
        async with asyncio.timeout(TIME_LIMIT_S):
            rejections, answer = await _transmit(config, batch)
    except TimeoutError:
        raise TemporaryDeliveryError(f"{describe_email(config)}: the mail server did not answer in time") from None
    except SMTPDataError as error:
        remaining = list_remaining(batch.id, config.to)
        # 4yz is temporary, 5yz permanent (RFC 5321, section 4.2.1).
        if error.code < 500 or len(remaining) == len(config.to):
            raise _make_delivery_error(error, config) from None
        # The other recipients already have it; a permanent error would split the batch and send it to them again.
        rejections, answer = dict.fromkeys(remaining, SMTPResponse(error.code, error.message)), ""
    except (SMTPException, OSError) as error:
        raise _make_delivery_error(error, config) from None
    return _summarize(config, batch, rejections, answer)


async def _transmit(config: EmailConfig, batch: Batch) -> tuple[Mapping[str, SMTPResponse], str]:
    """Send to the remaining recipients; return the rejections, and the server's answer if it accepted the email."""
    recipients = list_remaining(batch.id, config.to)
    client = _make_client(config)
    try:
        await client.connect()
        email = make_email(batch, config.from_, config.to)
        rejections, answer = await client.sendmail(config.from_, recipients, email)
        mark_accepted(batch.id, [recipient for recipient in recipients if recipient not in rejections])
    except SMTPRecipientsRefused as error:
        rejections = {each.recipient: SMTPResponse(each.code, each.message) for each in error.recipients}
        answer = ""
    finally:
        with suppress(SMTPException, OSError):
            await client.quit(timeout=_QUIT_TIMEOUT_S)
        client.close()
    return rejections, answer


def _make_client(config: EmailConfig) -> SMTP:
    server = config.server
    # Anyone who can forge a certificate can also hide the offer of STARTTLS, so checking it then protects nothing.
    is_checked = server.encryption != "opportunistic" or config.ca_file is not None
    return SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password if server.user else None,
        timeout=STEP_TIMEOUT_S,
        use_tls=server.encryption == "tls",
        start_tls={"opportunistic": None, "tls": False, "starttls": True}[server.encryption],
        validate_certs=is_checked,
        tls_context=make_tls_context(config.ca_file) if is_checked else None,
    )


def _summarize(config: EmailConfig, batch: Batch, rejections: Mapping[str, SMTPResponse], answer: str) -> str:
    """The result for all recipients, of this attempt and of the earlier ones."""
    temporary = {recipient: response for recipient, response in rejections.items() if response.code < 500}
    if temporary:
        raise TemporaryDeliveryError(f"temporarily rejected: {_describe_rejections(temporary, config)}")
    if len(rejections) == len(config.to):
        raise PermanentDeliveryError(f"all recipients rejected: {_describe_rejections(rejections, config)}")
    forget(batch.id, config.to)
    summary = f"250 {_redact(answer, config)}".strip() if answer else "accepted for the others by an earlier attempt"
    return f"{summary}; rejected: {_describe_rejections(rejections, config)}" if rejections else summary


def _describe_rejections(rejections: Mapping[str, SMTPResponse], config: EmailConfig) -> str:
    """The rejected recipients by their position in the file, because addresses are private."""
    return "; ".join(
        f"to[{config.to.index(recipient)}]: {_describe_response(response.code, response.message, config)}"
        for recipient, response in rejections.items()
    )


def _make_delivery_error(error: SMTPException | OSError, config: EmailConfig) -> DeliveryError:
    if isinstance(error, SMTPResponseException):
        text = _describe_response(error.code, error.message, config)
        if error.code < 500:
            return TemporaryDeliveryError(text)
        # The answer to DATA is about this email. Earlier ones are about the login, the sender or the recipients.
        return PermanentDeliveryError(text, is_channel_fault=not isinstance(error, SMTPDataError))
    if isinstance(error, OSError):  # connecting failed, or the connection was lost
        # aiosmtplib's connection errors are OSErrors, too; the system's error is their cause.
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        text = "connection closed by the mail server" if isinstance(cause, SMTPException) else describe_error(cause)
        return TemporaryDeliveryError(f"{describe_email(config)}: {_redact(text, config)}")
    # The only other errors are about a server that lacks what the URL requires.
    return PermanentDeliveryError(f"{describe_email(config)}: {_redact(str(error).rstrip('.'), config)}")


def _describe_response(code: int, text: str, config: EmailConfig) -> str:
    return f"{code} {_redact(text, config)}".strip()


def _redact(text: str, config: EmailConfig) -> str:
    return truncate(" ".join(redact(text, _list_secrets(config)).split()), _MAX_ANSWER_LENGTH)


def _list_secrets(config: EmailConfig) -> Iterator[str]:
    """The addresses, and user and password as plain text and as sent, because a server may quote any of them."""
    yield from (*config.to, config.from_)
    user, password = config.server.user, config.server.password
    if user:
        yield from (user, password)
        for text in (user, password, f"\0{user}\0{password}"):
            yield base64.b64encode(text.encode()).decode()
