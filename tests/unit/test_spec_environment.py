"""`${NAME}` in the values of `vigilbase.yaml`."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from vigilbase import ConfigurationError
from vigilbase.spec import load_spec, parse_spec
from vigilbase.spec.document import read_document

ENVIRON = {
    "NAME": "web",
    "PORT": "6379",
    "EMPTY": "",
    "DIGITS": "0123",
    "EVIL": "x\nfailures: ${NAME} $$ }",
    "N_1": "4",
}


def _value(text: str, environ: Mapping[str, str] = ENVIRON) -> object:
    document = read_document(text, environ)
    assert not document.faults
    return document.value


@pytest.mark.parametrize(
    ("written", "meant"),
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
def test_a_variable_stands_for_its_value_in_every_kind_of_text(written: str, meant: str, style: str) -> None:
    assert _value("a: " + style.format(written)) == {"a": meant}
    assert _value("- " + style.format(written)) == [meant]


def test_what_a_variable_says_is_text_and_not_looked_at_again() -> None:
    assert _value("a: ${EVIL}\nb: ${DIGITS}\n") == {"a": ENVIRON["EVIL"], "b": "0123"}


def test_keys_are_taken_as_they_are() -> None:
    assert _value("${UNSET}: ${NAME}") == {"${UNSET}": "web"}


@pytest.mark.parametrize(
    "text", ["${", "${}", "${1A}", "${NAME", "${NAME-else}", "${NAME:?why}", "${A B}", "${A:-${B}}"]
)
def test_an_unfinished_variable_is_a_mistake(text: str) -> None:
    [fault] = read_document(f"a:\n  b: '{text}'", ENVIRON).faults
    assert (fault.line, fault.path) == (2, ("a", "b"))
    assert fault.said.startswith("after ${ must follow the name of an environment variable and }")


def _error(text: str, environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_spec(text, environ)
    return str(caught.value)


DATABASE = "services:\n  - {name: web, tcp: 'h:1'}\n  - name: database\n    postgres: ${DATABASE_URL}\n"


def test_a_variable_that_is_not_set_is_named_with_its_place() -> None:
    assert _error(DATABASE, {}) == (
        "line 4: services[1] (database).postgres: the environment variable DATABASE_URL is not set; "
        "set it, or write $$ for a dollar sign"
    )


def test_a_variable_that_is_not_set_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    environ = {"A_FILE": str(path)}
    for content, meant in [
        ("hunter2", "hunter2"),
        (" a \t\n", " a \t"),
        ("ä ${A}\r\n\n", "ä ${A}"),
        ("a\nb\n", "a\nb"),
        ("\n", ""),
    ]:
        path.write_bytes(content.encode())
        assert _value("- ${A}\n- <${A:-else}>", environ) == [meant, f"<{meant or 'else'}>"]
    path.write_text("7\n")
    assert parse_spec(COUNTED, {"NAME": "a", "N_FILE": str(path)}).services[0].policy.failures == 7


def test_a_variable_that_is_set_is_not_looked_for_in_a_file(tmp_path: Path) -> None:
    environ = {"A": "a", "A_FILE": str(tmp_path / "nothing"), "B": "", "B_FILE": str(tmp_path / "nothing")}
    assert _value('["${A}${B}", "${B:-else}"]', environ) == ["a", "else"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read: no such file or directory"),
        (b"hunter2\xff", "holds no text in UTF-8"),
        (b"hunter2" * 10_000, "has more than 65,536 characters"),
    ],
)
@pytest.mark.parametrize("written", ["${DATABASE_URL}", "${DATABASE_URL:-self}"])
def test_a_file_that_is_no_help_is_named_by_its_variables(
    content: bytes | None, said: str, written: str, tmp_path: Path
) -> None:
    path = tmp_path / "hunter2"
    if content is not None:
        path.write_bytes(content)
    told = _error(DATABASE.replace("${DATABASE_URL}", written), {"DATABASE_URL_FILE": str(path)})
    assert told == (
        "line 4: services[1] (database).postgres: the environment variable DATABASE_URL is not set, "
        f"and the file that DATABASE_URL_FILE names {said}"
    )


def test_a_name_that_no_file_can_have_or_an_empty_one_is_a_mistake_as_well() -> None:
    assert _error(DATABASE, {"DATABASE_URL_FILE": "hunter2\0"}).endswith("that DATABASE_URL_FILE names can't be read")
    assert "variable DATABASE_URL is not set; set it" in _error(DATABASE, {"DATABASE_URL_FILE": ""})


def test_what_a_variable_says_is_in_no_error() -> None:
    for value in ("mysql://u:hunter2@h/d", "postgresql://u:hunter2@h:x/d", "hunter2\nhunter2", "hunter2\udcff"):
        said = _error(DATABASE, {"DATABASE_URL": value})
        assert "hunter2" not in said
        assert said.startswith("line 4: services[1] (database).postgres: must be ")


COUNTED = "services:\n  - name: ${NAME}\n    tcp: h:1\n    failures: ${N}\n    every: ${EVERY:-10s}\n"


def test_a_whole_number_and_a_duration_may_come_from_the_environment() -> None:
    [spec] = parse_spec(COUNTED, {"NAME": "0123", "N": "7"}).services
    assert (spec.name, spec.policy.failures, spec.every) == ("0123", 7, 10)
    [spec] = parse_spec("services: [{name: a, tcp: 'h:1', failures: \"${N}\"}]", {"N": "8"}).services
    assert spec.policy.failures == 8
    text = "retention_days: ${N}\ndefaults: {successes: \"${N}\"}\nservices: [{name: a, tcp: 'h:1'}]"
    spec_of_file = parse_spec(text, {"N": "9"})
    assert (spec_of_file.retention_days, spec_of_file.services[0].policy.successes) == (9, 9)


@pytest.mark.parametrize(
    "value", ["", "x", "3.0", "true", "0x3", "007", "1_0", "101", "9" * 5000, "[3]", "NaN", "1e999"]
)
def test_what_is_no_whole_number_is_none_from_the_environment_either(value: str) -> None:
    said = _error(COUNTED, {"NAME": "a", "N": value})
    assert said == "line 4: services[0] (a).failures: must be a whole number from 1 to 100"


def test_a_truth_value_may_come_from_the_environment() -> None:
    text = "services: [{name: a, http: 'http://h/', follow_redirects: \"${FOLLOW}\"}]"
    assert parse_spec(text, {"FOLLOW": "false"}).services
    assert _error(text, {"FOLLOW": "no"}).endswith("follow_redirects: must be true or false")


def test_an_alias_of_a_number_from_the_environment_is_one_too() -> None:
    text = "defaults: {failures: &n \"${N}\", successes: *n}\nservices: [{name: *n, tcp: 'h:1'}]"
    [spec] = parse_spec(text, {"N": "6"}).services
    assert (spec.name, spec.policy.failures, spec.policy.successes) == ("6", 6, 6)


def test_the_process_has_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vigilbase.yaml"
    path.write_text(DATABASE)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(
        ConfigurationError, match=r"vigilbase\.yaml:4: services\[1\] \(database\)\.postgres: the environ"
    ):
        load_spec(path)
    monkeypatch.setenv("DATABASE_URL", "self")
    assert len(load_spec(path).services) == len(parse_spec(DATABASE).services) == 2


def test_within_braces_a_variable_needs_quotes_and_the_error_says_so() -> None:
    said = _error("services: [{name: a, tcp: ${HOST}}]", {"HOST": "h:1"})
    assert said == 'line 1: is no YAML: within { } and [ ] a ${NAME} must be in quotes, as in "${NAME}"'
