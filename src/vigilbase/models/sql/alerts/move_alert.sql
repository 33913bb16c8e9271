-- Acknowledges or resolves (p_status) an alert manually, notifies the channels that know of it, and records the author
-- and a comment in its timeline; if it already has that status, records the comment alone. Returns the resulting alert,
-- or NULL for an unknown id. An acknowledged alert can only be resolved; a resolved alert stays as it is.
CREATE OR REPLACE FUNCTION vigilbase.move_alert(p_id uuid, p_status text, p_author text, p_comment text)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    v_name CONSTANT text := vigilbase.find_alert_service(p_id);
    v_now timestamptz;
    v_has_changed boolean;
    v_alert public.alert_events;
BEGIN
    IF v_name IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM vigilbase.lock_service(v_name);
    v_now := clock_timestamp();
    UPDATE public.alert_events AS a
    SET status = p_status,
        acknowledged_at = CASE p_status WHEN 'acknowledged' THEN v_now ELSE a.acknowledged_at END,
        resolved_at = CASE p_status WHEN 'resolved' THEN v_now ELSE a.resolved_at END
    WHERE a.service_name = v_name AND a.id = p_id AND a.status <> 'resolved' AND a.status <> p_status;
    v_has_changed := FOUND;
    SELECT a.* INTO v_alert FROM public.alert_events AS a WHERE a.service_name = v_name AND a.id = p_id;
    IF v_has_changed THEN
        PERFORM vigilbase.add_timeline_entry(v_name, p_id, p_status, p_author, p_comment);
        PERFORM vigilbase.enqueue_follow_up(v_name, p_id, p_status);
    ELSIF v_alert.status = p_status AND p_comment IS NOT NULL THEN
        PERFORM vigilbase.add_timeline_entry(v_name, p_id, 'commented', p_author, p_comment);
    END IF;
    RETURN CASE WHEN v_alert.id IS NOT NULL THEN row_to_json(v_alert) END;
END;
$$;
