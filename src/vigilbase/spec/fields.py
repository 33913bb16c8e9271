"""The fields of the file as pydantic models: what a kind of probe asks for comes from the kind."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    create_model,
    field_validator,
)

from vigilbase.alerts.routing import OCCASIONS, Occasion
from vigilbase.durations import duration_between
from vigilbase.errors import InvalidInputError
from vigilbase.models.validation import MAX_DAYS, valid_service_name, valid_text
from vigilbase.probes import KINDS

_DURATION = WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?(ms|s|m|h|d)\s*$"})
Every: TypeAlias = Annotated[float, BeforeValidator(duration_between("100ms", "1d")), _DURATION]
Timeout: TypeAlias = Annotated[float, BeforeValidator(duration_between("1ms", "5m")), _DURATION]
After: TypeAlias = Annotated[float, BeforeValidator(duration_between("1s", "30d")), _DURATION]
RemindEvery: TypeAlias = Annotated[float, BeforeValidator(duration_between("1m", "30d")), _DURATION]
GroupWindow: TypeAlias = Annotated[float, BeforeValidator(duration_between("0s", "1h")), _DURATION]
Count: TypeAlias = Annotated[int, Field(ge=1, le=100)]


def _service_name(value: str) -> str:
    try:
        return valid_service_name(value)
    except InvalidInputError as error:
        raise ValueError(error.rule) from None


def _tag(value: str) -> str:
    try:
        valid_text("tags", value)
    except InvalidInputError as error:
        raise ValueError(error.rule) from None
    if value != value.strip():
        raise ValueError("must not begin or end with white space")
    return value


Item = TypeVar("Item")


def _distinct(values: tuple[Item, ...]) -> tuple[Item, ...]:
    if len(set(values)) < len(values):
        raise ValueError("must not have the same entry twice")
    return values


Distinct = Annotated[tuple[Item, ...], AfterValidator(_distinct), Field(json_schema_extra={"uniqueItems": True})]
Tag: TypeAlias = Annotated[str, Field(min_length=1, max_length=50), AfterValidator(_tag)]
CHANNEL_NAME = r"[A-Za-z0-9_-]{1,50}"


class AlertRoute(BaseModel):
    """Which alerts go to which channels, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Distinct[str] = Field(description="Where to: names of channels.", min_length=1)
    on: Distinct[Occasion] = Field(OCCASIONS, description="What is told: down, degraded, recovery.", min_length=1)
    after: After | None = Field(
        None, description="How long an alert must last before it is told: 1s to 30d.", examples=["15m"]
    )
    unless: Literal["acknowledged"] | None = Field(None, description="Not if somebody has acknowledged it by then.")

    @field_validator("on")
    @classmethod
    def _has_a_beginning(cls, value: tuple[Occasion, ...]) -> tuple[Occasion, ...]:
        if set(value) == {"recovery"}:
            raise ValueError("must have down or degraded as well; a recovery is the end of one of them")
        return value

    @field_validator("unless")
    @classmethod
    def _needs_a_delay(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("after", 0) is None:
            raise ValueError("is possible only with `after`")
        return value


class Named(BaseModel):
    """What every service has to say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_service_name)] = Field(
        description="What the service is called: 1 to 100 characters, each name once.",
        json_schema_extra={"minLength": 1, "maxLength": 100},
    )


class Defaults(BaseModel):
    """What holds for every service that doesn't say otherwise."""

    # Durations are seconds once read.
    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Every = Field(
        30.0, description="How often a service is probed: 100ms to 1d.", json_schema_extra={"default": "30s"}
    )
    timeout: Timeout = Field(
        5.0, description="How long a probe may take: 1ms to 5m.", json_schema_extra={"default": "5s"}
    )
    failures: Count = Field(3, description="How many checks in a row must be down to open an alert.")
    successes: Count = Field(2, description="How many checks in a row must not be down to resolve it.")
    degraded_after: Timeout | None = Field(
        None, description="A healthy answer that takes longer is degraded; shorter than timeout.", examples=["800ms"]
    )


class File(BaseModel):
    """What Vigilbase watches."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="vigilbase.yaml")

    defaults: Defaults | None = Field(None, description="What holds for every service that doesn't say otherwise.")
    services: list[JsonValue] = Field(description="What to watch.", min_length=1)
    channels: dict[str, JsonValue] | None = Field(None, description="Where messages go: channels by their names.")
    alerts: tuple[AlertRoute, ...] = Field(
        default_factory=tuple, description="Which alerts go where. Without it, all go to every channel."
    )
    remind_every: RemindEvery | None = Field(
        None, description="How often an open alert that nobody acknowledged is told again: 1m to 30d.", examples=["4h"]
    )
    group_window: GroupWindow = Field(
        30.0,
        description="For how long after a message to a channel what follows is gathered into one: 0s (off) to 1h.",
        json_schema_extra={"default": "30s"},
    )
    retention_days: int = Field(30, ge=1, le=MAX_DAYS, description="How many days checks and resolved alerts are kept.")


class Service(Defaults, Named):
    """What the services of every kind have in common."""

    tags: Distinct[Tag] = Field((), description="Words to find the service by, as silences do.")
    alerts: tuple[AlertRoute, ...] = Field(
        default_factory=tuple,
        description="Which alerts of this service go where, in place of what the file says for all.",
    )


def _of_kind(kind: str) -> type[Service]:
    target = KINDS[kind].target
    made = create_model(f"{kind.capitalize()}Service", __base__=(target, Service), __doc__=target.__doc__)
    return cast("type[Service]", made)


SERVICES: Mapping[str, type[Service]] = {kind: _of_kind(kind) for kind in KINDS}
"""The model of a service by its kind: its name, what its probe asks for, and its timing."""


def names(model: type[BaseModel]) -> list[str]:
    """The fields of a model as they are written in the file."""
    return [field.alias or name for name, field in model.model_fields.items()]
