"""The fields of the file as pydantic models: what a kind of probe asks for comes from the kind."""

from collections.abc import Mapping
from typing import Annotated, TypeAlias, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    create_model,
)

from vigilbase.errors import InvalidInputError
from vigilbase.models.validation import MAX_DAYS, valid_service_name
from vigilbase.probes import KINDS
from vigilbase.spec.durations import duration_between

_DURATION = WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?(ms|s|m|h|d)\s*$"})
Every: TypeAlias = Annotated[float, BeforeValidator(duration_between("100ms", "1d")), _DURATION]
Timeout: TypeAlias = Annotated[float, BeforeValidator(duration_between("1ms", "5m")), _DURATION]
Count: TypeAlias = Annotated[int, Field(ge=1, le=100)]


def _service_name(value: str) -> str:
    try:
        return valid_service_name(value)
    except InvalidInputError as error:
        raise ValueError(error.rule) from None


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
    retention_days: int = Field(30, ge=1, le=MAX_DAYS, description="How many days checks and resolved alerts are kept.")


class Service(Defaults, Named):
    """What the services of every kind have in common."""


def _of_kind(kind: str) -> type[Service]:
    target = KINDS[kind].target
    made = create_model(f"{kind.capitalize()}Service", __base__=(target, Service), __doc__=target.__doc__)
    return cast("type[Service]", made)


SERVICES: Mapping[str, type[Service]] = {kind: _of_kind(kind) for kind in KINDS}
"""The model of a service by its kind: its name, what its probe asks for, and its timing."""


def names(model: type[BaseModel]) -> list[str]:
    """The fields of a model as they are written in the file."""
    return [field.alias or name for name, field in model.model_fields.items()]
