"""From the text of `vigilbase.yaml` to the services to watch, or to one line that says what is wrong and where."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path as FilePath

from vigilbase.alerts.channels import Channel
from vigilbase.alerts.routing import Route
from vigilbase.errors import ConfigurationError
from vigilbase.files import read_text
from vigilbase.probes import KINDS, Finding
from vigilbase.spec.document import Document, Value, read_document
from vigilbase.spec.fields import SERVICES, Defaults, File, Service, names
from vigilbase.spec.kinds import kind_of
from vigilbase.spec.messages import channels_of, note_early_expiry, routes_of, routes_of_all
from vigilbase.spec.places import place
from vigilbase.spec.syntax import Fault, Path
from vigilbase.spec.validation import validated
from vigilbase.vocabulary import Policy


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service to watch: how often (s), for how long at the most (s), by which policy and with which probe.

    A healthy answer that takes longer than `degraded_after` seconds is degraded. `routes` say where its alerts go.
    """

    name: str
    kind: str
    every: float
    timeout: float
    policy: Policy
    probe: Callable[[], Awaitable[Finding]]
    degraded_after: float | None = None
    tags: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """What a file says: the services to watch, for how many days to keep what is recorded, and where messages go.

    Open alerts are told again every `remind_every_s` seconds (None: never); what follows on a message within
    `group_window_s` seconds is gathered (0: nothing is).
    """

    services: Sequence[ServiceSpec]
    retention_days: int = 30
    channels: Mapping[str, Channel] = field(default_factory=dict)
    remind_every_s: float | None = None
    group_window_s: float = 30.0
    file: str = ""  # where it was read


def load_spec(path: FilePath) -> Spec:
    """What a file says.

    Raises:
        ConfigurationError: the file can't be read or is wrong; the message names file, line and field.

    """
    return replace(_spec(read_text(path), os.environ, f"{path}:"), file=str(path.resolve()))


def parse_spec(text: str, environ: Mapping[str, str] | None = None) -> Spec:
    """What a YAML text says; `${NAME}` in it is taken from `environ`, or from the process's own environment.

    Raises:
        ConfigurationError: the text is wrong; the message names line and field.

    """
    return _spec(text, os.environ if environ is None else environ, "line ")


def _spec(text: str, environ: Mapping[str, str], source: str) -> Spec:
    document = read_document(text, environ)
    spec = None if document.faults else _checked(document)
    if spec is None or document.faults:
        first = min(document.faults, key=lambda fault: fault.line)
        said = ": ".join(filter(None, [f"{source}{first.line}", place(first.path, document.value), first.said]))
        raise ConfigurationError("".join(c if c.isprintable() else " " for c in said))
    return spec


def _checked(document: Document) -> Spec | None:
    """What a document says; None if it has faults, which are noted in it."""
    if not isinstance(document.value, dict):
        document.note((), "must be a mapping with a list `services:`")
        return None
    file = validated(File, document, ())
    channels = channels_of(document)
    common = _common(file, document)
    items = document.value.get("services")
    listed = items if isinstance(items, list) else []
    found = [_service(item, index, common, document) for index, item in enumerate(listed)]
    services = [service for service in found if service]
    if file is None or len(services) < len(found):
        return None
    _note_repeated_names(services, document)
    note_early_expiry(channels, file.remind_every, document)
    return Spec(services, file.retention_days, channels, file.remind_every, file.group_window)


@dataclass(frozen=True, slots=True)
class _Common:
    """What holds for services that don't say otherwise, and the names of all channels, working or not."""

    defaults: Defaults
    routes: tuple[Route, ...]
    channels: Sequence[str]


def _common(file: File | None, document: Document) -> _Common:
    named = document.at(("channels",))
    channels = list(named) if isinstance(named, dict) else []
    if file is None:
        return _Common(Defaults(), (), channels)
    return _Common(file.defaults or Defaults(), routes_of_all(file, document, channels), channels)


def _service(item: Value, index: int, common: _Common, document: Document) -> ServiceSpec | None:
    path: Path = ("services", index)
    if not isinstance(item, dict):
        document.note(path, f"must be a mapping with a name and one of {', '.join(KINDS)}")
        return None
    kind = kind_of(item, KINDS, Service.model_fields, document, path)
    service = validated(SERVICES[kind], document, path) if kind else None
    if kind is None or service is None:
        return None
    own = {name: getattr(service, name) for name in Defaults.model_fields if name in service.model_fields_set}
    timing = common.defaults.model_copy(update=own)
    _note_late_degradation(timing, path, document)
    asked = {key: item[key] for key in names(KINDS[kind].target) if key in item}
    max_gap = timedelta(seconds=2 * timing.every + timing.timeout)
    return ServiceSpec(
        name=service.name,
        kind=kind,
        every=timing.every,
        timeout=timing.timeout,
        policy=Policy(failures=timing.failures, successes=timing.successes, max_gap=max_gap),
        probe=KINDS[kind].bind(asked, timing.timeout),
        degraded_after=timing.degraded_after,
        tags=service.tags,
        routes=_routes(service, common, document, path),
    )


def _routes(service: Service, common: _Common, document: Document, path: Path) -> tuple[Route, ...]:
    if "alerts" not in service.model_fields_set:
        return common.routes
    return routes_of(service.alerts, document, (*path, "alerts"), common.channels)


def _note_late_degradation(timing: Defaults, path: Path, document: Document) -> None:
    if timing.degraded_after is None or timing.degraded_after < timing.timeout:
        return
    said = f"degraded_after ({timing.degraded_after:g} s) must be shorter than timeout ({timing.timeout:g} s)"
    candidates = [(*where, name) for where in (path, ("defaults",)) for name in ("degraded_after", "timeout")]
    line = next(line for whole in candidates for known, line in [document.locate(whole)] if known == whole)
    document.faults.append(Fault(line, path, said))


def _note_repeated_names(services: Sequence[ServiceSpec], document: Document) -> None:
    seen: dict[str, int] = {}
    for index, service in enumerate(services):
        line = document.locate(("services", index, "name"))[1]
        if service.name in seen:
            said = f"is there twice, first in line {seen[service.name]}"
            document.faults.append(Fault(line, ("services", index, "name"), said))
        seen.setdefault(service.name, line)
