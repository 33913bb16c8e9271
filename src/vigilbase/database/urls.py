"""Connection URLs: checked, redacted for display, and as the environment of a program."""

from urllib.parse import quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, timeout_from_conninfo
from psycopg.pq import Conninfo

from vigilbase.database.authorities import name_system_authorities
from vigilbase.errors import ConfigurationError
from vigilbase.postgres_url import find_unknown_parameter
from vigilbase.settings import find_database_variable

# libpq has parameters that are worth a password, such as scram_client_key, and `options` may hold anything.
# fmt: off
_SHOWN = frozenset({
    "user", "host", "hostaddr", "port", "dbname", "application_name", "channel_binding", "client_encoding",
    "connect_timeout", "gssencmode", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
    "load_balance_hosts", "replication", "require_auth", "sslcert", "sslcrl", "sslkey", "sslmode",
    "sslnegotiation", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout",
})
# fmt: on


def check_conninfo(conninfo: str) -> None:
    """Reject what libpq can't parse. The error shows at most the name of a parameter.

    Raises:
        ConfigurationError: the connection URL is malformed or has an unknown parameter.

    """
    if flaw := find_flaw(conninfo):
        raise ConfigurationError(f"{find_database_variable()} {flaw}")


def find_flaw(conninfo: str) -> str | None:
    """Why libpq can't use a URL in its form, without showing any value of it; None if it can."""
    try:
        timeout_from_conninfo(conninfo_to_dict(conninfo))
    except psycopg.Error as error:  # its text quotes the URL, including the password
        if "connect_timeout" in str(error):
            return 'has a wrong value in the parameter "connect_timeout": it must be a whole number of seconds'
        if name := find_unknown_parameter(conninfo, [option.keyword.decode() for option in Conninfo.get_defaults()]):
            return f'has the unknown parameter "{name}": remove it, or use one of libpq (sslmode, options, …)'
        return (
            "is malformed: set it to postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with only libpq's query parameters "
            "(sslmode, options, …)"
        )
    return None


def make_environment(url: str) -> dict[str, str]:
    """The PG… variables equivalent to a URL, whose password would be visible to other users on a command line.

    The program that they are for may have a libpq that doesn't know `sslrootcert=system`.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    variables = {option.keyword.decode(): option.envvar for option in Conninfo.get_defaults()}
    environment = {}
    for keyword, value in name_system_authorities(conninfo_to_dict(url)).items():
        if (variable := variables.get(keyword)) and value is not None:
            environment[variable.decode()] = str(value)
    return environment


def find_host(url: str) -> str:
    """The host or the socket's folder of a URL, or localhost if it has none.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    parts = conninfo_to_dict(url)
    return str(parts.get("host") or parts.get("hostaddr") or "localhost")


def redact_url(url: str) -> str:
    """Rebuild the URL from libpq's parse of it, with stars for every parameter that isn't known to be no secret.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    parts = {name: str(value) if name in _SHOWN else "*****" for name, value in conninfo_to_dict(url).items()}
    user, password = parts.pop("user", ""), parts.pop("password", "")
    credentials = quote(user, safe="") + (f":{password}" if password else "")
    place = ""
    # Several hosts, or a socket's folder, stay in the query, where libpq accepts them as well.
    if not set(parts.get("host", "")) & set(",/"):
        host, port = parts.pop("host", ""), parts.pop("port", "")
        place = (f"[{host}]" if ":" in host else quote(host, safe="")) + (f":{port}" if port else "")
    authority = f"{credentials}@{place}" if credentials else place
    database = quote(parts.pop("dbname", ""), safe="")
    query = urlencode(parts, safe="*")
    return f"postgresql://{authority}/{database}{'?' if query else ''}{query}"
