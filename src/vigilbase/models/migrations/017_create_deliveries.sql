-- 017_create_deliveries.sql
-- Created: 2026-11-24
--
-- Who is owed which message, written in the transaction that opened, acknowledged or resolved an alert; how messages
-- are claimed and how they ended; and a timeline of every alert. Functions as in 013.
--
-- A delivery is one row a message owed. The first time it is claimed it gets a message_id, which is the deduplication
-- key of every try; deliveries with one message_id are one message. Channels are known by name alone: where they lead
-- is in vigilbase.yaml. These are small tables that coordinate; they stay undistributed where there is Citus.

CREATE TABLE IF NOT EXISTS public.alert_deliveries (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id UUID NOT NULL,
    service_name VARCHAR(100) NOT NULL,
    channel VARCHAR(50) NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('triggered', 'acknowledged', 'resolved', 'reminder')),
    number INTEGER NOT NULL DEFAULT 0,
    tags JSONB NOT NULL DEFAULT '[]',
    unless_acknowledged BOOLEAN NOT NULL DEFAULT false,
    tells_recovery BOOLEAN NOT NULL DEFAULT true,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'dead', 'cancelled')),
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    message_id UUID,
    message_at TIMESTAMP WITH TIME ZONE,
    lease_id UUID,
    leased_until TIMESTAMP WITH TIME ZONE,
    answer TEXT,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    ended_at TIMESTAMP WITH TIME ZONE,
    CHECK ((status = 'pending') = (ended_at IS NULL)),
    UNIQUE (alert_id, channel, kind, number)
);
CREATE INDEX IF NOT EXISTS idx_alert_deliveries_due ON public.alert_deliveries (channel, due_at)
    WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS idx_alert_deliveries_message ON public.alert_deliveries (message_id)
    WHERE message_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_alert_deliveries_created_at ON public.alert_deliveries (created_at);

-- What is remembered of a channel: that it was switched off and why, and when a message last went out.
CREATE TABLE IF NOT EXISTS public.delivery_channels (
    channel VARCHAR(50) PRIMARY KEY,
    last_message_at TIMESTAMP WITH TIME ZONE,
    off_since TIMESTAMP WITH TIME ZONE,
    off_reason TEXT,
    CHECK ((off_since IS NULL) = (off_reason IS NULL))
);

-- What happened to an alert, in order. Nothing in it is ever changed.
CREATE TABLE IF NOT EXISTS public.alert_timeline (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id UUID NOT NULL,
    service_name VARCHAR(100) NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    event TEXT NOT NULL CHECK (event IN (
        'opened', 'taken_over', 'acknowledged', 'resolved', 'delivered', 'failed', 'gave_up', 'cancelled',
        'commented'
    )),
    author TEXT,
    comment TEXT,
    details JSONB
);
CREATE INDEX IF NOT EXISTS idx_alert_timeline_alert ON public.alert_timeline (alert_id, id);
CREATE INDEX IF NOT EXISTS idx_alert_timeline_at ON public.alert_timeline (at);

ALTER TABLE public.alert_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.delivery_channels ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.alert_timeline ENABLE ROW LEVEL SECURITY;

-- Adds an entry to an alert's timeline. p_details: a JSON object, or null.
CREATE OR REPLACE FUNCTION public.vigilbase_note_v1(
    p_alert_id uuid, p_service_name text, p_event text, p_author text, p_comment text, p_details text
)
RETURNS void
LANGUAGE sql
SET search_path = '' SET timezone = 'UTC'
AS $$
    INSERT INTO public.alert_timeline (alert_id, service_name, event, author, comment, details)
    VALUES (p_alert_id, p_service_name, p_event, p_author, p_comment, p_details::jsonb)
$$;

