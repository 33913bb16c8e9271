"""The JSON schema of `vigilbase.yaml` for editors, made of the models that check the file."""

from collections.abc import Mapping

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from vigilbase.alerts.channels import CHANNELS
from vigilbase.spec.fields import CHANNEL_NAME, SERVICES, Defaults, File

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_FROM_ENVIRONMENT = {"type": "string", "pattern": r"\$[{$]"}
_TOLD = ["title", "description", "default", "examples"]
_LIMITS = {"pattern", "minLength", "maxLength", "enum", "const"}


def file_schema() -> JsonSchemaValue:
    """The schema, in the draft 2020-12.

    What the program accepts, the schema accepts. It refuses less: not a timeout that is shorter than `degraded_after`,
    for one, nor a variable that isn't set.
    """
    configs = {kind: channel.config for kind, channel in CHANNELS.items()}
    models: list[type[BaseModel]] = [File, *SERVICES.values(), *configs.values()]
    references, shared = models_json_schema([(model, "validation") for model in models], schema_generator=_Generator)
    definitions = {name: _substitutable(schema) for name, schema in shared["$defs"].items()}
    of_kinds = {kind: references[model, "validation"] for kind, model in SERVICES.items()}
    for reference in of_kinds.values():
        _forget_defaults(definitions[_name(reference)])
    file = definitions.pop(_name(references[File, "validation"]))
    file["properties"]["services"]["items"] = _service(of_kinds)
    channels = {kind: references[config, "validation"] for kind, config in configs.items()}
    file["properties"]["channels"]["anyOf"][0] = _channels(channels)
    return {"$schema": DIALECT, **file, "$defs": definitions}


class _Generator(GenerateJsonSchema):
    """A field that is prepared before pydantic sees it takes more than its type, unless it says what.

    A text may be a number, such as a status code, a word may be in small letters, and one of a list be without a list.
    """

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        made = super().function_before_schema(schema)
        if "json_schema_input_schema" in schema:
            return made
        if "enum" in made:
            return {"anyOf": [made, {"type": "string"}]}
        if made.get("type") == "array" and "items" in made:
            return {"anyOf": [made, made["items"]]}
        return {**made, "type": ["string", "number"]} if made.get("type") == "string" else made


def _service(of_kinds: Mapping[str, JsonSchemaValue]) -> JsonSchemaValue:
    """A service of any kind. What is wrong within one is said of its field: only one of the kinds is looked at."""
    says = {kind: {"type": "object", "required": [kind]} for kind in of_kinds}
    return {
        "type": "object",
        "anyOf": [{"required": [kind]} for kind in of_kinds],
        "allOf": [{"if": says[kind], "then": reference} for kind, reference in of_kinds.items()],
    }


def _name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rsplit("/", 1)[-1]


def _channels(configs: Mapping[str, JsonSchemaValue]) -> JsonSchemaValue:
    """A mapping of names to channels, each of one kind."""
    of_kinds = [
        {"type": "object", "properties": {kind: config}, "required": [kind], "additionalProperties": False}
        for kind, config in configs.items()
    ]
    return {
        "type": "object",
        "propertyNames": {"pattern": f"^{CHANNEL_NAME}$"},
        "additionalProperties": {"anyOf": of_kinds},
    }


def _forget_defaults(service: JsonSchemaValue) -> None:
    """What a service doesn't say for itself is what `defaults:` says."""
    for name in Defaults.model_fields:
        service["properties"][name].pop("default", None)


def _substitutable(schema: JsonSchemaValue) -> JsonSchemaValue:
    """The schema, where a `${NAME}` may stand for every number, truth value and text within limits."""
    made = dict(schema)
    for keyword in ("properties", "$defs", "patternProperties"):
        if keyword in made:
            made[keyword] = {name: _substitutable(inner) for name, inner in made[keyword].items()}
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if keyword in made:
            made[keyword] = [_substitutable(inner) for inner in made[keyword]]
    for keyword in ("items", "additionalProperties"):
        if isinstance(made.get(keyword), dict):
            made[keyword] = _substitutable(made[keyword])
    is_limited = made.get("type") in ("integer", "number", "boolean") or not _LIMITS.isdisjoint(made)
    if not is_limited:
        return made
    told = {key: made.pop(key) for key in _TOLD if key in made}
    return {**told, "anyOf": [made, _FROM_ENVIRONMENT]}
