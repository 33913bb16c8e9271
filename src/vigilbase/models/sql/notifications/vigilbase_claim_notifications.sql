-- Claims what can be sent to a channel now, at most p_limit batches: first those that were attempted before, each whole
-- or not at all, then new ones. With p_window_s, a channel gets one batch of all new notifications of a kind, and none
-- within that many seconds of its last one. The lease p_lease_id lasts p_lease_s seconds; after that another worker may
-- claim the same batch, under the same batch_id. Returns {"now", "batches": see vigilbase.describe_batches,
-- "next_in_s": seconds until the next one is due, or null}.
CREATE OR REPLACE FUNCTION public.vigilbase_claim_notifications(
    p_channel text, p_window_s double precision, p_lease_id uuid, p_lease_s integer, p_limit integer
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_until CONSTANT timestamptz := v_now + make_interval(secs => p_lease_s);
    v_retries uuid[] := '{}';
    v_new uuid[] := '{}';
    v_next double precision;
BEGIN
    IF EXISTS (
        SELECT FROM vigilbase.notifications AS n
        WHERE n.channel = p_channel AND n.status = 'pending' AND n.due_at <= v_now
          AND (n.leased_until IS NULL OR n.leased_until <= v_now)
    ) THEN
        -- Before the channel is locked: this waits for transactions that record results, and they lock channels last.
        PERFORM vigilbase.catch_up_with_alerts(ARRAY(
            SELECT n.id FROM vigilbase.notifications AS n
            WHERE n.channel = p_channel AND n.status = 'pending' AND n.due_at <= v_now
              AND (n.leased_until IS NULL OR n.leased_until <= v_now)
            ORDER BY n.batch_id IS NULL, n.suppressed_by IS NOT NULL, n.id
            LIMIT 3000 -- more than one call claims
        ));
        IF vigilbase.lock_channel(p_channel, v_now) THEN
            v_retries := vigilbase.claim_retries(p_channel, p_lease_id, v_until, p_limit);
            v_new := vigilbase.claim_new(p_channel, p_window_s, p_lease_id, v_until, p_limit - cardinality(v_retries));
        END IF;
    END IF;
    SELECT extract(epoch FROM min(greatest(n.due_at, n.leased_until)) - clock_timestamp()) INTO v_next
    FROM vigilbase.notifications AS n
    WHERE n.channel = p_channel AND n.status = 'pending' AND greatest(n.due_at, n.leased_until) > v_now;
    RETURN json_build_object(
        'now', v_now, 'batches', vigilbase.describe_batches(v_retries || v_new, p_lease_id), 'next_in_s', v_next
    );
END;
$$;
