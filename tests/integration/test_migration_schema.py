"""The catalog of a real Postgres after the migrations: 012 creates the contract, and the rest changes nothing else.

psql applies them on all available versions: the embedded one, an older one from the same wheel, and Debian's, which is
the oldest supported version.
"""

import re
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest

from tests.support.older_servers import OLDER, Servers
from tests.support.psql import FILES, SCRIPTS, run_psql
from tests.support.sql_functions import require_every_function_works
from vigilbase.database.binaries import find_binaries

SHA256_OF_012 = "de251a38b3c55a03804dfaf8fd08e049263103828dd4bdbe4ab7ff5348ff254f"

COLUMNS = """
    alert_events.id uuid NOT NULL DEFAULT gen_random_uuid()
    alert_events.service_name character varying(100) NOT NULL
    alert_events.alert_type text NOT NULL
    alert_events.status text NOT NULL
    alert_events.message text
    alert_events.details jsonb
    alert_events.created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP
    alert_events.acknowledged_at timestamp with time zone
    alert_events.resolved_at timestamp with time zone
    service_health_checks.id uuid NOT NULL DEFAULT gen_random_uuid()
    service_health_checks.service_name character varying(100) NOT NULL
    service_health_checks.status text NOT NULL
    service_health_checks.latency_ms integer
    service_health_checks.checked_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP
    service_health_checks.error_message text
    service_health_checks.probe_details jsonb
    service_health_checks.created_at timestamp with time zone DEFAULT CURRENT_TIMESTAMP
"""
CONSTRAINTS = """
    alert_events CHECK (alert_type = ANY (ARRAY['service_down'::text, 'service_degraded'::text, 'recovery'::text]))
    alert_events CHECK (status = ANY (ARRAY['active'::text, 'acknowledged'::text, 'resolved'::text]))
    alert_events PRIMARY KEY (id)
    service_health_checks CHECK (status = ANY (ARRAY['healthy'::text, 'degraded'::text, 'down'::text]))
    service_health_checks PRIMARY KEY (id)
"""
INDEXES = """
    CREATE INDEX idx_alert_events_created_at ON public.alert_events USING btree (created_at)
    CREATE INDEX idx_alert_events_service_status ON public.alert_events USING btree (service_name, status)
    CREATE INDEX idx_alert_events_status ON public.alert_events USING btree (status)
    CREATE INDEX idx_service_health_checks_created_at ON public.service_health_checks USING btree (created_at)
    CREATE INDEX idx_service_health_checks_service_created ON public.service_health_checks USING btree (service_name, created_at)
    CREATE UNIQUE INDEX alert_events_pkey ON public.alert_events USING btree (id)
    CREATE UNIQUE INDEX service_health_checks_pkey ON public.service_health_checks USING btree (id)
"""  # noqa: E501 (as Postgres prints them)


