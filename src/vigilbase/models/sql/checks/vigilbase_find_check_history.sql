-- The checks of a service since a time, except those from the future: the newest p_limit with a status that is ours,
-- newest first by checked_at, and the number of all by status: {"checks": [...], "counts": {"healthy": 9, "down": 1}}.
CREATE OR REPLACE FUNCTION public.vigilbase_find_check_history(
    p_service_name text, p_since timestamptz, p_limit integer
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT json_build_object(
        'checks', (
            SELECT coalesce(json_agg(row_to_json(recent) ORDER BY recent.checked_at DESC, recent.id DESC), '[]')
            FROM (
                SELECT c.* FROM public.service_health_checks AS c
                WHERE c.service_name = p_service_name
                  AND c.checked_at BETWEEN p_since AND vigilbase.future_begins_at(now())
                  AND vigilbase.is_status(c.status)
                ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
                LIMIT p_limit
            ) AS recent
        ),
        'counts', (
            SELECT coalesce(json_object_agg(counted.status, counted.count), '{}')
            FROM (
                SELECT coalesce(c.status, '') AS status, count(*) AS count FROM public.service_health_checks AS c
                WHERE c.service_name = p_service_name
                  AND c.checked_at BETWEEN p_since AND vigilbase.future_begins_at(now())
                GROUP BY c.status
            ) AS counted
        )
    )
$$;
