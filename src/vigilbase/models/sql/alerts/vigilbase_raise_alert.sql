-- The open alert of a service, type and details.rule, else the newest of the last p_within_minutes, else a new one:
-- {"alert", "is_new"}. Of concurrent callers, only one creates it.
CREATE OR REPLACE FUNCTION public.vigilbase_raise_alert(
    p_service_name text, p_alert_type text, p_message text, p_details text, p_within_minutes integer DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_alert public.alert_events;
    v_now timestamptz;
BEGIN
    PERFORM vigilbase.lock_service(p_service_name);
    v_now := clock_timestamp();
    SELECT a.* INTO v_alert
    FROM public.alert_events AS a
    WHERE a.service_name = p_service_name
      AND a.alert_type = p_alert_type
      AND (a.details ->> 'rule') IS NOT DISTINCT FROM (p_details::jsonb ->> 'rule')
      AND (a.status <> 'resolved'
           OR a.created_at BETWEEN v_now - make_interval(mins => p_within_minutes)
              AND vigilbase.future_begins_at(v_now))
    ORDER BY a.status = 'resolved', a.created_at DESC NULLS LAST, a.id DESC
    LIMIT 1;
    IF FOUND THEN
        RETURN json_build_object('alert', v_alert, 'is_new', false);
    END IF;
    RETURN json_build_object(
        'alert', public.vigilbase_create_alert(p_service_name, p_alert_type, 'active', p_message, p_details),
        'is_new', true
    );
END;
$$;
