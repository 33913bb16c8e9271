"""`vigilbase.yaml`: its values, and one line for each error, with the place and the rule."""

from datetime import timedelta
from pathlib import Path

import pytest

from vigilbase import ConfigurationError
from vigilbase.configfile import load_config, parse_config
from vigilbase.domain import Policy
from vigilbase.probes import PROBES

WEBSITE = "services:\n  - {name: website, http: 'https://example.com/'"


def _write_service(text: str) -> str:
    return f"services:\n  - {{{text}}}"


def _get_error(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, {})
    error = str(caught.value)
    assert error.isprintable()
    assert "hunter2" not in error
    return error


def test_parse_config_service_fields_override_defaults() -> None:
    services = parse_config(
        "defaults: {interval: 1m, timeout: 500ms, failure_threshold: 5}\n"
        "services:\n"
        "  - {name: a, tcp: 'localhost:25'}\n"
        "  - {name: b, tcp: '[::1]:6379', interval: 1.5s, timeout: 2s, failure_threshold: 1, success_threshold: 1}\n"
    ).services
    assert [(s.name, s.kind, s.interval_s, s.timeout_s, s.policy) for s in services] == [
        ("a", "tcp", 60, 0.5, Policy(5, 2, timedelta(seconds=120.5))),
        ("b", "tcp", 1.5, 2, Policy(1, 1, timedelta(seconds=5))),
    ]


def test_parse_config_without_defaults_uses_documented_values() -> None:
    [service] = parse_config(WEBSITE + "}").services
    assert (service.kind, service.interval_s, service.timeout_s, service.policy) == (
        "http",
        30,
        5,
        Policy(3, 2, timedelta(seconds=65)),
    )


def test_parse_config_degraded_after_of_service_overrides_default() -> None:
    text = (
        "defaults: {degraded_after: 800ms}\n"
        "services:\n"
        "  - {name: a, tcp: 'h:1'}\n"
        "  - {name: b, tcp: 'h:1', degraded_after: 2s}\n"
        "  - {name: c, tcp: 'h:1', degraded_after: null}\n"
    )
    assert [service.degraded_after_s for service in parse_config(text).services] == [0.8, 2, None]


@pytest.mark.parametrize(("text", "days"), [("", 30), ("retention_days: 1\n", 1), ("retention_days: 36500\n", 36_500)])
def test_parse_config_retention_days_is_read_or_30(text: str, days: int) -> None:
    assert parse_config(text + WEBSITE + "}").retention_days == days


@pytest.mark.parametrize("text", ["defaults:\n", "defaults: null\n", "defaults: {}\n"])
def test_parse_config_empty_defaults_are_accepted(text: str) -> None:
    assert parse_config(text + WEBSITE + "}").services[0].interval_s == 30


