"""The JSON schema of `vigilbase.yaml`: it accepts every valid file, and rejects most invalid ones."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from vigilbase import ConfigurationError
from vigilbase.channels import CHANNELS
from vigilbase.cli.app import make_app
from vigilbase.configfile import STARTER, make_file_schema, parse_config
from vigilbase.configfile.document import read_document
from vigilbase.probes import PROBES

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(make_file_schema())
ENVIRON = {
    "DATABASE_URL": "self", "N": "7", "INTERVAL": "10s", "NAME": "web", "TRUE": "true",
    "URL": "json://localhost/hunter2", "ON": "down",
}  # fmt: skip
UNCOMMENTED = re.sub(r"^(  )?# (?=- |  |\w+:)", r"\1", STARTER, flags=re.MULTILINE)
EXAMPLES = [
    example
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for example in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
]


def _matches_schema(text: str) -> bool:
    """Return whether the schema accepts a file as an editor sees it, with its variables unsubstituted."""
    document = read_document(text.replace("$", "$$"), {})
    assert not document.faults
    return bool(SCHEMA.is_valid(document.value))


def test_schema_command_prints_valid_schema() -> None:
    result = CliRunner().invoke(make_app(), ["schema"])
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed == make_file_schema()
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(printed)


@pytest.mark.parametrize("text", [STARTER, UNCOMMENTED, *EXAMPLES])
def test_schema_starter_and_examples_are_accepted(text: str) -> None:
    assert _matches_schema(text)


def test_docs_example_configs_are_found() -> None:
    assert len(EXAMPLES) >= 2


@pytest.mark.parametrize("kind", PROBES)
def test_schema_service_kind_has_own_and_common_fields(kind: str) -> None:
    definition = make_file_schema()["$defs"][f"{kind.capitalize()}Service"]
    assert {
        "name",
        kind,
        "interval",
        "timeout",
        "failure_threshold",
        "success_threshold",
        "degraded_after",
    } <= definition["properties"].keys()
    assert {"name", kind} <= set(definition["required"])
    assert definition["additionalProperties"] is False
    assert "default" not in definition["properties"]["interval"]


def test_schema_defaults_are_in_file_format_and_described() -> None:
    fields = make_file_schema()["$defs"]["Defaults"]["properties"]
    assert {name: field.get("default") for name, field in fields.items()} == {
        "interval": "30s", "timeout": "5s", "failure_threshold": 3, "success_threshold": 2, "degraded_after": None
    }  # fmt: skip
    assert all(field["description"] for field in fields.values())


GOOD = "services: [{{name: a, tcp: 'h:1', {}}}]"
CHAT = "channels: {chat: {apprise: 'json://h'}}\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.format("failure_threshold: 3, interval: ' 1.5s '"),
        GOOD.format('failure_threshold: "${N}", interval: "${INTERVAL}"'),
        GOOD.format("degraded_after: null"),
        GOOD.format("degraded_after: 4s"),
        "defaults: null\n" + GOOD.format(""),
        'retention_days: "${N}"\n' + GOOD.format(""),
        f"services: [{{name: '{'$$' * 60}', tcp: 'h:1'}}]",
        "services: [{name: a, http: 'https://h/', expect: {status: 200}}]",
        "services: [{name: a, http: 'https://h/', expect: {status: ' 200 - 299, 301 '}}]",
        "services: [{name: a, http: 'https://h/', follow_redirects: \"${FOLLOW:-true}\"}]",
        "services: [{name: a, dns: example.com, record: a, expect: {answers: 192.0.2.1}}]",
        "services: [{name: a, dns: example.com, expect: {answers: [192.0.2.1]}}]",
        'services: [{name: "${NAME}", postgres: "${DATABASE_URL}"}]',
        CHAT + GOOD.format("routes: [{channels: [chat], on: [down], after: 15m, unless: acknowledged}]"),
        GOOD.format("tags: [a, 'ä ö']"),
        CHAT + 'routes: [{channels: ["${CHAT:-chat}"], on: ["${ON}"], unless: null}]\n' + GOOD.format("routes: []"),
        "channels: {chat: {apprise: ['json://h', \"${URL}\"]}}\nroutes: []\n" + GOOD.format("tags: ['${NAME}']"),
        "channels:\nremind_every: 1m\ngroup_window: 0s\n" + GOOD.format("tags: []"),
        "remind_every:\ngroup_window: ${INTERVAL}\n" + GOOD.format(""),
    ],
)
def test_schema_and_parser_accept_valid_config(text: str) -> None:
    assert parse_config(text, ENVIRON).services
    assert _matches_schema(text)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "services: []",
        "services: {}",
        "services: [web]",
        "retention_days: 0\n" + GOOD.format(""),
        "retention_days: true\n" + GOOD.format(""),
        "channels: []\n" + GOOD.format(""),
        "channels: {'a b': {apprise: 'json://h'}}\n" + GOOD.format(""),
        "channels: {a: 'json://h'}\n" + GOOD.format(""),
        "channels: {a: {}}\n" + GOOD.format(""),
        "channels: {a: {mail: {}}}\n" + GOOD.format(""),
        "channels: {a: {email: {to: [a@b.c], frm: a@b.c, smtp: 'smtp://h'}}}\n" + GOOD.format(""),
        "channels: {a: {apprise: 'json://h', color: red}}\n" + GOOD.format(""),
        "channels: {a: {apprise: 3}}\n" + GOOD.format(""),
        CHAT + "routes:\n" + GOOD.format(""),
        CHAT + "routes: [{}]\n" + GOOD.format(""),
        CHAT + "routes: [{channels: []}]\n" + GOOD.format(""),
        CHAT + "routes: [{channels: [chat, chat]}]\n" + GOOD.format(""),
        CHAT + "routes: [{channels: [chat], on: [up]}]\n" + GOOD.format(""),
        CHAT + "routes: [{channels: [chat], after: 15}]\n" + GOOD.format(""),
        CHAT + "routes: [{channels: [chat], after: 1m, unless: seen}]\n" + GOOD.format(""),
        "remind_every: often\n" + GOOD.format(""),
        "group_window: 0\n" + GOOD.format(""),
        GOOD.format("tags: shop"),
        GOOD.format("tags: [a, a]"),
        GOOD.format("tags: ['']"),
        GOOD.format(f"tags: [{'a' * 51}]"),
        GOOD.format("tags: [1]"),
        "defaults: {often: 3s}\n" + GOOD.format(""),
        "defaults: {interval: 30}\n" + GOOD.format(""),
        "services: [{tcp: 'h:1'}]",
        "services: [{name: a}]",
        "services: [{name: a, tcp: 'h:1', http: 'http://h/'}]",
        "services: [{name: '', tcp: 'h:1'}]",
        f"services: [{{name: {'a' * 101}, tcp: 'h:1'}}]",
        "services: [{name: 12, tcp: 'h:1'}]",
        "services: [{name: a, tcp: 25}]",
        GOOD.format("color: red"),
        GOOD.format("failure_threshold: 0"),
        GOOD.format("failure_threshold: '3'"),
        GOOD.format("failure_threshold: true"),
        GOOD.format("failure_threshold: 1.5"),
        GOOD.format("interval: 3"),
        GOOD.format("interval: 3y"),
        GOOD.format("degraded_after: soon"),
        "services: [{name: a, http: 'https://h/', expect: {statuss: 200}}]",
        "services: [{name: a, http: 'https://h/', expect: []}]",
        "services: [{name: a, http: 'https://h/', expect: {status: 2xx}}]",
        "services: [{name: a, http: 'https://h/', expect: {status: 99}}]",
        "services: [{name: a, http: 'https://h/', follow_redirects: 1}]",
    ],
)
def test_schema_and_parser_reject_invalid_config(text: str) -> None:
    assert not _matches_schema(text)
    with pytest.raises(ConfigurationError):
        parse_config(text, ENVIRON)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (GOOD.format("failure_threshold: 0"), ["services", 0, "failure_threshold"]),
        (GOOD.format("interval: 3"), ["services", 0, "interval"]),
        (GOOD.format("color: red"), ["services", 0]),
        ("services: [{tcp: 'h:1'}]", ["services", 0]),
        ("services: [web]", ["services", 0]),
        ("services: [{name: a, http: 'https://h/', expect: {status: 2xx}}]", ["services", 0, "expect", "status"]),
        ("services: [{name: a, tls: 'h', server_name: 3}]", ["services", 0, "server_name"]),
    ],
)
def test_schema_error_has_path_of_invalid_value(text: str, path: list[str | int]) -> None:
    value = read_document(text, {}).value
    errors = list(SCHEMA.iter_errors(value))
    assert [list(error.absolute_path) for error in errors] == [path]


def _make_mapping(**fields: list[object]) -> st.SearchStrategy[dict[str, object]]:
    """Generate mappings with some of the fields."""
    return st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in fields.items()})


COUNTS: list[object] = [1, 2, 3, 100, "${N}", "${N}", 0, "3"]
DURATIONS: list[object] = ["100ms", "1s", "5m", " 2s", "${INTERVAL}", "1.5m", "1d", None]
TIMING = _make_mapping(
    interval=DURATIONS,
    timeout=DURATIONS,
    failure_threshold=COUNTS,
    success_threshold=COUNTS,
    degraded_after=DURATIONS,
)
PROBE_SAMPLES: list[dict[str, object]] = [
    {"tcp": "h:1"},
    {"http": "https://h/", "expect": {"status": 200}},
    {"http": "https://h/", "expect": {"status": "2"}},
    {"http": "https://h/", "method": "head", "follow_redirects": "${TRUE}", "headers": {"A": "${NAME}"}},
    {"postgres": "${DATABASE_URL}"},
    {"redis": "redis://h:1"},
    {"tls": "h:465", "expect": {"certificate_days": "${N}"}},
    {"tls": "h:465", "expect": {}, "server_name": None},
    {"dns": "${NAME}", "record": "mx", "expect": None},
    {"dns": "example.com", "expect": {"answers": "192.0.2.1"}},
    {"tcp": "h:1", "expect": {}},
]
SERVICE = st.builds(
    lambda name, probe, timing: {"name": name, **probe, **timing},
    st.sampled_from(["a", "b", "${NAME}", "$$", 3]),
    st.sampled_from(PROBE_SAMPLES),
    TIMING,
)
FILE = st.fixed_dictionaries(
    {"services": st.lists(SERVICE, max_size=2)},
    optional={"defaults": st.none() | TIMING, "retention_days": st.sampled_from(COUNTS)},
)
MAIL: dict[str, object] = {"to": ["a@example.com"], "from": "${NAME}@example.com", "smtp": "smtp://h"}
HTTP: dict[str, object] = {"url": "https://h/", "timeout": "${INTERVAL}"}
CHANNEL_SAMPLES: list[dict[str, object]] = [
    {"apprise": "${URL}"},
    {"apprise": ["json://h", "${URL}"]},
    {"apprise": []},
    {"email": MAIL},
    {"email": {**MAIL, "to": [], "ca_file": None}},
    {"webhook": HTTP},
    {"webhook": {**HTTP, "secret": "${NAME}", "headers": {"A": "${NAME}"}, "format": "alertmanager"}},
    {"webhook": {**HTTP, "secret": ["${NAME}", "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"], "template": "{{ '$$' }}"}},
    {"pagerduty": {"routing_key": "0" * 32, "severity": {"degraded": "info"}}},
    {"alertmanager": {**HTTP, "expires_after": "1d"}},
    {"slack": HTTP},
    {"slack": {**HTTP, "severity": "info"}},
    {"email": MAIL, "slack": HTTP},
    {},
]
ROUTES = st.lists(
    st.fixed_dictionaries(
        {"channels": st.sampled_from([["ops"], ["ops", "b"], ["${OPS:-ops}"], ["b", "b"], []])},
        optional={
            "on": st.sampled_from([["down"], ["recovery", "degraded"], ["${ON}"], ["down", "${ON}"], ["up"]]),
            "after": st.sampled_from(["1s", "15m", "${INTERVAL}", None, "0s"]),
            "unless": st.sampled_from(["acknowledged", None, "${ON}"]),
        },
    ),
    max_size=2,
)
ROUTED_SERVICE = st.fixed_dictionaries(
    {"name": st.just("a"), "tcp": st.just("h:1")},
    optional={"routes": ROUTES, "tags": st.lists(st.sampled_from(["shop", "${NAME}", "ä ö", " "]), max_size=2)},
)
FILE_WITH_CHANNELS = st.fixed_dictionaries(
    {
        "services": ROUTED_SERVICE.map(lambda service: [service]),
        "channels": st.fixed_dictionaries({name: st.sampled_from(CHANNEL_SAMPLES) for name in ("ops", "b")}),
    },
    optional={
        "routes": ROUTES,
        "remind_every": st.sampled_from(["1m", "4h", "${NAME}", None]),
        "group_window": st.sampled_from(["0s", "30s", "${INTERVAL}", None]),
    },
)


@pytest.mark.parametrize("kind", CHANNELS)
def test_schema_channel_samples_cover_every_kind(kind: str) -> None:
    config = next(config for config in CHANNEL_SAMPLES if kind in config)
    text = json.dumps({"channels": {"a": config}, "services": [{"name": "a", "tcp": "h:1"}]})
    assert parse_config(text, ENVIRON).channels["a"].kind == kind
    assert _matches_schema(text)


@settings(max_examples=400)
@given(FILE | FILE_WITH_CHANNELS)
def test_schema_any_config_valid_for_parser_is_accepted(value: dict[str, object]) -> None:
    text = json.dumps(value)
    try:
        parse_config(text, ENVIRON)
    except ConfigurationError:
        return
    assert _matches_schema(text)
