"""The part of the file about messages: where they go, and which of them."""

import re
from collections.abc import Collection, Mapping, Sequence

from vigilbase.alerts.channels import CHANNELS, Channel
from vigilbase.alerts.channels.alertmanager import AlertmanagerConfig
from vigilbase.alerts.routing import OCCASIONS, Route
from vigilbase.spec.document import Document, Value
from vigilbase.spec.fields import CHANNEL_NAME, AlertRoute, File
from vigilbase.spec.kinds import kind_of
from vigilbase.spec.syntax import Path
from vigilbase.spec.validation import validated
from vigilbase.spec.words import unknown


def channels_of(document: Document) -> dict[str, Channel]:
    """The channels of the file by their names. What is wrong with one is noted in the document."""
    items = document.at(("channels",))
    found = [_channel(name, item, document) for name, item in items.items()] if isinstance(items, dict) else []
    return {channel.name: channel for channel in found if channel}


def note_early_expiry(channels: Mapping[str, Channel], remind_every_s: float | None, document: Document) -> None:
    """Note each Alertmanager that would take an open alert for resolved before it is reminded of it."""
    for name, channel in channels.items():
        if isinstance(channel.config, AlertmanagerConfig) and channel.config.expires_after <= (remind_every_s or 0):
            said = "must be longer than remind_every, or Alertmanager takes open alerts for resolved"
            document.note(("channels", name, channel.kind, "expires_after"), said)


def routes_of_all(file: File, document: Document, channels: Collection[str]) -> tuple[Route, ...]:
    """The routes of the services that have none of their own: where the file has none, all goes everywhere."""
    if "alerts" in file.model_fields_set:
        return routes_of(file.alerts, document, ("alerts",), channels)
    return (Route(tuple(channels), frozenset(OCCASIONS)),) if channels else ()


def routes_of(
    written: Sequence[AlertRoute], document: Document, path: Path, channels: Collection[str]
) -> tuple[Route, ...]:
    """The routes of a list at a path. A channel that isn't among those of the file is noted in the document."""
    for index, route in enumerate(written):
        for place, channel in enumerate(route.channels):
            if channel not in channels:
                document.note((*path, index, "channels", place), unknown("channel", channel, list(channels)))
    return tuple(
        Route(route.channels, frozenset(route.on), route.after or 0, route.unless is not None) for route in written
    )


def _channel(name: str, item: Value, document: Document) -> Channel | None:
    path: Path = ("channels", name)
    if not re.fullmatch(CHANNEL_NAME, name):
        document.note(path, "must be named with 1 to 50 letters, digits, - and _")
    elif not isinstance(item, dict):
        document.note(path, f"must be a mapping with one of {', '.join(CHANNELS)}")
    elif kind := kind_of(item, CHANNELS, (), document, path):
        _note_others(item, kind, document, path)
        config = validated(CHANNELS[kind].config, document, (*path, kind))
        return Channel(name, kind, config) if config else None
    return None


def _note_others(item: Mapping[str, Value], kind: str, document: Document, path: Path) -> None:
    for key in item:
        if key != kind:
            document.note((*path, key), unknown("field", key, [kind]))
