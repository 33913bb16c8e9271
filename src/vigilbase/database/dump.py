"""Dumps of Vigilbase's rows and nothing else: written by pg_dump, read by pg_restore, put back by one SQL script."""

import re
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from vigilbase.database.direct import connected
from vigilbase.database.ledger import Applied
from vigilbase.database.migrate import Migration
from vigilbase.database.programs import programs_folder, reason_in
from vigilbase.database.runners import REFUSE_RUNNERS, refuse_runners
from vigilbase.database.schema import LEDGER_TABLE, OUR_TABLES
from vigilbase.errors import ConfigurationError, DatabaseError

# All but the ledger, which says of what the database is made and not what is in it.
ROWS_OF = tuple(table for table in OUR_TABLES if table != LEDGER_TABLE)
# The runners of the dump aren't at work on the database that it is put into.
_PUT_BACK = tuple(table for table in ROWS_OF if table != "vigilbase.runners")

_ENTRY = re.compile(r"^\d+; \d+ \d+ TABLE DATA (\S+) (\S+) ", re.MULTILINE)
_COPIED = re.compile(r"^COPY vigilbase\.migrations \(([^)]*)\) FROM stdin;\n(.*?)^\\\.$", re.MULTILINE | re.DOTALL)
_HEAD_BYTES = 4000
# An identity goes on behind what was put in. It never goes back, as a rollback doesn't reach it.
_SEQUENCES = """\
DO $$
DECLARE
    v_made record;
    v_last bigint;
BEGIN
    FOR v_made IN
        SELECT a.attrelid::regclass AS relation, a.attname AS name,
            pg_catalog.pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)::regclass AS sequence
        FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'vigilbase'::regnamespace AND a.attidentity <> ''
    LOOP
        EXECUTE pg_catalog.format('SELECT max(%I) FROM %s', v_made.name, v_made.relation) INTO v_last;
        PERFORM pg_catalog.setval(v_made.sequence, greatest(v_last, pg_catalog.nextval(v_made.sequence)));
    END LOOP;
END;
$$;
"""


def dump_arguments(file: Path) -> list[str]:
    """The arguments of pg_dump for a dump of our rows."""
    tables = [f"--table={table}" for table in OUR_TABLES]
    return ["--data-only", "--format=custom", "--no-owner", "--strict-names", f"--file={file}", *tables]


def require_dump_of(file: Path, migrations: Sequence[Migration]) -> None:
    """Refuse a file that is no dump, or whose rows were written by another build.

    An older version of this program is none, if all of its migrations are among ours: a dump has to get from one major
    version of Postgres to the next.

    Raises:
        ConfigurationError: it is.

    """
    listed = {f"{schema}.{name}" for schema, name in _ENTRY.findall(_pg_restore(file, "--list"))}
    entries = _ledger_of(file) if LEDGER_TABLE in listed else []
    if not entries:
        raise ConfigurationError(f"{file}: holds no rows of Vigilbase's, or an earlier build's: nothing was restored")
    if not set(entries) <= {migration.entry for migration in migrations}:
        newest = max(entries, key=lambda entry: entry.number)
        raise ConfigurationError(
            f"{file}: was written by another build of Vigilbase (its last migration is {newest.number:03}_"
            f"{newest.name}, {newest.sha256[:8]}): restore it with the vigilbase that wrote it"
        )


def write_restore_script(file: Path, script: Path) -> None:
    """Write the SQL that replaces our rows by those of a dump, to be run in one transaction.

    Raises:
        ConfigurationError: that is no dump.

    """
    wanted, data = script.with_suffix(".list"), script.with_suffix(".data")
    wanted.write_text(_only(_pg_restore(file, "--list"), _PUT_BACK))
    _pg_restore(file, "--data-only", "--no-owner", f"--use-list={wanted}", f"--file={data}")
    tables = ", ".join(ROWS_OF)
    with data.open("rb") as given, script.open("wb") as taken:
        taken.write(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;\n{REFUSE_RUNNERS}TRUNCATE {tables};\n".encode())
        # The head sets what only Postgres 17 and newer know; older ones would refuse the whole.
        taken.write(given.read(_HEAD_BYTES).replace(b"SET transaction_timeout = 0;\n", b""))
        while block := given.read(1 << 20):
            taken.write(block)
        taken.write(_SEQUENCES.encode())


async def count_rows(conninfo: str, *, timeout: float) -> dict[str, int]:
    """How many rows a restore would replace, by table; of tables that there are. `timeout`: seconds to connect.

    Raises:
        MigrationError: a runner is at work.
        DatabaseError: the database can't be reached.

    """
    counts = {}
    async with connected("look for what would be replaced", conninfo, timeout) as connection:
        await refuse_runners(connection)
        for table in ROWS_OF:
            cursor = await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS is_there", [table])
            row = await cursor.fetchone()
            if row and row["is_there"]:
                cursor = await connection.execute(f"SELECT count(*) AS rows FROM {table}".encode())  # noqa: S608 (ours)
                row = await cursor.fetchone()
                counts[table] = int(row["rows"]) if row else 0
    return counts


def _only(listing: str, tables: Collection[str]) -> str:
    """Of a dump's list of contents, the rows of these tables."""
    lines = (
        line for line in listing.splitlines() if (found := _ENTRY.match(line)) and ".".join(found.groups()) in tables
    )
    return "".join(f"{line}\n" for line in lines)


def _ledger_of(file: Path) -> list[Applied]:
    text = _pg_restore(file, "--data-only", "--schema=vigilbase", "--table=migrations", "--file=-")
    copied = _COPIED.search(text)
    if copied is None:
        return []
    columns = copied[1].split(", ")
    entries = [dict(zip(columns, line.split("\t"), strict=True)) for line in copied[2].splitlines()]
    try:
        return [Applied(int(entry["number"]), entry["name"], entry["sha256"]) for entry in entries]
    except (KeyError, ValueError) as error:
        raise DatabaseError(f"{file}: its ledger of migrations can't be read") from error


def _pg_restore(file: Path, *arguments: str) -> str:
    command = [str(programs_folder() / "pg_restore"), *arguments, str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        is_none = "input file" in done.stderr  # it has several ways to say so, each of a format that it tried
        said = "is no dump of `vigilbase db dump`, or is cut short" if is_none else reason_in(done.stderr)
        raise ConfigurationError(f"{file}: {said}")
    return done.stdout
