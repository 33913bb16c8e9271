"""Connection URLs: redacted for display, and as the environment of a program."""

from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from vigilbase.database.postgres import check_conninfo


def make_environment(url: str) -> dict[str, str]:
    """The PG… variables equivalent to a URL, whose password would be visible to other users on a command line.

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


def find_host(url: str) -> str:
    """The host or the socket's folder of a URL, or localhost if it has none.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    parts = conninfo_to_dict(url)
    return str(parts.get("host") or parts.get("hostaddr") or "localhost")


def redact_url(url: str) -> str:
    """Rebuild the URL from libpq's parse of it, with stars for every parameter that libpq regards as secret.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    secrets = {option.keyword.decode() for option in Conninfo.get_defaults() if option.dispchar == b"*"}
    parts = {name: "*****" if name in secrets else str(value) for name, value in conninfo_to_dict(url).items()}
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
