"""Fixtures of all tests: a server for the session, a database for the test, and each transport to it."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.older_servers import Servers
from tests.support.server import TEMPLATE, Cluster, PostgresServer, build_cluster, home_folder, start_server
from tests.support.supabase_api import SupabaseApi, run_supabase_api
from vigilbase.config.supabase import close_supabase_service_client

# The time of an example depends on the machine.
settings.register_profile("vigilbase", deadline=None)
settings.load_profile("vigilbase")

SETTINGS = (
    "VIGILBASE_TRANSPORT",
    "SUPABASE_URL",
    "SUPABASE_SERVICE_ROLE_KEY",
    "SUPABASE_SECRET_KEY",
    "VIGILBASE_DATABASE_URL",
    "DATABASE_URL",
    "VIGILBASE_HOME",
    "VIGILBASE_TIMEOUT",
    "VIGILBASE_POOL_SIZE",
    "VIGILBASE_LOG_LEVEL",
)
TRANSPORTS = ("embedded", "postgres", "supabase")
TABLES = (
    "service_health_checks",
    "alert_events",
    "vigilbase.notifications",
    "vigilbase.channels",
    "vigilbase.alert_timeline",
    "vigilbase.suppressions",
    "vigilbase.services",
    "vigilbase.runners",
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep your own settings out of the tests."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a test run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def cluster(shared_folder: Path) -> Cluster:
    """The data of a migrated server, built once for all workers."""
    return build_cluster(shared_folder / "cluster")


@pytest.fixture(scope="session")
def server(cluster: Cluster) -> Iterator[PostgresServer]:
    """A Postgres with the roles of a Supabase project, its database `vigilbase` migrated, and a migrated template."""
    with home_folder() as home:
        server = start_server(home, cluster)
        yield server
        server.embedded.stop()


@pytest.fixture(scope="session")
def servers(server: PostgresServer, shared_folder: Path) -> Iterator[Servers]:
    """Servers of every supported version that is installed."""
    with ExitStack() as stack:
        yield Servers(server, shared_folder, stack)


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home folder, for an embedded server of this test."""
    with home_folder() as folder:
        yield folder


@pytest.fixture
def migrated_home(home: Path, cluster: Cluster) -> Path:
    """A home folder with a migrated database, for an embedded server of this test."""
    cluster.copy_to(home)
    return home


@pytest.fixture
def empty_database(server: PostgresServer) -> Iterator[str]:
    """The name of an empty database."""
    name = server.create_database()
    yield name
    server.drop_database(name)


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    """The name of a migrated database without rows."""
    name = server.create_database(TEMPLATE)
    yield name
    server.drop_database(name)


@pytest.fixture(scope="session")
def supabase_api(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupabaseApi]:
    """A Data API with its own migrated database."""
    database = server.create_database(TEMPLATE)
    with run_supabase_api(server, database, tmp_path_factory.mktemp("api")) as api:
        yield api


@dataclass(frozen=True)
class Backend:
    """A database that the settings in the environment select, over one transport; `database` is its name."""

    transport: str
    database: str
    server: PostgresServer

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run SQL as the superuser, without the transport."""
        return self.server.execute(statement, self.database)


@pytest.fixture(scope="session")
def shared_database(server: PostgresServer) -> str:
    """The name of a migrated database for tests that change only its rows."""
    return server.create_database(TEMPLATE)


@pytest.fixture
async def backend(
    server: PostgresServer, shared_database: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Backend]:
    """An empty, migrated database that the environment selects, over a connection to Postgres."""
    monkeypatch.setenv("DATABASE_URL", server.url(shared_database))
    async with _open_backend("postgres", shared_database, server) as backend:
        yield backend


@pytest.fixture(params=TRANSPORTS)
async def each_backend(
    request: pytest.FixtureRequest, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Backend]:
    """As `backend`, once for each transport: for tests whose subject is the transport."""
    transport: str = request.param
    if transport == "postgres":
        name: str = request.getfixturevalue("shared_database")
        monkeypatch.setenv("DATABASE_URL", server.url(name))
    elif transport == "embedded":
        name = "vigilbase"
        monkeypatch.setenv("VIGILBASE_HOME", str(server.embedded.home))
    else:
        api: SupabaseApi = request.getfixturevalue("supabase_api")
        name = api.database
        monkeypatch.setenv("SUPABASE_URL", api.url)
        monkeypatch.setenv("SUPABASE_SECRET_KEY", api.secret_key)
    async with _open_backend(transport, name, server) as backend:
        yield backend


@asynccontextmanager
async def _open_backend(transport: str, database: str, server: PostgresServer) -> AsyncIterator[Backend]:
    server.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY", database)
    yield Backend(transport, database, server)
    await close_supabase_service_client()
