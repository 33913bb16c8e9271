-- Deletes up to p_limit checks created before a time, and returns how many and that time: {"deleted", "before"}. The
-- first call of a pass omits p_before; later calls repeat the returned one, so that a pass has a fixed end.
CREATE OR REPLACE FUNCTION public.vigilbase_delete_health_checks(
    p_days integer, p_limit integer, p_before timestamptz DEFAULT NULL
)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_before timestamptz := coalesce(p_before, now() - make_interval(days => p_days));
    v_count integer;
BEGIN
    -- Only by an array of ids: with stale statistics, IN with a LIMIT becomes a quadratic join, and a second condition
    -- on created_at makes the array a filter that is searched for every old row.
    DELETE FROM public.service_health_checks WHERE id = ANY (ARRAY(
        SELECT c.id FROM public.service_health_checks AS c
        WHERE c.created_at < v_before ORDER BY c.created_at LIMIT p_limit
    ));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN json_build_object('deleted', v_count, 'before', v_before);
END;
$$;
