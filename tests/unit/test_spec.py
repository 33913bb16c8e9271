"""`vigilbase.yaml`: what it means, and one clear line for each mistake."""

from datetime import timedelta
from pathlib import Path

import pytest

from vigilbase import ConfigurationError
from vigilbase.durations import duration_between
from vigilbase.probes import KINDS
from vigilbase.spec import duration_s, load_spec, parse_spec
from vigilbase.vocabulary import Policy

WEBSITE = "services:\n  - {name: website, http: 'https://example.com/'"


def _service(text: str) -> str:
    return f"services:\n  - {{{text}}}"


def test_a_service_has_the_defaults_and_what_it_says_for_itself() -> None:
    specs = parse_spec(
        "defaults: {every: 1m, timeout: 500ms, failures: 5}\n"
        "services:\n"
        "  - {name: a, tcp: 'localhost:25'}\n"
        "  - {name: b, tcp: '[::1]:6379', every: 1.5s, timeout: 2s, failures: 1, successes: 1}\n"
    ).services
    assert [(s.name, s.kind, s.every, s.timeout, s.policy) for s in specs] == [
        ("a", "tcp", 60, 0.5, Policy(5, 2, timedelta(seconds=120.5))),
        ("b", "tcp", 1.5, 2, Policy(1, 1, timedelta(seconds=5))),
    ]


def test_without_defaults_the_documented_ones_hold() -> None:
    [spec] = parse_spec(WEBSITE + "}").services
    assert (spec.kind, spec.every, spec.timeout, spec.policy) == ("http", 30, 5, Policy(3, 2, timedelta(seconds=65)))


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1h", 3600), ("1d", 86_400), (" 2.5s ", 2.5)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "0s", "0.0ms", "-1s", "1", "1 s", "1y", ".5s", "1e3s", "٣s", "9" * 400 + "s", None, 30]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 500ms, 30s, 5m or 1h"):
        duration_s(text)


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        ("0s", "1d", "must be a duration from 0s to 1d, such as 500ms, 30s, 5m or 1h"),
        ("1s", "1m", "must be a duration from 1s to 1m, such as 30s"),
        ("2h", "1d", "must be a duration from 2h to 1d"),
    ],
)
def test_a_duration_within_bounds_may_be_a_bound_and_its_examples_lie_within(least: str, most: str, said: str) -> None:
    between = duration_between(least, most)
    assert between(most) > between(least) >= 0
    for text in ("-1s", "0.9ms", "366d", "", 3, None):
        if text != "0.9ms" or least != "0s":
            with pytest.raises(ValueError, match=f"^{said}$"):
                between(text)


def test_a_duration_of_the_defaults_gives_way_to_that_of_a_service() -> None:
    text = (
        "defaults: {degraded_after: 800ms}\n"
        "services:\n"
        "  - {name: a, tcp: 'h:1'}\n"
        "  - {name: b, tcp: 'h:1', degraded_after: 2s}\n"
        "  - {name: c, tcp: 'h:1', degraded_after: null}\n"
    )
    assert [spec.degraded_after for spec in parse_spec(text).services] == [0.8, 2, None]


@pytest.mark.parametrize(("text", "days"), [("", 30), ("retention_days: 1\n", 1), ("retention_days: 36500\n", 36_500)])
def test_a_file_says_for_how_long_records_are_kept(text: str, days: int) -> None:
    assert parse_spec(text + WEBSITE + "}").retention_days == days


@pytest.mark.parametrize("text", ["defaults:\n", "defaults: null\n", "defaults: {}\n"])
def test_defaults_may_be_empty(text: str) -> None:
    assert parse_spec(text + WEBSITE + "}").services[0].every == 30


