-- The newest check of a service by checked_at, ties by id: an array of it and, if its status isn't one of ours, the
-- newest with one that is, of the last 100; null where there is none. Checks from the future, and those without a time,
-- count only if there are no others.
CREATE OR REPLACE FUNCTION public.vigilbase_find_latest_health_check(p_service_name text)
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_future CONSTANT timestamptz := vigilbase.future_begins_at(now());
    v_newest json;
    v_readable json;
    v_is_readable boolean;
BEGIN
    SELECT row_to_json(c), vigilbase.is_status(c.status) INTO v_newest, v_is_readable
    FROM public.service_health_checks AS c
    WHERE c.service_name = p_service_name AND c.checked_at <= v_future
    ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
    LIMIT 1;
    IF NOT FOUND THEN
        SELECT row_to_json(c) INTO v_newest FROM public.service_health_checks AS c
        WHERE c.service_name = p_service_name
        ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
        LIMIT 1;
    ELSIF NOT v_is_readable THEN
        SELECT row_to_json(recent) INTO v_readable FROM (
            SELECT c.* FROM public.service_health_checks AS c
            WHERE c.service_name = p_service_name AND c.checked_at <= v_future
            ORDER BY c.checked_at DESC NULLS LAST, c.id DESC
            LIMIT 100
        ) AS recent
        WHERE vigilbase.is_status(recent.status)
        ORDER BY recent.checked_at DESC NULLS LAST, recent.id DESC
        LIMIT 1;
    END IF;
    RETURN json_build_array(v_newest, v_readable);
END;
$$;
