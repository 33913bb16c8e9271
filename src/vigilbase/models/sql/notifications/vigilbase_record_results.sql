-- Records the results of batches. p_results: a JSON array of {"batch_id", "lease_id", "outcome", "ids", "answer",
-- "error", "in_s", "remind_in_s", "pause_s", "suppressed_by"}. "ids" restricts a result to some notifications of the
-- batch. outcome:
--   delivered  the receiver accepted it; counts without the lease too. remind_in_s queues a reminder of an active alert
--   retry      to be tried again in in_s seconds
--   failed     for good; remind_in_s as above
--   deferred   not tried: due in in_s seconds; suppressed_by says in words what suppresses it, if anything does
--   cancelled  not to be sent at all
--   split      refused because of the rest of its batch: these notifications become a batch of their own
-- Every outcome but delivered counts only with the lease. pause_s: the channel accepts nothing for so many seconds.
CREATE OR REPLACE FUNCTION public.vigilbase_record_results(p_results text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_now timestamptz;
    v_result jsonb;
    v_channel record;
    v_first text[] := '{}'; -- the channels that got the first attempt of a batch
    v_pauses jsonb := '{}'; -- for how long each channel wants nothing
BEGIN
    IF EXISTS (
        SELECT FROM jsonb_array_elements(p_results::jsonb) AS r (item) WHERE r.item ->> 'outcome' = 'deferred'
    ) THEN
        -- A session that ends a suppression meanwhile waits for us and finds what we deferred; or we wait and see its
        -- end.
        PERFORM FROM vigilbase.suppressions AS s WHERE s.ends_at IS NULL OR s.ends_at > clock_timestamp()
        ORDER BY s.id FOR SHARE;
    END IF;
    -- All rows at once, in the order in which everything locks them.
    PERFORM FROM vigilbase.notifications AS n
    WHERE n.batch_id = ANY (ARRAY(
        SELECT (r.item ->> 'batch_id')::uuid FROM jsonb_array_elements(p_results::jsonb) AS r (item)
    ))
    ORDER BY n.id FOR UPDATE;
    -- One moment for all, so that what is due at one time stays in one batch.
    v_now := clock_timestamp();
    FOR v_result IN
        SELECT r.item FROM jsonb_array_elements(p_results::jsonb) AS r (item) ORDER BY r.item ->> 'batch_id'
    LOOP
        SELECT r.channel, r.is_first INTO v_channel
        FROM vigilbase.record_result(v_result, v_now) AS r (channel, is_first);
        IF v_channel.is_first THEN
            v_first := array_append(v_first, v_channel.channel);
        END IF;
        IF v_channel.channel IS NOT NULL AND v_result ->> 'pause_s' IS NOT NULL THEN
            v_pauses := v_pauses || jsonb_build_object(v_channel.channel, greatest(
                (v_pauses ->> v_channel.channel)::double precision, (v_result ->> 'pause_s')::double precision
            ));
        END IF;
    END LOOP;
    -- Last, and in one order, since others write of the same channels.
    PERFORM FROM vigilbase.channels AS c WHERE c.channel = ANY (v_first) OR v_pauses ? c.channel
    ORDER BY c.channel FOR UPDATE;
    UPDATE vigilbase.channels AS c
    SET last_batch_at = CASE WHEN c.channel = ANY (v_first) THEN v_now ELSE c.last_batch_at END,
        paused_until = greatest(
            c.paused_until, v_now + make_interval(secs => (v_pauses ->> c.channel)::double precision)
        )
    WHERE c.channel = ANY (v_first) OR v_pauses ? c.channel;
END;
$$;
