-- Resolves the open alerts of a service that a transition ends: all but those of the type that it opens (p_kept_type)
-- and those with a rule, which belong to other code. Their details get the recovery's recovered_to and recovered_at, or
-- the id of the alert that supersedes them.
CREATE OR REPLACE FUNCTION vigilbase.resolve_alerts(
    p_transition jsonb, p_kept_type text, p_opened_id uuid, p_recovery_details jsonb, p_now timestamptz
)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_name CONSTANT text := p_transition ->> 'service_name';
    v_reason CONSTANT jsonb :=
        coalesce(nullif(p_transition -> 'recovery', 'null'), p_transition -> 'opening') #> '{details,reason}';
    v_is_superseded CONSTANT boolean := p_transition ->> 'to' = 'down';
    v_added CONSTANT jsonb := CASE
        WHEN v_is_superseded THEN jsonb_build_object('superseded_by', p_opened_id)
        WHEN p_recovery_details -> 'recovered_to' IS NOT NULL THEN jsonb_build_object(
            'recovered_to', p_recovery_details -> 'recovered_to', 'recovered_at', p_recovery_details -> 'recovered_at'
        )
        ELSE '{}'
    END;
    v_alert record;
BEGIN
    FOR v_alert IN
        UPDATE public.alert_events AS a
        SET status = 'resolved', resolved_at = p_now, details = CASE
            WHEN jsonb_typeof(a.details) = 'object' THEN a.details || v_added
            WHEN v_is_superseded THEN v_added
            ELSE a.details
        END
        WHERE a.service_name = v_name AND a.alert_type IN ('service_down', 'service_degraded')
          AND a.alert_type IS DISTINCT FROM p_kept_type AND a.status <> 'resolved' AND (a.details ->> 'rule') IS NULL
        RETURNING a.id
    LOOP
        PERFORM vigilbase.add_timeline_entry(
            v_name, v_alert.id, 'resolved', p_details => jsonb_build_object('reason', v_reason)
        );
        PERFORM vigilbase.enqueue_follow_up(v_name, v_alert.id, 'resolved');
    END LOOP;
END;
$$;
