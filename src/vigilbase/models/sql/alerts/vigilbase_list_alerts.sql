-- Alerts with any of the given statuses (a JSON array), or with any at all (NULL), newest first, at most p_limit: of
-- one service or of all, except those that were resolved before p_since.
CREATE OR REPLACE FUNCTION public.vigilbase_list_alerts(
    p_statuses text, p_service_name text DEFAULT NULL, p_since timestamptz DEFAULT NULL, p_limit integer DEFAULT NULL
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(newest) ORDER BY newest.created_at DESC NULLS LAST, newest.id DESC), '[]')
    FROM (
        SELECT a.* FROM public.alert_events AS a
        WHERE (p_statuses IS NULL OR a.status = ANY (ARRAY(SELECT json_array_elements_text(p_statuses::json))))
          AND (p_service_name IS NULL OR a.service_name = p_service_name)
          AND (p_since IS NULL OR a.status <> 'resolved' OR coalesce(a.resolved_at, a.created_at) >= p_since)
        ORDER BY a.created_at DESC NULLS LAST, a.id DESC
        LIMIT p_limit
    ) AS newest
$$;
