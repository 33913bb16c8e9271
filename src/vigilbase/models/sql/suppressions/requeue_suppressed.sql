-- Makes all suppressed notifications due now, since a suppression may have ended. Skips locked rows: the transaction
-- that locks them decides.
CREATE OR REPLACE FUNCTION vigilbase.requeue_suppressed()
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
BEGIN
    UPDATE vigilbase.notifications AS n SET due_at = v_now
    WHERE n.id = ANY (ARRAY(
        SELECT e.id FROM vigilbase.notifications AS e
        WHERE e.status = 'pending' AND e.suppressed_by IS NOT NULL AND e.due_at > v_now
        ORDER BY e.id
        FOR UPDATE SKIP LOCKED
    ));
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_notifications', '');
    END IF;
END;
$$;