COUNT = "must be a whole number from 1 to 100"
INTERVAL = "must be a duration from 100ms to 1d, such as 500ms, 30s, 5m or 1h"
TIMEOUT = "must be a duration from 1ms to 5m, such as 500ms, 30s or 5m"
KINDS = ", ".join(PROBES)
TIMING = "interval, timeout, failure_threshold, success_threshold, degraded_after"
FILE_FIELDS = "defaults, services, channels, routes, remind_every, group_window, retention_days"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "1: must be a mapping with a list `services:`"),
        ("[]", "1: must be a mapping with a list `services:`"),
        ("defaults: {}", "1: services: is missing"),
        ("services: []", "1: services: must not be empty"),
        ("services:", "1: services: must be a list"),
        ("services: {a: b}", "1: services: must be a list"),
        ("service: []", "1: service: unknown field; did you mean services?"),
        ("zzz: []\n" + WEBSITE + "}", f"1: zzz: unknown field; the fields are {FILE_FIELDS}"),
        ("retention_days: 0\n" + WEBSITE + "}", "1: retention_days: must be a whole number from 1 to 36,500"),
        ("retention_days: 1.0\n" + WEBSITE + "}", "1: retention_days: must be a whole number from 1 to 36,500"),
        ("defaults: []\n" + WEBSITE + "}", "1: defaults: must be a mapping"),
        (
            "defaults: {intervall: 3s}\n" + WEBSITE + "}",
            "1: defaults.intervall: unknown field; did you mean interval?",
        ),
        ("defaults: {interval: 30}\n" + WEBSITE + "}", f"1: defaults.interval: {INTERVAL}"),
        ("defaults: {interval: 0s}\n" + WEBSITE + "}", f"1: defaults.interval: {INTERVAL}"),
        ("defaults: {interval: 2d}\n" + WEBSITE + "}", f"1: defaults.interval: {INTERVAL}"),
        ("defaults: {timeout: 6m}\n" + WEBSITE + "}", f"1: defaults.timeout: {TIMEOUT}"),
        ("services: [web]", f"1: services[0]: must be a mapping with a name and one of {KINDS}"),
        (_write_service("tcp: 'h:1'"), "2: services[0].name: is missing"),
        (_write_service("name: 12, tcp: 'h:1'"), "2: services[0].name: must be text; write it in quotes"),
        (_write_service("name: [], tcp: 'h:1'"), "2: services[0].name: must be text"),
        (
            _write_service("name: ' web', tcp: 'h:1'"),
            "2: services[0] ( web).name: must not begin or end with",
        ),
        (_write_service("name: web"), f"2: services[0] (web): must have exactly one of {KINDS}"),
        (
            _write_service("name: web, htp: 'http://h/'"),
            f"2: services[0] (web): must have exactly one of {KINDS}; did you mean http?",
        ),
        (
            _write_service("name: web, tcp: 'h:1', http: 'http://h/'"),
            f"2: services[0] (web): must have exactly one of {KINDS}, but has http and tcp",
        ),
        (
            _write_service("name: web, tcp: h"),
            "2: services[0] (web).tcp: must be HOST:PORT",
        ),
        (_write_service("name: web, tcp:"), "2: services[0] (web).tcp: must be text"),
        (_write_service("name: web, tcp: 25"), "2: services[0] (web).tcp: must be text; write it in quotes"),
        (
            _write_service("name: web, http: 'http://xn--a/'"),
            "2: services[0] (web).http: must be a URL",
        ),
        (
            _write_service("name: web, http: example.com"),
            "2: services[0] (web).http: must be a URL",
        ),
        (
            _write_service("name: web, tcp: 'h:1', color: red"),
            f"2: services[0] (web).color: unknown field; the fields are name, {TIMING}, tags, routes, tcp",
        ),
        *[
            (
                _write_service(f"name: web, tcp: 'h:1', failure_threshold: {value}"),
                f"2: services[0] (web).failure_threshold: {COUNT}",
            )
            for value in ("0", "101", "true", "3.0", "'3'", "null")
        ],
        (_write_service("name: web, tcp: 'h:1', timeout: 1y"), f"2: services[0] (web).timeout: {TIMEOUT}"),
        (WEBSITE + ", expect: ok}", "2: services[0] (website).expect: must be a mapping"),
        (
            WEBSITE + ", expect: {status: 299-200}}",
            "2: services[0] (website).expect.status: must be status codes",
        ),
        (
            WEBSITE + ", expect: {statuss: 200}}",
            "2: services[0] (website).expect.statuss: unknown field; did you mean status?",
        ),
        (WEBSITE + ", follow_redirects: 1}", "2: services[0] (website).follow_redirects: must be true or false"),
        (
            _write_service("name: db, postgres: 'mysql://u:hunter2@h/d'"),
            "2: services[0] (db).postgres: must be self or a URL",
        ),
        (
            _write_service("name: db, postgres: 'postgresql://u:hunter2@h:x/d'"),
            "2: services[0] (db).postgres: must be self or a URL",
        ),
        (
            _write_service("name: db, postgres: self, postgresql://u:hunter2@h/d"),
            f"2: services[0] (db).…: unknown field; the fields are name, {TIMING}, tags, routes, postgres",
        ),
        (
            WEBSITE + "}\n  - {name: website, tcp: 'h:1'}",
            "3: services[1] (website).name: must be unique; the service on line 2 has the same name",
        ),
    ],
)
def test_parse_config_invalid_field_is_reported_with_path_and_no_secret(text: str, error: str) -> None:
    assert _get_error(text).startswith(f"line {error}")


