-- Describes a host's database in one row. Tables of extensions and of the system don't count.
WITH tables AS (
    SELECT n.nspname AS schema, c.relname AS name,
        n.nspname = 'vigilbase'
            OR n.nspname = 'public'
                AND c.relname IN ('service_health_checks', 'alert_events', 'vigilbase_migrations') AS is_ours,
        -- The columns that 012 creates. Without a ledger, a table with other columns isn't ours.
        (
            SELECT pg_catalog.string_agg(a.attname, ' ' ORDER BY a.attname) FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ) = CASE c.relname
            WHEN 'service_health_checks'
            THEN 'checked_at created_at error_message id latency_ms probe_details service_name status'
            WHEN 'alert_events'
            THEN 'acknowledged_at alert_type created_at details id message resolved_at service_name status'
        END AS is_of_the_contract
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
        AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
        AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        )
)
SELECT
    current_database()::text AS database,
    current_user::text AS role,
    current_setting('server_encoding') AS encoding,
    ARRAY(
        SELECT pg_catalog.format('%I.%I', t.schema, t.name) FROM tables AS t
        WHERE t.name IN ('service_health_checks', 'alert_events') AND t.schema NOT IN ('public', 'vigilbase')
            AND NOT EXISTS (SELECT FROM tables AS p WHERE p.schema = 'public' AND p.name = t.name)
        ORDER BY 1
    ) AS strays,
    -- Without a ledger: tables that have a name or the schema of ours, but that no migration creates.
    ARRAY(
        SELECT pg_catalog.format('%I.%I', t.schema, t.name) FROM tables AS t
        WHERE to_regclass('vigilbase.migrations') IS NULL AND to_regclass('public.vigilbase_migrations') IS NULL
            AND (
                t.schema = 'public' AND t.name IN ('service_health_checks', 'alert_events')
                    AND NOT t.is_of_the_contract
                OR t.schema = 'vigilbase' AND t.name NOT IN (
                    'services', 'runners', 'suppressions', 'channels', 'notifications', 'alert_timeline'
                )
            )
        ORDER BY 1
    ) AS impostors,
    EXISTS (SELECT FROM tables AS t WHERE t.is_ours) AS has_ours,
    (SELECT pg_catalog.count(*) FROM tables AS t WHERE NOT t.is_ours)::integer AS other_tables
