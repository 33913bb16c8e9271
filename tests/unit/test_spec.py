"""`vigilbase.yaml`: what it means, and one clear line for each mistake."""

from datetime import timedelta
from pathlib import Path

import pytest

from vigilbase import ConfigurationError
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
    ("text", "said"),
    [
        ("", "must have a list `services:`"),
        ("[]", "must have a list `services:`"),
        ("services: []", "services: must be a list of at least one service"),
        ("services: {a: b}", "services: must be a list of at least one service"),
        ("service: []", "service: unknown; there are `defaults` and `services`"),
        ("a: [", "line 1: expected the node content, but found '<stream end>'"),
        ("a: \x01", "is no YAML"),
        ("defaults: {often: 3s}\n" + WEBSITE + "}", "defaults.often: unknown field"),
        ("defaults: {every: 30}\n" + WEBSITE + "}", "defaults.every: must be a duration such as 500ms, 30s, 5m or 1h"),
        ("defaults: {every: 0s}\n" + WEBSITE + "}", "defaults.every: must be a duration such as"),
        ("defaults: {every: 2d}\n" + WEBSITE + "}", "defaults.every: input should be less than or equal to 86400"),
        ("services: [web]", "services[0]: must be a mapping with a name and one of http, tcp, postgres"),
        (_service("tcp: 'h:1'"), "services[0].name: must be text"),
        (_service("name: ' web', tcp: 'h:1'"), "services[0].name: must not begin or end with white space"),
        (_service("name: web"), "services[0] (web): must have exactly one of http, tcp, postgres"),
        (_service("name: web, tcp: 'h:1', http: 'http://h/'"), "services[0] (web): must have exactly one of"),
        (_service("name: web, tcp: h"), "services[0] (web).tcp: must be HOST:PORT"),
        (_service("name: web, tcp: 'h:99999'"), "services[0] (web).tcp: must be HOST:PORT"),
        (_service("name: web, http: example.com"), "services[0] (web).http: must be a URL such as"),
        (_service("name: web, http: 'http://h/', color: red"), "services[0] (web).color: unknown field"),
        (_service("name: web, http: 'http://h/', failures: 0"), "services[0] (web).failures: input should be greater"),
        (_service("name: web, http: 'http://h/', timeout: 1y"), "services[0] (web).timeout: must be a duration"),
        (WEBSITE + ", expect: {status: ok}}", "services[0] (website).expect.status: must be status codes such as"),
        (WEBSITE + ", expect: {status: 299-200}}", "services[0] (website).expect.status: must be status codes"),
        (WEBSITE + ", expect: {body: ok}}", "services[0] (website).expect.body: unknown field"),
        (_service("name: db, postgres: 'mysql://u:hunter2@h/d'"), "services[0] (db).postgres: must be self or a URL"),
        (_service("name: db, postgres: 'postgresql://u:hunter2@h:x/d'"), "services[0] (db).postgres: must be self or"),
        (WEBSITE + "}\n  - {name: website, tcp: 'h:1'}", "services[1].name: website is there twice"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_field_and_shows_no_secret(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_spec(text)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_mistake_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "vigilbase.yaml"
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml: can't be read: No such file or directory"):
        load_spec(path)
    path.write_bytes(b"services: \xff")
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml: is not a text in UTF-8"):
        load_spec(path)
    path.write_text("services: []")
    with pytest.raises(ConfigurationError, match=r"vigilbase\.yaml: services: must be a list"):
        load_spec(path)
