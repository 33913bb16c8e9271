"""What the file says about every channel over HTTP: an address, headers, a time limit, whom to trust."""

from collections.abc import Iterator, Mapping
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, WithJsonSchema

from vigilbase.durations import duration_between
from vigilbase.probes.http import names_a_web_address, require_sendable
from vigilbase.probes.http_secrets import SHORTEST
from vigilbase.probes.trust import CaFile

_OWN = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "idempotency-key")


def _web_address(value: SecretStr) -> SecretStr:
    if not names_a_web_address(value.get_secret_value()):
        raise ValueError("must be a URL such as https://example.com/alerts")
    return value


WebAddress: TypeAlias = Annotated[SecretStr, AfterValidator(_web_address)]
"""Where to send to. Whoever knows a webhook's address may use it, so it is a secret, but for the host."""

_DURATION = WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?(ms|s|m|h|d)\s*$"})
Timeout: TypeAlias = Annotated[float, BeforeValidator(duration_between("100ms", "25s")), _DURATION]


def _sendable(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    signing = [name.lower() for name in headers if name.lower().startswith("webhook-")]
    require_sendable(headers, (*_OWN, *signing), "channel")
    return headers


Headers: TypeAlias = Annotated[Mapping[str, SecretStr], AfterValidator(_sendable)]
"""Headers to send along, but for those that belong to HTTP and to the signature."""


class HttpChannel(BaseModel):
    """What all channels over HTTP have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    timeout: Timeout = Field(
        10.0, description="How long the receiver may take: 100ms to 25s.", json_schema_extra={"default": "10s"}
    )
    ca_file: CaFile | None = Field(None, description="A PEM file of further certificate authorities to trust.")


def plain(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    """Headers as they are sent."""
    return {name: value.get_secret_value() for name, value in headers.items()}


def secrets_of_headers(headers: Mapping[str, SecretStr]) -> Iterator[str]:
    """What nobody may see of headers that the file gives: each value, whatever its header is called.

    Of `Bearer TOKEN` the token as well, since a receiver may repeat it alone.
    """
    for name, value in plain(headers).items():
        if name.lower() != "content-type":
            _, _, credentials = value.partition(" ")
            yield from (secret for secret in (value, credentials) if len(secret) >= SHORTEST)
