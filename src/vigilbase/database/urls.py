"""What is done with a connection URL besides connecting: show it, and hand it to a program."""

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


def masked(url: str) -> str:
    """The URL with stars for its password, wherever in it that stands.

    Raises:
        ConfigurationError: the URL is malformed.

    """
    check_conninfo(url)
    if not conninfo_to_dict(url).get("password"):
        return url
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    credentials, at, hosts = authority.rpartition("@")
    user = credentials.partition(":")[0]
    shown = f"{user}:*****{at}{hosts}" if ":" in credentials else authority
    path, mark, query = path.partition("?")
    parameters = ["password=*****" if part.startswith("password=") else part for part in query.split("&")]
    return f"{scheme}://{shown}{slash}{path}{mark}{'&'.join(parameters)}"
