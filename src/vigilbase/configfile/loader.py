"""Loads `vigilbase.yaml`, or reports its first error as one line with the place and the rule."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath

from vigilbase.alerts.routing import Route
from vigilbase.channels import Channel
from vigilbase.configfile.channels import check_alertmanager_expiry, read_channels, read_default_routes, read_routes
from vigilbase.configfile.discriminator import find_kind
from vigilbase.configfile.document import Document, Value, read_document
from vigilbase.configfile.models import (
    Defaults,
    File,
    Service,
    compute_max_gap,
    list_fields,
    make_service_model,
    merge_timing,
)
from vigilbase.configfile.syntax import Fault, Path
from vigilbase.configfile.validation import make_file_error, validate
from vigilbase.domain import Policy
from vigilbase.files import read_text
from vigilbase.probes import PROBES
from vigilbase.probes.kind import Probe


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """A service to monitor.

    `probe` runs every `interval_s` seconds, for at most `timeout_s` seconds. A healthy result that takes longer than
    `degraded_after_s` seconds is degraded. `routes` determine where its notifications go.
    """

    name: str
    kind: str
    interval_s: float
    timeout_s: float
    policy: Policy
    probe: Probe
    degraded_after_s: float | None = None
    tags: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The content of a file.

    Vigilbase keeps checks and resolved alerts for `retention_days`, sends a reminder of an open alert every
    `remind_every_s` seconds (None: never), and groups the notifications that follow another to the same channel within
    `group_window_s` seconds (0: none). `file` is the absolute path, or empty if the config doesn't come from a file.
    """

    services: Sequence[ServiceConfig]
    retention_days: int = 30
    channels: Mapping[str, Channel] = field(default_factory=dict)
    remind_every_s: float | None = None
    group_window_s: float = 30.0
    file: str = ""


def load_config(path: FilePath) -> Config:
    """Read and validate a file.

    Raises:
        ConfigurationError: the file can't be read or is invalid; the message names file, line and field.

    """
    # The absolute path is what identifies this file's services in the database, whatever the current folder is.
    return replace(_parse(read_text(path), os.environ, f"{path}:"), file=str(path.resolve()))


def parse_config(text: str, environ: Mapping[str, str] | None = None) -> Config:
    """Parse and validate a YAML text, with the values of `${NAME}` from `environ` (default: the process environment).

    Raises:
        ConfigurationError: the text is invalid; the message names line and field.

    """
    return _parse(text, os.environ if environ is None else environ, "line ")


def _parse(text: str, environ: Mapping[str, str], source: str) -> Config:
    document = read_document(text, environ)
    config = None if document.faults else _validate_document(document)
    if config is None or document.faults:
        raise make_file_error(document, source)
    return config


def _validate_document(document: Document) -> Config | None:
    """Return the config; None if the document is invalid, which adds its faults to it."""
    if not isinstance(document.value, dict):
        document.add_fault((), "must be a mapping with a list `services:`")
        return None
    file = validate(File, document, ())
    # Go on after an invalid field: an earlier line may have a fault, and the first one is reported.
    channels = read_channels(document)
    common = _read_common_settings(file, document)
    items = document.value.get("services")
    items = items if isinstance(items, list) else []
    services = [
        service for index, item in enumerate(items) if (service := _read_service(item, index, common, document))
    ]
    if file is None or len(services) < len(items):
        return None
    _check_unique_names(services, document)
    check_alertmanager_expiry(channels, file.remind_every, document)
    return Config(services, file.retention_days, channels, file.remind_every, file.group_window)


@dataclass(frozen=True, slots=True)
class _CommonSettings:
    """The settings of services that don't override them, and the names of all channels, valid or not."""

    defaults: Defaults
    routes: tuple[Route, ...]
    channels: Sequence[str]


def _read_common_settings(file: File | None, document: Document) -> _CommonSettings:
    items = document.get(("channels",))
    # Including invalid ones, so that a mistake in a channel isn't reported at its routes.
    channels = list(items) if isinstance(items, dict) else []
    if file is None:
        return _CommonSettings(Defaults(), (), channels)
    return _CommonSettings(file.defaults or Defaults(), read_default_routes(file, document, channels), channels)


def _read_service(item: Value, index: int, common: _CommonSettings, document: Document) -> ServiceConfig | None:
    path: Path = ("services", index)
    if not isinstance(item, dict):
        document.add_fault(path, f"must be a mapping with a name and one of {', '.join(PROBES)}")
        return None
    kind = find_kind(item, PROBES, Service.model_fields, document, path)
    service = validate(make_service_model(kind), document, path) if kind else None
    if kind is None or service is None:
        return None
    timing = merge_timing(common.defaults, service)
    _check_degraded_after(timing, path, document)
    values = {key: item[key] for key in list_fields(PROBES[kind].target) if key in item}
    return ServiceConfig(
        name=service.name,
        kind=kind,
        interval_s=timing.interval,
        timeout_s=timing.timeout,
        policy=Policy(
            failure_threshold=timing.failure_threshold,
            success_threshold=timing.success_threshold,
            max_gap=compute_max_gap(timing),
        ),
        probe=PROBES[kind].bind(values, timing.timeout),
        degraded_after_s=timing.degraded_after,
        tags=service.tags,
        routes=_read_routes(service, common, document, path),
    )


def _read_routes(service: Service, common: _CommonSettings, document: Document, path: Path) -> tuple[Route, ...]:
    if "routes" not in service.model_fields_set:
        return common.routes
    return read_routes(service.routes, document, (*path, "routes"), common.channels)


def _check_degraded_after(timing: Defaults, path: Path, document: Document) -> None:
    if timing.degraded_after is None or timing.degraded_after < timing.timeout:
        return
    message = f"degraded_after ({timing.degraded_after:g}s) must be shorter than timeout ({timing.timeout:g}s)"
    candidates = [(*parent, name) for parent in (path, ("defaults",)) for name in ("degraded_after", "timeout")]
    # One of the candidates exists, because degraded_after has no default.
    line = next(line for candidate in candidates for known, line in [document.locate(candidate)] if known == candidate)
    document.faults.append(Fault(line, path, message))


def _check_unique_names(services: Sequence[ServiceConfig], document: Document) -> None:
    lines: dict[str, int] = {}
    for index, service in enumerate(services):
        line = document.locate(("services", index, "name"))[1]
        if service.name in lines:
            message = f"must be unique; the service on line {lines[service.name]} has the same name"
            document.faults.append(Fault(line, ("services", index, "name"), message))
        lines.setdefault(service.name, line)
