"""The channel `apprise`: the hundred or so services that the library Apprise supports.

Apprise blocks, so each address gets a thread, which is abandoned if it hangs. Each channel has its own threads, so a
service that never answers delays no other channel.
"""

import asyncio
import logging
import re
import warnings
from collections.abc import Iterator
from contextvars import ContextVar, copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, RootModel, SecretStr

from vigilbase.alerts.batch import Batch, find_severity, render_lines, render_title
from vigilbase.alerts.outage import truncate
from vigilbase.channels.errors import TemporaryDeliveryError
from vigilbase.channels.kind import make_kind
from vigilbase.channels.partial_delivery import forget, list_remaining, mark_accepted
from vigilbase.net.redaction import redact
from vigilbase.threads import DaemonThreads

if TYPE_CHECKING:
    from apprise import AppriseAsset, NotifyBase

# Below the 30 s that the worker gives an attempt (`Timings.send_within_s`).
TIME_LIMIT_S = 20.0
MAX_THREADS = 64  # per address: more than the batches in flight, since waiting for a thread counts towards the limit
_MAX_ANSWER_LENGTH = 300
_MIN_SECRET_LENGTH = 4  # redacting shorter parts of an address would hide ordinary text

_is_sending: ContextVar[bool] = ContextVar("is_sending", default=False)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _require_supported(value: SecretStr) -> SecretStr:
    if _instantiate(value.get_secret_value()) is None:
        raise ValueError("must be an address that Apprise supports, such as discord://ID/TOKEN")
    return value


Url = Annotated[SecretStr, AfterValidator(_require_supported)]


class AppriseConfig(RootModel[Annotated[tuple[Url, ...], Field(min_length=1), BeforeValidator(_as_list)]]):
    """An address such as discord://ID/TOKEN, or a list of addresses."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @property
    def urls(self) -> list[str]:
        """The addresses, including their secrets."""
        return [url.get_secret_value() for url in self.root]


def describe_apprise(config: AppriseConfig) -> str:
    """The schemes of the addresses; any other part may be a secret."""
    return ", ".join(_extract_scheme(url) for url in config.urls)


async def send_apprise(config: AppriseConfig, batch: Batch) -> str:
    """Send to all addresses at once, and return their schemes. A later attempt goes only to those that failed.

    Apprise doesn't say whether a later attempt may succeed, so every failure counts as temporary.

    Raises:
        TemporaryDeliveryError: at least one address failed.

    """
    urls = list_remaining(batch.id, config.urls)
    results = await asyncio.gather(*(_send_to(url, batch, _make_threads(config)) for url in urls))
    failures = [failure for failure in results if failure]
    if failures:
        raise TemporaryDeliveryError("; ".join(failures))
    forget(batch.id, config.urls)
    return f"sent: {describe_apprise(config)}"


@cache
def _make_threads(config: AppriseConfig) -> DaemonThreads:
    return DaemonThreads(MAX_THREADS * len(config.urls))


async def _send_to(url: str, batch: Batch, threads: DaemonThreads) -> str | None:
    """Send, and return the reason if it failed. If no thread becomes free in time, nothing is sent later."""
    # In a copy of the context, so that `_is_sending` doesn't stay set for the thread's next call.
    notify = partial(copy_context().run, _notify, url, batch)
    try:
        failure = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(threads, notify), TIME_LIMIT_S)
    except TimeoutError:
        failure = f"no answer within {TIME_LIMIT_S:g} s"
    if failure is None:
        mark_accepted(batch.id, [url])
        return None
    return f"{_extract_scheme(url)}: {failure}"


def _notify(url: str, batch: Batch) -> str | None:
    """Send in the current thread, and return the reason if it failed."""
    from apprise import Apprise

    _is_sending.set(True)
    service = _instantiate(url)
    if service is None:
        return "Apprise doesn't support this address"
    sender = Apprise(asset=_make_asset())
    sender.add(service)
    result = sender.notify(
        title=render_title(batch),
        body="\n".join(render_lines(batch)),
        notify_type=find_severity(batch),
        body_format="text",
    )
    if result:
        return None
    text = " ".join(dict.fromkeys(entry.message for entry in result.logs()))
    redacted = " ".join(redact(text, _list_secrets(url)).split())
    return truncate(redacted, _MAX_ANSWER_LENGTH) or "the service did not accept the notification"


def _instantiate(url: str) -> "NotifyBase | None":
    """Apprise's object for an address; None if it doesn't support the address.

    Apprise is imported on first use: with all its services, it takes 0.3 s and 18 MB.
    """
    from apprise import Apprise

    return Apprise.instantiate(url, asset=_make_asset()) if url.isprintable() and url.strip() == url else None


@cache
def _make_asset() -> "AppriseAsset":
    """Apprise's settings: it stores nothing on disk, creates no keys, starts no threads, and has no time limit.

    A time limit would need Apprise's own thread pool, which keeps the program from exiting.
    """
    from apprise import Apprise, AppriseAsset

    # Log entries may quote addresses. The notification's error has the important ones, redacted.
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3.connectionpool").addFilter(lambda _: not _is_sending.get())
    asset = AppriseAsset(
        app_id="Vigilbase",
        app_desc="Vigilbase",
        async_mode=False,
        service_timeout=0,
        storage_mode="memory",
        pgp_autogen=False,
        pem_autogen=False,
        secure_logging=True,
        allow_templates=False,
    )
    with warnings.catch_warnings():  # one of the services imports a module that Python 3.13 no longer has
        warnings.simplefilter("ignore", DeprecationWarning)
        Apprise.instantiate("json://localhost", asset=asset)  # loads all services
    return asset


def _extract_scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _list_secrets(url: str) -> Iterator[str]:
    """All parts of an address after the scheme, because each service has its secrets in different parts."""
    rest = url.partition("://")[2]
    for form in (rest, unquote(rest)):
        yield from (part for part in re.split(r"[/?&=:@#+]", form) if len(part) >= _MIN_SECRET_LENGTH)


KIND = make_kind(AppriseConfig, send_apprise, describe_apprise)