@pytest.mark.parametrize(
    ("text", "place", "new_name"),
    [
        (f"defaults: {{every: 10s}}\n{WEBSITE}}}", "line 1: defaults.every", "interval"),
        (f"defaults: {{failures: 5}}\n{WEBSITE}}}", "line 1: defaults.failures", "failure_threshold"),
        (f"defaults: {{successes: 1}}\n{WEBSITE}}}", "line 1: defaults.successes", "success_threshold"),
        (f"alerts: []\n{WEBSITE}}}", "line 1: alerts", "routes"),
        (f"{WEBSITE}, every: 10s}}", "line 2: services[0] (website).every", "interval"),
        (f"{WEBSITE}, failures: 5}}", "line 2: services[0] (website).failures", "failure_threshold"),
        (f"{WEBSITE}, successes: 1}}", "line 2: services[0] (website).successes", "success_threshold"),
        (f"{WEBSITE}, alerts: []}}", "line 2: services[0] (website).alerts", "routes"),
    ],
)
def test_parse_config_renamed_field_error_suggests_new_name(text: str, place: str, new_name: str) -> None:
    assert _get_error(text) == f"{place}: unknown field; did you mean {new_name}?"


def test_parse_config_renamed_field_where_new_name_is_unknown_lists_fields() -> None:
    assert _get_error(f"every: 10s\n{WEBSITE}}}") == f"line 1: every: unknown field; the fields are {FILE_FIELDS}"
    assert "unknown field; the fields are interval" in _get_error(f"defaults: {{alerts: []}}\n{WEBSITE}}}")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ("degraded_after: 5s", 5),
        ("timeout: 1s\n    degraded_after: 2s", 6),
        ("timeout: 700ms", 5),
    ],
)
def test_parse_config_degraded_after_not_below_timeout_is_rejected(fields: str, line: int) -> None:
    error = _get_error(f"defaults: {{degraded_after: 800ms}}\nservices:\n  - name: a\n    tcp: h:1\n    {fields}")
    assert error.startswith(f"line {line}: services[0] (a): degraded_after (")
    assert "s) must be shorter than timeout (" in error


def test_parse_config_degraded_after_of_defaults_is_reported_at_its_line() -> None:
    error = _get_error("services:\n  - {name: a, tcp: 'h:1'}\ndefaults:\n  degraded_after: 10s\n")
    assert error == "line 4: services[0] (a): degraded_after (10s) must be shorter than timeout (5s)"


def test_parse_config_several_errors_reports_first_in_file() -> None:
    text = (
        "services:\n"
        "  - name: a\n"
        "    tcp: h:1\n"
        "    failure_threshold: {}\n"
        "    interval: {}\n"
        "  - name: b\n"
        "    tcp: nowhere\n"
        "defaults: {{timeout: {}}}\n"
    )
    assert _get_error(text.format("x", "x", "x")).startswith("line 4: services[0] (a).failure_threshold")
    assert _get_error(text.format(1, "x", "x")).startswith("line 5: services[0] (a).interval")
    assert _get_error(text.format(1, "1s", "x")).startswith("line 7: services[1] (b).tcp")
    assert _get_error(text.replace("nowhere", "h:1").format(1, "1s", "x")).startswith("line 8: defaults.timeout")


def test_parse_config_error_has_line_of_key_or_enclosing_mapping() -> None:
    text = "# one\n\nservices:\n\n  - {}\n    http: https://example.com/\n    expect:\n      status:\n        - 200\n"
    assert _get_error(text.format("name: a")).startswith("line 8: services[0] (a).expect.status")
    assert _get_error(text.format("interval: 1s")).startswith("line 5: services[0].name: is missing")


def test_load_config_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "vigilbase.yaml"
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml: .*`vigilbase up`"):
        load_config(path)
    path.write_bytes(b"services: \xff")
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml: .*UTF-8"):
        load_config(path)
    path.write_text("\nservices: []")
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml:2: services: must not be empty"):
        load_config(path)
    path.write_text("\nservices: [")
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml:2: invalid YAML: expected the node content"):
        load_config(path)
