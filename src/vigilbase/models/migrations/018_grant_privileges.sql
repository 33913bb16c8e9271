-- 018_grant_privileges.sql
-- Created: 2026-11-25 18:22
--
-- Who may do what, and how to find out.

-- Everything that Vigilbase has created in this database except indexes, by kind and name: the schema and its objects,
-- the two contract tables, and the functions that clients call. `signature` is what GRANT and DROP need.
CREATE OR REPLACE VIEW vigilbase.objects WITH (security_invoker = true) AS
SELECT n.oid, 'schema' AS kind, 'vigilbase' AS name, 'vigilbase' AS signature
FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'vigilbase'
UNION ALL
SELECT c.oid, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'table' END,
    n.nspname || '.' || c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE (n.nspname = 'vigilbase' AND c.relkind IN ('r', 'p', 'v', 'S'))
   OR (n.nspname = 'public' AND c.relkind IN ('r', 'p') AND c.relname IN ('service_health_checks', 'alert_events'))
UNION ALL
SELECT p.oid, 'function', n.nspname || '.' || p.proname,
    pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'vigilbase' OR (n.nspname = 'public' AND p.proname LIKE 'vigilbase\_%');

-- The ledger: {"is_blind": whether row-level security hides it from the role, "role", "migrations": [{"number",
-- "name", "sha256"}]}.
CREATE OR REPLACE FUNCTION public.vigilbase_list_migrations()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT json_build_object(
        'role', current_user,
        'is_blind', row_security_active('vigilbase.migrations'::regclass),
        'migrations', (
            SELECT coalesce(json_agg(json_build_object('number', m.number, 'name', m.name, 'sha256', m.sha256)
                ORDER BY m.number), '[]')
            FROM vigilbase.migrations AS m
        )
    )
$$;

