"""Settings: which transport they mean, and what is caught at start, each with one line that says what to set."""

import base64
import json

import pytest

from vigilbase import ConfigurationError
from vigilbase.settings import Settings, chosen_transport, database_variable, load_settings

SECRET = "sb_secret_0123456789abcdef"
URL = "https://abcdefgh.supabase.co"
POSTGRES = "postgresql://monitor:hunter2@db.example.com:5432/app"


def _jwt(role: str) -> str:
    def part(claims: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'HS256'})}.{part({'iss': 'supabase', 'role': role})}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("environ", "transport"),
    [
        ({}, "embedded"),
        ({"DATABASE_URL": POSTGRES}, "postgres"),
        ({"DATABASE_URL": "postgres:///app?host=/run/postgresql"}, "postgres"),
        ({"VIGILBASE_DATABASE_URL": POSTGRES}, "postgres"),
        ({"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": SECRET}, "supabase"),
        ({"SUPABASE_URL": URL, "SUPABASE_SERVICE_ROLE_KEY": _jwt("service_role")}, "supabase"),
        ({"SUPABASE_URL": "http://127.0.0.1:54321/", "SUPABASE_SERVICE_ROLE_KEY": SECRET}, "supabase"),
        ({"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": SECRET, "DATABASE_URL": POSTGRES}, "supabase"),
        (
            {
                "VIGILBASE_TRANSPORT": "postgres",
                "SUPABASE_URL": URL,
                "SUPABASE_SECRET_KEY": SECRET,
                "DATABASE_URL": POSTGRES,
            },
            "postgres",
        ),
        ({"VIGILBASE_TRANSPORT": "embedded", "DATABASE_URL": POSTGRES}, "embedded"),
        ({"DATABASE_URL": "", "SUPABASE_URL": " "}, "embedded"),
    ],
)
def test_the_settings_choose_the_transport(environ: dict[str, str], transport: str) -> None:
    assert chosen_transport(load_settings(environ)) == transport


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"SUPABASE_URL": URL}, "set SUPABASE_SECRET_KEY to the project's secret key"),
        ({"SUPABASE_SECRET_KEY": SECRET}, "SUPABASE_URL is not set"),
        ({"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": "sb_publishable_abc"}, "is a publishable .anon. one"),
        ({"SUPABASE_URL": URL, "SUPABASE_SERVICE_ROLE_KEY": _jwt("anon")}, "is a publishable .anon. one"),
        ({"SUPABASE_URL": URL, "SUPABASE_SERVICE_ROLE_KEY": _jwt("authenticated")}, "set SUPABASE_SECRET_KEY"),
        ({"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": "hunter2"}, "neither a secret key"),
        ({"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": "a.b.c"}, "neither a secret key"),
        ({"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": f"{SECRET} {SECRET}"}, "characters that no key has"),
        ({"SUPABASE_URL": "abcdefgh.supabase.co", "SUPABASE_SECRET_KEY": SECRET}, "SUPABASE_URL is malformed"),
        ({"SUPABASE_URL": "https://", "SUPABASE_SECRET_KEY": SECRET}, "SUPABASE_URL is malformed"),
        ({"SUPABASE_URL": "https://x:y", "SUPABASE_SECRET_KEY": SECRET}, "SUPABASE_URL is malformed"),
        ({"SUPABASE_URL": POSTGRES, "SUPABASE_SECRET_KEY": SECRET}, "SUPABASE_URL is malformed"),
        ({"DATABASE_URL": "mysql://u:hunter2@h/d"}, "DATABASE_URL is malformed"),
        ({"DATABASE_URL": "postgresql://u:hunter2@h:port/d"}, "DATABASE_URL is malformed"),
        ({"DATABASE_URL": "postgresql://u:hunter2@h:99999/d"}, "DATABASE_URL is malformed"),
        ({"DATABASE_URL": "hunter2"}, "DATABASE_URL is malformed"),
        ({"DATABASE_URL": "postgresql://u:hun@ter2@h/d"}, "DATABASE_URL is malformed"),
        ({"DATABASE_URL": "postgresql://u:12/hunter2@h/d"}, "DATABASE_URL is malformed"),
        ({"DATABASE_URL": "postgresql://u:p,hun@ter2@h:1,i:2/d"}, "DATABASE_URL is malformed"),
        ({"DATABASE_URL": "postgresql://u:hunter2 x@h/d"}, "DATABASE_URL is malformed"),
        ({"VIGILBASE_TRANSPORT": "postgres"}, "DATABASE_URL is not set"),
        ({"VIGILBASE_TRANSPORT": "supabase"}, "SUPABASE_URL is not set"),
        (
            {"VIGILBASE_TRANSPORT": "hunter2"},
            "VIGILBASE_TRANSPORT: must be one of supabase, postgres, embedded",
        ),
        ({"VIGILBASE_TIMEOUT": "soon"}, "VIGILBASE_TIMEOUT: must be a number of seconds above 0, at most 300"),
        ({"VIGILBASE_TIMEOUT": "0"}, "VIGILBASE_TIMEOUT: must be a number of seconds above 0, at most 300"),
        ({"VIGILBASE_TIMEOUT": "nan"}, "VIGILBASE_TIMEOUT: must be a number of seconds above 0, at most 300"),
        ({"VIGILBASE_POOL_SIZE": "0"}, "VIGILBASE_POOL_SIZE: must be a whole number from 1 to 100"),
        ({"VIGILBASE_POOL_SIZE": "1.5"}, "VIGILBASE_POOL_SIZE: must be a whole number from 1 to 100"),
        ({"VIGILBASE_LOG_LEVEL": "loud"}, "VIGILBASE_LOG_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line_without_its_value(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_settings(environ)
    text = str(caught.value)
    assert "\n" not in text
    for secret in ("hunter2", "ter2", SECRET, "sb_publishable_abc", "c2lnbmF0dXJl"):
        assert secret not in text


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, "DATABASE_URL"),
        ({"DATABASE_URL": POSTGRES}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://u:hunter2@h/d", "VIGILBASE_DATABASE_URL": POSTGRES}, "VIGILBASE_DATABASE_URL"),
        ({"DATABASE_URL": POSTGRES, "VIGILBASE_DATABASE_URL": " "}, "DATABASE_URL"),
    ],
)
def test_the_programs_own_variable_goes_before_the_applications(environ: dict[str, str], variable: str) -> None:
    assert database_variable(environ) == variable
    url = load_settings(environ).database_url
    assert (url.get_secret_value() if url else None) == (POSTGRES if environ else None)


def test_a_wrong_url_is_told_by_the_variable_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", POSTGRES)
    monkeypatch.setenv("VIGILBASE_DATABASE_URL", "mysql://u:hunter2@h/d")
    with pytest.raises(ConfigurationError, match=r"^VIGILBASE_DATABASE_URL is malformed"):
        load_settings()


def test_a_settings_object_shows_no_secret() -> None:
    settings = load_settings(
        {"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": SECRET, "DATABASE_URL": POSTGRES, "VIGILBASE_HOME": "/srv/v"}
    )
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown
        assert "hunter2" not in shown


def test_every_setting_has_a_variable_and_a_help_text() -> None:
    for field in Settings.model_fields.values():
        assert field.validation_alias
        assert field.description
