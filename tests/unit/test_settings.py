"""Settings: which transport they choose, and which mistakes are reported at start, each in one line with a remedy."""

import base64
import json

import pytest

from vigilbase import ConfigurationError
from vigilbase.settings import Settings, choose_transport, find_database_variable, load_settings

SECRET = "sb_secret_0123456789abcdef"
URL = "https://abcdefgh.supabase.co"
POSTGRES = "postgresql://monitor:hunter2@db.example.com:5432/app"


def _make_jwt(role: str) -> str:
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
        ({"SUPABASE_URL": URL, "SUPABASE_SERVICE_ROLE_KEY": _make_jwt("service_role")}, "supabase"),
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
def test_choose_transport_follows_environment(environ: dict[str, str], transport: str) -> None:
    assert choose_transport(load_settings(environ)).name == transport


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SUPABASE_URL": URL}, "set SUPABASE_SECRET_KEY to the project's secret key"),
        ({"SUPABASE_SECRET_KEY": SECRET}, "SUPABASE_URL is not set"),
        ({"SUPABASE_URL": URL, "DATABASE_URL": POSTGRES}, "VIGILBASE_TRANSPORT=postgres to use DATABASE_URL$"),
        (
            {"SUPABASE_SECRET_KEY": SECRET, "DATABASE_URL": POSTGRES},
            "SUPABASE_URL is not set: .*; or set VIGILBASE_TRANSPORT=postgres to use DATABASE_URL$",
        ),
        ({"SUPABASE_URL": "https://x:0", "SUPABASE_SECRET_KEY": SECRET}, "SUPABASE_URL is malformed"),
        ({"DATABASE_URL": "postgresql://u:hunter2@h:0/d"}, "DATABASE_URL is malformed"),
        ({"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": "sb_publishable_abc"}, "is a publishable .anon. key"),
        ({"SUPABASE_URL": URL, "SUPABASE_SERVICE_ROLE_KEY": _make_jwt("anon")}, "is a publishable .anon. key"),
        ({"SUPABASE_URL": URL, "SUPABASE_SERVICE_ROLE_KEY": _make_jwt("authenticated")}, "set SUPABASE_SECRET_KEY"),
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
def test_load_settings_invalid_value_is_rejected_without_showing_it(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
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
def test_load_settings_vigilbase_database_url_takes_precedence(environ: dict[str, str], variable: str) -> None:
    assert find_database_variable(environ) == variable
    url = load_settings(environ).database_url
    assert (url.get_secret_value() if url else None) == (POSTGRES if environ else None)


def test_load_settings_malformed_url_error_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", POSTGRES)
    monkeypatch.setenv("VIGILBASE_DATABASE_URL", "mysql://u:hunter2@h/d")
    with pytest.raises(ConfigurationError, match=r"^VIGILBASE_DATABASE_URL is malformed"):
        load_settings()


def test_settings_text_and_json_hide_secrets() -> None:
    settings = load_settings(
        {"SUPABASE_URL": URL, "SUPABASE_SECRET_KEY": SECRET, "DATABASE_URL": POSTGRES, "VIGILBASE_HOME": "/srv/v"}
    )
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown
        assert "hunter2" not in shown


def test_settings_every_field_has_variable_and_description() -> None:
    for field in Settings.model_fields.values():
        assert field.validation_alias
        assert field.description
