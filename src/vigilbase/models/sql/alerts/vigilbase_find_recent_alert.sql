-- The newest alert of a service and type that was created in the last p_within_minutes, or NULL.
CREATE OR REPLACE FUNCTION public.vigilbase_find_recent_alert(
    p_service_name text, p_alert_type text, p_within_minutes integer
)
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT row_to_json(a) FROM public.alert_events AS a
    WHERE a.service_name = p_service_name AND a.alert_type = p_alert_type
      AND a.created_at BETWEEN now() - make_interval(mins => p_within_minutes) AND vigilbase.future_begins_at(now())
    ORDER BY a.created_at DESC NULLS LAST, a.id DESC
    LIMIT 1
$$;
