-- 016_read_for_the_command_line.sql
-- Created: 2026-11-24
--
-- What the commands `vigilbase history`, `vigilbase alerts` and `vigilbase doctor` read. Functions as in 013.

-- The checks of a service that ran since a moment: the newest p_limit of them, newest first by checked_at, and how many
-- there are of each status: {"checks": […], "counts": {"healthy": 9, "down": 1}}.
CREATE OR REPLACE FUNCTION public.vigilbase_check_history_v1(
    p_service_name text, p_since timestamptz, p_limit integer
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT json_build_object(
        'checks', (
            SELECT coalesce(json_agg(row_to_json(recent) ORDER BY recent.checked_at DESC, recent.id DESC), '[]')
            FROM (
                SELECT c.* FROM public.service_health_checks AS c
                WHERE c.service_name = p_service_name AND c.checked_at >= p_since
                ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
                LIMIT p_limit
            ) AS recent
        ),
        'counts', (
            SELECT coalesce(json_object_agg(counted.status, counted.count), '{}')
            FROM (
                SELECT c.status, count(*) AS count FROM public.service_health_checks AS c
                WHERE c.service_name = p_service_name AND c.checked_at >= p_since
                GROUP BY c.status
            ) AS counted
        )
    )
$$;

-- The newest p_limit alerts, newest first: of one service or of all, and, where that is asked for, only those that
-- were not resolved before a moment, and only those that are still open.
CREATE OR REPLACE FUNCTION public.vigilbase_newest_alerts_v1(
    p_limit integer,
    p_service_name text DEFAULT NULL,
    p_since timestamptz DEFAULT NULL,
    p_only_open boolean DEFAULT false
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT coalesce(json_agg(row_to_json(newest) ORDER BY newest.created_at DESC NULLS LAST, newest.id DESC), '[]')
    FROM (
        SELECT a.* FROM public.alert_events AS a
        WHERE (p_service_name IS NULL OR a.service_name = p_service_name)
          AND (p_since IS NULL OR a.status <> 'resolved' OR coalesce(a.resolved_at, a.created_at) >= p_since)
          AND (NOT p_only_open OR a.status <> 'resolved')
        ORDER BY a.created_at DESC NULLS LAST, a.id DESC
        LIMIT p_limit
    ) AS newest
$$;

-- What is here of the tables in p_tables (a JSON array of names) and of our functions, and what the role that asks may
-- do with it: {"server_version", "tables": {name: ["SELECT", …]}, "functions": {name: whether it may be called}}.
CREATE OR REPLACE FUNCTION public.vigilbase_privileges_v1(p_tables text)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT json_build_object(
        'server_version', current_setting('server_version'),
        'tables', (
            SELECT coalesce(json_object_agg(c.relname, (
                SELECT coalesce(json_agg(p.privilege), '[]')
                FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
                WHERE has_table_privilege(c.oid, p.privilege)
            )), '{}')
            FROM pg_catalog.pg_class AS c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
              AND c.relname IN (SELECT json_array_elements_text(p_tables::json))
        ),
        'functions', (
            SELECT coalesce(json_object_agg(f.proname, f.allowed), '{}')
            FROM (
                SELECT p.proname, bool_and(has_function_privilege(p.oid, 'EXECUTE')) AS allowed
                FROM pg_catalog.pg_proc AS p
                WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'vigilbase\_%'
                GROUP BY p.proname
            ) AS f
        )
    )
$$;

-- Privileges, as in 013.
DO $$
DECLARE
    v_functions CONSTANT text := 'public.vigilbase_check_history_v1(text, timestamptz, integer),
        public.vigilbase_newest_alerts_v1(integer, text, timestamptz, boolean),
        public.vigilbase_privileges_v1(text)';
    v_role text;
BEGIN
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_functions);
    FOREACH v_role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', v_functions, v_role);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', v_functions);
    END IF;
END;
$$;
