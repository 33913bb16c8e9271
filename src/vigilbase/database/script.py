"""The migrations as SQL for those who have a migrator of their own, an SQL editor or psql."""

from collections.abc import Sequence

from vigilbase.database.ledger import EARLIER_LEDGER, ledger_sql
from vigilbase.database.migrate import Migration

# Part of each file, and of those that never change too: a new wording would make them others.
_EARLIER = "this database was made by an earlier build of Vigilbase: run `vigilbase migrate --rebuild`"


def as_script(migrations: Sequence[Migration]) -> str:
    """All of them as one script, whole or not at all."""
    return "\n".join(
        [
            "BEGIN;\nSET LOCAL client_min_messages = warning;\n",
            _guard(migrations, may_be_ahead=False),
            *map(_with_entry, migrations),
            "COMMIT;\n",
        ]
    )


def with_ledger_entry(migration: Migration) -> str:
    """A migration's SQL as somebody else's migrator runs it: it writes its own entry into the ledger."""
    return f"{_guard([migration], may_be_ahead=True)}\n{_with_entry(migration)}"


# Numbers, names and checksums are made of [a-z0-9_], so nothing needs quoting.


def _with_entry(migration: Migration) -> str:
    # 012 names no schema, being the contract as it was given; a host may have put another first in its search path.
    return (
        f"SET search_path = public;\n{migration.sql}\nRESET search_path;\n{ledger_sql()}"
        "INSERT INTO vigilbase.migrations (number, name, sha256)\n"
        f"VALUES ({migration.number}, '{migration.name}', '{migration.sha256}')\n"
        "ON CONFLICT DO NOTHING;\n"
    )


def _guard(migrations: Sequence[Migration], *, may_be_ahead: bool) -> str:
    """A block that fails on a database of another build, before anything is written."""
    known = ",\n            ".join(f"({m.number}, '{m.name}', '{m.sha256}')" for m in migrations)
    ahead = (
        ""
        if may_be_ahead
        else f"""
    IF EXISTS (SELECT FROM vigilbase.migrations AS m WHERE m.number > {migrations[-1].number}) THEN
        RAISE EXCEPTION 'this database is ahead of this script: upgrade vigilbase, and print it again';
    END IF;"""
    )
    return f"""DO $$
BEGIN
    IF to_regclass('public.{EARLIER_LEDGER}') IS NOT NULL THEN
        RAISE EXCEPTION '{_EARLIER}';
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
        RAISE EXCEPTION '{_EARLIER}';
    END IF;{ahead}
END;
$$;
"""
