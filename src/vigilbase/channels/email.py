"""The channel `email`: one email for each batch, through an SMTP server (RFC 5321)."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from vigilbase.alerts.batch import Batch
from vigilbase.channels.kind import make_kind
from vigilbase.channels.smtp import SmtpServer, parse_smtp_url
from vigilbase.net.tls_context import CaFile


def _require_address(value: str) -> str:
    if not re.fullmatch(r"[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", value, re.ASCII):
        raise ValueError("must be an address such as team@example.com")
    return value


def _require_smtp_url(value: SecretStr) -> SecretStr:
    parse_smtp_url(value.get_secret_value())
    return value


Address = Annotated[str, AfterValidator(_require_address)]


class EmailConfig(BaseModel):
    """Recipients, sender and mail server."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    to: tuple[Address, ...] = Field(min_length=1, description="The recipients' addresses.")
    from_: Address = Field(alias="from", description="The sender's address.")
    smtp: Annotated[SecretStr, AfterValidator(_require_smtp_url)] = Field(
        description="The server: smtp://HOST:25, smtps://USER:PASSWORD@HOST:465 or smtp+starttls://…:587."
    )
    ca_file: CaFile | None = Field(None, description="A PEM file of additional certificate authorities to trust.")

    @property
    def server(self) -> SmtpServer:
        """The parsed `smtp`."""
        return parse_smtp_url(self.smtp.get_secret_value())


def describe_email(config: EmailConfig) -> str:
    """The server's host and port."""
    return f"{config.server.host}:{config.server.port}"


async def send_email(config: EmailConfig, batch: Batch) -> str:
    """Send an email, and return the server's answer; see `email_sending.send`."""
    from vigilbase.channels.email_sending import send

    return await send(config, batch)


KIND = make_kind(EmailConfig, send_email, describe_email)
