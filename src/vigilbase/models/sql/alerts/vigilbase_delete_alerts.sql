-- Deletes up to p_limit alerts created before a time, and returns how many and that time: {"deleted", "before"}. The
-- first call of a pass omits p_before; later calls repeat the returned one, so that a pass has a fixed end. With
-- p_keep_open, keeps alerts that are not resolved, and those whose resolution is still to be sent: it is pending or has
-- failed, or the outbox does not know yet that the alert is resolved.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_alerts(
    p_days integer, p_limit integer, p_keep_open boolean DEFAULT false, p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    v_before CONSTANT timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    v_kept uuid[] := '{}'; -- a constant to the planner, so it looks them up by hash
    v_count integer;
BEGIN
    IF p_keep_open THEN
        v_kept := ARRAY(
            SELECT DISTINCT n.alert_id FROM vigilbase.notifications AS n
            WHERE n.alert_status <> 'resolved' OR (n.kind = 'resolved' AND n.status IN ('pending', 'failed'))
        );
    END IF;
    DELETE FROM public.alert_events WHERE id = ANY (ARRAY(
        SELECT a.id FROM public.alert_events AS a
        WHERE a.created_at < v_before AND (NOT p_keep_open OR a.status = 'resolved') AND NOT a.id = ANY (v_kept)
        ORDER BY a.created_at
        LIMIT p_limit
    ));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN json_build_object('deleted', v_count, 'before', v_before);
END;
$$;
