-- Makes all that is suppressed due at once: what suppressed some of it may have ended. Rows that others change just
-- now are theirs to look at.
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
