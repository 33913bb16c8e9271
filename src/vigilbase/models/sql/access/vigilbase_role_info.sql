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
