"""The options of all channels that use HTTP."""

from collections.abc import Iterator, Mapping
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from vigilbase.duration_schema import DURATION_SCHEMA
from vigilbase.durations import make_duration_parser
from vigilbase.net.http_validation import is_web_url, require_valid_headers
from vigilbase.net.redaction import MIN_SECRET_LENGTH
from vigilbase.net.tls_context import CaFile

_RESERVED_HEADERS = ("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "idempotency-key")


def _require_web_url(value: SecretStr) -> SecretStr:
    if not is_web_url(value.get_secret_value()):
        raise ValueError("must be a URL such as https://example.com/alerts")
    return value


WebUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_require_web_url)]
"""A receiver's address. Anyone who knows it can use it, so everything except the host is a secret."""

# At most 25 s, below the 30 s that the worker gives an attempt (`Timings.send_within_s`).
Timeout: TypeAlias = Annotated[float, BeforeValidator(make_duration_parser("100ms", "25s")), DURATION_SCHEMA]


def _require_own_headers(headers: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    signing = [name.lower() for name in headers if name.lower().startswith("webhook-")]
    require_valid_headers(headers, (*_RESERVED_HEADERS, *signing), "channel")
    return headers


Headers: TypeAlias = Annotated[Mapping[str, SecretStr], AfterValidator(_require_own_headers)]
"""Additional headers, except those that the channel sets for HTTP, deduplication and the signature."""


class HttpOptions(BaseModel):
    """The fields of every channel that uses HTTP."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    timeout: Timeout = Field(
        10.0, description="How long the receiver may take: 100ms to 25s.", json_schema_extra={"default": "10s"}
    )
    ca_file: CaFile | None = Field(None, description="A PEM file of additional certificate authorities to trust.")


def reveal_headers(headers: Mapping[str, SecretStr]) -> dict[str, str]:
    """The headers as plain text."""
    return {name: value.get_secret_value() for name, value in headers.items()}


def list_header_secrets(headers: Mapping[str, SecretStr]) -> Iterator[str]:
    """The secrets in a channel's headers: every value except that of Content-Type, whatever the header's name.

    For `Bearer TOKEN` this includes the token alone, because a receiver may repeat just that.
    """
    for name, value in reveal_headers(headers).items():
        if name.lower() != "content-type":
            _, _, credentials = value.partition(" ")
            yield from (secret for secret in (value, credentials) if len(secret) >= MIN_SECRET_LENGTH)
