"""Postgres URLs in the dialects of other drivers become libpq's, and none gets less safe by it."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from vigilbase import ConfigurationError
from vigilbase.database.authorities import find_authorities
from vigilbase.database.urls import find_flaw, make_environment, redact_url
from vigilbase.postgres_url import find_unknown_parameter, is_postgres_url, to_libpq_url
from vigilbase.settings import check_database_url, load_settings

VERIFIED = {"sslmode": "verify-full", "sslrootcert": "system"}


@pytest.mark.parametrize(
    "scheme",
    [
        "postgres",
        "postgresql",
        "POSTGRESQL",
        "postgresql+asyncpg",
        "postgresql+psycopg",
        "postgresql+psycopg2",
        "postgresql+pg8000",
        "postgres+asyncpg",
        "jdbc:postgresql",
        "postgis",
        "pgsql",
    ],
)
def test_to_libpq_url_scheme_of_other_driver_is_taken(scheme: str) -> None:
    url = f"{scheme}://u:p%40ss@a:1,[::1]:2/d?application_name=x"
    assert is_postgres_url(url)
    assert to_libpq_url(url) == "postgresql://u:p%40ss@a:1,[::1]:2/d?application_name=x"
    assert to_libpq_url(to_libpq_url(url)) == to_libpq_url(url)


@pytest.mark.parametrize(
    "query",
    [
        "schema=public",
        "pgbouncer=true&connection_limit=1&pool_timeout=20&socket_timeout=5",
        "pgbouncer",
        "statement_cache_size=0&prepared_statement_cache_size=0&prepared_statement_name_func=f",
        "pool=5&encoding=unicode&prepared_statements=false",
        "pool_max_conns=10&search_path=app",
        "currentSchema=app&ApplicationName=app&loginTimeout=2&socketTimeout=5",
        "supa=base-pooler.x&workaround=supabase-pooler.vercel",
        "ssl=false",
        "sslaccept=accept_invalid_certs",
        "%73chema=public",
    ],
)
def test_to_libpq_url_parameter_without_part_in_connection_is_left_out(query: str) -> None:
    url = f"postgresql://u:p@h/d?{query}"
    assert is_postgres_url(url)
    assert to_libpq_url(url) == "postgresql://u:p@h/d"
    assert find_flaw(to_libpq_url(f"{url}&sslmode=require")) is None


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("ssl=require", {"sslmode": "require"}),
        ("ssl=verify-full", {"sslmode": "verify-full"}),
        ("ssl=verify_full", {"sslmode": "verify-full"}),
        ("ssl=disable", {"sslmode": "disable"}),
        ("ssl=no-verify", {"sslmode": "require"}),
        ("sslmode=no-verify", {"sslmode": "require"}),
        ("sslmode=REQUIRE", {"sslmode": "require"}),
        # Drivers that know `ssl=true` verify the certificate.
        ("ssl=true", VERIFIED),
        ("ssl=1", VERIFIED),
        ("ssl", VERIFIED),
        ("ssl=true&sslrootcert=%2Fca.pem", {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}),
        ("sslaccept=strict", VERIFIED),
        ("sslaccept=strict&sslmode=require", VERIFIED),
        ("sslaccept=accept_invalid_certs&sslmode=verify-full", {"sslmode": "verify-full"}),
        # The more specific sslmode stands if it asks for TLS, and never takes it away.
        ("ssl=true&sslmode=require", {"sslmode": "require"}),
        ("sslmode=verify-ca&ssl=require", {"sslmode": "verify-ca"}),
        ("ssl=true&sslmode=disable", VERIFIED),
        ("ssl=true&sslmode=prefer", VERIFIED),
        ("ssl=require&sslmode=disable", {"sslmode": "require"}),
        ("ssl=disable&sslmode=prefer", {"sslmode": "prefer"}),
        ("ssl=false&sslmode=require", {"sslmode": "require"}),
    ],
)
def test_to_libpq_url_tls_of_other_driver_becomes_as_strict_sslmode(query: str, parameters: dict[str, str]) -> None:
    read = conninfo_to_dict(to_libpq_url(f"postgresql+asyncpg://h/d?{query}"))
    assert read == {"host": "h", "dbname": "d", **parameters}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("ssl=hunter2", "ssl"),
        ("sslrootcert=system&sslmode=require", "sslmode"),
        ("sslrootcert=system&ssl=require", "sslmode"),
        ("sslmode=hunter2", "sslmode"),
        ("sslaccept=hunter2", "sslaccept"),
        ("host=hunter2:1&host=hunter2:2", "host"),
        ("sslidentity=hunter2", "sslidentity"),
        ("sslfactory=hunter2", "sslfactory"),
        ("targetServerType=hunter2", "targetServerType"),
        ("connect_timeout=hunter2", "connect_timeout"),
        ("sslmode=require&nonsense=hunter2", "nonsense"),
    ],
)
def test_database_url_unusable_parameter_is_named_without_its_value(
    query: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DATABASE_URL", "VIGILBASE_DATABASE_URL"):
        monkeypatch.setenv(variable, f"postgresql+asyncpg://u:hunter2@h/d?{query}")
        with pytest.raises(ConfigurationError) as caught:
            redact_url(_read_url())
        assert f'the parameter "{name}"' in str(caught.value).replace("unknown parameter", "parameter")
        assert str(caught.value).startswith(f"{variable} ")
        assert "hunter2" not in str(caught.value)


def _read_url() -> str:
    url = load_settings().database_url
    assert url
    check_database_url(url.get_secret_value())
    return url.get_secret_value()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:12/hunter2?x=hunter2@h/d",
        "postgresql://u@h/d?password=hunter2&hun%20ter2=1",
        "postgresql://u@h/d?password=a@hunter2&hunter2=1",
    ],
)
def test_database_url_part_of_password_is_not_taken_for_parameter_name(url: str) -> None:
    assert find_unknown_parameter(url, ["password"]) is None
    assert "hunter2" not in str(find_flaw(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h:0/d",
        "postgresql://u:p@h:5432,i:0/d",
        "postgresql://u:p@h:5432,i:65536/d",
        "postgresql://u:p@h:port,i:1/d",
        "postgresql://u:p@h/d?port=0",
        "postgresql://u:p@h,i/d?port=5432,0",
        "postgresql://u@h/d?password=hunter2&hunter3",
        "postgresql:hunter2",
        "jdbc:mysql://h/d",
    ],
)
def test_is_postgres_url_invalid_port_or_form_is_rejected(url: str) -> None:
    assert not is_postgres_url(url)


def test_settings_translated_url_reaches_every_user_of_it() -> None:
    settings = load_settings({"DATABASE_URL": "jdbc:postgresql://h:1/d?user=u&password=p&schema=x&ssl=true"})
    assert settings.database_url
    url = settings.database_url.get_secret_value()
    assert redact_url(url) == "postgresql://u:*****@h:1/d?sslmode=verify-full&sslrootcert=system"
    assert make_environment("postgresql://h/d?sslmode=require") == {
        "PGHOST": "h",
        "PGDATABASE": "d",
        "PGSSLMODE": "require",
    }
    assert make_environment(url) == {
        "PGHOST": "h",
        "PGPORT": "1",
        "PGDATABASE": "d",
        "PGUSER": "u",
        "PGPASSWORD": "p",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": find_authorities(),
    }


def test_settings_other_databases_url_is_no_error_while_unused() -> None:
    for url in ("mysql://u:p@h/d", "postgresql://h/d?sslaccept=maybe"):
        settings = load_settings({"VIGILBASE_TRANSPORT": "embedded", "DATABASE_URL": url})
        assert settings.database_url


def test_find_unknown_parameter_libpq_knows_its_own() -> None:
    known = [option.keyword.decode() for option in Conninfo.get_defaults()]
    assert find_unknown_parameter("postgresql://h/d?sslmode=require&options=-c%20a%3Db", known) is None
    assert find_unknown_parameter("postgresql://h/d?sslmode=require&schema=x", known) == "schema"


@pytest.mark.parametrize("asked", ["verify-ca", "verify-full"])
def test_to_libpq_url_word_for_tls_is_never_weakened_by_sslmode(asked: str) -> None:
    assert to_libpq_url(f"postgresql://u@h/d?ssl={asked}&sslmode=require") == f"postgresql://u@h/d?sslmode={asked}"
    assert to_libpq_url(f"postgresql://u@h/d?sslmode=require&ssl={asked}") == f"postgresql://u@h/d?sslmode={asked}"


def test_find_unknown_parameter_after_password_is_not_named() -> None:
    assert find_unknown_parameter("postgresql://h/d?user=u&password=ab&Secret1=x", ["user", "password"]) is None
    assert find_unknown_parameter("postgresql://h/d?user=u&odd=1&password=ab", ["user", "password"]) == "odd"


def test_is_postgres_url_fragment_is_refused() -> None:
    assert not is_postgres_url("postgresql://u@h/d?sslmode=require#frag")


@pytest.mark.parametrize("name", ["ssl", "sslmode", "sslaccept", "sslrootcert"])
def test_to_libpq_url_repeated_parameter_about_tls_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f'repeats the parameter "{name}"'):
        to_libpq_url(f"postgresql://u@h/d?{name}=require&{name}=disable")