@pytest.fixture(scope="module", params=[*OLDER, "18"])
def postgres(request: pytest.FixtureRequest, servers: Servers) -> str:
    """The URL of a server of each version, with {} for the database. It has the roles of a Supabase project."""
    return servers.find_url(request.param)


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """The URL of an empty database on each version."""
    name = f"test_{uuid4().hex[:12]}"
    run_query(postgres.format("postgres"), f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    yield postgres.format(name)
    run_query(postgres.format("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def url_with_012(url: str) -> str:
    """The URL of a database with only 012, not even the ledger."""
    run_psql(url, FILES[0])
    return url


def run_query(url: str, statement: str) -> list[str]:
    """Run SQL as the superuser; return the first column, if there is one."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return [str(row[0]) for row in cursor.fetchall()] if cursor.description else []


def dump_entries(url: str) -> set[str]:
    """The entries of a dump: one for each object, its privileges, and the rows of a table."""
    command = [str(find_binaries() / "pg_dump"), "--inserts", "-d", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # Settings and the random keys of \restrict belong to no entry.
    text = re.sub(r"(?m)^(SET |\\).*\n", "", text)
    _, *entries, _ = re.split(r"(?m)^--\n-- (?=Name:|Data for Name:|PostgreSQL database dump complete)", text)
    return {entry.strip() for entry in entries}


def take_snapshot(url: str) -> set[str]:
    """The entries of a dump, and the files of all relations, which reveal a rewritten table."""
    return dump_entries(url) | {
        *run_query(
            url,
            "SELECT format('Name: %s; in %s as %s', oid::regclass, relfilenode, oid) FROM pg_class "
            "WHERE relnamespace IN ('public'::regnamespace, to_regnamespace('vigilbase'))",
        )
    }


def split_lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def test_012_checksum_is_unchanged() -> None:
    assert sha256(FILES[0].read_bytes()).hexdigest() == SHA256_OF_012


def test_012_creates_columns_of_contract(url_with_012: str) -> None:
    columns = run_query(
        url_with_012,
        """SELECT concat(relname, '.', attname, ' ', format_type(atttypid, atttypmod),
            CASE WHEN attnotnull THEN ' NOT NULL' END, ' DEFAULT ' || pg_get_expr(adbin, adrelid))
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 ORDER BY relname, attnum""",
    )
    assert columns == split_lines(COLUMNS)


def test_012_creates_constraints_of_contract(url_with_012: str) -> None:
    constraints = run_query(
        url_with_012,
        # NOT NULL is a constraint of its own (n) from 18 on; the columns above have it.
        """SELECT concat(conrelid::regclass, ' ', replace(replace(pg_get_constraintdef(oid), '((', '('), '))', ')'))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'""",
    )
    assert sorted(constraints) == split_lines(CONSTRAINTS)


def test_012_creates_indexes_of_contract(url_with_012: str) -> None:
    indexes = run_query(url_with_012, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")
    assert sorted(indexes) == split_lines(INDEXES)


def test_012_enables_row_level_security_on_both_tables(url_with_012: str) -> None:
    closed = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relrowsecurity AND NOT relforcerowsecurity"
    assert sorted(run_query(url_with_012, closed)) == ["alert_events", "service_health_checks"]
    assert run_query(url_with_012, "SELECT polname FROM pg_policy") == []


def test_012_creates_nothing_else(url_with_012: str) -> None:
    """No function, trigger, type, sequence, policy, comment or privilege, or any other entry of a dump."""
    entries = {entry.partition("Name: ")[2].partition("; Schema:")[0] for entry in dump_entries(url_with_012)}
    tables = {line.partition(".")[0] for line in split_lines(COLUMNS)}
    names = {line.partition("INDEX ")[2].partition(" ON ")[0] for line in split_lines(INDEXES)}
    assert entries == {
        *(f"{table}; Type: {kind}" for table in tables for kind in ("TABLE", "TABLE DATA", "ROW SECURITY")),
        *(f"{table} {table}_pkey; Type: CONSTRAINT" for table in tables),
        *(f"{name}; Type: INDEX" for name in names if not name.endswith("_pkey")),
    }


HOST = "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon;" + "".join(
    f"""
    CREATE TABLE app_{n:03} (id serial PRIMARY KEY, status text NOT NULL DEFAULT 'new', created_at timestamptz);
    CREATE INDEX idx_app_{n:03}_created_at ON app_{n:03} (created_at);
    INSERT INTO app_{n:03} (status, created_at) SELECT 'row ' || i, now() FROM generate_series(1, {n}) AS i;
    ALTER TABLE app_{n:03} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY everybody_reads ON app_{n:03} FOR SELECT TO authenticated USING (true);
    GRANT SELECT, INSERT ON app_{n:03} TO authenticated, PUBLIC;
    COMMENT ON TABLE app_{n:03} IS 'theirs';
    CREATE FUNCTION touch_{n:03}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touch BEFORE UPDATE ON app_{n:03} FOR EACH ROW EXECUTE FUNCTION touch_{n:03}();
    """
    for n in range(1, 12)
)


def test_migrations_leave_objects_of_application_unchanged(url: str) -> None:
    run_query(url, HOST)
    before = take_snapshot(url)
    assert len([entry for entry in before if "TABLE DATA" in entry and "'row 1'" in entry]) == 11
    run_psql(url, *SCRIPTS)
    after = take_snapshot(url)
    assert before - after == set()
    added = [entry.partition("\n")[0] for entry in after - before]
    assert len(added) > 50
    schema = "SCHEMA vigilbase|Name: vigilbase; Type: SCHEMA"
    ours = rf"{schema}|; Schema: vigilbase;|: vigilbase\.|service_health_checks|alert_events|vigilbase_[a-z_]+\("
    assert [name for name in added if not re.search(ours, name)] == []


def test_migrations_add_only_contract_and_client_functions_to_public(url: str) -> None:
    """These are the objects that a host's migration tool or a security review sees."""
    run_psql(url, *SCRIPTS)
    names = run_query(
        url,
        """SELECT format('%s %s', relkind, relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
        UNION ALL SELECT format('type %s', typname) FROM pg_type
        WHERE typnamespace = 'public'::regnamespace AND typrelid = 0 AND typelem = 0
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace""",
    )
    assert {name for name in names if not name.startswith("vigilbase_")} == {
        "r alert_events",
        "r service_health_checks",
    }


def test_migrations_applied_twice_change_nothing(url: str) -> None:
    run_psql(url, *SCRIPTS)
    once = take_snapshot(url)
    run_psql(url, *SCRIPTS)
    assert take_snapshot(url) == once
    assert len(once) > 50


def test_migrations_leave_existing_rows_unchanged(url_with_012: str) -> None:
    run_query(
        url_with_012,
        """INSERT INTO service_health_checks (service_name, status, checked_at, probe_details, created_at)
        VALUES ('api', 'healthy', '2026-01-01Z', '{"a": 1}', '2026-01-01Z'), ('api', 'down', NULL, NULL, NULL);
        INSERT INTO alert_events (service_name, alert_type, status, created_at)
        VALUES ('api', 'service_down', 'active', NULL), ('api', 'recovery', 'resolved', '2026-01-02Z')""",
    )
    rows = sorted(entry for entry in dump_entries(url_with_012) if "TABLE DATA" in entry)
    assert [entry.count("INSERT INTO") for entry in rows] == [2, 2]
    run_psql(url_with_012, *SCRIPTS)
    after = [entry for entry in dump_entries(url_with_012) if "TABLE DATA" in entry and "INSERT INTO" in entry]
    assert sorted(after) == rows


def test_migrations_create_functions_that_work(url: str) -> None:
    """Postgres checks a function's body when it is called, not when it is created."""
    run_psql(url, *SCRIPTS)
    with psycopg.connect(url, autocommit=True) as connection:
        require_every_function_works(connection)
