-- 016_queue_notifications.sql
-- Created: 2026-11-25 18:22
--
-- The outbox: queued with the alert, claimed, retried until accepted.

-- Whether a notification is still needed: a resolution always is; others are until the alert is resolved, and an
-- escalation or a reminder only until it is acknowledged.
CREATE OR REPLACE FUNCTION vigilbase.is_needed(p_alert_status text, p_kind text, p_unless_acknowledged boolean)
RETURNS boolean
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT (p_kind = 'resolved' OR p_alert_status <> 'resolved')
        AND NOT (p_alert_status = 'acknowledged' AND (p_unless_acknowledged OR p_kind = 'reminder'));
END;

-- Whether a trigger was due before a time. A trigger without a delay always was, whatever the clock says.
CREATE OR REPLACE FUNCTION vigilbase.was_due_before(
    p_created_at timestamptz, p_after_s double precision, p_moment timestamptz
)
RETURNS boolean
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT p_after_s = 0 OR p_created_at + make_interval(secs => p_after_s) <= p_moment;
END;

-- When the window ends in which a channel collects a batch, counted from its last batch; NULL if none is open. A last
-- batch in the future, because the clock was set back, opens none.
CREATE OR REPLACE FUNCTION vigilbase.window_ends_at(
    p_last_batch_at timestamptz, p_window_s double precision, p_now timestamptz
)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE
        WHEN p_last_batch_at <= p_now AND p_last_batch_at > p_now - make_interval(secs => p_window_s)
        THEN p_last_batch_at + make_interval(secs => p_window_s)
    END;
END;

-- Every pending notification, the time of its next attempt, and what it waits for (waits_for). NULL means that it can
-- be claimed now; the codes are:
--   not_needed        its alert is resolved, or acknowledged
--   worker            a worker is sending it
--   channel_disabled  its channel is disabled
--   suppression       a silence or maintenance window suppresses it
--   channel_pause     its channel requested a pause
--   due_at            it is not due yet
--   earlier           an earlier notification of the same alert to the same channel
--   resolution        the resolution of the service's last alert of that type, since some receivers can't tell the two
--                     apart. It stops waiting once that has failed four times, or is suppressed
-- A receiver knows a notification that was attempted before by its batch_id, so it waits for no other.
CREATE OR REPLACE VIEW vigilbase.pending_notifications WITH (security_invoker = true) AS
SELECT n.*, greatest(n.due_at, n.leased_until, c.paused_until) AS next_attempt_at, CASE
    WHEN NOT vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged) THEN 'not_needed'
    WHEN n.leased_until > clock_timestamp() THEN 'worker'
    WHEN c.disabled_at IS NOT NULL THEN 'channel_disabled'
    WHEN n.suppressed_by IS NOT NULL AND n.due_at > clock_timestamp() THEN 'suppression'
    WHEN c.paused_until > clock_timestamp() THEN 'channel_pause'
    WHEN n.due_at > clock_timestamp() THEN 'due_at'
    WHEN n.batch_id IS NOT NULL THEN NULL
    WHEN EXISTS (
        SELECT FROM vigilbase.notifications AS e
        WHERE e.alert_id = n.alert_id AND e.channel = n.channel AND e.id < n.id
          AND (e.leased_until > clock_timestamp()
              OR (e.status = 'pending' AND (e.due_at <= clock_timestamp() OR e.attempts > 0)))
    ) THEN 'earlier'
    WHEN n.kind = 'triggered' AND EXISTS (
        SELECT FROM vigilbase.notifications AS e
        WHERE e.service_name = n.service_name AND e.channel = n.channel AND e.kind = 'resolved'
          AND e.status = 'pending' AND e.id < n.id AND e.alert_type = n.alert_type
          AND (e.leased_until > clock_timestamp() OR (
              e.attempts <= 3 AND (e.suppressed_by IS NULL OR e.due_at <= clock_timestamp())
          ))
    ) THEN 'resolution'
END AS waits_for
FROM vigilbase.notifications AS n
LEFT JOIN vigilbase.channels AS c ON c.channel = n.channel
WHERE n.status = 'pending';