COUNT = "must be a whole number from 1 to 100"
EVERY = "must be a duration from 100ms to 1d, such as 500ms, 30s, 5m or 1h"
TIMEOUT = "must be a duration from 1ms to 5m, such as 500ms, 30s or 5m"
KNOWN = ", ".join(KINDS)
TIMING = "every, timeout, failures, successes, degraded_after"
OF_FILE = "defaults, services, channels, alerts, remind_every, group_window, retention_days"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: must be a mapping with a list `services:`"),
        ("[]", "1: must be a mapping with a list `services:`"),
        ("defaults: {}", "1: services: is missing"),
        ("services: []", "1: services: must not be empty"),
        ("services:", "1: services: must be a list"),
        ("services: {a: b}", "1: services: must be a list"),
        (
            "service: []",
            f"1: service: unknown field; there are {OF_FILE}; did you mean services?",
        ),
        ("zzz: []\n" + WEBSITE + "}", f"1: zzz: unknown field; there are {OF_FILE}"),
        ("retention_days: 0\n" + WEBSITE + "}", "1: retention_days: must be a whole number from 1 to 36,500"),
        ("retention_days: 1.0\n" + WEBSITE + "}", "1: retention_days: must be a whole number from 1 to 36,500"),
        ("defaults: []\n" + WEBSITE + "}", "1: defaults: must be a mapping"),
        (
            "defaults: {evry: 3s}\n" + WEBSITE + "}",
            f"1: defaults.evry: unknown field; there are {TIMING}; did you mean every?",
        ),
        ("defaults: {every: 30}\n" + WEBSITE + "}", f"1: defaults.every: {EVERY}"),
        ("defaults: {every: 0s}\n" + WEBSITE + "}", f"1: defaults.every: {EVERY}"),
        ("defaults: {every: 2d}\n" + WEBSITE + "}", f"1: defaults.every: {EVERY}"),
        ("defaults: {timeout: 6m}\n" + WEBSITE + "}", f"1: defaults.timeout: {TIMEOUT}"),
        ("services: [web]", f"1: services[0]: must be a mapping with a name and one of {KNOWN}"),
        (_service("tcp: 'h:1'"), "2: services[0].name: is missing"),
        (_service("name: 12, tcp: 'h:1'"), "2: services[0].name: must be text; write it in quotes"),
        (_service("name: [], tcp: 'h:1'"), "2: services[0].name: must be text"),
        (_service("name: ' web', tcp: 'h:1'"), "2: services[0] ( web).name: must not begin or end with white space"),
        (_service("name: web"), f"2: services[0] (web): must have exactly one of {KNOWN}"),
        (
            _service("name: web, htp: 'http://h/'"),
            f"2: services[0] (web): must have exactly one of {KNOWN}; did you mean http?",
        ),
        (
            _service("name: web, tcp: 'h:1', http: 'http://h/'"),
            f"2: services[0] (web): must have exactly one of {KNOWN}, and has http and tcp",
        ),
        (
            _service("name: web, tcp: h"),
            "2: services[0] (web).tcp: must be HOST:PORT, such as mail.example.com:25 or [::1]:6379",
        ),
        (_service("name: web, tcp:"), "2: services[0] (web).tcp: must be text"),
        (_service("name: web, tcp: 25"), "2: services[0] (web).tcp: must be text; write it in quotes"),
        (
            _service("name: web, http: 'http://xn--a/'"),
            "2: services[0] (web).http: must be a URL such as https://example.com/health",
        ),
        (
            _service("name: web, http: example.com"),
            "2: services[0] (web).http: must be a URL such as https://example.com/health",
        ),
        (
            _service("name: web, tcp: 'h:1', color: red"),
            f"2: services[0] (web).color: unknown field; there are name, {TIMING}, tags, alerts, tcp",
        ),
        (_service("name: web, tcp: 'h:1', failures: 0"), f"2: services[0] (web).failures: {COUNT}"),
        (_service("name: web, tcp: 'h:1', failures: 101"), f"2: services[0] (web).failures: {COUNT}"),
        (_service("name: web, tcp: 'h:1', failures: true"), f"2: services[0] (web).failures: {COUNT}"),
        (_service("name: web, tcp: 'h:1', failures: 3.0"), f"2: services[0] (web).failures: {COUNT}"),
        (_service("name: web, tcp: 'h:1', failures: '3'"), f"2: services[0] (web).failures: {COUNT}"),
        (_service("name: web, tcp: 'h:1', failures: null"), f"2: services[0] (web).failures: {COUNT}"),
        (_service("name: web, tcp: 'h:1', timeout: 1y"), f"2: services[0] (web).timeout: {TIMEOUT}"),
        (WEBSITE + ", expect: ok}", "2: services[0] (website).expect: must be a mapping"),
        (
            WEBSITE + ", expect: {status: 299-200}}",
            "2: services[0] (website).expect.status: must be status codes such as",
        ),
        (
            WEBSITE + ", expect: {statuss: 200}}",
            "2: services[0] (website).expect.statuss: unknown field; there are status",
        ),
        (WEBSITE + ", follow_redirects: 1}", "2: services[0] (website).follow_redirects: must be true or false"),
        (
            _service("name: db, postgres: 'mysql://u:hunter2@h/d'"),
            "2: services[0] (db).postgres: must be self or a URL such as",
        ),
        (
            _service("name: db, postgres: 'postgresql://u:hunter2@h:x/d'"),
            "2: services[0] (db).postgres: must be self or a URL",
        ),
        (
            _service("name: db, postgres: self, postgresql://u:hunter2@h/d"),
            f"2: services[0] (db).…: unknown field; there are name, {TIMING}, tags, alerts, postgres",
        ),
        (
            WEBSITE + "}\n  - {name: website, tcp: 'h:1'}",
            "3: services[1] (website).name: is there twice, first in line 2",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place_and_shows_no_secret(text: str, said: str) -> None:
    assert _said(text).startswith(f"line {said}")


def _said(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_spec(text, {})
    said = str(caught.value)
    assert said.isprintable()
    assert "hunter2" not in said
    return said


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ("degraded_after: 5s", 5),
        ("timeout: 1s\n    degraded_after: 2s", 6),
        ("timeout: 700ms", 5),
    ],
)
def test_degraded_after_must_be_shorter_than_the_timeout(fields: str, line: int) -> None:
    said = _said(f"defaults: {{degraded_after: 800ms}}\nservices:\n  - name: a\n    tcp: h:1\n    {fields}")
    assert said.startswith(f"line {line}: services[0] (a): degraded_after (")
    assert "s) must be shorter than timeout (" in said


