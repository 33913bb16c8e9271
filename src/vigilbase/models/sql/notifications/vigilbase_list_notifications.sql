-- Notifications with one of the given statuses (a JSON array), newest first, at most p_limit; of one alert, or of all.
-- Each has "is_needed", and, while pending, "waits_for" (see vigilbase.pending_notifications; "window" if its channel is collecting
-- a batch) and "next_attempt_at". p_windows: {channel: the seconds for which it collects}.
CREATE OR REPLACE FUNCTION public.vigilbase_list_notifications(
    p_statuses text, p_limit integer, p_alert_id uuid DEFAULT NULL, p_windows text DEFAULT '{}'
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(listed) ORDER BY listed.id DESC), '[]')
    FROM (
        SELECT n.*, vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged) AS is_needed,
            coalesce(c.waits_for, CASE WHEN w.ends_at > c.next_attempt_at THEN 'window' END) AS waits_for,
            greatest(c.next_attempt_at, w.ends_at) AS next_attempt_at
        FROM (
            SELECT d.* FROM vigilbase.notifications AS d
            WHERE d.status = ANY (ARRAY(SELECT json_array_elements_text(p_statuses::json)))
              AND (p_alert_id IS NULL OR d.alert_id = p_alert_id)
            ORDER BY d.id DESC
            LIMIT p_limit
        ) AS n
        LEFT JOIN vigilbase.pending_notifications AS c ON c.id = n.id
        LEFT JOIN (
            SELECT k.channel, vigilbase.window_ends_at(
                k.last_batch_at, (p_windows::json ->> k.channel)::double precision, clock_timestamp()
            ) AS ends_at
            FROM vigilbase.channels AS k
        ) AS w ON w.channel = n.channel AND c.attempts = 0
    ) AS listed
$$;
