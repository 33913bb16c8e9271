-- Enqueues the follow-up on an alert (p_kind: acknowledged or resolved) for the channels that know of it, and cancels
-- what is no longer needed. If a trigger was due but never attempted, and its route sends resolutions, the channel gets
-- the resolution alone. A trigger that was attempted may have arrived, so its resolution follows, when the next attempt
-- would have been due, but within ten seconds: the last attempt may still arrive, and would open the alert again. A
-- trigger that is due only after the end is not sent.
CREATE OR REPLACE FUNCTION vigilbase.enqueue_follow_up(p_service_name text, p_alert_id uuid, p_kind text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_resolved_at CONSTANT timestamptz :=
        coalesce((vigilbase.read_alert(p_service_name, p_alert_id)).resolved_at, v_now);
BEGIN
    PERFORM vigilbase.save_alert_status(p_alert_id, p_kind);
    INSERT INTO vigilbase.notifications
        (alert_id, service_name, alert_type, alert_status, channel, kind, tags, send_resolved, due_at)
    SELECT p_alert_id, p_service_name, (array_agg(n.alert_type))[1], p_kind, n.channel, p_kind, (array_agg(n.tags))[1],
        true,
        greatest(v_now, least(
            coalesce(max(n.due_at) FILTER (WHERE n.status = 'pending' AND n.attempts > 0), v_now),
            v_now + interval '10 seconds'
        ))
    FROM vigilbase.notifications AS n
    WHERE n.alert_id = p_alert_id AND n.kind NOT IN ('resolved', p_kind)
    GROUP BY n.channel
    HAVING CASE p_kind
        WHEN 'resolved' THEN
            -- The worker finds out whether a suppressed one was so until the end.
            bool_or(n.attempts > 0 OR (
                n.kind = 'triggered' AND n.status = 'pending' AND n.send_resolved
                AND vigilbase.was_due_before(n.created_at, n.after_s, v_resolved_at)
            ))
        ELSE bool_or(n.status = 'delivered' OR (n.status = 'pending' AND n.attempts > 0))
    END
    ON CONFLICT (alert_id, channel, kind, number) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_notifications', '');
    END IF;
    PERFORM vigilbase.cancel_unneeded(p_alert_id, p_kind);
END;
$$;
