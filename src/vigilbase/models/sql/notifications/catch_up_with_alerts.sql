-- Finds the alerts of some notifications (p_ids) that changed by other means than these functions, and catches up with
-- at most 1,000 of them; see vigilbase.catch_up_with_alert. Returns how many.
CREATE OR REPLACE FUNCTION vigilbase.catch_up_with_alerts(p_ids bigint[])
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    v_stale uuid[];
    v_alert record;
BEGIN
    v_stale := ARRAY(
        SELECT DISTINCT n.alert_id FROM vigilbase.notifications AS n
        WHERE n.id = ANY (p_ids)
          AND (vigilbase.read_alert(n.service_name, n.alert_id)).status IS DISTINCT FROM n.alert_status
        LIMIT 1000
    );
    PERFORM vigilbase.lock_notifications(v_stale);
    FOR v_alert IN
        SELECT DISTINCT n.service_name, n.alert_id FROM vigilbase.notifications AS n WHERE n.alert_id = ANY (v_stale)
    LOOP
        PERFORM vigilbase.catch_up_with_alert(v_alert.service_name, v_alert.alert_id);
    END LOOP;
    RETURN cardinality(v_stale);
END;
$$;
