"""`vigilbase channels list|test|enable`."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from vigilbase.cli.options import AsJson, ConfigFile
from vigilbase.cli.output import console, print_json, print_line
from vigilbase.cli.session import open_database, run_command
from vigilbase.clock import utc_now
from vigilbase.domain import NotificationKind
from vigilbase.errors import VigilbaseError
from vigilbase.files import DEFAULT_CONFIG
from vigilbase.models import AlertEvent, ChannelModel, ChannelState
from vigilbase.views.channel_state import warn_of_unnamed_channels
from vigilbase.views.terminal import escape

if TYPE_CHECKING:
    from vigilbase.alerts.batch import Batch
    from vigilbase.channels import Channel

app = typer.Typer(help="List, test and enable channels.", no_args_is_help=True)

# As long as the worker gives an attempt: half of the lease (notifications/backoff.py).
TIME_LIMIT_S = 30.0
TEST_SERVICE = "vigilbase test"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The channel's name in the file.")]


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test notification, and the receiver's answer or the error."""

    kind: NotificationKind
    answer: str | None
    error: str | None


@app.command("list")
def list_(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """List the channels of the file: where they send to (without secrets), their state, and their notifications.

    Example: vigilbase channels list --config vigilbase.yaml
    """
    from vigilbase.configfile.outline import load_channels
    from vigilbase.views.channels import make_channel_json, make_channels_table

    channels = load_channels(config).channels
    states, failure = run_command(_load_states())
    if as_json:
        print_json({"channels": [make_channel_json(channel, states.get(name)) for name, channel in channels.items()]})
    elif channels:
        known = None if failure else states
        console.print(make_channels_table(list(channels.values()), known, utc_now(), console.width))
    else:
        print_line(f"{config} has no channels.")
    if failure:
        # On standard error, so that standard output is still valid JSON.
        typer.echo(f"The state of the channels can't be read from the database: {failure}", err=True)
    elif not as_json:
        for finding, advice in warn_of_unnamed_channels(list(states.values()), list(channels), config):
            print_line(f"{finding}: {advice}")


async def _load_states() -> tuple[Mapping[str, ChannelState], str]:
    """The state of every channel, or why it can't be read; the list of the file is useful without it."""
    try:
        async with open_database():
            return {state.channel: state for state in await ChannelModel.find_all()}, ""
    except VigilbaseError as error:
        return {}, str(error)


@app.command("test")
def send_test(name: Name, config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Send a test alert and its resolution through a channel. Exit code 1 if the receiver rejects them.

    Example: vigilbase channels test team
    """
    from vigilbase.configfile.outline import load_channels

    channel = _require_channel(name, load_channels(config).channels)
    results = run_command(_send_all(channel))
    has_failed = any(result.error for result in results)
    if as_json:
        sent = [asdict(result) for result in results]
        fields = {"channel": channel.name, "kind": channel.kind, "is_delivered": not has_failed}
        print_json({**fields, "notifications": sent})
    else:
        for result in results:
            answer = escape(result.error or result.answer)
            typer.echo(f"{channel.name}: {result.kind}: {answer}", err=bool(result.error))
    if has_failed:
        sys.exit(1)


@app.command()
def enable(name: Name, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Enable a channel that was disabled after an error, or end its pause. Its pending notifications are sent.

    Example: vigilbase channels enable ops
    """
    from vigilbase.configfile.outline import load_channels

    was_disabled = run_command(_enable(name, load_channels(config).channels))
    print_line(f"{name} {'is enabled' if was_disabled else 'was not disabled'}.")


async def _enable(name: str, channels: "Mapping[str, Channel]") -> bool:
    """Whether it was disabled. A disabled channel need not be in the file any more."""
    async with open_database():
        if name not in {state.channel for state in await ChannelModel.find_all() if state.is_disabled}:
            _require_channel(name, channels)
        return await ChannelModel.enable(name)


def _require_channel(name: str, channels: "Mapping[str, Channel]") -> "Channel":
    if name in channels:
        return channels[name]
    known = f"the file has {', '.join(channels)}" if channels else "the file has none under `channels:`"
    raise VigilbaseError(f'there is no channel "{escape(name)}"; {known}')


async def _send_all(channel: "Channel") -> list[TestResult]:
    """The results up to the first failure."""
    from vigilbase.channels import send_batch
    from vigilbase.channels.errors import DeliveryError

    results: list[TestResult] = []
    for batch in make_test_batches(channel.name, utc_now()):
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                results.append(TestResult(batch.kind, await send_batch(channel, batch), None))
        except TimeoutError:
            return [*results, TestResult(batch.kind, None, f"no answer within {TIME_LIMIT_S:g} s")]
        except DeliveryError as error:
            return [*results, TestResult(batch.kind, None, str(error))]
    return results


def make_test_batches(channel: str, now: datetime) -> "Iterator[Batch]":
    """An alert whose text says that it is a test, then its resolution, so that no receiver keeps it open."""
    from vigilbase.alerts.batch import Batch

    text = f'this is a test of the channel "{channel}", nothing is wrong'
    alert = AlertEvent(
        id=uuid4(),
        service_name=TEST_SERVICE,
        alert_type="service_down",
        status="active",
        message=f"{TEST_SERVICE} is down: {text}",
        details={"test": True, "last_error": text},
        created_at=now,
        acknowledged_at=None,
        resolved_at=None,
    )
    yield Batch(uuid4(), "triggered", now, [alert])
    yield Batch(uuid4(), "resolved", now, [replace(alert, status="resolved", resolved_at=now)])


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="channels")
