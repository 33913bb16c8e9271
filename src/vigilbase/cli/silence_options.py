"""Everything that `vigilbase silence` and `vigilbase maintenance` share: options, creating, listing and ending."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated

import typer

from vigilbase.alerts.suppression import matches_service
from vigilbase.cli.completion import complete_service_names
from vigilbase.cli.options import find_author, parse_limit
from vigilbase.cli.output import console, print_json, print_line
from vigilbase.cli.session import open_database, run_command, run_query
from vigilbase.clock import utc_now
from vigilbase.durations import make_duration_parser
from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.files import DEFAULT_CONFIG
from vigilbase.models import CreateSuppressionData, HealthCheckModel, Suppression, SuppressionModel
from vigilbase.models.suppression import SuppressionKind, make_suppression_arguments
from vigilbase.queries.by_id import find_one
from vigilbase.views.skipped_rows import count_skipped, describe_skipped
from vigilbase.views.suppressions import (
    NOUNS,
    describe_created,
    describe_ended,
    describe_services,
    make_suppression_json,
    make_suppressions_table,
)
from vigilbase.views.terminal import escape

OPTION_NAMES = {
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

Glob = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="GLOB",
        help="Services by name; * stands for any characters, ? for one, [abc] for one of these.",
        autocompletion=complete_service_names,
    ),
]
Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Services with this tag.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="The start, such as 2026-12-01T08:00Z (default: now).")
]
For = Annotated[str | None, typer.Option("--for", metavar="DURATION", help="The length, such as 30m or 2h.")]
Comment = Annotated[str, typer.Option("--comment", metavar="TEXT", help="The reason.")]
All = Annotated[bool, typer.Option("--all", help="Include those that have ended.")]


def create_suppression(data: CreateSuppressionData, *, as_json: bool) -> None:
    """Create a suppression and print it; warn if it matches no service."""
    suppression, hint = run_command(_create(data))
    if as_json:
        print_json(make_suppression_json(suppression))
    else:
        print_line(describe_created(suppression, utc_now()))
    if hint:
        typer.echo(hint, err=True)


def list_suppressions(kind: SuppressionKind, key: str, *, every: bool, limit: str, as_json: bool) -> None:
    """Print the suppressions of a kind: those that haven't ended, or the newest of all."""
    number = parse_limit(limit)
    suppressions, skipped = run_query(_load(kind, number if every else None))
    if as_json:
        listed = [make_suppression_json(suppression) for suppression in suppressions]
        print_json({key: listed, "skipped_rows": count_skipped(skipped)})
        return
    if suppressions:
        console.print(make_suppressions_table(suppressions, utc_now(), console.width))
    elif not skipped:
        print_line(f"No {NOUNS[kind]}s." if every else f"No active or upcoming {NOUNS[kind]}s.")
    if skipped:
        print_line(describe_skipped(skipped), style="yellow")


def end_suppression(kind: SuppressionKind, prefix: str, *, as_json: bool) -> None:
    """End the suppression whose id begins with the prefix, and print it."""
    suppression, has_changed = run_command(_end(kind, prefix))
    if as_json:
        print_json(make_suppression_json(suppression))
    else:
        print_line(describe_ended(suppression, utc_now(), has_changed=has_changed))


def require_one_matcher(service: str | None, tag: str | None) -> None:
    if (service is None) == (tag is None):
        raise VigilbaseError("give the services either by --service GLOB or by --tag TAG")


def require_author(by: str | None) -> str:
    author = find_author(by)
    if author is None:
        raise InvalidInputError("--by", "must be given because there is no login name")
    return author


def parse_moment(option: str, text: str | None, *, hint: str = "") -> datetime | None:
    """A time with its UTC offset in ISO 8601; `hint` follows the error."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInputError(option, f"must be a time with its offset from UTC, such as 2026-12-01T08:00Z{hint}")


# 3660d is MAX_LENGTH_S of models/validation.py.
def parse_duration_option(option: str, text: str | None, least: str = "1s", most: str = "3660d") -> float | None:
    """Seconds of a duration between two bounds, which are those of the models or narrower."""
    if text is None:
        return None
    try:
        return make_duration_parser(least, most)(text)
    except ValueError as error:
        raise InvalidInputError(option, str(error)) from None


@contextmanager
def _name_options() -> Iterator[None]:
    """Name the option where the model names its own field."""
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(OPTION_NAMES.get(error.field, error.field), error.rule) from None


async def _create(data: CreateSuppressionData) -> tuple[Suppression, str | None]:
    with _name_options():
        make_suppression_arguments(data)  # so that a mistake is reported before a database is opened
        async with open_database():
            suppression = await SuppressionModel.create(data)
            return suppression, await _warn_of_no_match(suppression)


async def _load(kind: SuppressionKind, limit: int | None) -> list[Suppression]:
    async with open_database():
        if limit is None:
            return await SuppressionModel.find_current(kind)
        return await SuppressionModel.find_newest(kind, limit=limit)


async def _end(kind: SuppressionKind, prefix: str) -> tuple[Suppression, bool]:
    async with open_database():
        matches = SuppressionModel.find_by_id_prefix(kind, prefix)
        hint = f"`vigilbase {kind} list --all` lists the ids"
        suppression = await find_one(matches, prefix, NOUNS[kind], hint)
        return await SuppressionModel.end(kind, suppression.id) or (suppression, False)


async def _warn_of_no_match(suppression: Suppression) -> str | None:
    """A warning if no known service matches, which may be a typing error; None if one does or nothing is known."""
    # This import takes a third of a second, and nothing else here needs it.
    from vigilbase.configfile.outline import load_optional, load_outlines

    known: dict[str, Sequence[str]] = {check.service_name: () for check in await HealthCheckModel.find_latest()}
    outlines = load_optional(load_outlines, DEFAULT_CONFIG)
    if outlines is not None:
        known |= {service.name: service.tags for service in outlines}
    elif suppression.tag is not None:  # tags are in the file alone
        return None
    if not known or any(matches_service(suppression, name, tags) for name, tags in known.items()):
        return None
    by_name = suppression.service_glob is not None
    words = known if by_name else {tag for tags in known.values() for tag in tags}
    close = get_close_matches(suppression.service_glob or suppression.tag or "", words, 1)
    noun = "silence" if suppression.kind == "silence" else "window"
    later = f"the {noun} will apply to services added later."
    hint = f"did you mean {escape(close[0])}?" if close else later
    return f'No service matches "{describe_services(suppression)}" yet; {hint}'
