"""The channel `apprise`: whatever the library Apprise knows an address of, about a hundred services.

Apprise blocks, so each address gets a thread; one that hangs is left alone. A channel has threads of its own, so that a
service that never comes to an end holds up nothing but itself.
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

from vigilbase.alerts.channels.remaining import forget, note_taken, remaining
from vigilbase.alerts.channels.sending import TemporaryDeliveryError
from vigilbase.alerts.channels.tone import tone
from vigilbase.alerts.message import Message, lines, shortened, title
from vigilbase.probes.masking import masked
from vigilbase.threads import DaemonThreads

if TYPE_CHECKING:
    from apprise import AppriseAsset, NotifyBase

TIME_LIMIT_S = 20.0
MAX_THREADS = 64  # of an address: more than messages are sent at once, for the time that one waits counts, too
_MOST_SAID = 300
_SHORTEST = 4  # to mask each shorter part of an address would hide what is no secret

_is_sending: ContextVar[bool] = ContextVar("is_sending", default=False)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _known(value: SecretStr) -> SecretStr:
    if _service(value.get_secret_value()) is None:
        raise ValueError("is no address that Apprise knows")
    return value


Url = Annotated[SecretStr, AfterValidator(_known)]


class AppriseConfig(RootModel[Annotated[tuple[Url, ...], Field(min_length=1), BeforeValidator(_listed)]]):
    """What a channel of the kind apprise says: an address such as discord://ID/TOKEN, or a list of them."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    @property
    def urls(self) -> list[str]:
        """The addresses, secrets and all."""
        return [url.get_secret_value() for url in self.root]


def apprise_receiver(config: AppriseConfig) -> str:
    """The services by their schemes; all else of an address may be a secret."""
    return ", ".join(url.partition("://")[0].lower() for url in config.urls)


async def send_apprise(config: AppriseConfig, message: Message) -> str:
    """Send to every address at once, and return which services took it; the others are tried again, alone.

    Apprise doesn't say whether a message might be taken later, so every failure counts as temporary.
    """
    urls = remaining(message.id, config.urls)
    answers = await asyncio.gather(*(_send(url, message, _threads(config)) for url in urls))
    failures = [answer for answer in answers if answer]
    if failures:
        raise TemporaryDeliveryError("; ".join(failures))
    forget(message.id, config.urls)
    return f"sent: {apprise_receiver(config)}"


@cache
def _threads(config: AppriseConfig) -> DaemonThreads:
    return DaemonThreads(MAX_THREADS * len(config.urls))


async def _send(url: str, message: Message, threads: DaemonThreads) -> str | None:
    """The reason why it failed; None if it didn't. What no thread was free for in time is not sent later."""
    scheme = url.partition("://")[0].lower()
    notifying = partial(copy_context().run, _notify, url, message)
    try:
        failure = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(threads, notifying), TIME_LIMIT_S)
    except TimeoutError:
        failure = f"no answer within {TIME_LIMIT_S:g} s"
    if failure is None:
        note_taken(message.id, [url])
        return None
    return f"{scheme}: {failure}"


def _notify(url: str, message: Message) -> str | None:
    from apprise import Apprise  # noqa: PLC0415 (see _service)

    _is_sending.set(True)
    service = _service(url)
    if service is None:
        return "is no address that Apprise knows"
    sender = Apprise(asset=_asset())
    sender.add(service)
    result = sender.notify(
        title=title(message), body="\n".join(lines(message)), notify_type=tone(message), body_format="text"
    )
    if result:
        return None
    said = " ".join(dict.fromkeys(entry.message for entry in result.logs()))
    return shortened(" ".join(masked(said, _secrets(url)).split()), _MOST_SAID) or "the message was not taken"


def _service(url: str) -> "NotifyBase | None":
    """What Apprise makes of an address; None if it knows none such.

    It is imported when the first address is read: with all its services it takes 0.3 s and 18 MB.
    """
    from apprise import Apprise  # noqa: PLC0415

    return Apprise.instantiate(url, asset=_asset()) if url.isprintable() and url.strip() == url else None


@cache
def _asset() -> "AppriseAsset":
    """How Apprise works here: it keeps nothing on disk, makes no keys, starts no threads, and sets no limit of its own.

    (A limit would need a pool of threads that keep the program from ending.)
    """
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415

    # What it logs may quote addresses; what matters of it is in a delivery's error, masked.
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
    with warnings.catch_warnings():  # one of its services asks for a module that Python 3.13 no longer has
        warnings.simplefilter("ignore", DeprecationWarning)
        Apprise.instantiate("json://localhost", asset=asset)  # loads them all
    return asset


def _secrets(url: str) -> Iterator[str]:
    """Every part of an address behind its scheme, since what of it is secret is another part for each service."""
    rest = url.partition("://")[2]
    for written in (rest, unquote(rest)):
        yield from (part for part in re.split(r"[/?&=:@#+]", written) if len(part) >= _SHORTEST)
