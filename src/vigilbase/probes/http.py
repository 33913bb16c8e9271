"""The probe `http`: a GET, redirects followed, judged by its status code."""

import ssl
from functools import cache
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, field_validator

from vigilbase.probes.finding import Finding

_USER_AGENT = f"vigilbase/{version('vigilbase')}"


class HttpExpectation(BaseModel):
    """`expect:` of an http service. `status` is codes and ranges of them, as in `200-299` or `200,301-302`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: str = "200-299"

    @field_validator("status", mode="before")
    @classmethod
    def _codes(cls, value: object) -> str:
        text = str(value).replace(" ", "") if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        status_ranges(text)
        return text


class HttpTarget(BaseModel):
    """What an http service says about its probe."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    http: str
    expect: HttpExpectation = HttpExpectation()

    @field_validator("http")
    @classmethod
    def _url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            valid = False
        if not valid:
            raise ValueError("must be a URL such as https://example.com/health")
        _trusted()  # loaded now, and not in the time of the first probe
        return value


def status_ranges(text: str) -> list[range]:
    """The status codes that a text such as `200-299` or `200,301-302` names.

    Raises:
        ValueError: the text is no such thing.

    """
    ranges = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        bounds = (first, last or first)
        if not all(bound.isdecimal() and 100 <= int(bound) <= 599 for bound in bounds) or int(bounds[0]) > int(
            bounds[1]
        ):
            raise ValueError("must be status codes such as 200, 200-299 or 200,301-302")
        ranges.append(range(int(bounds[0]), int(bounds[1]) + 1))
    return ranges


async def probe_http(target: HttpTarget, timeout: float) -> Finding:
    """Ask for the URL over a new connection. The body is not read, so its size doesn't matter."""
    async with (
        httpx.AsyncClient(
            verify=_trusted(),
            timeout=timeout,
            follow_redirects=True,
            max_redirects=10,
            headers={"User-Agent": _USER_AGENT},
            trust_env=False,  # what is watched is the service, and not a proxy that a variable happens to name
        ) as client,
        client.stream("GET", target.http) as response,
    ):
        code = response.status_code
    details = {"status_code": code}
    if any(code in codes for codes in status_ranges(target.expect.status)):
        return Finding(details=details)
    return Finding("down", f"expected status {target.expect.status}, got {code}", details)


@cache
def _trusted() -> ssl.SSLContext:
    """The system's certificate authorities, loaded once: that takes longer than many a probe."""
    return ssl.create_default_context()
