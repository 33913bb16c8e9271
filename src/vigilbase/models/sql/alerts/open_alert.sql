-- Opens the judge's alert of a type for a service, or takes over the open one that other code raised, since a service
-- has one open alert of a type. An alert with a rule in its details belongs to other code.
CREATE OR REPLACE FUNCTION vigilbase.open_alert(
    p_service_name text, p_alert_type text, p_content jsonb, p_at timestamptz
)
RETURNS public.alert_events
LANGUAGE plpgsql
AS $$
DECLARE
    v_details CONSTANT jsonb := (p_content -> 'details') || '{"source": "judge"}';
    v_opened public.alert_events;
    v_event text := 'taken_over';
BEGIN
    UPDATE public.alert_events AS a
    SET details = CASE WHEN jsonb_typeof(a.details) = 'object' THEN a.details ELSE '{}' END || v_details
    WHERE a.service_name = p_service_name AND a.status <> 'resolved' AND a.id = (
        SELECT o.id FROM public.alert_events AS o
        WHERE o.service_name = p_service_name AND o.alert_type = p_alert_type AND o.status <> 'resolved'
          AND (o.details ->> 'rule') IS NULL
        ORDER BY o.created_at DESC NULLS LAST, o.id DESC
        LIMIT 1
    )
    RETURNING a.* INTO v_opened;
    IF NOT FOUND THEN
        v_event := 'opened';
        INSERT INTO public.alert_events AS a (service_name, alert_type, status, message, details, created_at)
        VALUES (p_service_name, p_alert_type, 'active', p_content ->> 'message', v_details, p_at)
        RETURNING a.* INTO v_opened;
    END IF;
    PERFORM vigilbase.add_timeline_entry(
        p_service_name, v_opened.id, v_event,
        p_details => jsonb_build_object('reason', p_content #> '{details,reason}')
    );
    RETURN v_opened;
END;
$$;
