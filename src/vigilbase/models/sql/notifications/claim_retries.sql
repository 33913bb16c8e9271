-- Claims batches that were attempted before, at most p_limit, oldest first; returns their ids. A receiver knows a batch
-- by its id, so a batch is claimed whole or not at all.
CREATE OR REPLACE FUNCTION vigilbase.claim_retries(
    p_channel text, p_lease_id uuid, p_until timestamptz, p_limit integer
)
RETURNS uuid[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_batch uuid;
    v_ids bigint[];
    v_claimed uuid[] := '{}';
BEGIN
    FOR v_batch IN
        SELECT c.batch_id FROM vigilbase.pending_notifications AS c
        WHERE c.channel = p_channel AND c.batch_id IS NOT NULL
        GROUP BY c.batch_id
        HAVING bool_and(c.waits_for IS NULL)
        ORDER BY min(c.id)
        LIMIT p_limit
    LOOP
        v_ids := ARRAY(
            SELECT n.id FROM vigilbase.notifications AS n
            WHERE n.batch_id = v_batch AND n.status = 'pending' AND n.due_at <= clock_timestamp()
              AND (n.leased_until IS NULL OR n.leased_until <= clock_timestamp())
            ORDER BY n.id
            FOR UPDATE SKIP LOCKED
        );
        CONTINUE WHEN cardinality(v_ids) < (
            SELECT count(*) FROM vigilbase.notifications AS n WHERE n.batch_id = v_batch AND n.status = 'pending'
        );
        UPDATE vigilbase.notifications AS n
        SET attempts = n.attempts + 1, lease_id = p_lease_id, leased_until = p_until
        WHERE n.id = ANY (v_ids);
        v_claimed := array_append(v_claimed, v_batch);
    END LOOP;
    RETURN v_claimed;
END;
$$;
