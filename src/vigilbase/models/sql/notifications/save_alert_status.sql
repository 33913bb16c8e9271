-- Copies an alert's status to its notifications.
CREATE OR REPLACE FUNCTION vigilbase.save_alert_status(p_alert_id uuid, p_alert_status text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM vigilbase.lock_notifications(ARRAY[p_alert_id]);
    UPDATE vigilbase.notifications AS n SET alert_status = p_alert_status
    WHERE n.alert_id = p_alert_id AND n.alert_status <> p_alert_status;
END;
$$;
