-- Records the result of an attempt (p_result: see vigilbase_record_results), adds it to the alert's timeline, and
-- enqueues what follows. If the alert was resolved in the meantime, there is no retry, and its resolution waits only as
-- long as it must.
CREATE OR REPLACE FUNCTION vigilbase.end_attempt(p_row vigilbase.notifications, p_result jsonb, p_now timestamptz)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_result CONSTANT text := p_result ->> 'result';
    v_alert_status CONSTANT text := (vigilbase.read_alert(p_row.service_name, p_row.alert_id)).status;
    v_is_resolved CONSTANT boolean := v_alert_status = 'resolved' AND p_row.kind <> 'resolved';
    -- Another worker that holds the lease may be sending it again. What follows must wait.
    v_has_other_lease CONSTANT boolean :=
        p_row.lease_id IS DISTINCT FROM (p_result ->> 'lease_id')::uuid AND p_row.leased_until > p_now;
BEGIN
    UPDATE vigilbase.notifications AS n
    SET status = CASE v_result WHEN 'retry' THEN 'pending' ELSE v_result END,
        ended_at = CASE WHEN v_result <> 'retry' THEN p_now END,
        due_at = CASE
            WHEN v_result = 'retry' THEN p_now + least(
                make_interval(secs => (p_result ->> 'delay_s')::double precision),
                CASE WHEN v_is_resolved THEN interval '10 seconds' END
            )
            ELSE n.due_at
        END,
        answer = coalesce(p_result ->> 'answer', n.answer), last_error = coalesce(p_result ->> 'error', n.last_error),
        lease_id = CASE WHEN v_has_other_lease THEN n.lease_id END,
        leased_until = CASE WHEN v_has_other_lease THEN n.leased_until END,
        suppressed_by = CASE WHEN v_result <> 'retry' THEN coalesce(p_result ->> 'suppressed_by', n.suppressed_by) END
    WHERE n.id = p_row.id;
    PERFORM vigilbase.add_timeline_entry(
        p_row.service_name, p_row.alert_id, CASE v_result WHEN 'retry' THEN 'attempt_failed' ELSE v_result END,
        p_details => jsonb_build_object(
            'channel', p_row.channel, 'kind', p_row.kind, 'attempts', p_row.attempts,
            'answer', p_result ->> 'answer', 'error', p_result ->> 'error', 'batch_id', p_row.batch_id,
            'suppressed_by', coalesce(p_result ->> 'suppressed_by', p_row.suppressed_by)
        )
    );
    IF p_row.kind IN ('triggered', 'reminder') THEN
        PERFORM vigilbase.enqueue_after_attempt(
            p_row, v_result, v_alert_status, (p_result ->> 'remind_after_s')::double precision, p_now
        );
    END IF;
END;
$$;
