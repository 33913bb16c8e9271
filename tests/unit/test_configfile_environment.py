"""`${NAME}` in the values of `vigilbase.yaml`."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from vigilbase import ConfigurationError
from vigilbase.configfile import load_config, parse_config
from vigilbase.configfile.document import read_document

ENVIRON = {
    "NAME": "web",
    "PORT": "6379",
    "EMPTY": "",
    "DIGITS": "0123",
    "EVIL": "x\ninterval: ${NAME} $$ }",
    "N_1": "4",
}


def _read_value(text: str, environ: Mapping[str, str] = ENVIRON) -> object:
    document = read_document(text, environ)
    assert not document.faults
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "web"),
        ("a-${NAME}:${PORT}/", "a-web:6379/"),
        ("${N_1}", "4"),
        ("${EMPTY}", ""),
        ("${EMPTY:-else}", "else"),
        ("${UNSET:-else}", "else"),
        ("${UNSET:-}", ""),
        ("${NAME:-else}", "web"),
        ("$$", "$"),
        ("$${NAME}", "${NAME}"),
        ("$$$${NAME}", "$${NAME}"),
        ("$$${NAME}", "$web"),
        ("$", "$"),
        ("a$", "a$"),
        ("$5 and $NAME", "$5 and $NAME"),
    ],
)
@pytest.mark.parametrize("style", ["{}", '"{}"', "'{}'", "|-\n  {}", "!!str {}"])
def test_read_document_variable_is_substituted_in_any_text_style(text: str, value: str, style: str) -> None:
    assert _read_value("a: " + style.format(text)) == {"a": value}
    assert _read_value("- " + style.format(text)) == [value]


def test_read_document_variable_value_is_text_and_not_expanded_again() -> None:
    assert _read_value("a: ${EVIL}\nb: ${DIGITS}\n") == {"a": ENVIRON["EVIL"], "b": "0123"}


def test_read_document_variable_in_key_is_not_substituted() -> None:
    assert _read_value("${UNSET}: ${NAME}") == {"${UNSET}": "web"}


@pytest.mark.parametrize(
    "text", ["${", "${}", "${1A}", "${NAME", "${NAME-else}", "${NAME:?why}", "${A B}", "${A:-${B}}"]
)
def test_read_document_malformed_variable_is_rejected(text: str) -> None:
    [fault] = read_document(f"a:\n  b: '{text}'", ENVIRON).faults
    assert (fault.line, fault.path) == (2, ("a", "b"))
    assert fault.message == "malformed variable; write ${NAME} or ${NAME:-default}, or $$ for a dollar sign"


def _get_error(text: str, environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text, environ)
    return str(caught.value)


DATABASE = "services:\n  - {name: web, tcp: 'h:1'}\n  - name: database\n    postgres: ${DATABASE_URL}\n"


def test_parse_config_unset_variable_is_reported_with_path() -> None:
    assert _get_error(DATABASE, {}) == (
        "line 4: services[1] (database).postgres: the environment variable DATABASE_URL is not set; "
        "set it, or write $$ for a dollar sign"
    )


def test_read_document_unset_variable_is_read_from_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    environ = {"A_FILE": str(path)}
    for content, value in [
        ("hunter2", "hunter2"),
        (" a \t\n", " a \t"),
        ("ä ${A}\r\n\n", "ä ${A}"),
        ("a\nb\n", "a\nb"),
        ("\n", ""),
    ]:
        path.write_bytes(content.encode())
        assert _read_value("- ${A}\n- <${A:-else}>", environ) == [value, f"<{value or 'else'}>"]
    path.write_text("7\n")
    assert parse_config(SERVICE, {"NAME": "a", "N_FILE": str(path)}).services[0].policy.failure_threshold == 7


def test_read_document_set_variable_ignores_file(tmp_path: Path) -> None:
    environ = {"A": "a", "A_FILE": str(tmp_path / "nothing"), "B": "", "B_FILE": str(tmp_path / "nothing")}
    assert _read_value('["${A}${B}", "${B:-else}"]', environ) == ["a", "else"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "can't be read: no such file or directory"),
        (b"hunter2\xff", "is not UTF-8 text"),
        (b"hunter2" * 10_000, "has more than 65,536 characters"),
    ],
)
@pytest.mark.parametrize("variable", ["${DATABASE_URL}", "${DATABASE_URL:-self}"])
def test_parse_config_unusable_variable_file_is_reported_by_variable_name(
    content: bytes | None, problem: str, variable: str, tmp_path: Path
) -> None:
    path = tmp_path / "hunter2"
    if content is not None:
        path.write_bytes(content)
    error = _get_error(DATABASE.replace("${DATABASE_URL}", variable), {"DATABASE_URL_FILE": str(path)})
    assert error == (
        "line 4: services[1] (database).postgres: the environment variable DATABASE_URL is not set, "
        f"and the file named by DATABASE_URL_FILE {problem}"
    )


def test_parse_config_invalid_or_empty_variable_file_name_is_rejected() -> None:
    assert _get_error(DATABASE, {"DATABASE_URL_FILE": "hunter2\0"}).endswith("named by DATABASE_URL_FILE can't be read")
    assert "variable DATABASE_URL is not set; set it" in _get_error(DATABASE, {"DATABASE_URL_FILE": ""})


def test_parse_config_error_hides_variable_value() -> None:
    for value in ("mysql://u:hunter2@h/d", "postgresql://u:hunter2@h:x/d", "hunter2\nhunter2", "hunter2\udcff"):
        error = _get_error(DATABASE, {"DATABASE_URL": value})
        assert "hunter2" not in error
        assert error.startswith("line 4: services[1] (database).postgres: must be ")


SERVICE = "services:\n  - name: ${NAME}\n    tcp: h:1\n    failure_threshold: ${N}\n    interval: ${INTERVAL:-10s}\n"


def test_parse_config_number_and_duration_are_read_from_environment() -> None:
    [service] = parse_config(SERVICE, {"NAME": "0123", "N": "7"}).services
    assert (service.name, service.policy.failure_threshold, service.interval_s) == ("0123", 7, 10)
    [service] = parse_config("services: [{name: a, tcp: 'h:1', failure_threshold: \"${N}\"}]", {"N": "8"}).services
    assert service.policy.failure_threshold == 8
    text = "retention_days: ${N}\ndefaults: {success_threshold: \"${N}\"}\nservices: [{name: a, tcp: 'h:1'}]"
    config = parse_config(text, {"N": "9"})
    assert (config.retention_days, config.services[0].policy.success_threshold) == (9, 9)


@pytest.mark.parametrize(
    "value", ["", "x", "3.0", "true", "0x3", "007", "1_0", "101", "9" * 5000, "[3]", "NaN", "1e999"]
)
def test_parse_config_invalid_number_from_environment_is_rejected(value: str) -> None:
    error = _get_error(SERVICE, {"NAME": "a", "N": value})
    assert error == "line 4: services[0] (a).failure_threshold: must be a whole number from 1 to 100"


def test_parse_config_boolean_is_read_from_environment() -> None:
    text = "services: [{name: a, http: 'http://h/', follow_redirects: \"${FOLLOW}\"}]"
    assert parse_config(text, {"FOLLOW": "false"}).services
    assert _get_error(text, {"FOLLOW": "no"}).endswith("follow_redirects: must be true or false")


def test_parse_config_alias_of_number_from_environment_is_number() -> None:
    text = "defaults: {failure_threshold: &n \"${N}\", success_threshold: *n}\nservices: [{name: *n, tcp: 'h:1'}]"
    [service] = parse_config(text, {"N": "6"}).services
    assert (service.name, service.policy.failure_threshold, service.policy.success_threshold) == ("6", 6, 6)


def test_load_config_reads_process_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vigilbase.yaml"
    path.write_text(DATABASE)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(
        ConfigurationError, match=r"vigilbase\.yaml:4: services\[1\] \(database\)\.postgres: the environ"
    ):
        load_config(path)
    monkeypatch.setenv("DATABASE_URL", "self")
    assert len(load_config(path).services) == len(parse_config(DATABASE).services) == 2


def test_parse_config_unquoted_variable_in_braces_error_advises_quotes() -> None:
    error = _get_error("services: [{name: a, tcp: ${HOST}}]", {"HOST": "h:1"})
    assert error == 'line 1: invalid YAML: inside { } and [ ], write ${NAME} in quotes, as in "${NAME}"'
