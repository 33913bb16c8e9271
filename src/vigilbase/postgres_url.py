"""Postgres URLs: their form, and libpq's form of those that are written for other drivers. No error shows a value.

libpq's own rules: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

# As in libpq, an "@" before the first "/" ends the credentials, which may contain a "?".
_URL = re.compile(
    r"(?:jdbc:)?(?:postgres(?:ql)?|pgsql|postgis)(?:\+\w+)?://"
    r"(?P<credentials>[^/@]*@)?(?P<hosts>[^/?]*)(?P<database>/[^?]*)?(?:\?(?P<query>.*))?",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?:\[[^\[\]]+\]|[^\[\]:]*)(?::(?P<port>\d*))?")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")

# What applications tell their driver or its pool. Nothing here changes which server is reached, or how safely.
_DRIVERS = {
    "Prisma": "schema pgbouncer connection_limit pool_timeout socket_timeout statement_cache_size",
    "asyncpg": "prepared_statement_cache_size prepared_statement_name_func async_fallback command_timeout "
    "max_cached_statement_lifetime max_cacheable_statement_size pool_size max_overflow pool_recycle pool_pre_ping",
    "Django": "conn_max_age conn_health_checks",
    "Rails": "pool encoding prepared_statements statement_limit checkout_timeout reaping_frequency schema_search_path",
    "node-postgres": "uselibpqcompat max idleTimeoutMillis connectionTimeoutMillis",
    "Supabase and Vercel": "supa workaround",
    "pgx": "pool_max_conns pool_min_conns pool_max_conn_lifetime pool_max_conn_idle_time pool_health_check_period "
    "default_query_exec_mode statement_cache_capacity description_cache_capacity search_path",
    "pgJDBC": "ApplicationName currentSchema loginTimeout connectTimeout socketTimeout tcpKeepAlive prepareThreshold "
    "preparedStatementCacheQueries reWriteBatchedInserts stringtype binaryTransfer defaultRowFetchSize",
}
_IGNORED = frozenset(name for names in _DRIVERS.values() for name in names.split())
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_ENCRYPTED = _MODES[3:]
_TLS = ("ssl", "sslmode", "sslaccept", "sslrootcert")
_TRUE = ("true", "1", "yes", "on", "")
_FALSE = ("false", "0", "no", "off")


def is_postgres_url(url: str) -> bool:
    """Whether a text has the form of a Postgres URL; libpq checks the rest."""
    match = _URL.fullmatch(url)
    if match is None or not url.isprintable() or " " in url:
        return False
    hosts, database, query = match["hosts"], match["database"] or "", match["query"] or ""
    # A part without "=" may be the rest of a password, and libpq would reject it.
    names = [unquote(pair) for pair in query.split("&") if pair and "=" not in pair]
    is_complete = all(name in _IGNORED or name == "ssl" for name in names)
    # libpq takes what follows a second "@", or an "@" after a "/", for the host or the database and names it in its
    # errors. That would show the rest of a password that isn't percent-encoded.
    is_unambiguous = "@" not in hosts + database
    has_fragment = "#" in query  # libpq would take it for a part of the last value
    is_empty = not (match["credentials"] or hosts or query)
    ports = [unquote(port) for name, port in _split_query(query) if name == "port"]
    are_ports_valid = all(_is_port(port) for value in ports for port in value.split(","))
    are_hosts_valid = all(map(_is_host, hosts.split(",")))
    return is_unambiguous and is_complete and not (is_empty or has_fragment) and are_ports_valid and are_hosts_valid


def to_libpq_url(url: str) -> str:
    """The URL as libpq reads it: with its scheme, and with its parameters in place of those of other drivers.

    A parameter that has no part in the connection is left out. One that asks for TLS becomes an `sslmode` that is at
    least as strict.

    Raises:
        ValueError: a parameter about TLS can't be translated, or is repeated; the message names it.

    """
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError("must be a Postgres URL")
    pairs = [(name, value) for name, value in _split_query(match["query"] or "") if name not in _IGNORED]
    names = [name for name, _ in pairs]
    if names.count("host") > 1:
        raise ValueError('repeats the parameter "host": list the hosts as HOST1:PORT1,HOST2:PORT2')
    if repeated := next((name for name in _TLS if names.count(name) > 1), None):
        raise ValueError(f'repeats the parameter "{repeated}": leave one of them')
    parameters = _translate_tls(dict(pairs))
    query = "&".join(f"{quote(name)}={value}" for name, value in parameters.items())
    credentials, database = match["credentials"] or "", match["database"] or ""
    return f"postgresql://{credentials}{match['hosts']}{database}{'?' if query else ''}{query}"


def find_unknown_parameter(url: str, known: Sequence[str]) -> str | None:
    """The first parameter of a URL in libpq's form that isn't known; None if all are, or its name may be a secret."""
    match = _URL.fullmatch(url)
    query = (match and match["query"]) or ""
    # After an "@", it may be the rest of a password that isn't percent-encoded.
    if "@" in query:
        return None
    names = [name for name, _ in _split_query(query)]
    index = next((index for index, name in enumerate(names) if name not in known), len(names))
    # After a password, it may be the rest of that.
    if index == len(names) or not _NAME.fullmatch(names[index]) or {"password", "sslpassword"} & {*names[:index]}:
        return None
    return names[index]


def _translate_tls(parameters: Mapping[str, str]) -> dict[str, str]:
    """Replace `ssl` (asyncpg, pgJDBC, node-postgres) and `sslaccept` (Prisma) by libpq's parameters.

    `ssl=true` verifies the server's certificate in those drivers, so libpq's reading of it (`require`) would be weaker.
    """
    kept = dict(parameters)
    ssl, accept, mode = (_pop_value(kept, name) for name in ("ssl", "sslaccept", "sslmode"))
    mode = "require" if mode == "no-verify" else mode  # of node-postgres
    _require_one_of("sslmode", mode, _MODES)
    _require_one_of("sslaccept", accept, ("strict", "accept_invalid_certs"))
    is_boolean = ssl in _TRUE + _FALSE
    asked = None if ssl in _FALSE else "verify-full" if ssl in _TRUE else "require" if ssl == "no-verify" else ssl
    _require_one_of("ssl", asked, _MODES, "true", "false")
    is_verified = accept == "strict" or (is_boolean and asked is not None and mode not in _ENCRYPTED)
    if accept == "strict":
        mode = "verify-full"
    elif asked and not (is_boolean and mode in _ENCRYPTED):  # then the more specific sslmode stands, as in pgJDBC
        mode = max(asked, mode or asked, key=_MODES.index)
    if is_verified:  # against the system's authorities, as those drivers do
        kept.setdefault("sslrootcert", "system")
    if kept.get("sslrootcert") == "system" and mode not in (None, "verify-full"):  # libpq's own rule since 16
        raise ValueError('has a wrong value in the parameter "sslmode": sslrootcert=system needs verify-full')
    return {**kept, "sslmode": mode} if mode else kept


def _pop_value(parameters: dict[str, str], name: str) -> str | None:
    value = parameters.pop(name, None)
    return None if value is None else unquote(value).lower().replace("verify_", "verify-")


def _require_one_of(name: str, value: str | None, values: Sequence[str], *others: str) -> None:
    if value is not None and value not in values:
        raise ValueError(
            f'has a wrong value in the parameter "{name}": it must be one of {", ".join((*others, *values))}'
        )


def _split_query(query: str) -> list[tuple[str, str]]:
    """The parameters' decoded names and encoded values."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return [(unquote(name), value) for name, _, value in pairs]


def _is_host(text: str) -> bool:
    match = _HOST.fullmatch(text)
    return match is not None and _is_port(match["port"] or "")


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdecimal() and 0 < int(text) <= 65_535)
