-- Claims notifications without a batch, and gives each a batch of its own, or with p_window_s one batch for each kind,
-- of at most 1,000. Returns the batch ids. Suppressed ones come last, because many still are.
CREATE OR REPLACE FUNCTION vigilbase.claim_new(
    p_channel text, p_window_s double precision, p_lease_id uuid, p_until timestamptz, p_limit integer
)
RETURNS uuid[]
LANGUAGE plpgsql
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_max_size CONSTANT integer := 1000;
    v_is_batched CONSTANT boolean := p_window_s > 0;
    v_ids bigint[];
    v_batches jsonb;
    v_claimed uuid[];
BEGIN
    IF p_limit <= 0 OR (v_is_batched AND NOT vigilbase.can_start_batch(p_channel, p_window_s, v_now)) THEN
        RETURN '{}';
    END IF;
    v_ids := ARRAY(
        SELECT c.id FROM vigilbase.pending_notifications AS c
        WHERE c.channel = p_channel AND c.due_at <= v_now AND c.batch_id IS NULL AND c.waits_for IS NULL
        ORDER BY c.suppressed_by IS NOT NULL, c.id
        LIMIT CASE WHEN v_is_batched THEN 2 * v_max_size ELSE p_limit END
    );
    v_ids := ARRAY(
        SELECT n.id FROM vigilbase.notifications AS n
        WHERE n.id = ANY (v_ids) AND n.status = 'pending' AND n.batch_id IS NULL AND n.due_at <= v_now
        ORDER BY n.id
        FOR UPDATE SKIP LOCKED
    );
    SELECT jsonb_object_agg(k.kind, gen_random_uuid()) INTO v_batches
    FROM (SELECT DISTINCT n.kind FROM vigilbase.notifications AS n WHERE n.id = ANY (v_ids) LIMIT p_limit) AS k;
    WITH placed AS (
        SELECT n.id, row_number() OVER (PARTITION BY n.kind ORDER BY n.suppressed_by IS NOT NULL, n.id) AS place,
            CASE WHEN v_is_batched THEN (v_batches ->> n.kind)::uuid ELSE gen_random_uuid() END AS batch_id
        FROM vigilbase.notifications AS n WHERE n.id = ANY (v_ids)
    ), claimed AS (
        UPDATE vigilbase.notifications AS n
        SET batch_id = p.batch_id, batched_at = v_now, attempts = n.attempts + 1, lease_id = p_lease_id,
            leased_until = p_until
        FROM placed AS p WHERE p.id = n.id AND p.place <= v_max_size AND p.batch_id IS NOT NULL
        RETURNING n.batch_id
    )
    SELECT array_agg(DISTINCT c.batch_id) INTO v_claimed FROM claimed AS c;
    RETURN coalesce(v_claimed, '{}');
END;
$$;
