-- Requeues a failed notification, with all of its batch that is still needed, under the same batch_id, and records the
-- author in the timeline. NULL for an unknown id, else {"outcome", "notification"}: "requeued"; or, if nothing changed,
-- "not_failed", or "resolved" or "acknowledged" if it is no longer needed for that reason.
CREATE OR REPLACE FUNCTION public.vigilbase_retry_notification(p_id bigint, p_author text DEFAULT NULL)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_row vigilbase.notifications;
    v_batch uuid;
    v_outcome text := 'requeued';
BEGIN
    SELECT n.batch_id INTO v_batch FROM vigilbase.notifications AS n WHERE n.id = p_id;
    PERFORM vigilbase.catch_up_with_alerts(ARRAY(
        SELECT n.id FROM vigilbase.notifications AS n WHERE n.batch_id = v_batch OR n.id = p_id
    ));
    PERFORM FROM vigilbase.notifications AS n WHERE n.batch_id = v_batch OR n.id = p_id ORDER BY n.id FOR UPDATE;
    SELECT n.* INTO v_row FROM vigilbase.notifications AS n WHERE n.id = p_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF v_row.alert_status = 'resolved' AND (vigilbase.read_alert(v_row.service_name, v_row.alert_id)).id IS NULL THEN
        v_outcome := 'resolved';
    ELSIF v_row.status <> 'failed' THEN
        v_outcome := 'not_failed';
    ELSIF NOT vigilbase.is_needed(v_row.alert_status, v_row.kind, v_row.unless_acknowledged) THEN
        v_outcome := v_row.alert_status;
    ELSE
        UPDATE vigilbase.notifications AS n
        SET status = 'pending', ended_at = NULL, attempts = 1, due_at = clock_timestamp()
        WHERE n.batch_id = v_row.batch_id AND n.status = 'failed'
          AND vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged);
        PERFORM pg_notify('vigilbase_notifications', '');
        PERFORM vigilbase.add_timeline_entry(
            v_row.service_name, v_row.alert_id, 'requeued', p_author,
            p_details => jsonb_build_object('channel', v_row.channel, 'kind', v_row.kind)
        );
        SELECT n.* INTO v_row FROM vigilbase.notifications AS n WHERE n.id = p_id;
    END IF;
    RETURN json_build_object('outcome', v_outcome, 'notification', row_to_json(v_row));
END;
$$;
