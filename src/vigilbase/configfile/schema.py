"""Generates the JSON schema of `vigilbase.yaml` for editors, from the models that validate the file."""

from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from vigilbase.channels import CHANNELS
from vigilbase.configfile.models import CHANNEL_NAME, Defaults, File, make_service_model
from vigilbase.probes import PROBES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = {"type": "string", "pattern": r"\$[{$]"}
_ANNOTATIONS = ["title", "description", "default", "examples"]
_LIMITS = {"pattern", "minLength", "maxLength", "enum", "const"}


def make_file_schema() -> JsonSchemaValue:
    """Return the schema, in draft 2020-12.

    The schema accepts every valid file. It also accepts some invalid ones, for example a `timeout` that is shorter than
    `degraded_after`, or a variable that isn't set.
    """
    configs = {kind: channel.config for kind, channel in CHANNELS.items()}
    services = {kind: make_service_model(kind) for kind in PROBES}
    models: list[type[BaseModel]] = [File, *services.values(), *configs.values()]
    references, shared = models_json_schema(
        [(model, "validation") for model in models], schema_generator=_SchemaGenerator
    )
    definitions = {name: _allow_variables(schema) for name, schema in shared["$defs"].items()}
    kinds = {kind: references[model, "validation"] for kind, model in services.items()}
    for reference in kinds.values():
        _drop_defaults(definitions[_get_definition_name(reference)])
    file = definitions.pop(_get_definition_name(references[File, "validation"]))
    file["properties"]["services"]["items"] = _make_service_schema(kinds)
    channels = {kind: references[config, "validation"] for kind, config in configs.items()}
    # The other alternative is null: `channels:` may be left without a value.
    file["properties"]["channels"]["anyOf"][0] = _make_channels_schema(channels)
    return {"$schema": DIALECT, **file, "$defs": definitions}


class _SchemaGenerator(GenerateJsonSchema):
    """Allows for "before" validators, which accept more than the type of the field.

    A text may be a number, such as a status code; a choice may be in lower case; a list may be a single entry.
    """

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        json_schema = super().function_before_schema(schema)
        if "json_schema_input_schema" in schema:
            return json_schema
        if "enum" in json_schema:
            return {"anyOf": [json_schema, {"type": "string"}]}
        if json_schema.get("type") == "array" and "items" in json_schema:
            return {"anyOf": [json_schema, json_schema["items"]]}
        return {**json_schema, "type": ["string", "number"]} if json_schema.get("type") == "string" else json_schema


def _make_service_schema(kinds: Mapping[str, JsonSchemaValue]) -> JsonSchemaValue:
    """Make the schema of a service from those of its kinds.

    With "if" and "then", an editor applies only the schema of the service's kind, and reports an error at its field.
    """
    conditions = {kind: {"type": "object", "required": [kind]} for kind in kinds}
    return {
        "type": "object",
        "anyOf": [{"required": [kind]} for kind in kinds],
        "allOf": [{"if": conditions[kind], "then": reference} for kind, reference in kinds.items()],
    }


def _get_definition_name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rsplit("/", 1)[-1]


def _make_channels_schema(configs: Mapping[str, JsonSchemaValue]) -> JsonSchemaValue:
    """Make the schema of a mapping from names to channels, each of exactly one kind."""
    kinds = [
        {"type": "object", "properties": {kind: config}, "required": [kind], "additionalProperties": False}
        for kind, config in configs.items()
    ]
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^{CHANNEL_NAME}$"},
        "additionalProperties": {"anyOf": kinds},
    }


def _drop_defaults(service: JsonSchemaValue) -> None:
    """Drop the defaults of a service, because `defaults` may override them."""
    for name in Defaults.model_fields:
        service["properties"][name].pop("default", None)


def _allow_variables(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return the schema with `${NAME}` as an alternative to each number, boolean and limited text."""
    copy = dict(schema)
    for keyword in ("properties", "$defs", "patternProperties"):
        if keyword in copy:
            copy[keyword] = {name: _allow_variables(inner) for name, inner in copy[keyword].items()}
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if keyword in copy:
            copy[keyword] = [_allow_variables(inner) for inner in copy[keyword]]
    for keyword in ("items", "additionalProperties"):
        if isinstance(copy.get(keyword), dict):
            copy[keyword] = _allow_variables(copy[keyword])
    is_limited = copy.get("type") in ("integer", "number", "boolean") or not _LIMITS.isdisjoint(copy)
    if not is_limited:
        return copy
    annotations = {key: copy.pop(key) for key in _ANNOTATIONS if key in copy}
    return {**annotations, "anyOf": [copy, _VARIABLE]}
