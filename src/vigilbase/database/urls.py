"""What is done with a connection URL besides connecting: show it, and hand it to a program."""

from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from vigilbase.database.postgres import check_conninfo


def environment_of(url: str) -> dict[str, str]:
    """The PG… variables that say what a URL says: on a command line others could see its password.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    variables = {option.keyword.decode(): option.envvar for option in Conninfo.get_defaults()}
    environment = {}
    for keyword, value in conninfo_to_dict(url).items():
        if (variable := variables.get(keyword)) and value is not None:
            environment[variable.decode()] = str(value)
    return environment


def place_of(url: str) -> str:
    """The host or the socket's folder that a URL says, or that libpq takes where it says none.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    parts = conninfo_to_dict(url)
    return str(parts.get("host") or parts.get("hostaddr") or "localhost")


def masked(url: str) -> str:
    """The URL with stars for whatever libpq holds to be a secret, put together anew from what libpq reads in it.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    secrets = {option.keyword.decode() for option in Conninfo.get_defaults() if option.dispchar == b"*"}
    parts = {name: "*****" if name in secrets else str(value) for name, value in conninfo_to_dict(url).items()}
    user, password = parts.pop("user", ""), parts.pop("password", "")
    credentials = quote(user, safe="") + (f":{password}" if password else "")
    place = ""
    if not set(parts.get("host", "")) & set(",/"):
        host, port = parts.pop("host", ""), parts.pop("port", "")
        place = (f"[{host}]" if ":" in host else quote(host, safe="")) + (f":{port}" if port else "")
    authority = f"{credentials}@{place}" if credentials else place
    database = quote(parts.pop("dbname", ""), safe="")
    query = urlencode(parts, safe="*")
    return f"postgresql://{authority}/{database}{'?' if query else ''}{query}"
