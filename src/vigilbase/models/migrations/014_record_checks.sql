-- 014_record_checks.sql
-- Created: 2026-11-24
--
-- What the runner needs: to record a batch of checks together with the alert events they cause, in one transaction,
-- and to learn on start where every service stands. Functions as in 013.
--
-- An alert event that the judge opened says so in its details ("source": "judge"). The newest of these is the judged
-- status of the service: a service_down says "down" even when somebody resolved it by hand, until a recovery follows.

-- p_checks: a JSON array of checks, each with its own id, so that a batch that is sent twice is written once.
-- p_transitions: a JSON array of {"service_name", "to": "down" | "healthy", "message", "details"}.
-- Answers with one entry for each transition, in the order of the services: {"service_name", "to", "outcome", "alert"}
-- where outcome is "opened", "already_open", "recovered" or "not_open".
CREATE OR REPLACE FUNCTION public.vigilbase_record_v1(p_checks text, p_transitions text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC'
AS $$
DECLARE
    v_transition record;
    v_alert public.alert_events;
    v_trigger public.alert_events;
    v_outcome text;
    v_answers json[] := '{}';
BEGIN
    INSERT INTO public.service_health_checks
        (id, service_name, status, latency_ms, checked_at, error_message, probe_details)
    SELECT c.id, c.service_name, c.status, c.latency_ms, c.checked_at, c.error_message, c.probe_details
    FROM json_to_recordset(p_checks::json) AS c (
        id uuid, service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
        probe_details jsonb
    )
    ON CONFLICT DO NOTHING;

    -- In one order everywhere, so that two runners never wait for each other's locks.
    FOR v_transition IN
        SELECT t.item ->> 'service_name' AS service_name, t.item ->> 'to' AS target, t.item ->> 'message' AS message,
            coalesce((t.item ->> 'details')::jsonb, '{}') || '{"source": "judge"}' AS details
        FROM json_array_elements(p_transitions::json) WITH ORDINALITY AS t (item, place)
        ORDER BY (t.item ->> 'service_name') COLLATE "C", t.place
    LOOP
        PERFORM public.vigilbase_lock_service_v1(v_transition.service_name);

        -- The episode that is under way: the judge's newest word, if that was "down", or an open alert of another.
        SELECT a.* INTO v_trigger
        FROM public.alert_events AS a
        WHERE a.service_name = v_transition.service_name
          AND a.alert_type IN ('service_down', 'recovery')
          AND (a.details ->> 'rule') IS NULL
          AND (a.status <> 'resolved' OR a.details ->> 'source' = 'judge')
        ORDER BY a.status = 'resolved', a.created_at DESC NULLS LAST, a.id DESC
        LIMIT 1;
        IF v_trigger.alert_type = 'recovery' THEN
            v_trigger := NULL;
        END IF;

        IF v_transition.target = 'down' AND v_trigger.id IS NULL THEN
            INSERT INTO public.alert_events AS a (service_name, alert_type, status, message, details, created_at)
            VALUES (v_transition.service_name, 'service_down', 'active', v_transition.message, v_transition.details,
                clock_timestamp())
            RETURNING a.* INTO v_alert;
            v_outcome := 'opened';
        ELSIF v_transition.target = 'down' THEN
            v_alert := v_trigger;
            v_outcome := 'already_open';
        ELSIF v_trigger.id IS NULL THEN
            v_alert := NULL;
            v_outcome := 'not_open';
        ELSE
            UPDATE public.alert_events AS a
            SET status = 'resolved', resolved_at = clock_timestamp()
            WHERE a.service_name = v_transition.service_name AND a.alert_type = 'service_down'
              AND a.status <> 'resolved' AND (a.details ->> 'rule') IS NULL;
            INSERT INTO public.alert_events AS a
                (service_name, alert_type, status, message, details, created_at, resolved_at)
            SELECT v_transition.service_name, 'recovery', 'resolved', v_transition.message,
                v_transition.details || jsonb_build_object('resolves', v_trigger.id), t.now, t.now
            FROM (SELECT clock_timestamp() AS now) AS t
            RETURNING a.* INTO v_alert;
            v_outcome := 'recovered';
        END IF;

        v_answers := array_append(v_answers, json_build_object(
            'service_name', v_transition.service_name, 'to', v_transition.target, 'outcome', v_outcome,
            'alert', CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END
        ));
    END LOOP;
    RETURN array_to_json(v_answers);
END;
$$;

-- Where services stand: for each name of the JSON array p_service_names its last p_checks checks (newest first) and
-- the judge's newest alert event; and the database's clock.
CREATE OR REPLACE FUNCTION public.vigilbase_watch_state_v1(p_service_names text, p_checks integer)
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
            SELECT c.status, c.checked_at FROM public.service_health_checks AS c
            WHERE c.service_name = v_name
            ORDER BY c.checked_at DESC NULLS LAST
            LIMIT p_checks
        ) AS recent;
        v_episode := NULL;
        SELECT row_to_json(a) INTO v_episode
        FROM public.alert_events AS a
        WHERE a.service_name = v_name
          AND a.alert_type IN ('service_down', 'recovery')
          AND a.details ->> 'source' = 'judge'
        ORDER BY a.created_at DESC NULLS LAST, a.id DESC
        LIMIT 1;
        v_services := array_append(v_services, json_build_object(
            'service_name', v_name, 'checks', v_checks, 'episode', v_episode
        ));
    END LOOP;
    RETURN json_build_object(
        'now', clock_timestamp(), 'services', array_to_json(v_services)
    );
END;
$$;

-- Privileges, as in 013.
DO $$
DECLARE
    v_functions CONSTANT text := 'public.vigilbase_record_v1(text, text),
        public.vigilbase_watch_state_v1(text, integer)';
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
