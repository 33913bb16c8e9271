"""Reads the channels and routes of the file."""

import re
from collections.abc import Collection, Mapping, Sequence

from vigilbase.alerts.routing import ROUTE_EVENTS, Route
from vigilbase.channels import CHANNELS, Channel
from vigilbase.configfile.discriminator import find_kind
from vigilbase.configfile.document import Document, Value
from vigilbase.configfile.error_text import describe_unknown, describe_unknown_field
from vigilbase.configfile.models import CHANNEL_NAME, File, RouteModel
from vigilbase.configfile.syntax import Path
from vigilbase.configfile.validation import validate


def read_channels(document: Document) -> dict[str, Channel]:
    """Return the valid channels of the file by name, and add the faults of the others to the document."""
    items = document.get(("channels",))
    channels = [_read_channel(name, item, document) for name, item in items.items()] if isinstance(items, dict) else []
    return {channel.name: channel for channel in channels if channel}


def check_alertmanager_expiry(
    channels: Mapping[str, Channel], remind_every_s: float | None, document: Document
) -> None:
    """Add a fault for each Alertmanager that would resolve an open alert before its next reminder."""
    for name, channel in channels.items():
        expiry_s = CHANNELS[channel.kind].find_expiry_s(channel.config)
        if expiry_s is not None and expiry_s <= (remind_every_s or 0):
            message = "must be longer than remind_every; otherwise Alertmanager resolves open alerts"
            document.add_fault(("channels", name, channel.kind, "expires_after"), message)


def read_default_routes(file: File, document: Document, channels: Collection[str]) -> tuple[Route, ...]:
    """Return the file's routes; if it has none, one that sends every event to every channel."""
    # `routes: []` sends nothing, and differs from a file without routes.
    if "routes" in file.model_fields_set:
        return read_routes(file.routes, document, ("routes",), channels)
    return (Route(tuple(channels), frozenset(ROUTE_EVENTS)),) if channels else ()


def read_routes(
    routes: Sequence[RouteModel], document: Document, path: Path, channels: Collection[str]
) -> tuple[Route, ...]:
    """Convert the routes at a path, and add a fault for each unknown channel."""
    for index, route in enumerate(routes):
        for position, channel in enumerate(route.channels):
            if channel not in channels:
                message = describe_unknown("channel", channel, list(channels))
                document.add_fault((*path, index, "channels", position), message)
    return tuple(
        Route(route.channels, frozenset(route.on), route.after or 0, route.unless is not None) for route in routes
    )


def _read_channel(name: str, item: Value, document: Document) -> Channel | None:
    path: Path = ("channels", name)
    if not re.fullmatch(CHANNEL_NAME, name):
        document.add_fault(path, "must have a name of 1 to 50 letters, digits, - and _")
    elif not isinstance(item, dict):
        document.add_fault(path, f"must be a mapping with one of {', '.join(CHANNELS)}")
    elif kind := find_kind(item, CHANNELS, (), document, path):
        _check_other_keys(item, kind, document, path)
        config = validate(CHANNELS[kind].config, document, (*path, kind))
        return Channel(name, kind, config) if config else None
    return None


def _check_other_keys(item: Mapping[str, Value], kind: str, document: Document, path: Path) -> None:
    for key in item:
        if key != kind:
            document.add_fault((*path, key), describe_unknown_field(key, [kind]))
