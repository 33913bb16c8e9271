"""`vigilbase channels list|test|enable`."""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from uuid import uuid4

import typer
from rich.table import Table
from rich.text import Text

from vigilbase.alerts.channels import CHANNELS, Channel, deliver
from vigilbase.alerts.channels.sending import DeliveryError
from vigilbase.alerts.message import Message
from vigilbase.alerts.wording import in_words
from vigilbase.cli.context import DEFAULT_CONFIG, AsJson, ConfigFile, out, ready_database, run
from vigilbase.cli.owed import switched_off, tell_off, tell_owed, tell_unnamed
from vigilbase.cli.render import ago, iso, new_table, plain, print_json
from vigilbase.clock import utc_now
from vigilbase.errors import VigilbaseError
from vigilbase.models import AlertEvent, ChannelState, DeliveryModel
from vigilbase.settings import load_settings
from vigilbase.spec import load_spec
from vigilbase.vocabulary import DeliveryKind

app = typer.Typer(help="List the channels of the file, and try one.", no_args_is_help=True)

TIME_LIMIT_S = 30.0
TESTED = "vigilbase test"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The channel's name in the file.")]


@dataclass(frozen=True, slots=True)
class Trial:
    """A test message and what became of it: the receiver's answer, or the error."""

    kind: DeliveryKind
    answer: str | None
    error: str | None


@app.command("list")
def list_(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """List the channels that the file names, where they lead to (no secrets), and whether they are switched off.

    Example: vigilbase channels list --config vigilbase.yaml
    """
    channels = load_spec(config).channels
    states, unknown = run(_load_states())
    if as_json:
        print_json({"channels": [_as_json(channel, states.get(channel.name)) for channel in channels.values()]})
    elif channels:
        out.print(_table(list(channels.values()), None if unknown else states, utc_now()))
    else:
        out.print(f"{config} names no channels.", markup=False)
    if unknown:
        typer.echo(f"What the database knows of them can't be read: {unknown}", err=True)
    elif not as_json:
        for said, advice in tell_unnamed(list(states.values()), list(channels), config):
            out.print(f"{said}: {advice}", markup=False)


async def _load_states() -> tuple[Mapping[str, ChannelState], str]:
    """What the database knows of channels, or why it doesn't say. The file alone is worth a list."""
    try:
        async with ready_database(load_settings(), migrate=False):
            return {state.channel: state for state in await DeliveryModel.find_channels()}, ""
    except VigilbaseError as error:
        return {}, str(error)


@app.command("test")
def try_(name: Name, config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Send a real alert of a made-up service, and then that it is over. Exit code 1 if the channel doesn't take them.

    Example: vigilbase channels test team
    """
    channel = _the_one(name, load_spec(config).channels)
    trials = run(_send_to(channel))
    failed = any(trial.error for trial in trials)
    if as_json:
        sent = [{"kind": trial.kind, "answer": trial.answer, "error": trial.error} for trial in trials]
        print_json({"channel": channel.name, "kind": channel.kind, "delivered": not failed, "messages": sent})
    else:
        for trial in trials:
            said = plain(trial.error or trial.answer)
            typer.echo(f"{channel.name}: {trial.kind}: {said}", err=bool(trial.error))
    if failed:
        sys.exit(1)


@app.command()
def enable(name: Name, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Switch a channel on again that was switched off, or has asked for a pause; what waits for it goes out.

    Example: vigilbase channels enable ops
    """
    was_off = run(_enable(name, load_spec(config).channels))
    out.print(f"{name} {'is on again' if was_off else 'was not switched off'}", markup=False)


async def _enable(name: str, channels: Mapping[str, Channel]) -> bool:
    """Whether it was off; one that the file doesn't name any more may be, too."""
    async with ready_database(load_settings(), migrate=False):
        if name not in {state.channel for state in switched_off(await DeliveryModel.find_channels())}:
            _the_one(name, channels)
        return await DeliveryModel.switch_channel_on(name)


def _the_one(name: str, channels: Mapping[str, Channel]) -> Channel:
    if name in channels:
        return channels[name]
    known = f"there are {', '.join(channels)}" if channels else "the file names none, under `channels:`"
    raise VigilbaseError(f'there is no channel "{plain(name)}"; {known}')


async def _send_to(channel: Channel) -> list[Trial]:
    """Send one message after the other, up to the first that isn't taken."""
    trials: list[Trial] = []
    for message in made_up(channel.name, utc_now()):
        try:
            async with asyncio.timeout(TIME_LIMIT_S):
                trials.append(Trial(message.kind, await deliver(channel, message), None))
        except TimeoutError:
            return [*trials, Trial(message.kind, None, f"no answer within {TIME_LIMIT_S:g} s")]
        except DeliveryError as error:
            return [*trials, Trial(message.kind, None, str(error))]
    return trials


def made_up(channel: str, now: datetime) -> Iterator[Message]:
    """An alert that says of itself that it is a test, and its end, so that it stays open nowhere."""
    said = f'this is a test of the channel "{channel}", nothing is wrong'
    alert = AlertEvent(
        id=uuid4(),
        service_name=TESTED,
        alert_type="service_down",
        status="active",
        message=f"{TESTED} is down: {said}",
        details={"test": True, "last_error": said},
        created_at=now,
        acknowledged_at=None,
        resolved_at=None,
    )
    over = replace(alert, status="resolved", resolved_at=now)
    yield Message(uuid4(), "triggered", now, [alert])
    yield Message(uuid4(), "resolved", now, [over])


def _receiver(channel: Channel) -> str | None:
    return CHANNELS[channel.kind].receiver(channel.config)


def _as_json(channel: Channel, state: ChannelState | None) -> dict[str, object]:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "receiver": _receiver(channel),
        "off_since": state and iso(state.off_since),
        "off_reason": state and state.off_reason,
        "paused_until": state and iso(state.paused_until),
        "last_delivered_at": state and iso(state.last_delivered_at),
        "last_error": state and state.last_error,
        "waiting": state and state.waiting,
        "failing": state and state.failing,
        "withheld": state and state.withheld,
        "given_up": state and state.given_up,
    }


def _table(channels: Sequence[Channel], states: Mapping[str, ChannelState] | None, now: datetime) -> Table:
    names = ("name", "kind", "receiver", "state", "messages", "last taken")
    table = new_table(*names, wraps={"name", "receiver", "state", "messages", "last taken"})
    for channel in channels:
        state = states.get(channel.name) if states is not None else None
        table.add_row(
            plain(channel.name),
            channel.kind,
            plain(_receiver(channel)),
            "" if states is None else _state(state, now),
            tell_owed(state) if state else "",
            ago(state.last_delivered_at, now) if state else "",
        )
    return table


def _state(state: ChannelState | None, now: datetime) -> Text:
    if state is not None and state.off_reason is not None:
        return Text(tell_off(state, now), style="red")
    if state is not None and state.paused_until is not None and state.paused_until > now:
        left = in_words(state.paused_until - now)
        return Text(f"asked for a pause, which lasts {left} more: {plain(state.last_error)}", style="yellow")
    if state is not None and state.failing:
        return Text(f"on, but fails: {plain(state.last_error)}", style="yellow")
    return Text("on")


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="channels")