def test_degraded_after_of_the_defaults_is_found_where_it_stands() -> None:
    said = _said("services:\n  - {name: a, tcp: 'h:1'}\ndefaults:\n  degraded_after: 10s\n")
    assert said == "line 4: services[0] (a): degraded_after (10 s) must be shorter than timeout (5 s)"


def test_the_first_mistake_in_the_order_of_the_file_is_told() -> None:
    text = (
        "services:\n"
        "  - name: a\n"
        "    tcp: h:1\n"
        "    failures: {}\n"
        "    every: {}\n"
        "  - name: b\n"
        "    tcp: nowhere\n"
        "defaults: {{timeout: {}}}\n"
    )
    assert _said(text.format("x", "x", "x")).startswith("line 4: services[0] (a).failures")
    assert _said(text.format(1, "x", "x")).startswith("line 5: services[0] (a).every")
    assert _said(text.format(1, "1s", "x")).startswith("line 7: services[1] (b).tcp")
    assert _said(text.replace("nowhere", "h:1").format(1, "1s", "x")).startswith("line 8: defaults.timeout")


def test_the_line_is_that_of_the_key_and_for_a_missing_one_that_of_its_mapping() -> None:
    text = "# one\n\nservices:\n\n  - {}\n    http: https://example.com/\n    expect:\n      status:\n        - 200\n"
    assert _said(text.format("name: a")).startswith("line 8: services[0] (a).expect.status")
    assert _said(text.format("every: 1s")).startswith("line 5: services[0].name: is missing")


def test_a_mistake_in_a_file_names_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "vigilbase.yaml"
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml: there is no such file: `vigilbase up` writes one"):
        load_spec(path)
    path.write_bytes(b"services: \xff")
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml: is not a text in UTF-8"):
        load_spec(path)
    path.write_text("\nservices: []")
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml:2: services: must not be empty"):
        load_spec(path)
    path.write_text("\nservices: [")
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml:2: is no YAML: expected the node content"):
        load_spec(path)
