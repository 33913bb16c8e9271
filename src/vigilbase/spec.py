"""`vigilbase.yaml`: what to watch, read and checked."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vigilbase.errors import ConfigurationError
from vigilbase.models.validation import valid_service_name
from vigilbase.probes import KINDS, Finding
from vigilbase.vocabulary import Policy

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration_s(value: object) -> float:
    """Seconds from a text such as 500ms, 30s, 5m, 1h or 1d.

    Raises:
        ValueError: the text is no such thing, or no time at all.

    """
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) == 0:
        raise ValueError("must be a duration such as 500ms, 30s, 5m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


Duration = Annotated[float, BeforeValidator(duration_s)]


class Defaults(BaseModel):
    """`defaults:`, and what each service may say for itself. Durations in seconds once read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration = Field(30.0, ge=0.1, le=86_400)
    timeout: Duration = Field(5.0, le=300)
    failures: int = Field(3, ge=1, le=100)
    successes: int = Field(2, ge=1, le=100)


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


def load_spec(path: Path) -> Spec:
    """What a file says.

    Raises:
        ConfigurationError: the file can't be read or is wrong; the message names file and field.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: is not a text in UTF-8") from None
    try:
        return parse_spec(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def parse_spec(text: str) -> Spec:
    """What a YAML text says.

    Raises:
        ConfigurationError: the text is wrong; the message names the field.

    """
    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigurationError(f"{place}{error.problem or 'is no YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigurationError("is no YAML") from None
    if not isinstance(document, dict):
        raise ConfigurationError("must have a list `services:`")
    if unknown := sorted(str(key) for key in document.keys() - {"defaults", "services"}):
        raise ConfigurationError(f"{unknown[0]}: unknown; there are `defaults` and `services`")
    defaults = document.get("defaults") or {}
    _validated(defaults, "defaults")
    services = document.get("services")
    if not isinstance(services, list) or not services:
        raise ConfigurationError("services: must be a list of at least one service")
    specs = [_service(item, defaults, f"services[{index}]") for index, item in enumerate(services)]
    _require_unique_names(specs)
    return Spec(specs)


def _service(item: object, defaults: Mapping[str, object], place: str) -> ServiceSpec:
    if not isinstance(item, dict) or not all(isinstance(key, str) for key in item):
        raise ConfigurationError(f"{place}: must be a mapping with a name and one of {', '.join(KINDS)}")
    try:
        name = valid_service_name(item.get("name"))
    except ValueError as error:
        raise ConfigurationError(f"{place}.name: {str(error).removeprefix('service_name ')}") from None
    place = f"{place} ({name})"
    kinds = [kind for kind in KINDS if kind in item]
    if len(kinds) != 1:
        raise ConfigurationError(f"{place}: must have exactly one of {', '.join(KINDS)}")
    timing = _validated({**defaults, **{key: item[key] for key in Defaults.model_fields if key in item}}, place)
    rest = {key: value for key, value in item.items() if key != "name" and key not in Defaults.model_fields}
    try:
        probe = KINDS[kinds[0]].bind(rest, timing.timeout)
    except ValidationError as error:
        raise _readable(error, place) from None
    max_gap = timedelta(seconds=2 * timing.every + timing.timeout)
    policy = Policy(failures=timing.failures, successes=timing.successes, max_gap=max_gap)
    return ServiceSpec(name, kinds[0], timing.every, timing.timeout, policy, probe)


def _validated(values: object, place: str) -> Defaults:
    try:
        return Defaults.model_validate(values)
    except ValidationError as error:
        raise _readable(error, place) from None


def _readable(error: ValidationError, place: str) -> ConfigurationError:
    """The first fault as `place.field: what it must be`, without the value, which may be a secret."""
    first: Mapping[str, object] = dict(error.errors(include_input=False, include_url=False)[0])
    location = first["loc"] if isinstance(first["loc"], tuple) else ()
    said = str(first["msg"]).removeprefix("Value error, ")
    said = "unknown field" if first["type"] == "extra_forbidden" else said[:1].lower() + said[1:]
    return ConfigurationError(f"{'.'.join([place, *map(str, location)])}: {said}")


def _require_unique_names(specs: list[ServiceSpec]) -> None:
    seen: set[str] = set()
    for index, spec in enumerate(specs):
        if spec.name in seen:
            raise ConfigurationError(f"services[{index}].name: {spec.name} is there twice")
        seen.add(spec.name)


STARTER = """\
# What Vigilbase watches. Save this file and start `vigilbase up` again to change it.
# All that can be said here: docs/reference/vigilbase-yaml.md

defaults: {every: 30s, timeout: 5s, failures: 3, successes: 2}

services:
  - name: vigilbase database
    postgres: self # Vigilbase's own database; or postgresql://USER:PASSWORD@HOST:5432/DATABASE

  # - name: website
  #   http: https://example.com/
  #   expect: {status: 200-299}
  #   every: 10s

  # - name: cache
  #   tcp: localhost:6379
"""
