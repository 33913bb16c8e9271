-- Deletes old notifications, lowest id first, and old timeline entries, up to p_limit of each, and returns how many and
-- before which time: {"deleted", "before"}. The first call of a pass omits p_before; later calls repeat the returned
-- one. Keeps what belongs to an open alert, and all notifications of an alert that has a pending one.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_notifications(
    p_days integer, p_limit integer, p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
SET plan_cache_mode = 'force_custom_plan'
AS $$
DECLARE
    v_before CONSTANT timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    -- Constants to the planner, so it looks them up by hash; a join could become quadratic with stale statistics.
    v_open CONSTANT uuid[] := ARRAY(
        SELECT a.id FROM public.alert_events AS a WHERE a.status IN ('active', 'acknowledged')
    );
    v_pending CONSTANT uuid[] := ARRAY(
        SELECT DISTINCT n.alert_id FROM vigilbase.notifications AS n WHERE n.status = 'pending'
    );
    v_notifications integer;
    v_last timestamptz;
    v_entries integer;
BEGIN
    DELETE FROM vigilbase.notifications WHERE id = ANY (ARRAY(
        SELECT n.id FROM vigilbase.notifications AS n
        WHERE n.created_at < v_before AND n.status <> 'pending' AND n.alert_status = 'resolved'
          AND NOT n.alert_id = ANY (v_open) AND NOT n.alert_id = ANY (v_pending)
        ORDER BY n.id
        LIMIT p_limit
    ));
    GET DIAGNOSTICS v_notifications = ROW_COUNT;
    -- By a range of time, since no index finds an entry by its id alone; entries of the same time go together.
    SELECT max(old.at) INTO v_last FROM (
        SELECT t.at FROM vigilbase.alert_timeline AS t WHERE t.at < v_before AND NOT t.alert_id = ANY (v_open)
        ORDER BY t.at
        LIMIT p_limit
    ) AS old;
    DELETE FROM vigilbase.alert_timeline AS t WHERE t.at <= v_last AND NOT t.alert_id = ANY (v_open);
    GET DIAGNOSTICS v_entries = ROW_COUNT;
    RETURN json_build_object('deleted', greatest(v_notifications, v_entries), 'before', v_before);
END;
$$;
