-- Enqueues what follows a delivered or failed trigger or reminder: the acknowledgement, if the alert is acknowledged by
-- then, or the next reminder, if it is still active.
CREATE OR REPLACE FUNCTION vigilbase.enqueue_after_attempt(
    p_row vigilbase.notifications, p_result text, p_alert_status text, p_remind_after_s double precision,
    p_now timestamptz
)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_kind text;
    v_number integer := 0;
BEGIN
    IF p_result = 'delivered' AND p_alert_status = 'acknowledged' THEN
        v_kind := 'acknowledged';
    ELSIF p_result IN ('delivered', 'failed') AND p_alert_status = 'active' AND p_remind_after_s IS NOT NULL THEN
        v_kind := 'reminder';
        SELECT 1 + coalesce(max(n.number), 0) INTO v_number FROM vigilbase.notifications AS n
        WHERE n.alert_id = p_row.alert_id AND n.channel = p_row.channel AND n.kind = 'reminder';
    END IF;
    IF v_kind IS NULL OR EXISTS (
        SELECT FROM vigilbase.notifications AS n
        WHERE n.alert_id = p_row.alert_id AND n.channel = p_row.channel AND n.kind = v_kind
          AND n.status = 'pending' AND n.id <> p_row.id
    ) THEN
        RETURN;
    END IF;
    INSERT INTO vigilbase.notifications (
        alert_id, service_name, alert_type, alert_status, channel, kind, number, tags, send_resolved, due_at
    )
    VALUES (
        p_row.alert_id, p_row.service_name, p_row.alert_type, p_alert_status, p_row.channel, v_kind, v_number,
        p_row.tags, p_row.send_resolved, p_now + make_interval(
            secs => CASE v_kind WHEN 'reminder' THEN p_remind_after_s ELSE 0 END
        )
    )
    ON CONFLICT (alert_id, channel, kind, number) DO NOTHING;
END;
$$;
