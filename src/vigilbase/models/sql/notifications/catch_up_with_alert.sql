-- Learns what became of an alert by other ways than these functions, such as an UPDATE. If it is resolved, its
-- resolution is queued; if it is acknowledged, what is no longer needed is cancelled; if it is gone, everything is.
-- Its rows are locked before it is read, so that a newer status is never overwritten.
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
