"""Every setting, in one table: its environment variable, type, default and help.

`docs/reference/settings.md` is checked against this table by a test.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from vigilbase.credentials import check_service_key, check_supabase_url
from vigilbase.errors import ConfigurationError
from vigilbase.postgres_url import is_postgres_url, to_libpq_url

TransportName = Literal["supabase", "postgres", "embedded"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

OWN_DATABASE_VARIABLE = "VIGILBASE_DATABASE_URL"
DATABASE_VARIABLES = (OWN_DATABASE_VARIABLE, "DATABASE_URL")


class Settings(BaseModel):
    """What the environment says. Secrets show as stars wherever a settings object is printed."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    transport: TransportName | None = Field(
        None,
        validation_alias="VIGILBASE_TRANSPORT",
        description="The transport to use: supabase, postgres, or embedded. Default: the one that is configured.",
    )
    supabase_url: str | None = Field(
        None,
        validation_alias="SUPABASE_URL",
        description="The URL of your Supabase project: https://PROJECT.supabase.co.",
    )
    supabase_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEY"),
        description="The project's secret key (sb_secret_…) or its legacy service_role key. Vigilbase refuses a "
        "publishable key.",
    )
    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices(*DATABASE_VARIABLES),
        description="The URL of a Postgres database, version 15 or newer: postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
        " VIGILBASE_DATABASE_URL takes precedence over DATABASE_URL, which your application may use.",
    )
    home: Path | None = Field(
        None,
        validation_alias="VIGILBASE_HOME",
        description="Where the embedded Postgres stores its data. Default: /var/lib/vigilbase for root, otherwise the "
        "user's data folder.",
    )
    timeout: float = Field(
        5.0,
        validation_alias="VIGILBASE_TIMEOUT",
        gt=0,
        le=300,
        description="How many seconds a statement or a request may take, including the wait for a connection.",
    )
    pool_size: int = Field(
        4,
        validation_alias="VIGILBASE_POOL_SIZE",
        ge=1,
        le=100,
        description="The maximum number of Postgres connections per process.",
    )
    log_level: LogLevel | None = Field(
        None,
        validation_alias="VIGILBASE_LOG_LEVEL",
        description="The minimum level of the events to print: DEBUG, INFO, WARNING, or ERROR. Default: INFO for "
        "`vigilbase up` and `vigilbase run`, WARNING for all other commands.",
    )

    @field_validator("database_url")
    @classmethod
    def _translate_url(cls, value: SecretStr | None) -> SecretStr | None:
        """Translate the URL here, so that everything that uses it sees libpq's form."""
        try:
            return value and SecretStr(to_libpq_url(value.get_secret_value()))
        except ValueError:
            # An error only if the URL is used (`check_database_url`): it may be that of an application.
            return value


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment; an empty variable counts as unset.

    Raises:
        ConfigurationError: a variable holds an invalid value; the message names the variable and never its value.

    """
    given = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ConfigurationError(f"{first['loc'][0]}: {_describe_error(first)}") from None
    choose_transport(settings)
    return settings


def find_database_variable(environ: Mapping[str, str] | None = None) -> str:
    """The variable of the environment that the database's URL is read from."""
    given = os.environ if environ is None else environ
    return next((name for name in DATABASE_VARIABLES if given.get(name, "").strip()), DATABASE_VARIABLES[-1])


_NUMBERS = {
    "VIGILBASE_TIMEOUT": "must be a number of seconds above 0, at most 300",
    "VIGILBASE_POOL_SIZE": "must be a whole number from 1 to 100",
}


def _describe_error(error: ErrorDetails) -> str:
    if error["type"] == "literal_error":
        return f"must be one of {error['ctx']['expected']}".replace("'", "").replace(" or ", ", ")
    message = error["msg"]
    return _NUMBERS.get(str(error["loc"][0]), f"{message[:1].lower()}{message[1:]}")


@dataclass(frozen=True, slots=True)
class Transport:
    """How the database is reached.

    `has_own_server`: Vigilbase starts and stops the server. `uses_api_key`: a key of the Data API decides about access,
    not a database role's login. `ddl_url`: the Postgres to which migrations are applied, if it isn't our own server.
    """

    name: TransportName
    has_own_server: bool = False
    uses_api_key: bool = False
    ddl_url: SecretStr | None = None

    @property
    def can_run_ddl(self) -> bool:
        """Whether migrations can be applied from here."""
        return self.has_own_server or self.ddl_url is not None


def choose_transport(settings: Settings) -> Transport:
    """The transport that the settings ask for, or else the one that they configure.

    Raises:
        ConfigurationError: a setting of that transport is missing or malformed; the message says what to set.

    """
    match settings.transport or _find_configured(settings):
        case "supabase":
            _check_supabase(settings)
            return Transport("supabase", uses_api_key=True, ddl_url=settings.database_url)
        case "postgres":
            _check_postgres(settings)
            return Transport("postgres", ddl_url=settings.database_url)
        case _:
            return Transport("embedded", has_own_server=True)


def check_database_url(url: str) -> None:
    """Reject anything but a Postgres URL that libpq's form exists for.

    Raises:
        ConfigurationError: the URL has another form; the message shows at most the name of a parameter.

    """
    if not is_postgres_url(url):
        raise ConfigurationError(
            f"{find_database_variable()} is malformed: set it to postgresql://USER:PASSWORD@HOST:PORT/DATABASE "
            "(special characters of the password percent-encoded)"
        )
    try:
        to_libpq_url(url)
    except ValueError as error:
        raise ConfigurationError(f"{find_database_variable()} {error}") from None


def _find_configured(settings: Settings) -> TransportName:
    # Supabase first: DATABASE_URL may be set as well, for the migrations that the Data API can't apply.
    if settings.supabase_url or settings.supabase_key:
        return "supabase"
    return "postgres" if settings.database_url else "embedded"


def _check_supabase(settings: Settings) -> None:
    # One of the two may be there for something else.
    alternative = (
        f"; or set VIGILBASE_TRANSPORT=postgres to use {find_database_variable()}"
        if settings.database_url and settings.transport is None
        else ""
    )
    if settings.supabase_url is None:
        raise ConfigurationError(
            f"SUPABASE_URL is not set: set it to your project's URL, https://PROJECT.supabase.co{alternative}"
        )
    if settings.supabase_key is None:
        raise ConfigurationError(
            "no Supabase key: set SUPABASE_SECRET_KEY to the project's secret key (sb_secret_…), "
            f"or SUPABASE_SERVICE_ROLE_KEY to its service_role key{alternative}"
        )
    check_supabase_url(settings.supabase_url)
    check_service_key(settings.supabase_key.get_secret_value())


def _check_postgres(settings: Settings) -> None:
    if settings.database_url is None:
        raise ConfigurationError(
            "DATABASE_URL is not set: set it, or VIGILBASE_DATABASE_URL, to postgresql://USER:PASSWORD@HOST:PORT/"
            "DATABASE, or leave VIGILBASE_TRANSPORT out to use the embedded Postgres"
        )
    check_database_url(settings.database_url.get_secret_value())
