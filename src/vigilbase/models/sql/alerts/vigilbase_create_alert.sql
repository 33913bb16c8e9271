-- Inserts an alert event as given, even if a similar one exists; the database's clock sets acknowledged_at or
-- resolved_at. Returns it, or NULL if a trigger of the host has discarded it.
CREATE OR REPLACE FUNCTION public.vigilbase_create_alert(
    p_service_name text, p_alert_type text, p_status text, p_message text, p_details text
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_alert public.alert_events;
BEGIN
    PERFORM vigilbase.lock_service(p_service_name);
    INSERT INTO public.alert_events AS a
        (service_name, alert_type, status, message, details, acknowledged_at, resolved_at)
    VALUES (
        p_service_name, p_alert_type, p_status, p_message, p_details::jsonb,
        CASE WHEN p_status = 'acknowledged' THEN now() END,
        CASE WHEN p_status = 'resolved' THEN now() END
    )
    RETURNING a.* INTO v_alert;
    RETURN CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END;
END;
$$;
