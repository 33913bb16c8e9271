"""The fields of the file as pydantic models. Each kind of probe adds the fields of its target."""

from datetime import timedelta
from functools import cache
from typing import Annotated, Literal, TypeAlias, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    create_model,
    field_validator,
)

from vigilbase.alerts.routing import ROUTE_EVENTS, RouteEvent
from vigilbase.duration_schema import DURATION_SCHEMA
from vigilbase.durations import make_duration_parser
from vigilbase.errors import InvalidInputError
from vigilbase.models.validation import MAX_DAYS, validate_service_name, validate_text
from vigilbase.probes import PROBES

Interval: TypeAlias = Annotated[float, BeforeValidator(make_duration_parser("100ms", "1d")), DURATION_SCHEMA]
Timeout: TypeAlias = Annotated[float, BeforeValidator(make_duration_parser("1ms", "5m")), DURATION_SCHEMA]
After: TypeAlias = Annotated[float, BeforeValidator(make_duration_parser("1s", "30d")), DURATION_SCHEMA]
RemindEvery: TypeAlias = Annotated[float, BeforeValidator(make_duration_parser("1m", "30d")), DURATION_SCHEMA]
GroupWindow: TypeAlias = Annotated[float, BeforeValidator(make_duration_parser("0s", "1h")), DURATION_SCHEMA]
Count: TypeAlias = Annotated[int, Field(ge=1, le=100)]


def _require_service_name(value: str) -> str:
    try:
        return validate_service_name(value)
    except InvalidInputError as error:
        raise ValueError(error.rule) from None


def _require_tag(value: str) -> str:
    try:
        validate_text("tags", value)
    except InvalidInputError as error:
        raise ValueError(error.rule) from None
    if value != value.strip():
        raise ValueError("must not begin or end with whitespace")
    return value


Item = TypeVar("Item")


def _require_distinct(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must not contain duplicates")
    return values


Distinct = Annotated[
    tuple[Item, ...], AfterValidator(_require_distinct), Field(json_schema_extra={"uniqueItems": True})
]
Tag: TypeAlias = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_require_tag)]
CHANNEL_NAME = r"[A-Za-z0-9_-]{1,50}"


class RouteModel(BaseModel):
    """Which channels to notify of which events, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Distinct[str] = Field(description="Names of the channels to notify.", min_length=1)
    on: Distinct[RouteEvent] = Field(
        ROUTE_EVENTS,
        description="Events to notify about: down, degraded or both, with or without recovery.",
        min_length=1,
    )
    after: After | None = Field(
        None, description="How long an alert must last before the notification goes out: 1s to 30d.", examples=["15m"]
    )
    unless: Literal["acknowledged"] | None = Field(
        None, description="Don't notify if the alert has been acknowledged by then. Requires after."
    )

    @field_validator("on")
    @classmethod
    def _require_down_or_degraded(cls, value: tuple[RouteEvent, ...]) -> tuple[RouteEvent, ...]:
        if set(value) == {"recovery"}:
            raise ValueError("must also contain down or degraded; a recovery ends one of them")
        return value

    @field_validator("unless")
    @classmethod
    def _require_after(cls, value: str | None, info: ValidationInfo) -> str | None:
        # If `after` is invalid, it is missing here, and has an error already.
        if value is not None and info.data.get("after", 0) is None:
            raise ValueError("requires `after`")
        return value


class NamedService(BaseModel):
    """The name of a service, the only field that all services require."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_require_service_name)] = Field(
        description="Name of the service: 1 to 100 characters, unique in the file.",
        json_schema_extra={"minLength": 1, "maxLength": 100},
    )


class Defaults(BaseModel):
    """Settings for every service that doesn't override them."""

    # Validated durations are seconds.
    model_config = ConfigDict(frozen=True, extra="forbid")

    interval: Interval = Field(
        30.0, description="How often to probe the service: 100ms to 1d.", json_schema_extra={"default": "30s"}
    )
    timeout: Timeout = Field(
        5.0, description="How long a probe may take: 1ms to 5m.", json_schema_extra={"default": "5s"}
    )
    failure_threshold: Count = Field(3, description="How many consecutive checks make the status worse: 1 to 100.")
    success_threshold: Count = Field(2, description="How many consecutive checks make the status better: 1 to 100.")
    degraded_after: Timeout | None = Field(
        None,
        description="A healthy check that takes longer is degraded. Must be shorter than timeout.",
        examples=["800ms"],
    )


class File(BaseModel):
    """The services to monitor and the channels to notify."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="vigilbase.yaml")

    defaults: Defaults | None = Field(None, description="Settings for every service that doesn't override them.")
    # The model of each kind validates these later, so that every error has its own line.
    services: list[JsonValue] = Field(description="Services to monitor, at least one.", min_length=1)
    channels: dict[str, JsonValue] | None = Field(None, description="Where notifications go: channels by name.")
    routes: tuple[RouteModel, ...] = Field(
        default_factory=tuple,
        description="Which alerts go to which channels. Default: every alert goes to every channel.",
    )
    remind_every: RemindEvery | None = Field(
        None,
        description="How often to send a reminder while an alert is open and not acknowledged: 1m to 30d.",
        examples=["4h"],
    )
    group_window: GroupWindow = Field(
        30.0,
        description="How long to group notifications to a channel after the first: up to 1h; 0s disables it.",
        json_schema_extra={"default": "30s"},
    )
    retention_days: int = Field(30, ge=1, le=MAX_DAYS, description="How many days to keep checks and resolved alerts.")


class Service(Defaults, NamedService):
    """The fields of every kind of service."""

    tags: Distinct[Tag] = Field((), description="Labels by which silences and maintenance windows select services.")
    routes: tuple[RouteModel, ...] = Field(
        default_factory=tuple,
        description="Which alerts of this service go to which channels. Replaces the routes of the file.",
    )


def merge_timing(defaults: Defaults, service: Service) -> Defaults:
    """The settings of a service: its own, and the defaults where it has none."""
    own = {name: getattr(service, name) for name in Defaults.model_fields if name in service.model_fields_set}
    return defaults.model_copy(update=own)


def compute_max_gap(timing: Defaults) -> timedelta:
    """How long a check vouches for a service: until one probe after the next is overdue."""
    return timedelta(seconds=2 * timing.interval + timing.timeout)


@cache
def make_service_model(kind: str) -> type[Service]:
    """The model of a service of this kind: the fields of the probe's target, and those of every service.

    Raises:
        MissingExtraError: the extra of the kind is not installed.

    """
    target = PROBES[kind].target
    model = create_model(f"{kind.capitalize()}Service", __base__=(target, Service), __doc__=target.__doc__)
    return cast("type[Service]", model)


def list_fields(model: type[BaseModel]) -> list[str]:
    """Return the names of a model's fields in the file."""
    return [field.alias or name for name, field in model.model_fields.items()]
