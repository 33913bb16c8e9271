-- Catches up with an alert that changed by other means than these functions, such as an UPDATE. If resolved, enqueues
-- its resolution; if acknowledged, cancels what is no longer needed; if deleted, cancels all. Locks its notifications
-- before it reads the alert, so that it never overwrites a newer status.
CREATE OR REPLACE FUNCTION vigilbase.catch_up_with_alert(p_service_name text, p_alert_id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_status text;
BEGIN
    PERFORM vigilbase.lock_notifications(ARRAY[p_alert_id]);
    v_status := (vigilbase.read_alert(p_service_name, p_alert_id)).status;
    IF v_status = 'resolved' THEN
        PERFORM vigilbase.enqueue_follow_up(p_service_name, p_alert_id, 'resolved');
    ELSIF v_status IS NOT NULL THEN
        PERFORM vigilbase.save_alert_status(p_alert_id, v_status);
        PERFORM vigilbase.cancel_unneeded(p_alert_id, v_status);
    ELSE
        PERFORM vigilbase.save_alert_status(p_alert_id, 'resolved');
        UPDATE vigilbase.notifications AS n SET status = 'cancelled', ended_at = clock_timestamp()
        WHERE n.alert_id = p_alert_id AND n.status IN ('pending', 'failed')
          AND (n.leased_until IS NULL OR n.leased_until <= clock_timestamp());
    END IF;
END;
$$;
