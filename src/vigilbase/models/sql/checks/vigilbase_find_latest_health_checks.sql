-- The newest check of every service, sorted by service: one array each, see vigilbase_find_latest_health_check. The
-- cost grows with the number of services, not with the length of their history. JIT is off, since compiling costs more
-- than running.
CREATE OR REPLACE FUNCTION public.vigilbase_find_latest_health_checks()
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET jit = off SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_future CONSTANT timestamptz := vigilbase.future_begins_at(now());
BEGIN
    PERFORM vigilbase.discover_services();
    RETURN (
        SELECT coalesce(json_agg(json_build_array(
            CASE WHEN n.id IS NULL THEN row_to_json(o) ELSE row_to_json(n) END, row_to_json(r)
        ) ORDER BY s.service_name) FILTER (WHERE n.id IS NOT NULL OR o.id IS NOT NULL), '[]')
        FROM vigilbase.services AS s
        LEFT JOIN LATERAL (
            SELECT c.* FROM public.service_health_checks AS c
            WHERE c.service_name = s.service_name AND c.checked_at <= v_future
            ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
            LIMIT 1
        ) AS n ON true
        LEFT JOIN LATERAL (
            SELECT recent.* FROM (
                SELECT c.* FROM public.service_health_checks AS c
                WHERE c.service_name = s.service_name AND c.checked_at <= v_future
                    AND n.id IS NOT NULL AND NOT vigilbase.is_status(n.status)
                ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
                LIMIT 100
            ) AS recent
            WHERE vigilbase.is_status(recent.status)
            ORDER BY recent.checked_at DESC NULLS LAST, recent.id DESC
            LIMIT 1
        ) AS r ON true
        LEFT JOIN LATERAL (
            SELECT c.* FROM public.service_health_checks AS c
            WHERE c.service_name = s.service_name AND n.id IS NULL
            ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
            LIMIT 1
        ) AS o ON true
    );
END;
$$;
