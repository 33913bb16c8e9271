"""The ledger of applied migrations: read over a connection or a service client, and compared with a build's own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from vigilbase.database.client import ServiceClient
from vigilbase.database.pool import Connection
from vigilbase.database.row_security import HiddenRowsError
from vigilbase.errors import DatabaseError, MigrationError, MissingSchemaError

READER = "vigilbase_list_migrations"
EARLIER_LEDGER = "vigilbase_migrations"  # the ledger of the first builds, in the schema public
REBUILD_ADVICE = (
    "run `vigilbase migrate --rebuild`, which keeps service_health_checks and alert_events with their rows and "
    "recreates the rest (silences, maintenance windows, undelivered notifications and timelines are lost)"
)
CONTRACT = 12  # the number of the migration that never changes
# Not an advisory lock, because any role can hold one (docs/decisions/0014-schema.md).
LOCK = "LOCK TABLE vigilbase.migrations IN ACCESS EXCLUSIVE MODE"


@dataclass(frozen=True, slots=True)
class Applied:
    """One entry of the ledger."""

    number: int
    name: str
    sha256: str


class EarlierBuildError(MigrationError):
    """A build of Vigilbase with other migrations created the database; `evidence` says how this is known."""

    def __init__(self, evidence: str) -> None:
        super().__init__(f"the database was created by an earlier build of Vigilbase ({evidence}): {REBUILD_ADVICE}")


def read_ledger_sql() -> str:
    """The SQL that creates the schema and the ledger if they don't exist."""
    return files("vigilbase.database").joinpath("ledger.sql").read_text(encoding="utf-8")


def require_same_build(known: Iterable[Applied], ledger: Iterable[Applied]) -> None:
    """Reject a ledger with an entry that differs from the known migration of the same number.

    Raises:
        EarlierBuildError: 013 or later has another text or name; until the first release, they may be rebuilt.
        MigrationError: the contract, 012, has another text or name.

    """
    ours = {entry.number: entry for entry in known}
    for entry in sorted(ledger, key=lambda entry: entry.number):
        expected = ours.get(entry.number)
        if expected is None or expected == entry:
            continue
        if entry.number <= CONTRACT:
            raise MigrationError(
                f"{expected.number:03}_{expected.name}.sql was edited after it was applied: "
                "restore the file as it was, and put the change into a new migration"
            )
        raise EarlierBuildError(f"its migration {entry.number:03}_{entry.name} differs from this version's")


def require_not_ahead(known: Iterable[Applied], ledger: Iterable[Applied]) -> None:
    """Reject a ledger with migrations later than the last known one.

    Raises:
        MigrationError: there are such migrations.

    """
    last = max((entry.number for entry in known), default=0)
    later = [entry for entry in ledger if entry.number > last]
    if later:
        newest = max(later, key=lambda entry: entry.number)
        raise MigrationError(
            f"the database is ahead of this version (it has migration {newest.number:03}_{newest.name}): "
            "upgrade vigilbase"
        )


async def read_entries(connection: Connection) -> list[Applied]:
    """The entries of the ledger; empty if there is no ledger yet.

    Raises:
        EarlierBuildError: the ledger of the first builds exists.
        HiddenRowsError: row-level security hides the ledger from the role.

    """
    if await has_earlier_ledger(connection):
        raise EarlierBuildError(f"it has a table public.{EARLIER_LEDGER}")
    return await read_own_entries(connection)


async def read_own_entries(connection: Connection) -> list[Applied]:
    """Like `read_entries`, but ignores the ledger of the first builds."""
    if not await _table_exists(connection, "vigilbase.migrations"):
        return []
    cursor = await connection.execute("SELECT number, name, sha256 FROM vigilbase.migrations ORDER BY number")
    rows = await cursor.fetchall()
    # An empty ledger that row-level security hides was once taken for a database to migrate.
    if not rows:
        await _require_visible(connection)
    return [Applied(**row) for row in rows]


async def has_earlier_ledger(connection: Connection) -> bool:
    """Whether one of the first builds created the database."""
    return await _table_exists(connection, f"public.{EARLIER_LEDGER}")


async def _table_exists(connection: Connection, table: str) -> bool:
    cursor = await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS exists", [table])
    answer = await cursor.fetchone()
    return bool(answer and answer["exists"])


async def read_entries_via(client: ServiceClient) -> Sequence[Applied]:
    """The entries of the ledger, read through a service client, for when there is only the Data API.

    Raises:
        EarlierBuildError: the ledger of the first builds exists.
        HiddenRowsError: row-level security hides the ledger from the role.
        DatabaseError: the database can't be reached.

    """
    try:
        answer = await client.call(READER)
    except MissingSchemaError:  # only 012, nothing at all, or an earlier build
        await _require_no_earlier_ledger(client)
        return []
    match answer:
        case {"is_blind": True, "role": role, "migrations": []}:
            raise HiddenRowsError(role)
        case {"migrations": list(rows)}:
            return [Applied(**row) for row in rows if isinstance(row, dict)]
    raise DatabaseError(f"call {READER}: the database returned an unexpected answer")


async def _require_no_earlier_ledger(client: ServiceClient) -> None:
    try:
        await client.select(EARLIER_LEDGER, limit=1)
    except MissingSchemaError:
        return
    raise EarlierBuildError(f"it has a table public.{EARLIER_LEDGER}")


async def _require_visible(connection: Connection) -> None:
    """Raise if an empty ledger may only be hidden by row-level security."""
    cursor = await connection.execute(
        "SELECT row_security_active('vigilbase.migrations') AS hidden, current_user AS role"
    )
    answer = await cursor.fetchone()
    if answer and answer["hidden"]:
        raise HiddenRowsError(answer["role"])
