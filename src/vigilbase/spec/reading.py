"""From the text of `vigilbase.yaml` to the services to watch, or to one line that says what is wrong and where."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path as FilePath

from vigilbase.errors import ConfigurationError
from vigilbase.probes import KINDS, Finding
from vigilbase.spec.document import Document, Value, read_document
from vigilbase.spec.fields import SERVICES, Defaults, File, Service, names
from vigilbase.spec.places import place
from vigilbase.spec.syntax import Fault, Path
from vigilbase.spec.validation import validated
from vigilbase.vocabulary import Policy

MAX_FILE_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service to watch: how often (s), for how long at the most (s), by which policy and with which probe.

    A healthy answer that takes longer than `degraded_after` seconds is degraded.
    """

    name: str
    kind: str
    every: float
    timeout: float
    policy: Policy
    probe: Callable[[], Awaitable[Finding]]
    degraded_after: float | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """What a file says: the services to watch, and for how many days to keep what is recorded."""

    services: Sequence[ServiceSpec]
    retention_days: int = 30


def load_spec(path: FilePath) -> Spec:
    """What a file says.

    Raises:
        ConfigurationError: the file can't be read or is wrong; the message names file, line and field.

    """
    return _spec(read_text(path), os.environ, f"{path}:")


def read_text(path: FilePath) -> str:
    """The text of a file such as vigilbase.yaml, which holds 5 MB at the most.

    Raises:
        ConfigurationError: the file can't be read, is larger, or is no text.

    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        advice = "`vigilbase up` writes one, or name another with --config"
        raise ConfigurationError(f"{path}: there is no such file: {advice}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path}: is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not a text in UTF-8") from None


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
        document.faults.append(Fault(1, (), "must be a mapping with a list `services:`"))
        return None
    file = validated(File, document, ())
    items = document.value.get("services")
    defaults = (file and file.defaults) or Defaults()
    listed = items if isinstance(items, list) else []
    found = [_service(item, index, defaults, document) for index, item in enumerate(listed)]
    services = [service for service in found if service]
    if file is None or len(services) < len(found):
        return None
    _note_repeated_names(services, document)
    return Spec(services, file.retention_days)


def _service(item: Value, index: int, defaults: Defaults, document: Document) -> ServiceSpec | None:
    path: Path = ("services", index)
    kind = _kind(item, path, document)
    if kind is None or not isinstance(item, dict):
        return None
    service = validated(SERVICES[kind], document, path)
    if service is None:
        return None
    own = {name: getattr(service, name) for name in Defaults.model_fields if name in service.model_fields_set}
    timing = defaults.model_copy(update=own)
    _note_late_degradation(timing, path, document)
    asked = {key: item[key] for key in names(KINDS[kind].target) if key in item}
    max_gap = timedelta(seconds=2 * timing.every + timing.timeout)
    policy = Policy(failures=timing.failures, successes=timing.successes, max_gap=max_gap)
    probe = KINDS[kind].bind(asked, timing.timeout)
    return ServiceSpec(service.name, kind, timing.every, timing.timeout, policy, probe, timing.degraded_after)


def _kind(item: Value, path: Path, document: Document) -> str | None:
    """The kind of a service; None, and a fault, if it has none or several."""
    if not isinstance(item, dict):
        _note(document, path, f"must be a mapping with a name and one of {', '.join(KINDS)}")
        return None
    kinds = [kind for kind in KINDS if kind in item]
    if len(kinds) == 1:
        return kinds[0]
    close = [kind for key in item.keys() - Service.model_fields.keys() for kind in get_close_matches(key, KINDS, 1)]
    meant = f"; did you mean {min(close)}?" if close and not kinds else ""
    several = f", and has {' and '.join(kinds)}" if kinds else ""
    _note(document, path, f"must have exactly one of {', '.join(KINDS)}{several}{meant}")
    return None


def _note(document: Document, path: Path, said: str) -> None:
    document.faults.append(Fault(document.locate(path)[1], path, said))


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
