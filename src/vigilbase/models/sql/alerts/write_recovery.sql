-- Inserts the recovery from the judge's current alert, and returns it.
CREATE OR REPLACE FUNCTION vigilbase.write_recovery(
    p_current public.alert_events, p_transition jsonb, p_now timestamptz
)
RETURNS public.alert_events
LANGUAGE plpgsql
AS $$
DECLARE
    v_content CONSTANT jsonb := coalesce(nullif(p_transition -> 'recovery', 'null'), p_transition -> 'opening');
    v_recovery public.alert_events;
BEGIN
    INSERT INTO public.alert_events AS a (service_name, alert_type, status, message, details, created_at, resolved_at)
    VALUES (
        p_current.service_name, 'recovery', 'resolved', v_content ->> 'message',
        (v_content -> 'details') || jsonb_build_object('source', 'judge', 'resolves', p_current.id), p_now, p_now
    )
    RETURNING a.* INTO v_recovery;
    RETURN v_recovery;
END;
$$;
