"""The migrations as SQL text, for another migration tool, a SQL editor or psql."""

from collections.abc import Sequence

from vigilbase.database.ledger import EARLIER_LEDGER, read_ledger_sql
from vigilbase.database.migrate import Migration

# Part of every file, including 012: after the first release, a new wording would change files that must not change.
_EARLIER_BUILD = "this database was created by an earlier build of Vigilbase: run `vigilbase migrate --rebuild`"


def render_script(migrations: Sequence[Migration]) -> str:
    """All these migrations as one script, which runs in one transaction."""
    return "\n".join(
        [
            "BEGIN;\nSET LOCAL client_min_messages = warning;\n",
            _render_guard(migrations, may_be_ahead=False),
            *map(_render_entry, migrations),
            "COMMIT;\n",
        ]
    )


def render_with_ledger_entry(migration: Migration) -> str:
    """A migration's SQL for another migration tool. It records itself in the ledger."""
    return f"{_render_guard([migration], may_be_ahead=True)}\n{_render_entry(migration)}"


# Numbers, names and checksums are made of [a-z0-9_], so nothing needs quoting.


def _render_entry(migration: Migration) -> str:
    # 012, the unchanged contract, names no schema, and the host's search path may begin with another one than public.
    return (
        f"SET search_path = public;\n{migration.sql}\nRESET search_path;\n{read_ledger_sql()}"
        "INSERT INTO vigilbase.migrations (number, name, sha256)\n"
        f"VALUES ({migration.number}, '{migration.name}', '{migration.sha256}')\n"
        "ON CONFLICT DO NOTHING;\n"
    )


def _render_guard(migrations: Sequence[Migration], *, may_be_ahead: bool) -> str:
    """A block that fails on a database of another build before anything is written."""
    known = ",\n            ".join(f"({m.number}, '{m.name}', '{m.sha256}')" for m in migrations)
    ahead = (
        ""
        if may_be_ahead
        else f"""
    IF EXISTS (SELECT FROM vigilbase.migrations AS m WHERE m.number > {migrations[-1].number}) THEN
        RAISE EXCEPTION 'this database is ahead of this script: upgrade vigilbase and print the script again';
    END IF;"""
    )
    return f"""DO $$
BEGIN
    IF to_regclass('public.{EARLIER_LEDGER}') IS NOT NULL THEN
        RAISE EXCEPTION '{_EARLIER_BUILD}';
    END IF;
    IF to_regclass('vigilbase.migrations') IS NULL THEN
        RETURN;
    END IF;
    IF EXISTS (
        SELECT FROM vigilbase.migrations AS m JOIN (VALUES
            {known}
        ) AS known (number, name, sha256) ON known.number = m.number
        WHERE (m.name, m.sha256) <> (known.name, known.sha256)
    ) THEN
        RAISE EXCEPTION '{_EARLIER_BUILD}';
    END IF;{ahead}
END;
$$;
"""
