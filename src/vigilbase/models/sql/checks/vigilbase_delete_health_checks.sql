-- Deletes up to p_limit checks written before a moment, and says how many and which moment: {"deleted", "before"}.
-- The first call of a pass leaves p_before out and the others hand it back, so that a pass has one fixed end.
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
    -- By an array of ids and nothing else: on stale statistics IN with a LIMIT turns into a quadratic join, and a second
    -- condition on created_at makes the array a filter that is searched for every old row.
    DELETE FROM public.service_health_checks WHERE id = ANY (ARRAY(
        SELECT c.id FROM public.service_health_checks AS c
        WHERE c.created_at < v_before ORDER BY c.created_at LIMIT p_limit
    ));
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN json_build_object('deleted', v_count, 'before', v_before);
END;
$$;
