-- The judge's alert that sets a service's current status: an open one, else the newest; a recovery means healthy.
CREATE OR REPLACE FUNCTION vigilbase.find_current_alert(p_service_name text)
RETURNS public.alert_events
LANGUAGE sql STABLE
AS $$
    SELECT a.* FROM public.alert_events AS a
    WHERE a.service_name = p_service_name AND a.details ->> 'source' = 'judge'
      AND a.alert_type IN ('service_down', 'service_degraded', 'recovery')
    ORDER BY a.status = 'resolved', a.created_at DESC NULLS LAST, a.id DESC
    LIMIT 1
$$;
