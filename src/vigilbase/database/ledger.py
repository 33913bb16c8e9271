"""The ledger of what has been applied: read over a connection or a service client, and told apart by builds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from vigilbase.database.blindness import BlindRoleError
from vigilbase.database.client import ServiceClient
from vigilbase.database.pool import Connection
from vigilbase.errors import DatabaseError, MigrationError, MissingSchemaError

READER = "vigilbase_list_migrations"
EARLIER_LEDGER = "vigilbase_migrations"  # in public: the first builds had it there
EARLIER = (
    "run `vigilbase migrate --rebuild`, which keeps service_health_checks and alert_events with their rows and makes "
    "the rest anew (silences, maintenance windows, undelivered notifications and timelines are lost)"
)
CONTRACT = 12  # the number of the migration that never changes
LOCK = "LOCK TABLE vigilbase.migrations IN ACCESS EXCLUSIVE MODE"


@dataclass(frozen=True, slots=True)
class Applied:
    """One entry of the ledger."""

    number: int
    name: str
    sha256: str


class EarlierBuildError(MigrationError):
    """The database was made by a build of Vigilbase whose migrations were others; `what` tells it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the database was made by an earlier build of Vigilbase ({what}): {EARLIER}")


def ledger_sql() -> str:
    """What creates the schema and the ledger where they aren't."""
    return files("vigilbase.database").joinpath("ledger.sql").read_text(encoding="utf-8")


def refuse_other_builds(known: Iterable[Applied], ledger: Iterable[Applied]) -> None:
    """Let only a ledger pass whose entries are those of this program, as far as this program has the numbers.

    Raises:
        EarlierBuildError: a migration had another text or name. Until the first release, 013 and later are rebuilt.
        MigrationError: the text of the contract, 012, was another.

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
        raise EarlierBuildError(f"its migration {entry.number:03}_{entry.name} isn't the one of this program")


def refuse_ahead(known: Iterable[Applied], ledger: Iterable[Applied]) -> None:
    """Let only a database pass that has no migrations behind this program's last.

    Raises:
        MigrationError: it has.

    """
    last = max((entry.number for entry in known), default=0)
    later = [entry for entry in ledger if entry.number > last]
    if later:
        newest = max(later, key=lambda entry: entry.number)
        raise MigrationError(
            f"the database is ahead of this program (it has migration {newest.number:03}_{newest.name}): "
            "upgrade vigilbase"
        )


async def read_entries(connection: Connection) -> list[Applied]:
    """What the ledger holds; nothing where there is none yet.

    Raises:
        EarlierBuildError: the ledger of the first builds is there.
        BlindRoleError: row-level security hides the ledger from the role.

    """
    if await has_earlier_ledger(connection):
        raise EarlierBuildError(f"it has a table public.{EARLIER_LEDGER}")
    return await read_own_entries(connection)


async def read_own_entries(connection: Connection) -> list[Applied]:
    """The same of a ledger in its place, whatever else there is."""
    if not await _is_there(connection, "vigilbase.migrations"):
        return []
    cursor = await connection.execute("SELECT number, name, sha256 FROM vigilbase.migrations ORDER BY number")
    rows = await cursor.fetchall()
    if not rows:
        await _require_sight(connection)
    return [Applied(**row) for row in rows]


async def has_earlier_ledger(connection: Connection) -> bool:
    """Whether one of the first builds made the database."""
    return await _is_there(connection, f"public.{EARLIER_LEDGER}")


async def _is_there(connection: Connection, table: str) -> bool:
    cursor = await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS is_there", [table])
    answer = await cursor.fetchone()
    return bool(answer and answer["is_there"])


async def read_entries_through(client: ServiceClient) -> Sequence[Applied]:
    """What the ledger holds, through a service client, for when there is only the Data API.

    Raises:
        EarlierBuildError: the ledger of the first builds is there.
        BlindRoleError: row-level security hides the ledger from the role.
        DatabaseError: the database can't be reached.

    """
    try:
        answer = await client.call(READER)
    except MissingSchemaError:  # 012 alone, or nothing, or an earlier build
        await _refuse_earlier_ledger_through(client)
        return []
    match answer:
        case {"is_blind": True, "role": role, "migrations": []}:
            raise BlindRoleError(role)
        case {"migrations": list(rows)}:
            return [Applied(**row) for row in rows if isinstance(row, dict)]
    raise DatabaseError(f"call {READER}: the database answered something else than this program expects")


async def _refuse_earlier_ledger_through(client: ServiceClient) -> None:
    try:
        await client.select(EARLIER_LEDGER, limit=1)
    except MissingSchemaError:
        return
    raise EarlierBuildError(f"it has a table public.{EARLIER_LEDGER}")


async def _require_sight(connection: Connection) -> None:
    """Refuse to take a ledger for empty that is only hidden."""
    cursor = await connection.execute(
        "SELECT row_security_active('vigilbase.migrations') AS hidden, current_user AS role"
    )
    answer = await cursor.fetchone()
    if answer and answer["hidden"]:
        raise BlindRoleError(answer["role"])
