"""Every setting, in one table: its environment variable, type, default and help.

`docs/reference/settings.md` is checked against this table by a test.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from vigilbase.errors import ConfigurationError

Transport = Literal["supabase", "postgres", "embedded"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

OWN_DATABASE_VARIABLE = "VIGILBASE_DATABASE_URL"
DATABASE_VARIABLES = (OWN_DATABASE_VARIABLE, "DATABASE_URL")


class Settings(BaseModel):
    """What the environment says. Secrets show as stars wherever a settings object is printed."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    transport: Transport | None = Field(
        None,
        validation_alias="VIGILBASE_TRANSPORT",
        description="Which of the three to use where several are configured: supabase, postgres or embedded.",
    )
    supabase_url: str | None = Field(
        None,
        validation_alias="SUPABASE_URL",
        description="The URL of a Supabase project, as https://PROJECT.supabase.co.",
    )
    supabase_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEY"),
        description="That project's secret key (sb_secret_…) or its older service_role key; never the publishable one.",
    )
    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(*DATABASE_VARIABLES),
        description="A Postgres 15 or newer, as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; the first goes before "
        "the second, which the application may have set for itself.",
    )
    home: Path | None = Field(
        None,
        validation_alias="VIGILBASE_HOME",
        description="Where the embedded Postgres keeps its data. Default: /var/lib/vigilbase for root, else the "
        "user's data folder.",
    )
    timeout: float = Field(
        5.0,
        validation_alias="VIGILBASE_TIMEOUT",
        gt=0,
        le=300,
        description="Seconds that a statement or a request may take, waiting for a connection included.",
    )
    pool_size: int = Field(
        4,
        validation_alias="VIGILBASE_POOL_SIZE",
        ge=1,
        le=100,
        description="Connections to Postgres that one process holds at the most.",
    )
    log_level: LogLevel | None = Field(
        None,
        validation_alias="VIGILBASE_LOG_LEVEL",
        description="The least serious events that the command line shows: DEBUG, INFO, WARNING or ERROR. Default: "
        "INFO for `vigilbase up` and `vigilbase run`, WARNING for commands that end by themselves.",
    )


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment; an empty variable counts as unset.

    Raises:
        ConfigurationError: a variable holds what it can't; the message names it and never its value.

    """
    given = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ConfigurationError(f"{first['loc'][0]}: {_in_words(first)}") from None
    chosen_transport(settings)
    return settings


def database_variable(environ: Mapping[str, str] | None = None) -> str:
    """The variable of the environment that the database's URL is read from."""
    given = os.environ if environ is None else environ
    return next((name for name in DATABASE_VARIABLES if given.get(name, "").strip()), DATABASE_VARIABLES[-1])


_NUMBERS = {
    "VIGILBASE_TIMEOUT": "must be a number of seconds above 0, at most 300",
    "VIGILBASE_POOL_SIZE": "must be a whole number from 1 to 100",
}


def _in_words(error: ErrorDetails) -> str:
    if error["type"] == "literal_error":
        return f"must be one of {error['ctx']['expected']}".replace("'", "").replace(" or ", ", ")
    said = error["msg"]
    return _NUMBERS.get(str(error["loc"][0]), f"{said[:1].lower()}{said[1:]}")


def chosen_transport(settings: Settings) -> Transport:
    """Which transport the settings mean, its own settings checked.

    Raises:
        ConfigurationError: something that the transport needs is missing or wrong; the message says what to set.

    """
    match settings.transport or _configured_transport(settings):
        case "supabase":
            _require_supabase(settings)
            return "supabase"
        case "postgres":
            _require_database_url(settings)
            return "postgres"
        case _:
            return "embedded"


def _configured_transport(settings: Settings) -> Transport:
    if settings.supabase_url or settings.supabase_key:
        return "supabase"
    return "postgres" if settings.database_url else "embedded"


def _require_supabase(settings: Settings) -> None:
    if settings.supabase_url is None:
        raise ConfigurationError("SUPABASE_URL is not set: set it to your project's URL, https://PROJECT.supabase.co")
    if settings.supabase_key is None:
        raise ConfigurationError(
            "no Supabase key: set SUPABASE_SECRET_KEY to the project's secret key (sb_secret_…), "
            "or SUPABASE_SERVICE_ROLE_KEY to its service_role key"
        )
    _check_supabase_url(settings.supabase_url)
    _check_service_key(settings.supabase_key.get_secret_value())


def _check_supabase_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        valid = valid and parts.path in ("", "/") and not parts.query and "@" not in parts.netloc
        valid = valid and url.isprintable() and " " not in url
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError("SUPABASE_URL is malformed: set it to your project's URL, https://PROJECT.supabase.co")


def _check_service_key(key: str) -> None:
    """Refuse keys under which row-level security would show an empty database and say nothing.

    Forms: https://supabase.com/docs/guides/api/api-keys (sb_publishable_…, sb_secret_…, or a JWT with a role).
    """
    role = _jwt_role(key)
    if key.startswith("sb_publishable_") or role in ("anon", "authenticated"):
        raise ConfigurationError(
            "the Supabase key is a publishable (anon) one, which reads nothing under row-level security: set "
            "SUPABASE_SECRET_KEY to the project's secret key (sb_secret_…) or SUPABASE_SERVICE_ROLE_KEY to its "
            "service_role key"
        )
    if not key.startswith("sb_secret_") and role != "service_role":
        raise ConfigurationError(
            "the Supabase key is neither a secret key (sb_secret_…) nor a service_role key: copy one from the "
            "project's API settings into SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError("the Supabase key has characters that no key has: copy it again")


def _jwt_role(key: str) -> str | None:
    """The `role` claim of a JSON Web Token (RFC 7519), unverified; None when it is no such token."""
    try:
        payload = key.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["role"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def _require_database_url(settings: Settings) -> None:
    if settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set: set it, or VIGILBASE_DATABASE_URL, to postgresql://USER:PASSWORD@HOST:PORT/"
            "DATABASE, or leave VIGILBASE_TRANSPORT out to use the embedded Postgres"
        )
    check_database_url(settings.database_url.get_secret_value())


def check_database_url(url: str) -> None:
    """Refuse what is no Postgres URL, in words that show none of it."""
    if not is_postgres_url(url):
        raise ConfigurationError(
            f"{database_variable()} is malformed: set it to postgresql://USER:PASSWORD@HOST:PORT/DATABASE "
            "(special characters of the password percent-encoded)"
        )


def is_postgres_url(url: str) -> bool:
    """Whether a text has the form of a Postgres URL; what is in it, libpq knows."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("postgres", "postgresql") and (parts.port or 1) > 0 and url.isprintable()
        valid = valid and " " not in url and bool(parts.netloc or parts.query)
        # libpq takes what follows a second "@", or one behind a "/", for the host or the database, and names it in its
        # errors: that would be the rest of a password that isn't percent-encoded.
        return valid and parts.netloc.count("@") <= 1 and "@" not in parts.path
    except ValueError:
        # Several hosts (host1:5432,host2:5432) are libpq's to read, and urlsplit's port can't.
        one_at = url.count("@") <= 1
        return url.startswith(("postgres://", "postgresql://")) and "," in url and " " not in url and one_at
