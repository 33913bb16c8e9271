-- 015_record_degraded.sql
-- Created: 2026-11-24
--
-- The judge knows three statuses now, and says which checks caused a transition. Functions as in 013; what makes an
-- alert event the judge's own is said in 014. Alerts with a "rule" in their details belong to others and stay untouched.

-- Opens, resolves and recovers what a transition asks for, whatever another runner did meanwhile.
-- p_transition: {"service_name", "to": "healthy" | "degraded" | "down", "opening", "recovery"}, the last two being
-- {"message", "details"} or null. Answers {"service_name", "to", "outcome", "opened", "recovery"} where outcome is
-- "opened", "recovered", "already_open" or "not_open", and the last two are alert events or null.
CREATE OR REPLACE FUNCTION public.vigilbase_apply_transition_v1(p_transition text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_transition CONSTANT jsonb := p_transition::jsonb;
    v_name CONSTANT text := v_transition ->> 'service_name';
    v_target CONSTANT text := v_transition ->> 'to';
    v_type CONSTANT text := CASE v_target WHEN 'down' THEN 'service_down' WHEN 'degraded' THEN 'service_degraded' END;
    v_source CONSTANT jsonb := '{"source": "judge"}';
    v_wording jsonb;
    v_now timestamptz;
    v_episode public.alert_events;
    v_opened public.alert_events;
    v_recovery public.alert_events;
BEGIN
    PERFORM public.vigilbase_lock_service_v1(v_name);

    -- The episode under way is the judge's newest word, unless that is a recovery.
    SELECT a.* INTO v_episode
    FROM public.alert_events AS a
    WHERE a.service_name = v_name AND a.details ->> 'source' = 'judge'
    ORDER BY a.status = 'resolved', a.created_at DESC NULLS LAST, a.id DESC
    LIMIT 1;
    IF v_episode.alert_type = 'recovery' THEN
        v_episode.alert_type := NULL;
    END IF;
    IF v_episode.alert_type IS NOT DISTINCT FROM v_type THEN
        RETURN json_build_object(
            'service_name', v_name, 'to', v_target, 'opened', NULL, 'recovery', NULL,
            'outcome', CASE WHEN v_type IS NULL THEN 'not_open' ELSE 'already_open' END
        );
    END IF;

    -- Later than the judge's last word even if the clock was set back, so that the newest stays the newest.
    v_now := greatest(clock_timestamp(), v_episode.created_at + interval '1 microsecond');

    -- From down, what is better than down is a recovery; from degraded, only healthy is.
    IF v_episode.alert_type IS NOT NULL AND v_target <> 'down' THEN
        v_wording := coalesce(nullif(v_transition -> 'recovery', 'null'), v_transition -> 'opening');
        INSERT INTO public.alert_events AS a
            (service_name, alert_type, status, message, details, created_at, resolved_at)
        VALUES (
            v_name, 'recovery', 'resolved', v_wording ->> 'message',
            (v_wording -> 'details') || v_source || jsonb_build_object('resolves', v_episode.id), v_now, v_now
        )
        RETURNING a.* INTO v_recovery;
    END IF;

    IF v_type IS NOT NULL THEN
        v_wording := v_transition -> 'opening';
        -- An alert that somebody else raised is taken over: there is one open alert of a kind.
        UPDATE public.alert_events AS a
        SET details = CASE WHEN jsonb_typeof(a.details) = 'object' THEN a.details ELSE '{}' END
            || (v_wording -> 'details') || v_source
        WHERE a.service_name = v_name AND a.id = (
            SELECT o.id FROM public.alert_events AS o
            WHERE o.service_name = v_name AND o.alert_type = v_type AND o.status <> 'resolved'
              AND (o.details ->> 'rule') IS NULL
            ORDER BY o.created_at DESC NULLS LAST, o.id DESC
            LIMIT 1
        )
        RETURNING a.* INTO v_opened;
        IF NOT FOUND THEN
            INSERT INTO public.alert_events AS a (service_name, alert_type, status, message, details, created_at)
            VALUES (
                v_name, v_type, 'active', v_wording ->> 'message', (v_wording -> 'details') || v_source,
                v_now + interval '1 microsecond'
            )
            RETURNING a.* INTO v_opened;
        END IF;
    END IF;

    UPDATE public.alert_events AS a
    SET status = 'resolved', resolved_at = v_now, details = CASE
        WHEN v_target <> 'down' THEN a.details
        ELSE CASE WHEN jsonb_typeof(a.details) = 'object' THEN a.details ELSE '{}' END
            || jsonb_build_object('superseded_by', v_opened.id)
    END
    WHERE a.service_name = v_name AND a.alert_type IN ('service_down', 'service_degraded')
      AND a.alert_type IS DISTINCT FROM v_type AND a.status <> 'resolved' AND (a.details ->> 'rule') IS NULL;

    RETURN json_build_object(
        'service_name', v_name, 'to', v_target,
        'outcome', CASE WHEN v_recovery.id IS NOT NULL THEN 'recovered' ELSE 'opened' END,
        'opened', CASE WHEN v_opened.id IS NOT NULL THEN row_to_json(v_opened) END,
        'recovery', CASE WHEN v_recovery.id IS NOT NULL THEN row_to_json(v_recovery) END
    );
END;
$$;

-- Records a batch: checks, and the alert events that they cause. p_checks: a JSON array of checks, each with its own id;
-- p_transitions: a JSON array, see above. A batch is written whole or not at all, so one of which nothing is new was
-- written before, and so was what it caused. A check from the future is set back to now, and says so.
-- Answers {"now": the database's clock, "written": a count, "transitions": one answer each, in the order of services}.
CREATE OR REPLACE FUNCTION public.vigilbase_record_v2(p_checks text, p_transitions text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_future CONSTANT timestamptz := v_now + interval '1 second'; -- two clocks never agree to the millisecond
    v_written integer;
    v_transition json;
    v_answers json[] := '{}';
BEGIN
    INSERT INTO public.service_health_checks
        (id, service_name, status, latency_ms, checked_at, error_message, probe_details)
    SELECT c.id, c.service_name, c.status, c.latency_ms,
        CASE WHEN c.checked_at > v_future THEN v_now ELSE c.checked_at END,
        c.error_message,
        CASE
            WHEN c.checked_at > v_future
            THEN coalesce(c.probe_details, '{}') || jsonb_build_object('checked_at_was', c.checked_at)
            ELSE c.probe_details
        END
    FROM json_to_recordset(p_checks::json) AS c (
        id uuid, service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
        probe_details jsonb
    )
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS v_written = ROW_COUNT;

    IF v_written > 0 OR json_array_length(p_checks::json) = 0 THEN
        -- In one order everywhere, so that two runners never wait for each other's locks.
        FOR v_transition IN
            SELECT t.item FROM json_array_elements(p_transitions::json) WITH ORDINALITY AS t (item, place)
            ORDER BY (t.item ->> 'service_name') COLLATE "C", t.place
        LOOP
            v_answers := array_append(v_answers, public.vigilbase_apply_transition_v1(v_transition::text));
        END LOOP;
    END IF;
    RETURN json_build_object(
        'now', clock_timestamp(), 'written', v_written, 'transitions', array_to_json(v_answers)
    );
END;
$$;

-- Where services stand: for each name of the JSON array p_service_names its last p_checks checks (newest first; none
-- from the future, which others may have written) and the judge's newest word, an open alert before all others; and the
-- database's clock.
CREATE OR REPLACE FUNCTION public.vigilbase_watch_state_v2(p_service_names text, p_checks integer)
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_name text;
    v_checks json;
    v_episode json;
    v_services json[] := '{}';
BEGIN
    FOR v_name IN SELECT json_array_elements_text(p_service_names::json) LOOP
        SELECT coalesce(json_agg(recent ORDER BY recent.checked_at DESC NULLS LAST), '[]') INTO v_checks
        FROM (
            SELECT c.id, c.status, c.checked_at, c.latency_ms, c.error_message FROM public.service_health_checks AS c
            WHERE c.service_name = v_name AND c.checked_at <= clock_timestamp() + interval '1 second'
            ORDER BY c.checked_at DESC NULLS LAST
            LIMIT p_checks
        ) AS recent;
        v_episode := NULL;
        SELECT row_to_json(a) INTO v_episode
        FROM public.alert_events AS a
        WHERE a.service_name = v_name AND a.details ->> 'source' = 'judge'
        ORDER BY a.status = 'resolved', a.created_at DESC NULLS LAST, a.id DESC
        LIMIT 1;
        v_services := array_append(v_services, json_build_object(
            'service_name', v_name, 'checks', v_checks, 'episode', v_episode
        ));
    END LOOP;
    RETURN json_build_object('now', clock_timestamp(), 'services', array_to_json(v_services));
END;
$$;

-- Privileges, as in 013.
DO $$
DECLARE
    v_functions CONSTANT text := 'public.vigilbase_apply_transition_v1(text),
        public.vigilbase_record_v2(text, text),
        public.vigilbase_watch_state_v2(text, integer)';
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