-- Whether a channel that batches may start a batch: its window is over, and no batch is being sent.
CREATE OR REPLACE FUNCTION vigilbase.can_start_batch(p_channel text, p_window_s double precision, p_now timestamptz)
RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT NOT EXISTS (
        SELECT FROM vigilbase.channels AS c
        WHERE c.channel = p_channel AND vigilbase.window_ends_at(c.last_batch_at, p_window_s, p_now) IS NOT NULL
    ) AND NOT EXISTS (
        SELECT FROM vigilbase.notifications AS n
        WHERE n.channel = p_channel AND n.status = 'pending' AND n.leased_until > p_now
    );
END;

-- Cancels the notifications of an alert that are no longer needed; p_reason is a code. Those that a worker is sending
-- are left to it. The timeline records each cancelled trigger.
CREATE OR REPLACE FUNCTION vigilbase.cancel_unneeded(p_alert_id uuid, p_reason text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_row vigilbase.notifications;
BEGIN
    FOR v_row IN
        UPDATE vigilbase.notifications AS n SET status = 'cancelled', ended_at = v_now
        WHERE n.alert_id = p_alert_id AND n.status = 'pending'
          AND NOT vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged)
          AND (n.leased_until IS NULL OR n.leased_until <= v_now)
        RETURNING n.*
    LOOP
        CONTINUE WHEN v_row.kind <> 'triggered'; -- the others only repeat or follow a trigger
        PERFORM vigilbase.add_timeline_entry(
            v_row.service_name, p_alert_id, 'cancelled', p_details => jsonb_build_object(
                'channel', v_row.channel, 'kind', v_row.kind, 'attempts', v_row.attempts,
                'suppressed_by', v_row.suppressed_by, 'reason', p_reason
            )
        );
    END LOOP;
END;
$$;

