"""Postgres over TLS: the system's certificate authorities, and what is told of attempts with and without TLS."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.loopback import probe_target
from tests.support.older_servers import OLDER
from tests.support.tls_postgres import PASSWORD, TlsPostgres, run_tls_postgres
from vigilbase import DatabaseUnavailableError
from vigilbase.config.supabase import make_service_client
from vigilbase.database.authorities import find_authorities, name_system_authorities
from vigilbase.database.connect import connect
from vigilbase.database.connection_errors import ConnectionFailedError
from vigilbase.settings import load_settings

SYSTEM = "?sslrootcert=system"


@pytest.fixture(scope="module")
def tls_server() -> Iterator[TlsPostgres]:
    with run_tls_postgres() as server:
        yield server


@pytest.fixture
def _trust_authority(tls_server: TlsPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the server's authority the only one that the system knows."""
    monkeypatch.setenv("SSL_CERT_FILE", tls_server.authority.ca_file)


@pytest.mark.usefixtures("_trust_authority")
@pytest.mark.parametrize("query", [SYSTEM, f"{SYSTEM}&sslmode=verify-full", "?ssl=true", "?sslaccept=strict"])
async def test_probe_and_client_system_authorities_are_trusted(tls_server: TlsPostgres, query: str) -> None:
    url = tls_server.url(query=query)
    result = await probe_target("postgres", url)
    assert (result.status, result.error_message) == ("healthy", None)
    client = make_service_client(load_settings({"DATABASE_URL": url}))
    with pytest.raises(Exception, match="vigilbase migrate"):  # it is reached, and has no tables
        await client.select("nothing")
    await client.aclose()


async def test_system_authorities_without_variable_are_found(
    tls_server: TlsPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    paths = ssl.get_default_verify_paths()._replace(cafile=tls_server.authority.ca_file)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    result = await probe_target("postgres", tls_server.url(query=SYSTEM))
    assert (result.status, result.error_message) == ("healthy", None)


async def test_system_authorities_without_ours_server_is_rejected(
    tls_server: TlsPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    for query in (SYSTEM, "?ssl=true"):
        result = await probe_target("postgres", tls_server.url(query=query))
        assert (result.status, result.error_message) == ("down", "SSL error: certificate verify failed")


@pytest.mark.usefixtures("_trust_authority")
async def test_system_authorities_certificate_for_other_name_is_rejected(tls_server: TlsPostgres) -> None:
    with pytest.raises(ConnectionFailedError, match=r'"localhost".* does not match host name "127\.0\.0\.1"'):
        await connect(tls_server.url("127.0.0.1", query=SYSTEM), 5)


@pytest.mark.usefixtures("_trust_authority")
@pytest.mark.parametrize("mode", ["disable", "prefer", "require", "verify-ca"])
async def test_system_authorities_weaker_mode_is_refused(tls_server: TlsPostgres, mode: str) -> None:
    with pytest.raises(ConnectionFailedError, match=f'weak sslmode "{mode}" may not be used with sslrootcert=system'):
        await connect(tls_server.url(query=f"{SYSTEM}&sslmode={mode}"), 5)


@pytest.mark.usefixtures("_trust_authority")
async def test_system_authorities_from_environment_are_trusted(
    tls_server: TlsPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", "system")
    await (await connect(tls_server.url(), 5)).close()
    monkeypatch.setenv("PGSSLMODE", "require")
    with pytest.raises(ConnectionFailedError, match="weak sslmode"):
        await connect(tls_server.url(), 5)


def test_name_system_authorities_other_parameters_are_left_alone() -> None:
    for parameters in ({"host": "h"}, {"sslrootcert": "/ca.pem"}, {"sslrootcert": "system", "sslmode": "require"}):
        assert name_system_authorities({**parameters}) == parameters
    assert name_system_authorities({"sslrootcert": "system"})["sslrootcert"] == find_authorities()


@pytest.mark.parametrize("query", [SYSTEM, "?sslmode=require", "?ssl=true"])
def test_db_psql_and_dump_over_tls_use_programs_of_system(tls_server: TlsPostgres, tmp_path: Path, query: str) -> None:
    programs = f"{OLDER['15']}:{os.environ.get('PATH', '')}"
    environ = {"DATABASE_URL": tls_server.url(query=query), "SSL_CERT_FILE": tls_server.authority.ca_file}
    statement = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    result = run("db", "psql", "-Atc", statement, cwd=tmp_path, environ={**environ, "PATH": programs})
    assert (result.returncode, result.stdout, result.stderr) == (0, "t\n", "")
    assert run("migrate", cwd=tmp_path, environ=environ).returncode == 0
    result = run("db", "dump", f"{query[-4:]}.dump", cwd=tmp_path, environ={**environ, "PATH": programs})
    assert (result.returncode, result.stderr) == (0, "")


def test_db_psql_over_tls_without_program_of_system_names_it(tls_server: TlsPostgres, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": tls_server.url(query="?sslmode=require"), "PATH": str(tmp_path)}
    result = run("db", "psql", "-c", "SELECT 1", cwd=tmp_path, environ=environ)
    assert (result.returncode, result.stdout) == (2, "")
    assert "sslmode=require demands TLS, which the psql that comes with Vigilbase can't do: " in result.stderr
    assert len(result.stderr.splitlines()) == 1


async def test_connect_refused_password_is_told_without_attempt_without_tls(tls_server: TlsPostgres) -> None:
    for host in ("localhost", "127.0.0.1", "127.0.0.1,localhost"):
        port = f"&port={tls_server.port}" if "," in host else ""
        url = tls_server.url(host, f"{PASSWORD}-not", f"?sslmode=prefer{port}")
        url = url.replace(f":{tls_server.port}/", "/") if port else url
        with pytest.raises(DatabaseUnavailableError) as caught:
            await connect(url, 5)
        places = ", ".join(f"{name}:{tls_server.port}" for name in host.split(","))
        assert str(caught.value) == (
            f'can\'t connect to {places} (from DATABASE_URL): password authentication failed for user "postgres"'
        )
    with pytest.raises(DatabaseUnavailableError, match=r"no pg_hba\.conf entry .*no encryption"):
        await connect(tls_server.url(query="?sslmode=disable"), 5)
