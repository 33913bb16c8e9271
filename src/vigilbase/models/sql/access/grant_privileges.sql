-- Privileges. The defaults of Supabase projects have changed over the years, from everything for everyone to nothing at
-- all; so this revokes everything, then grants what is needed, and every project ends up the same. Helpers are granted
-- too, because functions run with their caller's privileges; identity columns need no grant on their sequences.
-- Timeline entries can be added but not changed; of a suppression, only the end can change.
DO $$
DECLARE
    v_contract CONSTANT text := 'public.service_health_checks, public.alert_events';
    v_tables CONSTANT text := '@tables@';
    v_views CONSTANT text := '@views@';
    v_sequences CONSTANT text := '@sequences@';
    v_functions CONSTANT text := '@functions@';
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
