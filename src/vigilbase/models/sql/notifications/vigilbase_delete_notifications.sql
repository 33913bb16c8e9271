-- Deletes old notifications, oldest number first, and old timeline entries, up to p_limit of each, and says how many
-- and before which moment: {"deleted", "before"}. The first call of a pass leaves p_before out and the others hand it
-- back. What belongs to an open alert is spared, and so are all notifications of an alert of which one is pending.
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
    -- Constants to the planner, which so looks them up by a hash; a join could turn quadratic on stale statistics.
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
        WHERE n.created_at < v_before AND n.status <> 'pending' AND n.alert_status = 'resolved' AND NOT n.alert_id = ANY (v_open)
          AND NOT n.alert_id = ANY (v_pending)
        ORDER BY n.id
        LIMIT p_limit
    ));
    GET DIAGNOSTICS v_notifications = ROW_COUNT;
    -- By a range of time, since no index leads to an entry by its number alone; entries of one moment go together.
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
