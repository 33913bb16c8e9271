-- Records the results of batches. p_results: a JSON array of {"batch_id", "lease_id", "result", "ids", "answer",
-- "error", "delay_s", "remind_after_s", "pause_s", "suppressed_by"}. "ids" restricts a result to some notifications of the
-- batch. result:
--   delivered  the receiver accepted it; needs no lease. remind_after_s enqueues a reminder if the alert is active
--   retry      the next attempt is due in delay_s seconds
--   failed     final; remind_after_s as above
--   deferred   not attempted: due in delay_s seconds; suppressed_by describes what suppresses it, if anything does
--   cancelled  not to be sent at all
--   split      rejected because of the rest of its batch: these notifications become a batch of their own
-- Every result but delivered needs the lease. pause_s: the channel accepts nothing for that many seconds.
CREATE OR REPLACE FUNCTION public.vigilbase_record_results(p_results text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_now timestamptz;
    v_result jsonb;
    v_channel record;
    v_first_attempts text[] := '{}'; -- channels with the first attempt of a batch
    v_pauses jsonb := '{}'; -- seconds of pause by channel
BEGIN
    IF EXISTS (
        SELECT FROM jsonb_array_elements(p_results::jsonb) AS r (item) WHERE r.item ->> 'result' = 'deferred'
    ) THEN
        -- A transaction that ends a suppression waits and requeues what this one deferred, or this one waits and
        -- sees the end.
        PERFORM FROM vigilbase.suppressions AS s WHERE s.ends_at IS NULL OR s.ends_at > clock_timestamp()
        ORDER BY s.id FOR SHARE;
    END IF;
    -- All rows at once, in the order that all writers use.
    PERFORM FROM vigilbase.notifications AS n
    WHERE n.batch_id = ANY (ARRAY(
        SELECT (r.item ->> 'batch_id')::uuid FROM jsonb_array_elements(p_results::jsonb) AS r (item)
    ))
    ORDER BY n.id FOR UPDATE;
    -- One time for all, so that what becomes due together stays in one batch.
    v_now := clock_timestamp();
    FOR v_result IN
        SELECT r.item FROM jsonb_array_elements(p_results::jsonb) AS r (item) ORDER BY r.item ->> 'batch_id'
    LOOP
        SELECT r.channel, r.is_first INTO v_channel
        FROM vigilbase.record_result(v_result, v_now) AS r (channel, is_first);
        IF v_channel.is_first THEN
            v_first_attempts := array_append(v_first_attempts, v_channel.channel);
        END IF;
        IF v_channel.channel IS NOT NULL AND v_result ->> 'pause_s' IS NOT NULL THEN
            v_pauses := v_pauses || jsonb_build_object(v_channel.channel, greatest(
                (v_pauses ->> v_channel.channel)::double precision, (v_result ->> 'pause_s')::double precision
            ));
        END IF;
    END LOOP;
    -- Last, and in one order, since others write the same channels.
    PERFORM FROM vigilbase.channels AS c WHERE c.channel = ANY (v_first_attempts) OR v_pauses ? c.channel
    ORDER BY c.channel FOR UPDATE;
    UPDATE vigilbase.channels AS c
    SET last_batch_at = CASE WHEN c.channel = ANY (v_first_attempts) THEN v_now ELSE c.last_batch_at END,
        paused_until = greatest(
            c.paused_until, v_now + make_interval(secs => (v_pauses ->> c.channel)::double precision)
        )
    WHERE c.channel = ANY (v_first_attempts) OR v_pauses ? c.channel;
END;
$$;
