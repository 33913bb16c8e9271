-- Defers a notification that was claimed but not attempted: by p_in_s seconds, or by one if a suppression has ended
-- since it was due; with a new p_suppressed_by, since a minute before, because ends_at precedes its commit. What was
-- attempted before may have arrived, so it keeps its batch.
CREATE OR REPLACE FUNCTION vigilbase.defer_notification(
    p_row vigilbase.notifications, p_in_s double precision, p_suppressed_by text, p_now timestamptz
)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_since CONSTANT timestamptz := p_row.due_at - CASE
        WHEN p_row.suppressed_by IS DISTINCT FROM p_suppressed_by THEN interval '1 minute' ELSE interval '0 s'
    END;
    v_in_s CONSTANT double precision := CASE
        WHEN EXISTS (
            SELECT FROM vigilbase.suppressions AS s WHERE s.ends_at > v_since AND s.ends_at <= p_now
        ) THEN least(1, p_in_s)
        ELSE p_in_s
    END;
BEGIN
    UPDATE vigilbase.notifications AS n
    SET batch_id = CASE WHEN n.attempts > 1 THEN n.batch_id END,
        batched_at = CASE WHEN n.attempts > 1 THEN n.batched_at END,
        attempts = n.attempts - 1, lease_id = NULL, leased_until = NULL, suppressed_by = p_suppressed_by,
        due_at = p_now + make_interval(secs => v_in_s)
    WHERE n.id = p_row.id;
END;
$$;
