-- The service of an alert, or NULL for an unknown id. This is the only lookup by id alone; all later queries name the
-- service.
CREATE OR REPLACE FUNCTION vigilbase.find_alert_service(p_alert_id uuid)
RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT a.service_name FROM public.alert_events AS a WHERE a.id = p_alert_id
$$;
