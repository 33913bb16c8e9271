-- Locks all notifications of some alerts in the order of their ids. Everything that writes several of them locks them
-- in this order first.
CREATE OR REPLACE FUNCTION vigilbase.lock_notifications(p_alert_ids uuid[])
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM vigilbase.notifications AS n WHERE n.alert_id = ANY (p_alert_ids) ORDER BY n.id FOR UPDATE;
END;
$$;
