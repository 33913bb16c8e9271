"""Parts of the file, for commands that don't need the rest, nor what the rest takes to be installed and imported."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import ConfigDict

from vigilbase.channels import Channel
from vigilbase.configfile.channels import check_alertmanager_expiry, read_channels
from vigilbase.configfile.document import Document, read_document
from vigilbase.configfile.models import Defaults, File, Service, compute_max_gap, merge_timing
from vigilbase.configfile.validation import make_file_error, validate
from vigilbase.errors import ConfigurationError, MissingExtraError
from vigilbase.files import DEFAULT_CONFIG, read_text

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class ServiceOutline:
    """A service without its probe. `max_gap` is how long a check vouches for it."""

    name: str
    tags: tuple[str, ...]
    max_gap: timedelta


@dataclass(frozen=True, slots=True)
class ChannelsOutline:
    """The channels, and for how many seconds they group notifications."""

    channels: Mapping[str, Channel]
    group_window_s: float


class _AnyService(Service):
    """A service of any kind. The fields of its kind are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def load_outlines(path: Path) -> list[ServiceOutline]:
    """Read the services of a file.

    Raises:
        ConfigurationError: the file can't be read, or what every service has is invalid.

    """
    document = read_document(read_text(path), os.environ)
    file = _read_file(document)
    services = _read_services(file, document) if file else []
    if document.faults:
        raise make_file_error(document, f"{path}:")
    return services


def load_channels(path: Path) -> ChannelsOutline:
    """Read the channels of a file.

    Raises:
        ConfigurationError: the file can't be read, or its channels are invalid.
        MissingExtraError: the extra of a channel is not installed.

    """
    document = read_document(read_text(path), os.environ)
    file = _read_file(document)
    channels = read_channels(document) if file else {}
    if file and not document.faults:
        check_alertmanager_expiry(channels, file.remind_every, document)
    if file is None or document.faults:
        raise make_file_error(document, f"{path}:")
    return ChannelsOutline(channels, file.group_window)


def load_optional(load: Callable[[Path], Loaded], path: Path) -> Loaded | None:
    """What `load` reads from a file; None if the default file can't be read.

    Raises:
        MissingExtraError: the file has a channel whose extra is not installed.
        ConfigurationError: another file can't be read.

    """
    try:
        return load(path)
    except MissingExtraError:
        raise
    except ConfigurationError:
        if path != DEFAULT_CONFIG:
            raise
        return None


def _read_file(document: Document) -> File | None:
    return None if document.faults else validate(File, document, ())


def _read_services(file: File, document: Document) -> list[ServiceOutline]:
    defaults = file.defaults or Defaults()
    services: Sequence[_AnyService | None] = [
        validate(_AnyService, document, ("services", index)) for index in range(len(file.services))
    ]
    return [
        ServiceOutline(service.name, service.tags, compute_max_gap(merge_timing(defaults, service)))
        for service in services
        if service
    ]
