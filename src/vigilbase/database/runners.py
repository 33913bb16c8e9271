"""The check that no runner is active, before tables are dropped or replaced."""

import psycopg

from vigilbase.database.pool import Connection
from vigilbase.errors import MigrationError

# A runner updates seen_at every ten seconds. The check is SQL, because a restore script contains it, too.
REQUIRE_NO_RUNNERS = """\
DO $$
DECLARE
    v_runner text;
BEGIN
    IF to_regclass('vigilbase.runners') IS NULL THEN
        RETURN;
    END IF;
    SELECT pg_catalog.format('process %s on %s', pid, host) INTO v_runner FROM vigilbase.runners
    WHERE seen_at > pg_catalog.clock_timestamp() - interval '30 seconds' ORDER BY seen_at DESC LIMIT 1;
    IF v_runner IS NOT NULL THEN
        RAISE EXCEPTION 'a runner is active (%): stop it; after kill -9, wait 30 s', v_runner;
    END IF;
END;
$$;
"""


async def require_no_runners(connection: Connection) -> None:
    """Reject a database on which a runner was active in the last 30 s.

    Raises:
        MigrationError: a runner was active; the message names it.

    """
    try:
        await connection.execute(REQUIRE_NO_RUNNERS.encode())
    except psycopg.errors.RaiseException as error:
        raise MigrationError(str(error.diag.message_primary)) from error
