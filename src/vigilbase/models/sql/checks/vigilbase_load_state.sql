-- The state of services: for each name in the JSON array p_service_names its last p_checks checks (newest first; none
-- from the future, which other code may write) and its current alert; and the database's clock.
CREATE OR REPLACE FUNCTION public.vigilbase_load_state(p_service_names text, p_checks integer)
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_future CONSTANT timestamptz := vigilbase.future_begins_at(clock_timestamp());
    v_name text;
    v_checks json;
    v_alert public.alert_events;
    v_services json[] := '{}';
BEGIN
    FOR v_name IN SELECT json_array_elements_text(p_service_names::json) LOOP
        SELECT coalesce(json_agg(recent ORDER BY recent.checked_at DESC NULLS LAST, recent.id DESC), '[]') INTO v_checks
        FROM (
            SELECT c.id, c.status, c.checked_at, c.latency_ms, c.error_message FROM public.service_health_checks AS c
            WHERE c.service_name = v_name AND c.checked_at <= v_future
            ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
            LIMIT p_checks
        ) AS recent;
        v_alert := vigilbase.find_current_alert(v_name);
        v_services := array_append(v_services, json_build_object(
            'service_name', v_name, 'checks', v_checks,
            'alert', CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END
        ));
    END LOOP;
    RETURN json_build_object('now', clock_timestamp(), 'services', array_to_json(v_services));
END;
$$;