-- Catches up with an alert that changed by other means than these functions, such as an UPDATE. If resolved, enqueues
-- its resolution; if acknowledged, cancels what is no longer needed; if deleted, cancels all. Locks its notifications
-- before it reads the alert, so that it never overwrites a newer status.
CREATE OR REPLACE FUNCTION vigilbase.catch_up_with_alert(p_service_name text, p_alert_id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_status text;
BEGIN
    PERFORM vigilbase.lock_notifications(ARRAY[p_alert_id]);
    v_status := (vigilbase.read_alert(p_service_name, p_alert_id)).status;
    IF v_status = 'resolved' THEN
        PERFORM vigilbase.enqueue_follow_up(p_service_name, p_alert_id, 'resolved');
    ELSIF v_status IS NOT NULL THEN
        PERFORM vigilbase.save_alert_status(p_alert_id, v_status);
        PERFORM vigilbase.cancel_unneeded(p_alert_id, v_status);
    ELSE
        PERFORM vigilbase.save_alert_status(p_alert_id, 'resolved');
        UPDATE vigilbase.notifications AS n SET status = 'cancelled', ended_at = clock_timestamp()
        WHERE n.alert_id = p_alert_id AND n.status IN ('pending', 'failed')
          AND (n.leased_until IS NULL OR n.leased_until <= clock_timestamp());
    END IF;
END;
$$;

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

-- What a worker needs to know about claimed batches: [{"batch_id", "channel", "kind", "at", "attempts",
-- "notifications": [{"id", "tags", "may_know_alert": whether the channel may know of the alert, "alert"}]}], oldest
-- first. Omits those whose alert is deleted; they are cancelled when the lease ends.
CREATE OR REPLACE FUNCTION vigilbase.describe_batches(p_batch_ids uuid[], p_lease_id uuid)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(json_agg(b.batch ORDER BY b.first_id), '[]')
    FROM (
        SELECT min(n.id) AS first_id, json_build_object(
            'batch_id', n.batch_id, 'channel', n.channel, 'kind', n.kind, 'at', min(n.batched_at),
            'attempts', max(n.attempts),
            'notifications', json_agg(json_build_object(
                'id', n.id, 'tags', n.tags, 'alert', n.alert,
                'may_know_alert', EXISTS (
                    SELECT FROM vigilbase.notifications AS t
                    WHERE t.alert_id = n.alert_id AND t.channel = n.channel AND t.kind = 'triggered'
                      AND t.attempts > 0 AND t.id <> n.id
                )
            ) ORDER BY n.id)
        ) AS batch
        FROM (
            SELECT d.*, vigilbase.read_alert(d.service_name, d.alert_id) AS alert FROM vigilbase.notifications AS d
            WHERE d.batch_id = ANY (p_batch_ids) AND d.status = 'pending' AND d.lease_id = p_lease_id
        ) AS n
        WHERE (n.alert).id IS NOT NULL
        GROUP BY n.batch_id, n.channel, n.kind
    ) AS b
$$;

-- Records the result of an attempt (p_result: see vigilbase_record_results), adds it to the alert's timeline, and
-- enqueues what follows. If the alert was resolved in the meantime, there is no retry, and its resolution waits only as
-- long as it must.
CREATE OR REPLACE FUNCTION vigilbase.end_attempt(p_row vigilbase.notifications, p_result jsonb, p_now timestamptz)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_result CONSTANT text := p_result ->> 'result';
    v_alert_status CONSTANT text := (vigilbase.read_alert(p_row.service_name, p_row.alert_id)).status;
    v_is_resolved CONSTANT boolean := v_alert_status = 'resolved' AND p_row.kind <> 'resolved';
    -- Another worker that holds the lease may be sending it again. What follows must wait.
    v_has_other_lease CONSTANT boolean :=
        p_row.lease_id IS DISTINCT FROM (p_result ->> 'lease_id')::uuid AND p_row.leased_until > p_now;
BEGIN
    UPDATE vigilbase.notifications AS n
    SET status = CASE v_result WHEN 'retry' THEN 'pending' ELSE v_result END,
        ended_at = CASE WHEN v_result <> 'retry' THEN p_now END,
        due_at = CASE
            WHEN v_result = 'retry' THEN p_now + least(
                make_interval(secs => (p_result ->> 'delay_s')::double precision),
                CASE WHEN v_is_resolved THEN interval '10 seconds' END
            )
            ELSE n.due_at
        END,
        answer = coalesce(p_result ->> 'answer', n.answer), last_error = coalesce(p_result ->> 'error', n.last_error),
        lease_id = CASE WHEN v_has_other_lease THEN n.lease_id END,
        leased_until = CASE WHEN v_has_other_lease THEN n.leased_until END,
        suppressed_by = CASE WHEN v_result <> 'retry' THEN coalesce(p_result ->> 'suppressed_by', n.suppressed_by) END
    WHERE n.id = p_row.id;
    PERFORM vigilbase.add_timeline_entry(
        p_row.service_name, p_row.alert_id, CASE v_result WHEN 'retry' THEN 'attempt_failed' ELSE v_result END,
        p_details => jsonb_build_object(
            'channel', p_row.channel, 'kind', p_row.kind, 'attempts', p_row.attempts,
            'answer', p_result ->> 'answer', 'error', p_result ->> 'error', 'batch_id', p_row.batch_id,
            'suppressed_by', coalesce(p_result ->> 'suppressed_by', p_row.suppressed_by)
        )
    );
    IF p_row.kind IN ('triggered', 'reminder') THEN
        PERFORM vigilbase.enqueue_after_attempt(
            p_row, v_result, v_alert_status, (p_result ->> 'remind_after_s')::double precision, p_now
        );
    END IF;
END;
$$;

-- Enqueues what follows a delivered or failed trigger or reminder: the acknowledgement, if the alert is acknowledged by
-- then, or the next reminder, if it is still active.
CREATE OR REPLACE FUNCTION vigilbase.enqueue_after_attempt(
    p_row vigilbase.notifications, p_result text, p_alert_status text, p_remind_after_s double precision,
    p_now timestamptz
)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_kind text;
    v_number integer := 0;
BEGIN
    IF p_result = 'delivered' AND p_alert_status = 'acknowledged' THEN
        v_kind := 'acknowledged';
    ELSIF p_result IN ('delivered', 'failed') AND p_alert_status = 'active' AND p_remind_after_s IS NOT NULL THEN
        v_kind := 'reminder';
        SELECT 1 + coalesce(max(n.number), 0) INTO v_number FROM vigilbase.notifications AS n
        WHERE n.alert_id = p_row.alert_id AND n.channel = p_row.channel AND n.kind = 'reminder';
    END IF;
    IF v_kind IS NULL OR EXISTS (
        SELECT FROM vigilbase.notifications AS n
        WHERE n.alert_id = p_row.alert_id AND n.channel = p_row.channel AND n.kind = v_kind
          AND n.status = 'pending' AND n.id <> p_row.id
    ) THEN
        RETURN;
    END IF;
    INSERT INTO vigilbase.notifications (
        alert_id, service_name, alert_type, alert_status, channel, kind, number, tags, send_resolved, due_at
    )
    VALUES (
        p_row.alert_id, p_row.service_name, p_row.alert_type, p_alert_status, p_row.channel, v_kind, v_number,
        p_row.tags, p_row.send_resolved, p_now + make_interval(
            secs => CASE v_kind WHEN 'reminder' THEN p_remind_after_s ELSE 0 END
        )
    )
    ON CONFLICT (alert_id, channel, kind, number) DO NOTHING;
END;
$$;

-- Enqueues the notifications about a new alert. p_routes: a JSON array of {"channel", "after_s", "unless_acknowledged",
-- "send_resolved"}; p_tags: a JSON array of strings. A second call changes nothing.
CREATE OR REPLACE FUNCTION vigilbase.enqueue_alert(p_alert public.alert_events, p_routes jsonb, p_tags jsonb)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO vigilbase.notifications (
        alert_id, service_name, alert_type, alert_status, channel, kind, number, tags, unless_acknowledged,
        send_resolved, after_s, due_at
    )
    SELECT p_alert.id, p_alert.service_name, p_alert.alert_type, p_alert.status, r.item ->> 'channel', 'triggered',
        r.place, coalesce(p_tags, '[]'), (r.item ->> 'unless_acknowledged')::boolean,
        (r.item ->> 'send_resolved')::boolean, (r.item ->> 'after_s')::double precision,
        clock_timestamp() + make_interval(secs => (r.item ->> 'after_s')::double precision)
    FROM jsonb_array_elements(coalesce(p_routes, '[]')) WITH ORDINALITY AS r (item, place)
    ON CONFLICT (alert_id, channel, kind, number) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_notifications', '');
    END IF;
END;
$$;

-- Enqueues the follow-up on an alert (p_kind: acknowledged or resolved) for the channels that know of it, and cancels
-- what is no longer needed. If a trigger was due but never attempted, and its route sends resolutions, the channel gets
-- the resolution alone. A trigger that was attempted may have arrived, so its resolution follows, when the next attempt
-- would have been due, but within ten seconds: the last attempt may still arrive, and would open the alert again. A
-- trigger that is due only after the end is not sent.
CREATE OR REPLACE FUNCTION vigilbase.enqueue_follow_up(p_service_name text, p_alert_id uuid, p_kind text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_resolved_at CONSTANT timestamptz :=
        coalesce((vigilbase.read_alert(p_service_name, p_alert_id)).resolved_at, v_now);
BEGIN
    PERFORM vigilbase.save_alert_status(p_alert_id, p_kind);
    INSERT INTO vigilbase.notifications
        (alert_id, service_name, alert_type, alert_status, channel, kind, tags, send_resolved, due_at)
    SELECT p_alert_id, p_service_name, (array_agg(n.alert_type))[1], p_kind, n.channel, p_kind, (array_agg(n.tags))[1],
        true,
        greatest(v_now, least(
            coalesce(max(n.due_at) FILTER (WHERE n.status = 'pending' AND n.attempts > 0), v_now),
            v_now + interval '10 seconds'
        ))
    FROM vigilbase.notifications AS n
    WHERE n.alert_id = p_alert_id AND n.kind NOT IN ('resolved', p_kind)
    GROUP BY n.channel
    HAVING CASE p_kind
        WHEN 'resolved' THEN
            -- The worker finds out whether a suppressed one was so until the end.
            bool_or(n.attempts > 0 OR (
                n.kind = 'triggered' AND n.status = 'pending' AND n.send_resolved
                AND vigilbase.was_due_before(n.created_at, n.after_s, v_resolved_at)
            ))
        ELSE bool_or(n.status = 'delivered' OR (n.status = 'pending' AND n.attempts > 0))
    END
    ON CONFLICT (alert_id, channel, kind, number) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_notifications', '');
    END IF;
    PERFORM vigilbase.cancel_unneeded(p_alert_id, p_kind);
END;
$$;

-- Locks a channel for a claim, so that one worker claims at a time and what belongs together gets one batch. Returns
-- false if another worker is claiming, or the channel is disabled or paused. Cancels due notifications that are no
-- longer needed, such as those that a worker released.
CREATE OR REPLACE FUNCTION vigilbase.lock_channel(p_channel text, p_now timestamptz)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    v_channel vigilbase.channels;
BEGIN
    INSERT INTO vigilbase.channels (channel) VALUES (p_channel) ON CONFLICT (channel) DO NOTHING;
    SELECT c.* INTO v_channel FROM vigilbase.channels AS c WHERE c.channel = p_channel FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR v_channel.disabled_at IS NOT NULL OR v_channel.paused_until > p_now THEN
        RETURN false;
    END IF;
    UPDATE vigilbase.notifications AS n
    SET status = 'cancelled', ended_at = p_now, lease_id = NULL, leased_until = NULL
    WHERE n.id = ANY (ARRAY(
        SELECT d.id FROM vigilbase.notifications AS d
        WHERE d.channel = p_channel AND d.status = 'pending' AND d.due_at <= p_now
          AND (d.leased_until IS NULL OR d.leased_until <= p_now)
          AND NOT vigilbase.is_needed(d.alert_status, d.kind, d.unless_acknowledged)
        ORDER BY d.id
        FOR UPDATE SKIP LOCKED
    ));
    RETURN true;
END;
$$;

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

-- Records the result of one batch; see vigilbase_record_results. Returns its channel, or NULL if no attempt ended, and
-- whether this was its first attempt.
CREATE OR REPLACE FUNCTION vigilbase.record_result(
    p_result jsonb, p_now timestamptz, OUT channel text, OUT is_first boolean
)
LANGUAGE plpgsql
AS $$
DECLARE
    v_result CONSTANT text := p_result ->> 'result';
    v_lease_id CONSTANT uuid := (p_result ->> 'lease_id')::uuid;
    v_ids CONSTANT bigint[] := ARRAY(SELECT jsonb_array_elements_text(coalesce(p_result -> 'ids', '[]'))::bigint);
    v_new_batch_id CONSTANT uuid := gen_random_uuid();
    v_row vigilbase.notifications;
BEGIN
    is_first := false;
    FOR v_row IN
        SELECT n.* FROM vigilbase.notifications AS n
        WHERE n.batch_id = (p_result ->> 'batch_id')::uuid
          AND (n.lease_id = v_lease_id OR (v_result = 'delivered' AND n.status = 'pending'))
          AND (v_ids = '{}' OR n.id = ANY (v_ids))
        ORDER BY n.id
        FOR UPDATE
    LOOP
        IF v_row.status <> 'pending' THEN -- another worker delivered it; end the lease
            UPDATE vigilbase.notifications AS n SET lease_id = NULL, leased_until = NULL WHERE n.id = v_row.id;
        ELSIF v_result = 'deferred' THEN
            PERFORM vigilbase.defer_notification(
                v_row, (p_result ->> 'delay_s')::double precision, p_result ->> 'suppressed_by', p_now
            );
        ELSIF v_result = 'split' THEN
            UPDATE vigilbase.notifications AS n
            SET batch_id = v_new_batch_id, attempts = least(n.attempts - 1, 1), due_at = p_now,
                lease_id = NULL, leased_until = NULL, last_error = p_result ->> 'error', suppressed_by = NULL
            WHERE n.id = v_row.id;
        ELSE
            PERFORM vigilbase.end_attempt(v_row, p_result, p_now);
            channel := v_row.channel;
            is_first := is_first OR (v_row.attempts = 1 AND v_result <> 'cancelled');
        END IF;
    END LOOP;
END;
$$;

-- Copies an alert's status to its notifications.
CREATE OR REPLACE FUNCTION vigilbase.save_alert_status(p_alert_id uuid, p_alert_status text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM vigilbase.lock_notifications(ARRAY[p_alert_id]);
    UPDATE vigilbase.notifications AS n SET alert_status = p_alert_status
    WHERE n.alert_id = p_alert_id AND n.alert_status <> p_alert_status;
END;
$$;

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

-- Deletes old notifications, lowest id first, and old timeline entries, up to p_limit of each, and returns how many and
-- before which time: {"deleted", "before"}. The first call of a pass omits p_before; later calls repeat the returned
-- one. Keeps what belongs to an open alert, and all notifications of an alert that has a pending one.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_notifications(
    p_days integer, p_limit integer, p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    v_before CONSTANT timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    -- Constants to the planner, so it looks them up by hash; a join could become quadratic with stale statistics.
    v_open CONSTANT uuid[] := ARRAY(
        SELECT a.id FROM public.alert_events AS a WHERE a.status IN ('active', 'acknowledged')
    );
    v_pending CONSTANT uuid[] := ARRAY(
        SELECT DISTINCT n.alert_id FROM vigilbase.notifications AS n WHERE n.status = 'pending'
    );
    v_notifications integer;
    v_last timestamptz;
    v_entries integer;
BEGIN
    DELETE FROM vigilbase.notifications WHERE id = ANY (ARRAY(
        SELECT n.id FROM vigilbase.notifications AS n
        WHERE n.created_at < v_before AND n.status <> 'pending' AND n.alert_status = 'resolved'
          AND NOT n.alert_id = ANY (v_open) AND NOT n.alert_id = ANY (v_pending)
        ORDER BY n.id
        LIMIT p_limit
    ));
    GET DIAGNOSTICS v_notifications = ROW_COUNT;
    -- By a range of time, since no index finds an entry by its id alone; entries of the same time go together.
    SELECT max(old.at) INTO v_last FROM (
        SELECT t.at FROM vigilbase.alert_timeline AS t WHERE t.at < v_before AND NOT t.alert_id = ANY (v_open)
        ORDER BY t.at
        LIMIT p_limit
    ) AS old;
    DELETE FROM vigilbase.alert_timeline AS t WHERE t.at <= v_last AND NOT t.alert_id = ANY (v_open);
    GET DIAGNOSTICS v_entries = ROW_COUNT;
    RETURN json_build_object('deleted', greatest(v_notifications, v_entries), 'before', v_before);
END;
$$;

-- Disables a channel, and notifies others: raises an alert with the rule "channel" and the given message. p_routes: see
-- vigilbase.enqueue_alert. Returns whether it was enabled.
CREATE OR REPLACE FUNCTION public.vigilbase_disable_channel(
    p_channel text, p_reason text, p_message text, p_routes text
)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name CONSTANT text := left('channel ' || p_channel, 100);
    v_result json;
    v_alert public.alert_events;
BEGIN
    INSERT INTO vigilbase.channels (channel) VALUES (p_channel) ON CONFLICT (channel) DO NOTHING;
    UPDATE vigilbase.channels AS c SET disabled_at = clock_timestamp(), disabled_reason = p_reason
    WHERE c.channel = p_channel AND c.disabled_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    v_result := public.vigilbase_raise_alert(
        v_name, 'service_degraded', p_message, '{"source": "notifications", "rule": "channel"}'
    );
    v_alert := vigilbase.read_alert(v_name, (v_result #>> '{alert,id}')::uuid);
    PERFORM vigilbase.add_timeline_entry(v_name, v_alert.id, 'opened');
    PERFORM vigilbase.enqueue_alert(v_alert, p_routes::jsonb, '[]');
    RETURN true;
END;
$$;

-- Cancels a notification that has failed, or that is pending and not being sent. NULL for an unknown id, else
-- {"is_discarded": whether it was one of these, "notification"}.
CREATE OR REPLACE FUNCTION public.vigilbase_discard_notification(p_id bigint, p_author text DEFAULT NULL)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_is_discarded boolean;
    v_row vigilbase.notifications;
BEGIN
    UPDATE vigilbase.notifications AS n
    SET status = 'cancelled', ended_at = v_now, lease_id = NULL, leased_until = NULL
    WHERE n.id = p_id AND (
        n.status = 'failed' OR (n.status = 'pending' AND (n.leased_until IS NULL OR n.leased_until <= v_now))
    );
    v_is_discarded := FOUND;
    SELECT n.* INTO v_row FROM vigilbase.notifications AS n WHERE n.id = p_id;
    IF v_is_discarded THEN
        PERFORM vigilbase.add_timeline_entry(
            v_row.service_name, v_row.alert_id, 'cancelled', p_author,
            p_details => jsonb_build_object('channel', v_row.channel, 'kind', v_row.kind, 'attempts', v_row.attempts)
        );
    END IF;
    RETURN CASE WHEN v_row.id IS NOT NULL THEN
        json_build_object('is_discarded', v_is_discarded, 'notification', row_to_json(v_row))
    END;
END;
$$;

-- Enables a channel, or ends the pause that it requested; what waited for it is sent. Returns whether it was disabled
-- or paused.
CREATE OR REPLACE FUNCTION public.vigilbase_enable_channel(p_channel text)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name CONSTANT text := left('channel ' || p_channel, 100);
    v_alert record;
BEGIN
    UPDATE vigilbase.channels AS c SET disabled_at = NULL, disabled_reason = NULL, paused_until = NULL
    WHERE c.channel = p_channel AND (c.disabled_at IS NOT NULL OR c.paused_until > clock_timestamp());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM vigilbase.lock_service(v_name);
    FOR v_alert IN
        UPDATE public.alert_events AS a SET status = 'resolved', resolved_at = clock_timestamp()
        WHERE a.service_name = v_name AND a.status <> 'resolved' AND a.details ->> 'rule' = 'channel'
        RETURNING a.id
    LOOP
        PERFORM vigilbase.add_timeline_entry(v_name, v_alert.id, 'resolved');
        PERFORM vigilbase.enqueue_follow_up(v_name, v_alert.id, 'resolved');
    END LOOP;
    PERFORM pg_notify('vigilbase_notifications', '');
    RETURN true;
END;
$$;

-- Enqueues the resolutions of alerts that were resolved by other means than these functions. Returns how many alerts
-- had changed; if 1,000, there may be more.
CREATE OR REPLACE FUNCTION public.vigilbase_enqueue_missing_resolutions()
RETURNS integer
LANGUAGE sql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT vigilbase.catch_up_with_alerts(ARRAY(
        SELECT min(n.id) FROM vigilbase.notifications AS n WHERE n.alert_status <> 'resolved' GROUP BY n.alert_id
    ))
$$;

-- Every channel that has a row or notifications, by name: [{"channel", "disabled_at", "disabled_reason",
-- "paused_until", "last_batch_at": the first attempt of its newest batch, "last_delivered_at", "pending": due and not
-- attempted yet, "retrying": attempted without success, with the "last_error" of the newest, "suppressed", "failed":
-- for good, and still needed}].
CREATE OR REPLACE FUNCTION public.vigilbase_list_channels()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.channel), '[]')
    FROM (
        SELECT coalesce(c.channel, o.channel) AS channel, c.disabled_at, c.disabled_reason, c.paused_until,
            c.last_batch_at, o.last_delivered_at, o.last_error, coalesce(o.pending, 0) AS pending,
            coalesce(o.retrying, 0) AS retrying, coalesce(o.suppressed, 0) AS suppressed,
            coalesce(o.failed, 0) AS failed
        FROM vigilbase.channels AS c
        FULL JOIN (
            SELECT n.channel, max(n.ended_at) FILTER (WHERE n.status = 'delivered') AS last_delivered_at,
                count(*) FILTER (WHERE n.status = 'pending' AND n.last_error IS NULL AND n.due_at <= clock_timestamp())
                    AS pending,
                count(*) FILTER (WHERE n.status = 'pending' AND n.last_error IS NOT NULL AND n.suppressed_by IS NULL)
                    AS retrying,
                (array_agg(n.last_error ORDER BY n.id DESC) FILTER (
                    WHERE n.status = 'pending' AND n.last_error IS NOT NULL AND n.suppressed_by IS NULL
                ))[1] AS last_error,
                count(*) FILTER (
                    WHERE n.status = 'pending' AND n.suppressed_by IS NOT NULL AND n.due_at > clock_timestamp()
                ) AS suppressed,
                count(*) FILTER (
                    WHERE n.status = 'failed' AND vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged)
                ) AS failed
            FROM vigilbase.notifications AS n
            GROUP BY n.channel
        ) AS o ON o.channel = c.channel
    ) AS k
$$;

-- Notifications with one of the given statuses (a JSON array), newest first, at most p_limit; of one alert, or of all.
-- Each has "is_needed", and, while pending, "waits_for" (see vigilbase.pending_notifications; "window" if its channel is collecting
-- a batch) and "next_attempt_at". p_windows: {channel: the seconds for which it collects}.
CREATE OR REPLACE FUNCTION public.vigilbase_list_notifications(
    p_statuses text, p_limit integer, p_alert_id uuid DEFAULT NULL, p_windows text DEFAULT '{}'
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(listed) ORDER BY listed.id DESC), '[]')
    FROM (
        SELECT n.*, vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged) AS is_needed,
            coalesce(c.waits_for, CASE WHEN w.ends_at > c.next_attempt_at THEN 'window' END) AS waits_for,
            greatest(c.next_attempt_at, w.ends_at) AS next_attempt_at
        FROM (
            SELECT d.* FROM vigilbase.notifications AS d
            WHERE d.status = ANY (ARRAY(SELECT json_array_elements_text(p_statuses::json)))
              AND (p_alert_id IS NULL OR d.alert_id = p_alert_id)
            ORDER BY d.id DESC
            LIMIT p_limit
        ) AS n
        LEFT JOIN vigilbase.pending_notifications AS c ON c.id = n.id
        LEFT JOIN (
            SELECT k.channel, vigilbase.window_ends_at(
                k.last_batch_at, (p_windows::json ->> k.channel)::double precision, clock_timestamp()
            ) AS ends_at
            FROM vigilbase.channels AS k
        ) AS w ON w.channel = n.channel AND c.attempts = 0
    ) AS listed
$$;

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

-- Requeues a failed notification, with all of its batch that is still needed, under the same batch_id, and records the
-- author in the timeline. NULL for an unknown id, else {"outcome", "notification"}: "requeued"; or, if nothing changed,
-- "not_failed", or "resolved" or "acknowledged" if it is no longer needed for that reason.
CREATE OR REPLACE FUNCTION public.vigilbase_retry_notification(p_id bigint, p_author text DEFAULT NULL)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_row vigilbase.notifications;
    v_batch uuid;
    v_outcome text := 'requeued';
BEGIN
    SELECT n.batch_id INTO v_batch FROM vigilbase.notifications AS n WHERE n.id = p_id;
    PERFORM vigilbase.catch_up_with_alerts(ARRAY(
        SELECT n.id FROM vigilbase.notifications AS n WHERE n.batch_id = v_batch OR n.id = p_id
    ));
    PERFORM FROM vigilbase.notifications AS n WHERE n.batch_id = v_batch OR n.id = p_id ORDER BY n.id FOR UPDATE;
    SELECT n.* INTO v_row FROM vigilbase.notifications AS n WHERE n.id = p_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF v_row.alert_status = 'resolved' AND (vigilbase.read_alert(v_row.service_name, v_row.alert_id)).id IS NULL THEN
        v_outcome := 'resolved';
    ELSIF v_row.status <> 'failed' THEN
        v_outcome := 'not_failed';
    ELSIF NOT vigilbase.is_needed(v_row.alert_status, v_row.kind, v_row.unless_acknowledged) THEN
        v_outcome := v_row.alert_status;
    ELSE
        UPDATE vigilbase.notifications AS n
        SET status = 'pending', ended_at = NULL, attempts = 1, due_at = clock_timestamp()
        WHERE n.batch_id = v_row.batch_id AND n.status = 'failed'
          AND vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged);
        PERFORM pg_notify('vigilbase_notifications', '');
        PERFORM vigilbase.add_timeline_entry(
            v_row.service_name, v_row.alert_id, 'requeued', p_author,
            p_details => jsonb_build_object('channel', v_row.channel, 'kind', v_row.kind)
        );
        SELECT n.* INTO v_row FROM vigilbase.notifications AS n WHERE n.id = p_id;
    END IF;
    RETURN json_build_object('outcome', v_outcome, 'notification', row_to_json(v_row));
END;
$$;
