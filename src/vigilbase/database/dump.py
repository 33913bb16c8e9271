"""Dumps of Vigilbase's rows: written by pg_dump, read by pg_restore, and restored by one SQL script."""

import re
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from vigilbase.database.binaries import extract_reason, find_binaries
from vigilbase.database.direct import open_direct_connection
from vigilbase.database.ledger import Applied
from vigilbase.database.migrate import Migration
from vigilbase.database.runners import REQUIRE_NO_RUNNERS, require_no_runners
from vigilbase.database.schema import LEDGER_TABLE, OUR_TABLES
from vigilbase.errors import ConfigurationError, DatabaseError

# All except the ledger, which describes the schema and not the contents.
DUMPED_TABLES = tuple(table for table in OUR_TABLES if table != LEDGER_TABLE)
# The runners in a dump don't work on the database that it is restored into.
_RESTORED_TABLES = tuple(table for table in DUMPED_TABLES if table != "vigilbase.runners")

_ENTRY = re.compile(r"^\d+; \d+ \d+ TABLE DATA (\S+) (\S+) ", re.MULTILINE)
_LEDGER_COPY = re.compile(r"^COPY vigilbase\.migrations \(([^)]*)\) FROM stdin;\n(.*?)^\\\.$", re.MULTILINE | re.DOTALL)
_HEADER_BYTES = 4000
# New ids follow the restored ones. A sequence never goes back, because a rollback would not undo that.
_SEQUENCES = """\
DO $$
DECLARE
    v_identity record;
    v_last bigint;
BEGIN
    FOR v_identity IN
        SELECT a.attrelid::regclass AS relation, a.attname AS name,
            pg_catalog.pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)::regclass AS sequence
        FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'vigilbase'::regnamespace AND a.attidentity <> ''
    LOOP
        EXECUTE pg_catalog.format('SELECT max(%I) FROM %s', v_identity.name, v_identity.relation) INTO v_last;
        PERFORM pg_catalog.setval(v_identity.sequence, greatest(v_last, pg_catalog.nextval(v_identity.sequence)));
    END LOOP;
END;
$$;
"""


def make_dump_arguments(file: Path) -> list[str]:
    """The arguments with which pg_dump dumps our rows."""
    tables = [f"--table={table}" for table in OUR_TABLES]
    # Without --strict-names, pg_dump silently skips a table that doesn't exist, as long as others do.
    return ["--data-only", "--format=custom", "--no-owner", "--strict-names", f"--file={file}", *tables]


def require_dump_of(file: Path, migrations: Sequence[Migration]) -> None:
    """Reject a file that is not a dump, or whose rows another build wrote.

    A dump of an older version is accepted if all of its migrations are among `migrations`, because dumps carry the rows
    from one major version of Postgres to the next.

    Raises:
        ConfigurationError: the file is not such a dump.

    """
    listed = {f"{schema}.{name}" for schema, name in _ENTRY.findall(_run_pg_restore(file, "--list"))}
    entries = _read_ledger(file) if LEDGER_TABLE in listed else []
    if not entries:
        raise ConfigurationError(
            f"{file}: contains no rows of this build of Vigilbase: restore a file from `vigilbase db dump`"
        )
    if not set(entries) <= {migration.entry for migration in migrations}:
        newest = max(entries, key=lambda entry: entry.number)
        raise ConfigurationError(
            f"{file}: was written by another build of Vigilbase (its last migration is {newest.number:03}_"
            f"{newest.name}, {newest.sha256[:8]}): restore it with the vigilbase that wrote it"
        )


def write_restore_script(file: Path, script: Path) -> None:
    """Write the SQL that replaces our rows with those of a dump. The caller runs it in one transaction.

    Raises:
        ConfigurationError: the file is not a dump.

    """
    contents, rows = script.with_suffix(".list"), script.with_suffix(".data")
    contents.write_text(_filter_listing(_run_pg_restore(file, "--list"), _RESTORED_TABLES))
    _run_pg_restore(file, "--data-only", "--no-owner", f"--use-list={contents}", f"--file={rows}")
    tables = ", ".join(DUMPED_TABLES)
    # The lock comes before the check, so that no runner starts in between.
    with rows.open("rb") as source, script.open("wb") as target:
        target.write(
            f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE;\n{REQUIRE_NO_RUNNERS}TRUNCATE {tables};\n".encode()
        )
        # The header sets a parameter that only Postgres 17 and newer know; older servers would fail.
        target.write(source.read(_HEADER_BYTES).replace(b"SET transaction_timeout = 0;\n", b""))
        while block := source.read(1 << 20):
            target.write(block)
        target.write(_SEQUENCES.encode())


async def count_rows(conninfo: str, *, timeout: float) -> dict[str, int]:
    """The number of rows that a restore would replace in each existing table. `timeout`: seconds to connect.

    Raises:
        MigrationError: a runner is active.
        DatabaseError: the database can't be reached.

    """
    counts = {}
    async with open_direct_connection("count the rows to replace", conninfo, timeout) as connection:
        await require_no_runners(connection)
        for table in DUMPED_TABLES:
            cursor = await connection.execute("SELECT to_regclass(%s) IS NOT NULL AS exists", [table])
            row = await cursor.fetchone()
            if row and row["exists"]:
                cursor = await connection.execute(f"SELECT count(*) AS rows FROM {table}".encode())  # noqa: S608 (ours)
                row = await cursor.fetchone()
                counts[table] = int(row["rows"]) if row else 0
    return counts


def _filter_listing(listing: str, tables: Collection[str]) -> str:
    """The lines of a dump's table of contents for the rows of these tables."""
    lines = (
        line for line in listing.splitlines() if (entry := _ENTRY.match(line)) and ".".join(entry.groups()) in tables
    )
    return "".join(f"{line}\n" for line in lines)


def _read_ledger(file: Path) -> list[Applied]:
    text = _run_pg_restore(file, "--data-only", "--schema=vigilbase", "--table=migrations", "--file=-")
    copy = _LEDGER_COPY.search(text)
    if copy is None:
        return []
    columns = copy[1].split(", ")
    entries = [dict(zip(columns, line.split("\t"), strict=True)) for line in copy[2].splitlines()]
    try:
        return [Applied(int(entry["number"]), entry["name"], entry["sha256"]) for entry in entries]
    except (KeyError, ValueError) as error:
        raise DatabaseError(f"{file}: its ledger of migrations can't be read") from error


def _run_pg_restore(file: Path, *arguments: str) -> str:
    command = [str(find_binaries() / "pg_restore"), *arguments, str(file)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    if result.returncode:
        # pg_restore has several such messages, one for each format that it tries.
        is_not_a_dump = "input file" in result.stderr
        reason = "is not a dump from `vigilbase db dump`, or is truncated" if is_not_a_dump else None
        raise ConfigurationError(f"{file}: {reason or extract_reason(result.stderr)}")
    return result.stdout
