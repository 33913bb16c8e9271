"""Whether a runner is at work on a database whose tables are to be dropped or replaced."""

import psycopg

from vigilbase.database.pool import Connection
from vigilbase.errors import MigrationError

# A runner says every ten seconds that it is there. As SQL, because it is asked in a script as well.
REFUSE_RUNNERS = """\
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
        RAISE EXCEPTION 'a runner is at work (%): stop it first; one that was killed counts for 30 s', v_runner;
    END IF;
END;
$$;
"""


async def refuse_runners(connection: Connection) -> None:
    """Let only a database pass that no runner has been seen on for 30 s.

    Raises:
        MigrationError: there was one.

    """
    try:
        await connection.execute(REFUSE_RUNNERS.encode())
    except psycopg.errors.RaiseException as error:
        raise MigrationError(str(error.diag.message_primary)) from error
