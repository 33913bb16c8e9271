-- Cancels the notifications of an alert that are no longer needed; p_reason is a code. Those that a worker is sending
-- are left to it. The timeline records each cancelled trigger.
CREATE OR REPLACE FUNCTION vigilbase.cancel_unneeded(p_alert_id uuid, p_reason text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_row vigilbase.notifications;
BEGIN
    FOR v_row IN
        UPDATE vigilbase.notifications AS n SET status = 'cancelled', ended_at = v_now
        WHERE n.alert_id = p_alert_id AND n.status = 'pending'
          AND NOT vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged)
          AND (n.leased_until IS NULL OR n.leased_until <= v_now)
        RETURNING n.*
    LOOP
        CONTINUE WHEN v_row.kind <> 'triggered'; -- the others only repeat or follow a trigger
        PERFORM vigilbase.add_timeline_entry(
            v_row.service_name, p_alert_id, 'cancelled', p_details => jsonb_build_object(
                'channel', v_row.channel, 'kind', v_row.kind, 'attempts', v_row.attempts,
                'suppressed_by', v_row.suppressed_by, 'reason', p_reason
            )
        );
    END LOOP;
END;
$$;