-- Owes the messages about an alert that has just been opened. p_owed: a JSON array of {"channel", "after_s",
-- "unless_acknowledged", "tells_recovery"}; p_tags: a JSON array of texts. Owing it again changes nothing.
CREATE OR REPLACE FUNCTION public.vigilbase_owe_trigger_v1(
    p_alert_id uuid, p_service_name text, p_owed text, p_tags text
)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
BEGIN
    INSERT INTO public.alert_deliveries
        (alert_id, service_name, channel, kind, number, tags, unless_acknowledged, tells_recovery, due_at)
    SELECT p_alert_id, p_service_name, o.item ->> 'channel', 'triggered', o.place, p_tags::jsonb,
        (o.item ->> 'unless_acknowledged')::boolean, (o.item ->> 'tells_recovery')::boolean,
        clock_timestamp() + make_interval(secs => (o.item ->> 'after_s')::double precision)
    FROM json_array_elements(p_owed::json) WITH ORDINALITY AS o (item, place)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_deliveries', '');
    END IF;
END;
$$;

-- Owes what follows on an alert, to the channels that were told of it: p_kind 'acknowledged' or 'resolved'.
-- A resolution takes the place of what has not gone out yet: a trigger that was due and was never tried is told by its
-- resolution alone, where recoveries are told at all; one that was tried may have arrived, so its resolution follows.
CREATE OR REPLACE FUNCTION public.vigilbase_owe_follow_up_v1(p_alert_id uuid, p_service_name text, p_kind text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
BEGIN
    INSERT INTO public.alert_deliveries (alert_id, service_name, channel, kind, tags, tells_recovery, due_at)
    SELECT p_alert_id, p_service_name, d.channel, p_kind, (array_agg(d.tags))[1], true, v_now
    FROM public.alert_deliveries AS d
    WHERE d.alert_id = p_alert_id AND d.kind = 'triggered'
    GROUP BY d.channel
    HAVING CASE p_kind
        WHEN 'resolved' THEN
            bool_or(d.attempts > 0 OR (d.status = 'pending' AND d.due_at <= v_now AND d.tells_recovery))
        ELSE bool_or(d.status = 'delivered' OR (d.status = 'pending' AND d.attempts > 0))
    END
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_deliveries', '');
    END IF;

    -- One that is on its way just now is left to its sender.
    UPDATE public.alert_deliveries AS d
    SET status = 'cancelled', ended_at = v_now
    WHERE d.alert_id = p_alert_id AND d.status = 'pending' AND d.kind <> 'resolved'
      AND (d.leased_until IS NULL OR d.leased_until <= v_now)
      AND (p_kind = 'resolved' OR d.unless_acknowledged OR d.kind = 'reminder');
END;
$$;

-- As vigilbase_apply_transition_v1, and owes the messages: p_transition has "owed" and "tags" besides, as
-- vigilbase_owe_trigger_v1 takes them. What happens is noted in the timelines of the alerts.
CREATE OR REPLACE FUNCTION public.vigilbase_apply_transition_v2(p_transition text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_transition CONSTANT jsonb := p_transition::jsonb;
    v_name CONSTANT text := v_transition ->> 'service_name';
    v_before uuid[];
    v_answer json;
    v_reason jsonb;
    v_alert uuid;
BEGIN
    PERFORM public.vigilbase_lock_service_v1(v_name);
    v_before := ARRAY(
        SELECT a.id FROM public.alert_events AS a WHERE a.service_name = v_name AND a.status <> 'resolved'
    );
    v_answer := public.vigilbase_apply_transition_v1(p_transition);

    FOR v_alert IN
        SELECT a.id FROM public.alert_events AS a
        WHERE a.service_name = v_name AND a.id = ANY (v_before) AND a.status = 'resolved'
    LOOP
        v_reason := coalesce(nullif(v_transition -> 'recovery', 'null'), v_transition -> 'opening') #> '{details,reason}';
        PERFORM public.vigilbase_note_v1(
            v_alert, v_name, 'resolved', NULL, NULL, jsonb_build_object('reason', v_reason)::text
        );
        -- A message about it is to say what became of the service.
        UPDATE public.alert_events AS a
        SET details = a.details || jsonb_build_object(
            'recovered_to', v_answer #> '{recovery,details,recovered_to}',
            'recovered_at', v_answer #> '{recovery,details,recovered_at}'
        )
        WHERE a.service_name = v_name AND a.id = v_alert AND jsonb_typeof(a.details) = 'object'
          AND v_answer #> '{recovery,details,recovered_to}' IS NOT NULL;
        PERFORM public.vigilbase_owe_follow_up_v1(v_alert, v_name, 'resolved');
    END LOOP;

    v_alert := (v_answer #>> '{opened,id}')::uuid;
    IF v_alert IS NOT NULL THEN
        PERFORM public.vigilbase_note_v1(
            v_alert, v_name, CASE WHEN v_alert = ANY (v_before) THEN 'taken_over' ELSE 'opened' END, NULL, NULL,
            jsonb_build_object('reason', v_transition #> '{opening,details,reason}')::text
        );
        PERFORM public.vigilbase_owe_trigger_v1(
            v_alert, v_name, coalesce(v_transition ->> 'owed', '[]'), coalesce(v_transition ->> 'tags', '[]')
        );
    END IF;
    RETURN v_answer;
END;
$$;

-- As vigilbase_record_v2, with vigilbase_apply_transition_v2.
CREATE OR REPLACE FUNCTION public.vigilbase_record_v3(p_checks text, p_transitions text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_answer CONSTANT json := public.vigilbase_record_v2(p_checks, '[]');
    v_transition json;
    v_answers json[] := '{}';
BEGIN
    IF (v_answer ->> 'written')::integer > 0 OR json_array_length(p_checks::json) = 0 THEN
        FOR v_transition IN
            SELECT t.item FROM json_array_elements(p_transitions::json) WITH ORDINALITY AS t (item, place)
            ORDER BY (t.item ->> 'service_name') COLLATE "C", t.place
        LOOP
            v_answers := array_append(v_answers, public.vigilbase_apply_transition_v2(v_transition::text));
        END LOOP;
    END IF;
    RETURN json_build_object(
        'now', clock_timestamp(), 'written', v_answer -> 'written', 'transitions', array_to_json(v_answers)
    );
END;
$$;

-- Claims due messages for a while: of each channel of p_channels, a JSON array of {"channel", "groups", "window_s"}, at
-- most p_limit. A channel that groups makes one message of all that is due of one kind, but none within window_s
-- seconds of its last one. Who claims holds the lease p_lease_id for p_lease_s seconds; after that anybody may claim it
-- again, under the same message_id. Answers {"now", "messages": [{"message_id", "channel", "kind", "at", "attempts",
-- "deliveries": [{"id", "tags", "told", "alert"}]}], "next_in_s": until something is due, or null}; "told" says
-- whether the channel may have heard of the alert before.
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
    v_message uuid;
    v_group uuid;
    v_group_kind text;
    v_group_size integer;
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
        CONTINUE WHEN NOT FOUND OR v_state.off_since IS NOT NULL;

        v_count := 0;
        v_group := NULL;
        v_group_kind := NULL;
        v_group_size := 0;
        v_group_allowed := v_channel.groups AND NOT coalesce(v_state.last_message_at > v_now - v_channel.window_length, false)
            AND NOT EXISTS (
                SELECT FROM public.alert_deliveries AS d
                WHERE d.channel = v_channel.name AND d.status = 'pending' AND d.leased_until > v_now
            );
        FOR v_row IN
            SELECT d.id, d.alert_id, d.service_name, d.kind, d.attempts, d.message_id, d.tags, d.unless_acknowledged,
                d.tells_recovery, a.status AS alert_status
            FROM public.alert_deliveries AS d
            LEFT JOIN public.alert_events AS a ON a.id = d.alert_id AND a.service_name = d.service_name
            WHERE d.channel = v_channel.name AND d.status = 'pending' AND d.due_at <= v_now
              AND (d.leased_until IS NULL OR d.leased_until <= v_now)
            ORDER BY d.message_id IS NULL, d.id
            LIMIT CASE WHEN v_channel.groups THEN 2 * v_group_at_most ELSE 2 * p_limit END
            FOR UPDATE OF d SKIP LOCKED
        LOOP
            -- What nobody needs any more: whoever resolved it, by whatever way.
            IF v_row.alert_status IS NULL OR (v_row.alert_status = 'resolved' AND v_row.kind <> 'resolved')
                OR (v_row.alert_status = 'acknowledged' AND (v_row.unless_acknowledged OR v_row.kind = 'reminder'))
            THEN
                UPDATE public.alert_deliveries AS d SET status = 'cancelled', ended_at = v_now, lease_id = NULL,
                    leased_until = NULL
                WHERE d.id = v_row.id;
                IF v_row.alert_status = 'resolved' AND v_row.kind = 'triggered'
                    AND (v_row.tells_recovery OR v_row.attempts > 0)
                THEN
                    INSERT INTO public.alert_deliveries
                        (alert_id, service_name, channel, kind, tags, tells_recovery, due_at)
                    VALUES (v_row.alert_id, v_row.service_name, v_channel.name, 'resolved', v_row.tags, true, v_now)
                    ON CONFLICT DO NOTHING;
                END IF;
                CONTINUE;
            END IF;
            CONTINUE WHEN v_count >= p_limit AND v_group IS NULL
                AND NOT coalesce(v_row.message_id = ANY (v_claimed), false);

            v_message := v_row.message_id;
            IF v_message IS NULL THEN
                -- Of one alert to one channel, one after the other.
                CONTINUE WHEN EXISTS (
                    SELECT FROM public.alert_deliveries AS e
                    WHERE e.alert_id = v_row.alert_id AND e.channel = v_channel.name AND e.id < v_row.id
                      AND (e.leased_until > v_now
                          OR (e.status = 'pending' AND (e.due_at <= v_now OR e.attempts > 0)))
                );
                IF v_channel.groups THEN
                    CONTINUE WHEN NOT v_group_allowed OR v_group_kind <> v_row.kind OR v_group_size >= v_group_at_most;
                    v_group := coalesce(v_group, gen_random_uuid());
                    v_group_kind := v_row.kind;
                    v_group_size := v_group_size + 1;
                    v_message := v_group;
                ELSE
                    v_message := gen_random_uuid();
                END IF;
            END IF;
            IF NOT v_message = ANY (v_claimed) THEN
                v_claimed := array_append(v_claimed, v_message);
                v_count := v_count + 1;
            END IF;
            UPDATE public.alert_deliveries AS d
            SET message_id = v_message, message_at = coalesce(d.message_at, v_now), attempts = d.attempts + 1,
                lease_id = p_lease_id, leased_until = v_until
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

-- Records how messages ended. p_outcomes: a JSON array of {"message_id", "lease_id", "outcome", "answer", "error",
-- "in_s", "remind_in_s", "ids"} where outcome is
--   "delivered": it was taken, whoever holds the lease by now; with "remind_in_s", reminders of open alerts are owed;
--   "retry": to be tried again in "in_s" seconds;
--   "dead": given up;
--   "put_off": the deliveries "ids" were left out of the message before its first try, and are due in "in_s" seconds;
--   "cancelled": the deliveries "ids" were left out of it for good.
-- All but "delivered" count only for who holds the lease.
CREATE OR REPLACE FUNCTION public.vigilbase_finish_deliveries_v1(p_outcomes text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_item json;
    v_outcome text;
    v_theirs boolean;
    v_row public.alert_deliveries;
BEGIN
    FOR v_item IN
        SELECT o.item FROM json_array_elements(p_outcomes::json) AS o (item) ORDER BY o.item ->> 'message_id'
    LOOP
        v_outcome := v_item ->> 'outcome';
        FOR v_row IN
            SELECT d.* FROM public.alert_deliveries AS d
            WHERE d.message_id = (v_item ->> 'message_id')::uuid AND (
                d.lease_id = (v_item ->> 'lease_id')::uuid OR (v_outcome = 'delivered' AND d.status = 'pending')
            ) AND (
                v_outcome NOT IN ('put_off', 'cancelled')
                OR d.id IN (SELECT json_array_elements_text(v_item -> 'ids')::bigint)
            )
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
                UPDATE public.alert_deliveries AS d
                SET message_id = NULL, message_at = NULL, attempts = 0, lease_id = NULL, leased_until = NULL,
                    due_at = v_now + make_interval(secs => (v_item ->> 'in_s')::double precision)
                WHERE d.id = v_row.id;
                CONTINUE;
            END IF;
            UPDATE public.alert_deliveries AS d
            SET status = CASE v_outcome WHEN 'retry' THEN 'pending' ELSE v_outcome END,
                ended_at = CASE WHEN v_outcome <> 'retry' THEN v_now END,
                due_at = CASE
                    WHEN v_outcome = 'retry' THEN v_now + make_interval(secs => (v_item ->> 'in_s')::double precision)
                    ELSE d.due_at
                END,
                answer = coalesce(v_item ->> 'answer', d.answer), last_error = coalesce(v_item ->> 'error', d.last_error),
                lease_id = CASE WHEN v_theirs THEN d.lease_id END,
                leased_until = CASE WHEN v_theirs THEN d.leased_until END
            WHERE d.id = v_row.id;
            PERFORM public.vigilbase_note_v1(
                v_row.alert_id, v_row.service_name,
                CASE v_outcome WHEN 'retry' THEN 'failed' WHEN 'dead' THEN 'gave_up' ELSE v_outcome END, NULL, NULL,
                json_build_object(
                    'channel', v_row.channel, 'kind', v_row.kind, 'attempts', v_row.attempts,
                    'answer', v_item ->> 'answer', 'error', v_item ->> 'error', 'message_id', v_row.message_id
                )::text
            );
            IF v_outcome = 'delivered' AND v_row.kind IN ('triggered', 'reminder')
                AND v_item ->> 'remind_in_s' IS NOT NULL
            THEN
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
        IF FOUND AND v_outcome IN ('delivered', 'retry', 'dead') THEN
            UPDATE public.delivery_channels AS s SET last_message_at = v_now WHERE s.channel = v_row.channel;
        END IF;
    END LOOP;
END;
$$;

-- Owes the resolutions of alerts that were resolved by other ways than these functions. Answers how many.
CREATE OR REPLACE FUNCTION public.vigilbase_owe_missing_v1()
RETURNS integer
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_count integer := 0;
    v_row record;
BEGIN
    FOR v_row IN
        SELECT DISTINCT d.alert_id, d.service_name
        FROM public.alert_deliveries AS d
        JOIN public.alert_events AS a ON a.id = d.alert_id AND a.service_name = d.service_name
        WHERE d.kind = 'triggered' AND d.attempts > 0 AND a.status = 'resolved' AND NOT EXISTS (
            SELECT FROM public.alert_deliveries AS r
            WHERE r.alert_id = d.alert_id AND r.channel = d.channel AND r.kind = 'resolved'
        )
    LOOP
        PERFORM public.vigilbase_owe_follow_up_v1(v_row.alert_id, v_row.service_name, 'resolved');
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END;
$$;

-- Switches a channel off, and says so through others, as an alert with the rule "channel"; p_owed as in
-- vigilbase_owe_trigger_v1. Answers whether it was on.
CREATE OR REPLACE FUNCTION public.vigilbase_switch_channel_off_v1(p_channel text, p_reason text, p_owed text)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_name CONSTANT text := left('channel ' || p_channel, 100);
    v_raised json;
BEGIN
    INSERT INTO public.delivery_channels (channel) VALUES (p_channel) ON CONFLICT DO NOTHING;
    UPDATE public.delivery_channels AS s SET off_since = clock_timestamp(), off_reason = p_reason
    WHERE s.channel = p_channel AND s.off_since IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    v_raised := public.vigilbase_raise_alert_v1(
        v_name, 'service_degraded', 'messages to ' || p_channel || ' are switched off: ' || p_reason
            || '; what it is owed waits for `vigilbase channels enable ' || p_channel || '`',
        '{"source": "deliveries", "rule": "channel"}'
    );
    PERFORM public.vigilbase_note_v1((v_raised #>> '{alert,id}')::uuid, v_name, 'opened', NULL, NULL, NULL);
    PERFORM public.vigilbase_owe_trigger_v1((v_raised #>> '{alert,id}')::uuid, v_name, p_owed, '[]');
    RETURN true;
END;
$$;

-- Switches a channel on again; what waited for it goes out. Answers whether it was off.
CREATE OR REPLACE FUNCTION public.vigilbase_switch_channel_on_v1(p_channel text)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_name CONSTANT text := left('channel ' || p_channel, 100);
    v_alert public.alert_events;
BEGIN
    UPDATE public.delivery_channels AS s SET off_since = NULL, off_reason = NULL
    WHERE s.channel = p_channel AND s.off_since IS NOT NULL;
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

-- The channels that something is remembered of, by name.
CREATE OR REPLACE FUNCTION public.vigilbase_list_channels_v1()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT coalesce(json_agg(row_to_json(s) ORDER BY s.channel), '[]') FROM public.delivery_channels AS s
$$;

-- Deliveries in one of the given statuses (a JSON array), newest first, at most p_limit; of one alert, or of all.
CREATE OR REPLACE FUNCTION public.vigilbase_list_deliveries_v1(
    p_statuses text, p_limit integer, p_alert_id uuid DEFAULT NULL
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
    SELECT coalesce(json_agg(row_to_json(page) ORDER BY page.id DESC), '[]')
    FROM (
        SELECT d.* FROM public.alert_deliveries AS d
        WHERE d.status IN (SELECT json_array_elements_text(p_statuses::json))
          AND (p_alert_id IS NULL OR d.alert_id = p_alert_id)
        ORDER BY d.id DESC
        LIMIT p_limit
    ) AS page
$$;

-- Tries a dead delivery again, with all else of its message, under the same id. NULL for an unknown number, else
-- {"retried", "delivery"}; only what is dead changes.
CREATE OR REPLACE FUNCTION public.vigilbase_retry_delivery_v1(p_id bigint)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_row public.alert_deliveries;
    v_retried boolean;
BEGIN
    UPDATE public.alert_deliveries AS d
    SET status = 'pending', ended_at = NULL, attempts = 1, due_at = clock_timestamp()
    WHERE d.status = 'dead' AND d.message_id = (
        SELECT e.message_id FROM public.alert_deliveries AS e WHERE e.id = p_id AND e.status = 'dead'
    );
    v_retried := FOUND;
    IF v_retried THEN
        PERFORM pg_notify('vigilbase_deliveries', '');
    END IF;
    SELECT d.* INTO v_row FROM public.alert_deliveries AS d WHERE d.id = p_id;
    RETURN CASE WHEN FOUND THEN json_build_object('retried', v_retried, 'delivery', row_to_json(v_row)) END;
END;
$$;

-- As vigilbase_delete_health_checks_v1, for deliveries and timelines; what belongs to an open alert is spared.
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
        )
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

-- Privileges, as in 013. The timeline is only ever added to, and deleted when it is old.
DO $$
DECLARE
    v_tables CONSTANT text := 'public.alert_deliveries, public.delivery_channels, public.alert_timeline';
    v_changing CONSTANT text := 'public.alert_deliveries, public.delivery_channels';
    v_functions CONSTANT text := 'public.vigilbase_note_v1(uuid, text, text, text, text, text),
        public.vigilbase_owe_trigger_v1(uuid, text, text, text),
        public.vigilbase_owe_follow_up_v1(uuid, text, text),
        public.vigilbase_apply_transition_v2(text),
        public.vigilbase_record_v3(text, text),
        public.vigilbase_claim_deliveries_v1(text, uuid, integer, integer),
        public.vigilbase_finish_deliveries_v1(text),
        public.vigilbase_owe_missing_v1(),
        public.vigilbase_switch_channel_off_v1(text, text, text),
        public.vigilbase_switch_channel_on_v1(text),
        public.vigilbase_list_channels_v1(),
        public.vigilbase_list_deliveries_v1(text, integer, uuid),
        public.vigilbase_retry_delivery_v1(bigint),
        public.vigilbase_delete_deliveries_v1(integer, integer, timestamptz)';
    v_role text;
BEGIN
    EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC', v_tables);
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_functions);
    FOREACH v_role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
            EXECUTE format('REVOKE ALL ON TABLE %s FROM %I', v_tables, v_role);
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', v_functions, v_role);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON TABLE %s TO service_role', v_tables);
        EXECUTE format('GRANT UPDATE ON TABLE %s TO service_role', v_changing);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO service_role', v_functions);
    END IF;
END;
$$;
