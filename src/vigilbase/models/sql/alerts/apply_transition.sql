-- Applies a transition to a service that the caller has locked, whatever another runner did in the meantime: opens and
-- resolves alerts, writes recoveries, and enqueues notifications. p_transition: {"service_name", "to": "healthy" |
-- "degraded" | "down", "opening", "recovery", "routes", "tags"}: opening and recovery are {"message", "details"} or
-- null; for routes and tags see vigilbase.enqueue_alert. Returns {"service_name", "to", "outcome", "opened",
-- "recovery"}: outcome is "opened", "recovered", "already_open" or "not_open"; the last two are alert events or null.
CREATE OR REPLACE FUNCTION vigilbase.apply_transition(p_transition jsonb)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    v_name CONSTANT text := p_transition ->> 'service_name';
    v_target CONSTANT text := p_transition ->> 'to';
    v_type CONSTANT text := CASE v_target WHEN 'down' THEN 'service_down' WHEN 'degraded' THEN 'service_degraded' END;
    v_current public.alert_events;
    v_current_type text;
    v_now timestamptz;
    v_opened public.alert_events;
    v_recovery public.alert_events;
BEGIN
    v_current := vigilbase.find_current_alert(v_name);
    v_current_type := nullif(v_current.alert_type, 'recovery');
    IF v_current_type IS NOT DISTINCT FROM v_type THEN
        RETURN json_build_object(
            'service_name', v_name, 'to', v_target, 'opened', NULL, 'recovery', NULL,
            'outcome', CASE WHEN v_type IS NULL THEN 'not_open' ELSE 'already_open' END
        );
    END IF;

    -- Later than the current alert even if the clock was set back, so that the newest stays the newest.
    v_now := greatest(clock_timestamp(), v_current.created_at + interval '1 microsecond');
    -- From down, any better status is a recovery; from degraded, only healthy is.
    IF v_current_type IS NOT NULL AND v_target <> 'down' THEN
        v_recovery := vigilbase.write_recovery(v_current, p_transition, v_now);
    END IF;
    IF v_type IS NOT NULL THEN
        v_opened := vigilbase.open_alert(
            v_name, v_type, p_transition -> 'opening', v_now + interval '1 microsecond'
        );
    END IF;
    PERFORM vigilbase.resolve_alerts(p_transition, v_type, v_opened.id, v_recovery.details, v_now);
    IF v_opened.id IS NOT NULL THEN
        PERFORM vigilbase.enqueue_alert(v_opened, p_transition -> 'routes', p_transition -> 'tags');
    END IF;
    RETURN json_build_object(
        'service_name', v_name, 'to', v_target,
        'outcome', CASE WHEN v_recovery.id IS NOT NULL THEN 'recovered' ELSE 'opened' END,
        'opened', CASE WHEN v_opened.id IS NOT NULL THEN row_to_json(v_opened) END,
        'recovery', CASE WHEN v_recovery.id IS NOT NULL THEN row_to_json(v_recovery) END
    );
END;
$$;