-- The objects of Vigilbase, and what the calling role, anon and authenticated may do with them: {"tables":
-- {"public.alert_events": ["SELECT", ...]}, "functions": {"vigilbase.is_needed": whether the role may call it},
-- "has_usage": of the schema, "exposed": [what anon or authenticated may use: "sequence
-- vigilbase.notifications_id_seq"]}.
CREATE OR REPLACE FUNCTION public.vigilbase_list_privileges()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT json_build_object(
        'has_usage', has_schema_privilege('vigilbase', 'USAGE'),
        'tables', (
            SELECT json_object_agg(o.name, (
                SELECT coalesce(json_agg(p.privilege), '[]')
                FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
                WHERE has_table_privilege(o.oid, p.privilege)
            ))
            FROM vigilbase.objects AS o WHERE o.kind IN ('table', 'view')
        ),
        'functions', (
            SELECT json_object_agg(f.name, f.may_call) FROM (
                SELECT o.name, bool_and(has_function_privilege(o.oid, 'EXECUTE')) AS may_call
                FROM vigilbase.objects AS o WHERE o.kind = 'function' GROUP BY o.name
            ) AS f
        ),
        'exposed', (
            SELECT coalesce(json_agg(DISTINCT o.kind || ' ' || o.name), '[]')
            FROM vigilbase.objects AS o CROSS JOIN pg_catalog.pg_roles AS r
            WHERE r.rolname IN ('anon', 'authenticated') AND CASE o.kind
                WHEN 'schema' THEN has_schema_privilege(r.oid, o.oid, 'USAGE, CREATE')
                WHEN 'function' THEN has_function_privilege(r.oid, o.oid, 'EXECUTE')
                WHEN 'sequence' THEN has_sequence_privilege(r.oid, o.oid, 'USAGE, SELECT, UPDATE')
                WHEN 'table' THEN (
                    o.name LIKE 'vigilbase.%'
                    OR NOT (SELECT c.relrowsecurity FROM pg_catalog.pg_class AS c WHERE c.oid = o.oid)
                ) AND has_table_privilege(r.oid, o.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                ELSE o.name LIKE 'vigilbase.%'
                    AND has_table_privilege(r.oid, o.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
            END
        )
    )
$$;

-- The calling role, whether row-level security hides rows from it, and the server's version, encoding and clock. A
-- blind monitor must say so at start.
CREATE OR REPLACE FUNCTION public.vigilbase_role_info()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT json_build_object(
        'role', current_user,
        'is_blind', row_security_active('public.service_health_checks'::regclass)
              OR row_security_active('public.alert_events'::regclass),
        'server_version', current_setting('server_version'),
        'server_encoding', current_setting('server_encoding'),
        'now', clock_timestamp()
    )
$$;

-- Proves that Vigilbase can write, not only that it may: writes a row to each table of an outage and rolls them all
-- back. Returns {"code": "ok" or the SQLSTATE, "message": the server's error or null}.
CREATE OR REPLACE FUNCTION public.vigilbase_test_write()
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name CONSTANT text := 'vigilbase doctor ' || gen_random_uuid();
    v_alert public.alert_events;
BEGIN
    BEGIN
        INSERT INTO public.service_health_checks (service_name, status, error_message) VALUES (v_name, 'down', 'test');
        PERFORM vigilbase.lock_service(v_name);
        v_alert := vigilbase.open_alert(v_name, 'service_down', '{"message": "test", "details": {}}', now());
        PERFORM vigilbase.enqueue_alert(
            v_alert, '[{"channel": "test", "after_s": 0, "unless_acknowledged": false, "send_resolved": true}]', '[]'
        );
        INSERT INTO vigilbase.channels (channel) VALUES (v_alert.id::text);
        INSERT INTO vigilbase.suppressions (kind, tag, starts_at, author, comment)
        VALUES ('silence', 'test', now(), 'test', 'test');
        INSERT INTO vigilbase.runners (runner_id, host, pid) VALUES (v_alert.id, 'test', 0);
        RAISE EXCEPTION USING ERRCODE = 'VB000'; -- rolls it all back
    EXCEPTION
        WHEN SQLSTATE 'VB000' THEN
            RETURN json_build_object('code', 'ok', 'message', NULL);
        WHEN OTHERS THEN
            RETURN json_build_object('code', SQLSTATE, 'message', SQLERRM);
    END;
END;
$$;

-- Privileges. The defaults of Supabase projects have changed over the years, from everything for everyone to nothing at
-- all; so this revokes everything, then grants what is needed, and every project ends up the same. Helpers are granted
-- too, because functions run with their caller's privileges; identity columns need no grant on their sequences.
-- Timeline entries can be added but not changed; of a suppression, only the end can change.
DO $$
DECLARE
    v_contract CONSTANT text := 'public.service_health_checks, public.alert_events';
    v_tables CONSTANT text := 'vigilbase.migrations, vigilbase.alert_timeline, vigilbase.channels, vigilbase.notifications,
        vigilbase.runners, vigilbase.services, vigilbase.suppressions';
    v_views CONSTANT text := 'vigilbase.objects, vigilbase.pending_notifications';
    v_sequences CONSTANT text := 'vigilbase.alert_timeline_id_seq, vigilbase.notifications_id_seq';
    v_functions CONSTANT text := 'public.vigilbase_acknowledge_alert, public.vigilbase_add_suppression, public.vigilbase_claim_notifications,
        public.vigilbase_create_alert, public.vigilbase_create_health_check, public.vigilbase_create_health_checks,
        public.vigilbase_delete_alerts, public.vigilbase_delete_health_checks, public.vigilbase_delete_notifications,
        public.vigilbase_disable_channel, public.vigilbase_discard_notification, public.vigilbase_enable_channel,
        public.vigilbase_end_runner, public.vigilbase_end_suppression, public.vigilbase_enqueue_missing_resolutions,
        public.vigilbase_find_check_history, public.vigilbase_find_latest_health_check,
        public.vigilbase_find_latest_health_checks, public.vigilbase_find_recent_alert,
        public.vigilbase_find_suppressions, public.vigilbase_list_alerts, public.vigilbase_list_channels,
        public.vigilbase_list_migrations, public.vigilbase_list_notifications, public.vigilbase_list_privileges,
        public.vigilbase_list_suppressions, public.vigilbase_list_timeline, public.vigilbase_load_state,
        public.vigilbase_raise_alert, public.vigilbase_record, public.vigilbase_record_results,
        public.vigilbase_resolve_alert, public.vigilbase_retry_notification, public.vigilbase_role_info,
        public.vigilbase_save_runner, public.vigilbase_save_services, public.vigilbase_save_targets,
        public.vigilbase_test_write, vigilbase.add_services, vigilbase.add_timeline_entry,
        vigilbase.apply_transition, vigilbase.can_start_batch, vigilbase.cancel_unneeded,
        vigilbase.catch_up_with_alert, vigilbase.catch_up_with_alerts, vigilbase.claim_new, vigilbase.claim_retries,
        vigilbase.defer_notification, vigilbase.describe_batches, vigilbase.discover_services, vigilbase.end_attempt,
        vigilbase.enqueue_after_attempt, vigilbase.enqueue_alert, vigilbase.enqueue_follow_up,
        vigilbase.find_alert_service, vigilbase.find_current_alert, vigilbase.future_begins_at, vigilbase.is_needed,
        vigilbase.is_status, vigilbase.lock_channel, vigilbase.lock_notifications, vigilbase.lock_service,
        vigilbase.lock_services, vigilbase.move_alert, vigilbase.open_alert, vigilbase.phases, vigilbase.read_alert,
        vigilbase.record_result, vigilbase.requeue_suppressed, vigilbase.resolve_alerts, vigilbase.save_alert_status,
        vigilbase.was_due_before, vigilbase.window_ends_at, vigilbase.write_checks, vigilbase.write_recovery';
    v_role text;
BEGIN
    FOREACH v_role IN ARRAY ARRAY['public', 'anon', 'authenticated', 'service_role'] LOOP
        CONTINUE WHEN v_role <> 'public' AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role);
        EXECUTE format('REVOKE ALL ON SCHEMA vigilbase FROM %s', v_role);
        EXECUTE format('REVOKE ALL ON TABLE %s, %s, %s FROM %s', v_contract, v_tables, v_views, v_role);
        EXECUTE format('REVOKE ALL ON SEQUENCE %s FROM %s', v_sequences, v_role);
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', v_functions, v_role);
    END LOOP;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN
        GRANT USAGE ON SCHEMA vigilbase TO service_role;
        EXECUTE format('GRANT SELECT ON TABLE %s, %s TO service_role', v_tables, v_views);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %s TO service_role', v_contract);
        GRANT INSERT, UPDATE, DELETE ON TABLE
            vigilbase.services, vigilbase.runners, vigilbase.notifications, vigilbase.channels TO service_role;
        GRANT INSERT, DELETE ON TABLE vigilbase.alert_timeline TO service_role;
        GRANT INSERT, UPDATE (ends_at) ON TABLE vigilbase.suppressions TO service_role;
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', v_functions);
    END IF;
END;
$$;
