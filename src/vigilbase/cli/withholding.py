"""What `vigilbase silence` and `vigilbase maintenance` share: which services, from when until when, and who says so."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

import typer

from vigilbase.alerts.silencing import LOOK_AGAIN, SHORT_ID, Withholding, concerns, holds_until, next_start
from vigilbase.alerts.wording import in_words
from vigilbase.cli.authors import author_of
from vigilbase.cli.completion import service_names
from vigilbase.cli.context import DEFAULT_CONFIG, ready_database
from vigilbase.cli.render import clock, iso, plain
from vigilbase.durations import duration_between
from vigilbase.errors import ConfigurationError, InvalidInputError, VigilbaseError
from vigilbase.models import HealthCheckModel, MaintenanceWindow, Silence
from vigilbase.settings import load_settings

OPTIONS = {
    "service_glob": "--service",
    "tag": "--tag",
    "starts_at": "--from",
    "ends_at": "--until",
    "length_s": "--for",
    "cron": "--cron",
    "duration_s": "--duration",
    "time_zone": "--time-zone",
    "author": "--by",
    "comment": "--comment",
}

# The times, too, so that eight columns find room.
WRAPS = {"services", "when", "from", "until", "by", "comment"}

Kind = TypeVar("Kind", Silence, MaintenanceWindow)

Glob = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="GLOB",
        help="The services of that name; * stands for any characters, ? for one, [abc] for one of these.",
        autocompletion=service_names,
    ),
]
Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="The services that have this tag.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="When it begins, such as 2026-12-01T08:00Z; else now.")
]
Comment = Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why.")]
All = Annotated[bool, typer.Option("--all", help="Also those that are over.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", help="With --all: how many at the most, the newest.")]


@contextmanager
def named_as_options() -> Iterator[None]:
    """Name the option, where the model would name its own field."""
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(OPTIONS.get(error.field, error.field), error.rule) from None


def require_services(service: str | None, tag: str | None) -> None:
    """Which services are meant has to be said, in one way."""
    if (service is None) == (tag is None):
        raise VigilbaseError("say which services, by --service GLOB or by --tag TAG, and not by both")


def required_author(by: str | None) -> str:
    """Who says so, which has to be known here."""
    author = author_of(by)
    if author is None:
        raise InvalidInputError("--by", "must be given, since there is no login name")
    return author


def moment(option: str, text: str | None, *, otherwise: str = "") -> datetime | None:
    """A time with its offset, as ISO 8601 writes it; `otherwise`: what else might have been meant."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInputError(option, f"must be a time with its offset from UTC, such as 2026-12-01T08:00Z{otherwise}")


def length(option: str, text: str | None, least: str = "1s", most: str = "3660d") -> float | None:
    """Seconds, of a duration within bounds; they are those of the models, or closer."""
    if text is None:
        return None
    try:
        return duration_between(least, most)(text)
    except ValueError as error:
        raise InvalidInputError(option, str(error)) from None


class Model(Protocol[Kind]):
    """What the models of silences and of maintenance windows can both do."""

    @staticmethod
    async def find_current() -> list[Kind]: ...
    @staticmethod
    async def find_newest(*, limit: int) -> list[Kind]: ...
    @staticmethod
    async def find_by_id_prefix(prefix: str) -> list[Kind]: ...
    @staticmethod
    async def end(id: UUID) -> tuple[Kind, bool] | None: ...  # noqa: A002


async def find(model: Model[Kind], limit: int | None) -> list[Kind]:
    """Those that are not over; with a limit, the newest of all."""
    async with ready_database(load_settings(), migrate=False):
        return await (model.find_current() if limit is None else model.find_newest(limit=limit))


async def end_one(model: Model[Kind], prefix: str, noun: str, command: str) -> tuple[Kind, bool]:
    """End the only one whose id begins so; and whether it was not over yet."""
    async with ready_database(load_settings(), migrate=False):
        found = await _the_one(model, prefix, noun, f"`vigilbase {command} list` shows the ids")
        return await model.end(found.id) or (found, False)


async def _the_one(model: Model[Kind], prefix: str, noun: str, see: str) -> Kind:
    """The only one whose id begins so."""
    try:
        found = await model.find_by_id_prefix(prefix)
    except InvalidInputError as error:
        raise VigilbaseError(f'"{plain(prefix)}": {error}; {see}') from None
    if not found:
        raise VigilbaseError(f"there is no {noun} {plain(prefix)}; {see}")
    if len(found) > 1:
        ids = ", ".join(str(each.id) for each in found)
        raise VigilbaseError(f"several begin with {plain(prefix)}: {ids}: give more of the id; {see}")
    return found[0]


async def nobody_meant(each: Withholding) -> str | None:
    """That no service is known that it means, which may be a slip; None if there is one, or if nobody can say."""
    from vigilbase.spec import load_spec  # noqa: PLC0415 (takes a third of a second, which only `add` needs to)

    known: dict[str, Sequence[str]] = {check.service_name: () for check in await HealthCheckModel.find_latest()}
    try:
        known |= {service.name: service.tags for service in load_spec(DEFAULT_CONFIG).services}
    except ConfigurationError:
        if each.tag is not None:  # only the file knows tags
            return None
    if not known or any(concerns(each, name, tags) for name, tags in known.items()):
        return None
    written = each.service_glob if each.service_glob is not None else each.tag or ""
    words = known if each.service_glob is not None else {tag for tags in known.values() for tag in tags}
    close = get_close_matches(written, words, 1)
    meant = f"; did you mean {plain(close[0])}?" if close else "; it holds for those that come."
    return f'No service that is known so far is meant by "{whom(each)}"{meant}'


def whom(each: Withholding) -> str:
    """Which services it means, in words."""
    return plain(each.service_glob if each.service_glob is not None else f"tag {each.tag}").plain


def state(each: Withholding, now: datetime) -> str:
    """Whether it holds now, will, or is over."""
    if holds_until(each, now, now + LOOK_AGAIN) is not None:
        return "now"
    if each.ends_at is not None and each.ends_at <= each.starts_at:
        return "taken back"
    start = next_start(each, now)
    return "over" if start is None else f"in {in_words(start - now)}"


def until(each: Withholding) -> str:
    """When it ends, or that it does when somebody ends it."""
    return "somebody ends it" if each.ends_at is None else clock(each.ends_at)


def as_json(each: Withholding) -> dict[str, object]:
    """What every silence and maintenance window has."""
    return {
        "id": str(each.id),
        "service_glob": each.service_glob,
        "tag": each.tag,
        "starts_at": iso(each.starts_at),
        "ends_at": iso(each.ends_at),
        "author": each.author,
        "comment": each.comment,
        "created_at": iso(each.created_at),
    }


def tell_end(each: Withholding, now: datetime, noun: str, *, changed: bool) -> str:
    """What `end` did, in words."""
    name = f"{noun} {str(each.id)[:SHORT_ID]} ({whom(each)})"
    if not changed:
        return f"{name} was over already."
    return f"{name} is {'taken back' if each.ends_at is not None and each.ends_at > now else 'ended'}."
