-- 019_tell_what_is_withheld.sql
-- Created: 2026-11-24
--
-- Why a message has not gone out: what withholds it, that it isn't needed any more, or the state of its channel; what a
-- silence withheld goes out as soon as somebody ends it; a channel that asks for a pause gets one; and what was found
-- wrong with the functions of 017. Functions as in 013; those that are replaced answer what they did.

-- withheld_by: in words. after_s: how long its alert is to last before it is told; due_at changes with every try.
ALTER TABLE public.alert_deliveries ADD COLUMN IF NOT EXISTS withheld_by TEXT;
ALTER TABLE public.alert_deliveries ADD COLUMN IF NOT EXISTS after_s DOUBLE PRECISION;
ALTER TABLE public.delivery_channels ADD COLUMN IF NOT EXISTS paused_until TIMESTAMP WITH TIME ZONE;
CREATE INDEX IF NOT EXISTS idx_alert_deliveries_ending ON public.alert_deliveries (service_name, channel)
    WHERE status = 'pending' AND kind = 'resolved';

-- As in 017.
CREATE OR REPLACE FUNCTION public.vigilbase_owe_trigger_v1(
    p_alert_id uuid, p_service_name text, p_owed text, p_tags text
)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
BEGIN
    INSERT INTO public.alert_deliveries
        (alert_id, service_name, channel, kind, number, tags, unless_acknowledged, tells_recovery, after_s, due_at)
    SELECT p_alert_id, p_service_name, o.item ->> 'channel', 'triggered', o.place, p_tags::jsonb,
        (o.item ->> 'unless_acknowledged')::boolean, (o.item ->> 'tells_recovery')::boolean,
        (o.item ->> 'after_s')::double precision,
        clock_timestamp() + make_interval(secs => (o.item ->> 'after_s')::double precision)
    FROM json_array_elements(p_owed::json) WITH ORDINALITY AS o (item, place)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_deliveries', '');
    END IF;
END;
$$;

-- Whether a trigger was to be told before its alert was over. What is to be told at once was, whatever the clock says;
-- of rows that are older than after_s, due_at tells it.
CREATE OR REPLACE FUNCTION public.vigilbase_was_wanted_v1(
    p_created_at timestamptz, p_due_at timestamptz, p_after_s double precision, p_over timestamptz
)
RETURNS boolean
LANGUAGE sql IMMUTABLE
SET search_path = ''
AS $$
    SELECT CASE
        WHEN p_after_s IS NULL THEN p_due_at <= p_over
        WHEN p_after_s = 0 THEN true
        ELSE p_created_at + make_interval(secs => p_after_s) <= p_over
    END
$$;

