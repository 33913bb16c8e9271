-- The newest check of every service by checked_at, sorted by service. The cost grows with the number of services, not
-- with the length of the history. JIT is off, since compiling costs more than running.
CREATE OR REPLACE FUNCTION public.vigilbase_find_latest_health_checks()
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET jit = off SET default_transaction_isolation = 'read committed'
AS $$
BEGIN
    PERFORM vigilbase.discover_services();
    RETURN (
        SELECT coalesce(json_agg(row_to_json(latest) ORDER BY latest.service_name), '[]')
        FROM vigilbase.services AS s
        CROSS JOIN LATERAL (
            SELECT c.* FROM public.service_health_checks AS c
            WHERE c.service_name = s.service_name
            ORDER BY c.checked_at DESC NULLS LAST
            LIMIT 1
        ) AS latest
    );
END;
$$;
