-- An alert event, or NULL.
CREATE OR REPLACE FUNCTION vigilbase.read_alert(p_service_name text, p_alert_id uuid)
RETURNS public.alert_events
LANGUAGE sql STABLE
AS $$
    SELECT a.* FROM public.alert_events AS a WHERE a.service_name = p_service_name AND a.id = p_alert_id
$$;