-- As in 017. A trigger that is cancelled before it was told is noted in the timeline. And a resolution waits as long as
-- what has just failed would have, ten seconds at the most: that try may still arrive, and would open again what is over.
-- What was to be told later than it was over (after) is not told. An acknowledgement follows a reminder, too.
CREATE OR REPLACE FUNCTION public.vigilbase_owe_follow_up_v1(p_alert_id uuid, p_service_name text, p_kind text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_may_arrive_within CONSTANT interval := '10 seconds';
    v_over CONSTANT timestamptz := coalesce((
        SELECT a.resolved_at FROM public.alert_events AS a
        WHERE a.id = p_alert_id AND a.service_name = p_service_name
    ), v_now);
    v_row public.alert_deliveries;
BEGIN
    INSERT INTO public.alert_deliveries (alert_id, service_name, channel, kind, tags, tells_recovery, due_at)
    SELECT p_alert_id, p_service_name, d.channel, p_kind, (array_agg(d.tags))[1], true,
        greatest(v_now, least(
            coalesce(max(d.due_at) FILTER (WHERE d.status = 'pending' AND d.attempts > 0), v_now),
            v_now + v_may_arrive_within
        ))
    FROM public.alert_deliveries AS d
    WHERE d.alert_id = p_alert_id AND d.kind NOT IN ('resolved', p_kind)
    GROUP BY d.channel
    HAVING CASE p_kind
        WHEN 'resolved' THEN
            -- Of what was withheld, whoever sends it knows whether it was so to the end.
            bool_or(d.attempts > 0 OR (
                d.kind = 'triggered' AND d.status = 'pending' AND d.tells_recovery
                AND public.vigilbase_was_wanted_v1(d.created_at, d.due_at, d.after_s, v_over)
            ))
        ELSE bool_or(d.status = 'delivered' OR (d.status = 'pending' AND d.attempts > 0))
    END
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_deliveries', '');
    END IF;

    -- One that is on its way just now is left to its sender.
    FOR v_row IN
        UPDATE public.alert_deliveries AS d
        SET status = 'cancelled', ended_at = v_now
        WHERE d.alert_id = p_alert_id AND d.status = 'pending' AND d.kind <> 'resolved'
          AND (d.leased_until IS NULL OR d.leased_until <= v_now)
          AND (p_kind = 'resolved' OR d.unless_acknowledged OR d.kind = 'reminder')
        RETURNING d.*
    LOOP
        CONTINUE WHEN v_row.kind <> 'triggered'; -- nobody misses what would follow
        PERFORM public.vigilbase_note_v1(
            p_alert_id, p_service_name, 'cancelled', NULL, NULL,
            json_build_object(
                'channel', v_row.channel, 'kind', v_row.kind, 'attempts', v_row.attempts,
                'withheld_by', v_row.withheld_by,
                'reason', CASE p_kind WHEN 'resolved' THEN 'the alert is over' ELSE 'the alert is acknowledged' END
            )::text
        );
    END LOOP;
END;
$$;

-- As in 017, but: a message that was tried before is claimed whole or not at all, for it is known by its id; of what waits
-- for another that can't be claimed now, however much that is, nothing keeps the rest from being claimed; a window lets
-- out one message of each kind; an escalation is told of nothing that was over before; a service's next outage is told
-- after the end of the last one of its type (some receivers know them apart by nothing else), unless that failed three
-- times; and nothing goes to a channel that asked for a pause.
CREATE OR REPLACE FUNCTION public.vigilbase_claim_deliveries_v1(
    p_channels text, p_lease_id uuid, p_lease_s integer, p_limit integer
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_until CONSTANT timestamptz := v_now + make_interval(secs => p_lease_s);
    v_group_at_most CONSTANT integer := 1000;
    v_channel record;
    v_state public.delivery_channels;
    v_row record;
    v_ids bigint[];
    v_message uuid;
    v_groups jsonb;
    v_sizes jsonb;
    v_group_allowed boolean;
    v_count integer;
    v_claimed uuid[] := '{}';
    v_messages json;
    v_next double precision;
BEGIN
    FOR v_channel IN
        SELECT c ->> 'channel' AS name, (c ->> 'groups')::boolean AND (c ->> 'window_s')::double precision > 0 AS groups,
            make_interval(secs => (c ->> 'window_s')::double precision) AS window_length
        FROM json_array_elements(p_channels::json) AS c ORDER BY 1
    LOOP
        CONTINUE WHEN NOT EXISTS (
            SELECT FROM public.alert_deliveries AS d
            WHERE d.channel = v_channel.name AND d.status = 'pending' AND d.due_at <= v_now
              AND (d.leased_until IS NULL OR d.leased_until <= v_now)
        );
        INSERT INTO public.delivery_channels (channel) VALUES (v_channel.name) ON CONFLICT DO NOTHING;
        -- One claims at a time, so that what belongs into one message comes into one message.
        SELECT s.* INTO v_state FROM public.delivery_channels AS s
        WHERE s.channel = v_channel.name FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND OR v_state.off_since IS NOT NULL OR v_state.paused_until > v_now;

        -- What nobody needs any more: whoever resolved it, by whatever way.
        WITH needless AS (
            SELECT d.id, a.status AS alert_status, a.resolved_at
            FROM public.alert_deliveries AS d
            LEFT JOIN public.alert_events AS a ON a.id = d.alert_id AND a.service_name = d.service_name
            WHERE d.channel = v_channel.name AND d.status = 'pending' AND d.due_at <= v_now
              AND (d.leased_until IS NULL OR d.leased_until <= v_now)
              AND (a.status IS NULL OR (a.status = 'resolved' AND d.kind <> 'resolved')
                  OR (a.status = 'acknowledged' AND (d.unless_acknowledged OR d.kind = 'reminder')))
            ORDER BY d.id
            FOR UPDATE OF d SKIP LOCKED
        ), cancelled AS (
            UPDATE public.alert_deliveries AS d SET status = 'cancelled', ended_at = v_now, lease_id = NULL,
                leased_until = NULL
            FROM needless AS n WHERE d.id = n.id
            RETURNING d.*, n.alert_status, n.resolved_at
        )
        INSERT INTO public.alert_deliveries (alert_id, service_name, channel, kind, tags, tells_recovery, due_at)
        SELECT c.alert_id, c.service_name, c.channel, 'resolved', c.tags, true, v_now
        FROM cancelled AS c
        WHERE c.alert_status = 'resolved' AND c.kind = 'triggered' AND (c.attempts > 0 OR (
            c.tells_recovery
            AND public.vigilbase_was_wanted_v1(c.created_at, c.due_at, c.after_s, coalesce(c.resolved_at, v_now))
        ))
        ON CONFLICT DO NOTHING;

        v_count := 0;
        v_group_allowed := v_channel.groups AND NOT coalesce(
                v_state.last_message_at > v_now - v_channel.window_length AND v_state.last_message_at <= v_now, false
            ) AND NOT EXISTS (
                SELECT FROM public.alert_deliveries AS d
                WHERE d.channel = v_channel.name AND d.status = 'pending' AND d.leased_until > v_now
            );
        FOR v_message IN
            SELECT d.message_id FROM public.alert_deliveries AS d
            WHERE d.channel = v_channel.name AND d.status = 'pending' AND d.message_id IS NOT NULL
            GROUP BY d.message_id
            HAVING bool_and(d.due_at <= v_now AND (d.leased_until IS NULL OR d.leased_until <= v_now))
            ORDER BY min(d.id)
            LIMIT p_limit
        LOOP
            v_ids := ARRAY(
                SELECT d.id FROM public.alert_deliveries AS d
                WHERE d.message_id = v_message AND d.status = 'pending' AND d.due_at <= v_now
                  AND (d.leased_until IS NULL OR d.leased_until <= v_now)
                ORDER BY d.id
                FOR UPDATE SKIP LOCKED
            );
            CONTINUE WHEN cardinality(v_ids) < (
                SELECT count(*) FROM public.alert_deliveries AS d
                WHERE d.message_id = v_message AND d.status = 'pending'
            );
            UPDATE public.alert_deliveries AS d
            SET attempts = d.attempts + 1, lease_id = p_lease_id, leased_until = v_until
            WHERE d.id = ANY (v_ids);
            v_claimed := array_append(v_claimed, v_message);
            v_count := v_count + 1;
        END LOOP;

        v_groups := '{}';
        v_sizes := '{}';
        FOR v_row IN
            SELECT d.id, d.alert_id, d.kind
            FROM public.alert_deliveries AS d
            WHERE d.channel = v_channel.name AND d.status = 'pending' AND d.due_at <= v_now AND d.message_id IS NULL
              -- What has to wait for another that can't be claimed now; of which there may be many.
              AND NOT EXISTS (
                  SELECT FROM public.alert_deliveries AS e
                  WHERE e.alert_id = d.alert_id AND e.channel = d.channel AND e.id < d.id
                    AND (e.leased_until > v_now OR (e.status = 'pending' AND e.due_at > v_now AND e.attempts > 0))
              )
              AND NOT (d.kind = 'triggered' AND EXISTS (
                  SELECT FROM public.alert_deliveries AS e
                  JOIN public.alert_events AS ended ON ended.id = e.alert_id AND ended.service_name = e.service_name
                  JOIN public.alert_events AS began ON began.id = d.alert_id AND began.service_name = d.service_name
                  WHERE e.service_name = d.service_name AND e.channel = d.channel AND e.kind = 'resolved'
                    AND e.status = 'pending' AND e.id < d.id AND ended.alert_type = began.alert_type
                    AND (e.attempts <= 3 OR e.leased_until > v_now)
                    AND (e.withheld_by IS NULL OR e.due_at <= v_now OR e.leased_until > v_now)
              ))
            ORDER BY d.withheld_by IS NOT NULL, d.id -- of what was withheld, much may be so still
            LIMIT CASE WHEN v_channel.groups THEN 2 * v_group_at_most ELSE 2 * p_limit END
            FOR UPDATE OF d SKIP LOCKED
        LOOP
            CONTINUE WHEN v_count >= p_limit AND NOT v_groups ? v_row.kind;
            -- Of one alert to one channel, one after the other.
            CONTINUE WHEN EXISTS (
                SELECT FROM public.alert_deliveries AS e
                WHERE e.alert_id = v_row.alert_id AND e.channel = v_channel.name AND e.id < v_row.id
                  AND (e.leased_until > v_now OR (e.status = 'pending' AND (e.due_at <= v_now OR e.attempts > 0)))
            );
            v_message := gen_random_uuid();
            IF v_channel.groups THEN
                CONTINUE WHEN NOT v_group_allowed OR coalesce((v_sizes ->> v_row.kind)::integer, 0) >= v_group_at_most;
                v_groups := jsonb_build_object(v_row.kind, v_message) || v_groups;
                v_sizes := v_sizes || jsonb_build_object(v_row.kind, coalesce((v_sizes ->> v_row.kind)::integer, 0) + 1);
                v_message := (v_groups ->> v_row.kind)::uuid;
            END IF;
            IF NOT v_message = ANY (v_claimed) THEN
                v_claimed := array_append(v_claimed, v_message);
                v_count := v_count + 1;
            END IF;
            UPDATE public.alert_deliveries AS d
            SET message_id = v_message, message_at = v_now, attempts = d.attempts + 1, lease_id = p_lease_id,
                leased_until = v_until
            WHERE d.id = v_row.id;
        END LOOP;
    END LOOP;

    SELECT coalesce(json_agg(m.message ORDER BY m.first), '[]') INTO v_messages
    FROM (
        SELECT min(d.id) AS first, json_build_object(
            'message_id', d.message_id, 'channel', d.channel, 'kind', d.kind, 'at', min(d.message_at),
            'attempts', max(d.attempts),
            'deliveries', json_agg(json_build_object(
                'id', d.id, 'tags', d.tags, 'alert', row_to_json(a),
                'told', EXISTS (
                    SELECT FROM public.alert_deliveries AS t
                    WHERE t.alert_id = d.alert_id AND t.channel = d.channel AND t.kind = 'triggered' AND t.attempts > 0
                      AND t.id <> d.id
                )
            ) ORDER BY d.id)
        ) AS message
        FROM public.alert_deliveries AS d
        JOIN public.alert_events AS a ON a.id = d.alert_id AND a.service_name = d.service_name
        WHERE d.message_id = ANY (v_claimed) AND d.status = 'pending' AND d.lease_id = p_lease_id
        GROUP BY d.message_id, d.channel, d.kind
    ) AS m;

    SELECT extract(epoch FROM min(greatest(d.due_at, d.leased_until)) - clock_timestamp()) INTO v_next
    FROM public.alert_deliveries AS d
    WHERE d.status = 'pending' AND greatest(d.due_at, d.leased_until) > v_now
      AND d.channel IN (SELECT c ->> 'channel' FROM json_array_elements(p_channels::json) AS c);
    RETURN json_build_object('now', v_now, 'messages', v_messages, 'next_in_s', v_next);
END;
$$;

-- As in 017. Any outcome may be that of some deliveries of a message alone ("ids", else of all). "withheld_by" says in
-- words what withholds them; "pause_s" for how many seconds the channel wants no messages. What is put off is due in a
-- second if a silence or a maintenance window has ended since it was due, or, when that is said of it for the first time,
-- shortly before; and it keeps its message_id if it was tried before. A "dead" one has reminders, too; and who is told of
-- what is acknowledged by then is told of that. There is an outcome more:
--   "taken_apart": the deliveries "ids" were refused for what their message was; they become one of their own, untried
--   if it wasn't tried before.
CREATE OR REPLACE FUNCTION public.vigilbase_finish_deliveries_v1(p_outcomes text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_may_end_within CONSTANT interval := '1 minute'; -- what ends a silence has the time at which it began to
    v_may_arrive_within CONSTANT interval := '10 seconds'; -- as in vigilbase_owe_follow_up_v1
    v_item json;
    v_outcome text;
    v_theirs boolean;
    v_apart uuid;
    v_ids bigint[];
    v_since timestamptz;
    v_is_over boolean;
    v_row public.alert_deliveries;
    v_first text[] := '{}'; -- the channels that got the first try of a message
    v_pauses jsonb := '{}'; -- for how long each channel wants no messages
BEGIN
    IF EXISTS (SELECT FROM json_array_elements(p_outcomes::json) AS o (item) WHERE o.item ->> 'outcome' = 'put_off') THEN
        -- Who ends one meanwhile waits for us, and finds what we have put off; or we wait, and see that it has ended.
        PERFORM FROM public.silences AS s WHERE s.ends_at IS NULL OR s.ends_at > v_now ORDER BY s.id FOR SHARE;
        PERFORM FROM public.maintenance_windows AS m WHERE m.ends_at IS NULL OR m.ends_at > v_now ORDER BY m.id FOR SHARE;
    END IF;
    FOR v_item IN
        SELECT o.item FROM json_array_elements(p_outcomes::json) AS o (item) ORDER BY o.item ->> 'message_id'
    LOOP
        v_outcome := v_item ->> 'outcome';
        v_apart := gen_random_uuid();
        v_ids := ARRAY(SELECT json_array_elements_text(coalesce(v_item -> 'ids', '[]'))::bigint);
        FOR v_row IN
            SELECT d.* FROM public.alert_deliveries AS d
            WHERE d.message_id = (v_item ->> 'message_id')::uuid AND (
                d.lease_id = (v_item ->> 'lease_id')::uuid OR (v_outcome = 'delivered' AND d.status = 'pending')
            ) AND (v_ids = '{}' OR d.id = ANY (v_ids))
            ORDER BY d.id
            FOR UPDATE
        LOOP
            IF v_row.status <> 'pending' THEN -- another has delivered it; now we have stopped, too
                UPDATE public.alert_deliveries AS d SET lease_id = NULL, leased_until = NULL WHERE d.id = v_row.id;
                CONTINUE;
            END IF;
            -- Who holds the lease may be sending it once more. What follows has to wait for that.
            v_theirs := v_row.lease_id IS DISTINCT FROM (v_item ->> 'lease_id')::uuid AND v_row.leased_until > v_now;
            IF v_outcome = 'put_off' THEN
                v_since := v_row.due_at - CASE
                    WHEN v_row.withheld_by IS DISTINCT FROM (v_item ->> 'withheld_by') THEN v_may_end_within ELSE '0 s'
                END;
                UPDATE public.alert_deliveries AS d
                -- What was tried before may have arrived, so it stays what it is.
                SET message_id = CASE WHEN d.attempts > 1 THEN d.message_id END,
                    message_at = CASE WHEN d.attempts > 1 THEN d.message_at END,
                    attempts = d.attempts - 1, lease_id = NULL, leased_until = NULL,
                    due_at = v_now + make_interval(secs => CASE
                        WHEN EXISTS (
                            SELECT s.ends_at FROM public.silences AS s
                            WHERE s.ends_at > v_since AND s.ends_at <= clock_timestamp()
                            UNION ALL
                            SELECT m.ends_at FROM public.maintenance_windows AS m
                            WHERE m.ends_at > v_since AND m.ends_at <= clock_timestamp()
                        ) THEN least(1, (v_item ->> 'in_s')::double precision)
                        ELSE (v_item ->> 'in_s')::double precision
                    END),
                    withheld_by = v_item ->> 'withheld_by'
                WHERE d.id = v_row.id;
                CONTINUE;
            END IF;
            IF v_outcome = 'taken_apart' THEN
                UPDATE public.alert_deliveries AS d
                SET message_id = v_apart, attempts = least(d.attempts - 1, 1), due_at = v_now, lease_id = NULL, leased_until = NULL,
                    last_error = v_item ->> 'error', withheld_by = NULL
                WHERE d.id = v_row.id;
                CONTINUE;
            END IF;
            -- One that became over meanwhile is not tried again, and its end waits no longer than it has to.
            v_is_over := v_outcome = 'retry' AND v_row.kind <> 'resolved' AND EXISTS (
                SELECT FROM public.alert_events AS a
                WHERE a.id = v_row.alert_id AND a.service_name = v_row.service_name AND a.status = 'resolved'
            );
            UPDATE public.alert_deliveries AS d
            SET status = CASE v_outcome WHEN 'retry' THEN 'pending' ELSE v_outcome END,
                ended_at = CASE WHEN v_outcome <> 'retry' THEN v_now END,
                due_at = CASE
                    WHEN v_outcome = 'retry' THEN v_now + least(
                        make_interval(secs => (v_item ->> 'in_s')::double precision),
                        CASE WHEN v_is_over THEN v_may_arrive_within END
                    )
                    ELSE d.due_at
                END,
                answer = coalesce(v_item ->> 'answer', d.answer), last_error = coalesce(v_item ->> 'error', d.last_error),
                lease_id = CASE WHEN v_theirs THEN d.lease_id END,
                leased_until = CASE WHEN v_theirs THEN d.leased_until END,
                withheld_by = CASE
                    WHEN v_outcome <> 'retry' THEN coalesce(v_item ->> 'withheld_by', d.withheld_by)
                END
            WHERE d.id = v_row.id;
            PERFORM public.vigilbase_note_v1(
                v_row.alert_id, v_row.service_name,
                CASE v_outcome WHEN 'retry' THEN 'failed' WHEN 'dead' THEN 'gave_up' ELSE v_outcome END, NULL, NULL,
                json_build_object(
                    'channel', v_row.channel, 'kind', v_row.kind, 'attempts', v_row.attempts,
                    'answer', v_item ->> 'answer', 'error', v_item ->> 'error', 'message_id', v_row.message_id,
                    'withheld_by', coalesce(v_item ->> 'withheld_by', v_row.withheld_by)
                )::text
            );
            IF v_row.attempts = 1 AND v_outcome <> 'cancelled' AND NOT v_row.channel = ANY (v_first) THEN
                v_first := array_append(v_first, v_row.channel::text);
            END IF;
            IF v_item ->> 'pause_s' IS NOT NULL THEN
                v_pauses := v_pauses || jsonb_build_object(v_row.channel, greatest(
                    (v_pauses ->> v_row.channel)::double precision, (v_item ->> 'pause_s')::double precision
                ));
            END IF;
            CONTINUE WHEN v_row.kind NOT IN ('triggered', 'reminder');
            IF v_outcome = 'delivered' THEN
                INSERT INTO public.alert_deliveries (alert_id, service_name, channel, kind, tags, tells_recovery, due_at)
                SELECT a.id, a.service_name, v_row.channel, 'acknowledged', v_row.tags, true, v_now
                FROM public.alert_events AS a
                WHERE a.id = v_row.alert_id AND a.service_name = v_row.service_name AND a.status = 'acknowledged'
                ON CONFLICT DO NOTHING;
            END IF;
            IF v_outcome IN ('delivered', 'dead') AND v_item ->> 'remind_in_s' IS NOT NULL THEN
                INSERT INTO public.alert_deliveries
                    (alert_id, service_name, channel, kind, number, tags, tells_recovery, due_at)
                SELECT a.id, a.service_name, v_row.channel, 'reminder', 1 + coalesce((
                        SELECT max(r.number) FROM public.alert_deliveries AS r
                        WHERE r.alert_id = a.id AND r.channel = v_row.channel AND r.kind = 'reminder'
                    ), 0), v_row.tags, v_row.tells_recovery,
                    v_now + make_interval(secs => (v_item ->> 'remind_in_s')::double precision)
                FROM public.alert_events AS a
                WHERE a.id = v_row.alert_id AND a.service_name = v_row.service_name AND a.status = 'active'
                  AND NOT EXISTS (
                      SELECT FROM public.alert_deliveries AS r
                      WHERE r.alert_id = a.id AND r.channel = v_row.channel AND r.kind = 'reminder'
                        AND r.status = 'pending' AND r.id <> v_row.id
                  )
                ON CONFLICT DO NOTHING;
            END IF;
        END LOOP;
    END LOOP;
    -- Last, and in one order, since others write of the same channels.
    PERFORM FROM public.delivery_channels AS s WHERE s.channel = ANY (v_first) OR v_pauses ? s.channel
    ORDER BY s.channel FOR UPDATE;
    UPDATE public.delivery_channels AS s
    SET last_message_at = CASE WHEN s.channel = ANY (v_first) THEN v_now ELSE s.last_message_at END,
        paused_until = greatest(
            s.paused_until, v_now + make_interval(secs => (v_pauses ->> s.channel)::double precision)
        )
    WHERE s.channel = ANY (v_first) OR v_pauses ? s.channel;
END;
$$;

-- As in 017; and ends the pause that a channel asked for. Answers whether it was off, or paused.
CREATE OR REPLACE FUNCTION public.vigilbase_switch_channel_on_v1(p_channel text)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_name CONSTANT text := left('channel ' || p_channel, 100);
    v_alert public.alert_events;
BEGIN
    UPDATE public.delivery_channels AS s SET off_since = NULL, off_reason = NULL, paused_until = NULL
    WHERE s.channel = p_channel AND (s.off_since IS NOT NULL OR s.paused_until > clock_timestamp());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM public.vigilbase_lock_service_v1(v_name);
    FOR v_alert IN
        UPDATE public.alert_events AS a SET status = 'resolved', resolved_at = clock_timestamp()
        WHERE a.service_name = v_name AND a.status <> 'resolved' AND a.details ->> 'rule' = 'channel'
        RETURNING a.*
    LOOP
        PERFORM public.vigilbase_note_v1(v_alert.id, v_name, 'resolved', NULL, NULL, NULL);
        PERFORM public.vigilbase_owe_follow_up_v1(v_alert.id, v_name, 'resolved');
    END LOOP;
    PERFORM pg_notify('vigilbase_deliveries', '');
    RETURN true;
END;
$$;

-- What is withheld is looked at again at once: what withheld some of it may be over.
CREATE OR REPLACE FUNCTION public.vigilbase_reconsider_withheld_v1()
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
BEGIN
    -- What somebody else changes just now is looked at again by him.
    UPDATE public.alert_deliveries AS d SET due_at = v_now
    WHERE d.id IN (
        SELECT e.id FROM public.alert_deliveries AS e
        WHERE e.status = 'pending' AND e.withheld_by IS NOT NULL AND e.due_at > v_now
        ORDER BY e.id
        FOR UPDATE SKIP LOCKED
    );
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_deliveries', '');
    END IF;
END;
$$;

-- As in 018; what it withheld goes out.
CREATE OR REPLACE FUNCTION public.vigilbase_end_silence_v1(p_id uuid)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_ended boolean;
    v_silence public.silences;
BEGIN
    UPDATE public.silences AS s SET ends_at = greatest(v_now, s.starts_at)
    WHERE s.id = p_id AND (s.ends_at IS NULL OR s.ends_at > greatest(v_now, s.starts_at));
    v_ended := FOUND;
    IF v_ended THEN
        PERFORM public.vigilbase_reconsider_withheld_v1();
    END IF;
    SELECT s.* INTO v_silence FROM public.silences AS s WHERE s.id = p_id;
    RETURN CASE WHEN FOUND THEN json_build_object('ended', v_ended, 'silence', row_to_json(v_silence)) END;
END;
$$;

-- As in 018; what it withheld goes out.
CREATE OR REPLACE FUNCTION public.vigilbase_end_maintenance_v1(p_id uuid)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_ended boolean;
    v_maintenance public.maintenance_windows;
BEGIN
    UPDATE public.maintenance_windows AS m SET ends_at = greatest(v_now, m.starts_at)
    WHERE m.id = p_id AND (m.ends_at IS NULL OR m.ends_at > greatest(v_now, m.starts_at));
    v_ended := FOUND;
    IF v_ended THEN
        PERFORM public.vigilbase_reconsider_withheld_v1();
    END IF;
    SELECT m.* INTO v_maintenance FROM public.maintenance_windows AS m WHERE m.id = p_id;
    RETURN CASE WHEN FOUND THEN json_build_object('ended', v_ended, 'maintenance', row_to_json(v_maintenance)) END;
END;
$$;

-- As in 013; an alert whose end is still owed to somebody, was given up, or will be owed, stays until it is told or
-- forgotten.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_alerts_v1(
    p_days integer, p_limit integer, p_keep_open boolean DEFAULT false, p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    v_count integer;
BEGIN
    DELETE FROM public.alert_events WHERE id IN (
        SELECT a.id FROM public.alert_events AS a
        WHERE a.created_at < v_before AND (NOT p_keep_open OR a.status = 'resolved') AND NOT (
            p_keep_open AND EXISTS (
                SELECT FROM public.alert_deliveries AS d
                WHERE d.alert_id = a.id AND (
                    (d.kind = 'resolved' AND d.status IN ('pending', 'dead'))
                    OR (d.kind = 'triggered' AND (d.attempts > 0 OR d.status = 'pending') AND NOT EXISTS (
                        SELECT FROM public.alert_deliveries AS r
                        WHERE r.alert_id = d.alert_id AND r.channel = d.channel AND r.kind = 'resolved'
                    ))
                )
            )
        )
        LIMIT p_limit
    );
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN json_build_object('deleted', v_count, 'before', v_before);
END;
$$;

-- As in 017, in the order in which they were owed: a resolution that went before its trigger would be owed again. And as
-- long as something of an alert is owed, nothing of it is forgotten.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_deliveries_v1(
    p_days integer, p_limit integer, p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    v_deliveries integer;
    v_entries integer;
BEGIN
    DELETE FROM public.alert_deliveries WHERE id IN (
        SELECT d.id FROM public.alert_deliveries AS d
        WHERE d.created_at < v_before AND d.status <> 'pending' AND NOT EXISTS (
            SELECT FROM public.alert_events AS a
            WHERE a.id = d.alert_id AND a.service_name = d.service_name AND a.status <> 'resolved'
        ) AND NOT EXISTS (
            SELECT FROM public.alert_deliveries AS e WHERE e.alert_id = d.alert_id AND e.status = 'pending'
        )
        ORDER BY d.id
        LIMIT p_limit
    );
    GET DIAGNOSTICS v_deliveries = ROW_COUNT;
    DELETE FROM public.alert_timeline WHERE id IN (
        SELECT t.id FROM public.alert_timeline AS t
        WHERE t.at < v_before AND NOT EXISTS (
            SELECT FROM public.alert_events AS a
            WHERE a.id = t.alert_id AND a.service_name = t.service_name AND a.status <> 'resolved'
        )
        LIMIT p_limit
    );
    GET DIAGNOSTICS v_entries = ROW_COUNT;
    RETURN json_build_object('deleted', greatest(v_deliveries, v_entries), 'before', v_before);
END;
$$;

-- Every channel that something is known of, by name: [{"channel", "off_since", "off_reason", "paused_until": as it asked,
-- "last_message_at": when one was last tried for the first time, "last_delivered_at", "waiting": messages that are due and
-- weren't tried yet, "failing": that were, in vain, with the "last_error" of the newest, "withheld", "given_up": of which
-- somebody still needs}].
CREATE OR REPLACE FUNCTION public.vigilbase_list_channels_v2()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT coalesce(json_agg(row_to_json(c) ORDER BY c.channel), '[]')
    FROM (
        SELECT coalesce(s.channel, o.channel) AS channel, s.off_since, s.off_reason, s.paused_until, s.last_message_at,
            o.last_delivered_at, o.last_error, coalesce(o.waiting, 0) AS waiting, coalesce(o.failing, 0) AS failing,
            coalesce(o.withheld, 0) AS withheld, coalesce(o.given_up, 0) AS given_up
        FROM public.delivery_channels AS s
        FULL JOIN (
            SELECT d.channel, max(d.ended_at) FILTER (WHERE d.status = 'delivered') AS last_delivered_at,
                count(*) FILTER (WHERE d.status = 'pending' AND d.last_error IS NULL AND d.due_at <= clock_timestamp())
                    AS waiting,
                count(*) FILTER (WHERE d.status = 'pending' AND d.last_error IS NOT NULL AND d.withheld_by IS NULL)
                    AS failing,
                (array_agg(d.last_error ORDER BY d.id DESC) FILTER (
                    WHERE d.status = 'pending' AND d.last_error IS NOT NULL AND d.withheld_by IS NULL
                ))[1] AS last_error,
                count(*) FILTER (
                    WHERE d.status = 'pending' AND d.withheld_by IS NOT NULL AND d.due_at > clock_timestamp()
                ) AS withheld,
                count(*) FILTER (
                    WHERE d.status = 'dead' AND (d.kind = 'resolved' OR EXISTS (
                        SELECT FROM public.alert_events AS a
                        WHERE a.id = d.alert_id AND a.service_name = d.service_name AND a.status <> 'resolved'
                    ))
                ) AS given_up
            FROM public.alert_deliveries AS d
            GROUP BY d.channel
        ) AS o ON o.channel = s.channel
    ) AS c
$$;

-- Tries a dead delivery again, with all else of its message that is still needed, under the same id; the timeline says
-- who wanted it. NULL for an unknown number, else {"outcome", "delivery"}: "retried"; or, and then nothing has changed,
-- "not_dead", or "over" or "acknowledged", where for that reason nobody needs it any more.
CREATE OR REPLACE FUNCTION public.vigilbase_retry_delivery_v2(p_id bigint, p_author text DEFAULT NULL)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_row public.alert_deliveries;
    v_alert_status text;
    v_outcome text;
BEGIN
    SELECT d.* INTO v_row FROM public.alert_deliveries AS d WHERE d.id = p_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT a.status INTO v_alert_status FROM public.alert_events AS a
    WHERE a.id = v_row.alert_id AND a.service_name = v_row.service_name;
    v_outcome := CASE
        WHEN v_row.status <> 'dead' THEN 'not_dead'
        WHEN v_alert_status IS NULL OR (v_alert_status = 'resolved' AND v_row.kind <> 'resolved') THEN 'over'
        WHEN v_alert_status = 'acknowledged' AND (v_row.unless_acknowledged OR v_row.kind = 'reminder')
        THEN 'acknowledged'
        ELSE 'retried'
    END;
    IF v_outcome = 'retried' THEN
        UPDATE public.alert_deliveries AS d
        SET status = 'pending', ended_at = NULL, attempts = 1, due_at = clock_timestamp()
        FROM public.alert_events AS a
        WHERE a.id = d.alert_id AND a.service_name = d.service_name
          AND d.status = 'dead' AND d.message_id = v_row.message_id
          AND (d.kind = 'resolved' OR a.status <> 'resolved')
          AND NOT (a.status = 'acknowledged' AND (d.unless_acknowledged OR d.kind = 'reminder'));
        PERFORM pg_notify('vigilbase_deliveries', '');
        PERFORM public.vigilbase_note_v1(
            v_row.alert_id, v_row.service_name, 'commented', p_author, NULL,
            json_build_object('channel', v_row.channel, 'kind', v_row.kind, 'reason', 'to be tried again')::text
        );
        SELECT d.* INTO v_row FROM public.alert_deliveries AS d WHERE d.id = p_id;
    END IF;
    RETURN json_build_object('outcome', v_outcome, 'delivery', row_to_json(v_row));
END;
$$;

-- Gives a delivery up that is dead, or pending and not being sent just now: nobody needs it any more. NULL for an unknown
-- number, else {"cancelled": whether it was one of these, "delivery"}.
CREATE OR REPLACE FUNCTION public.vigilbase_cancel_delivery_v1(p_id bigint, p_author text DEFAULT NULL)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_cancelled boolean;
    v_row public.alert_deliveries;
BEGIN
    UPDATE public.alert_deliveries AS d SET status = 'cancelled', ended_at = v_now, lease_id = NULL, leased_until = NULL
    WHERE d.id = p_id AND (
        d.status = 'dead' OR d.status = 'pending' AND (d.leased_until IS NULL OR d.leased_until <= v_now)
    );
    v_cancelled := FOUND;
    SELECT d.* INTO v_row FROM public.alert_deliveries AS d WHERE d.id = p_id;
    IF v_cancelled THEN
        PERFORM public.vigilbase_note_v1(
            v_row.alert_id, v_row.service_name, 'cancelled', p_author, NULL,
            json_build_object('channel', v_row.channel, 'kind', v_row.kind, 'attempts', v_row.attempts)::text
        );
    END IF;
    RETURN CASE WHEN v_row.id IS NOT NULL THEN
        json_build_object('cancelled', v_cancelled, 'delivery', row_to_json(v_row))
    END;
END;
$$;

-- Privileges, as in 013.
DO $$
DECLARE
    v_functions CONSTANT text := 'public.vigilbase_was_wanted_v1(timestamptz, timestamptz, double precision, timestamptz),
        public.vigilbase_reconsider_withheld_v1(),
        public.vigilbase_list_channels_v2(),
        public.vigilbase_retry_delivery_v2(bigint, text),
        public.vigilbase_cancel_delivery_v1(bigint, text)';
    v_role text;
BEGIN
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_functions);
    FOREACH v_role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', v_functions, v_role);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', v_functions);
    END IF;
END;
$$;
