-- Locks the services of some transitions, and adds those that a check is the first to name, all in one order, so that
-- two runners never deadlock.
CREATE OR REPLACE FUNCTION vigilbase.lock_services(p_checks json, p_transitions jsonb)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_service record;
BEGIN
    FOR v_service IN
        SELECT n.name, bool_or(n.has_transition) AS has_transition FROM (
            SELECT c ->> 'service_name', false FROM json_array_elements(p_checks) AS c
            UNION ALL
            SELECT t ->> 'service_name', true FROM jsonb_array_elements(p_transitions) AS t
        ) AS n (name, has_transition)
        GROUP BY n.name
        ORDER BY n.name COLLATE "C"
    LOOP
        IF v_service.has_transition
            OR NOT EXISTS (SELECT FROM vigilbase.services AS s WHERE s.service_name = v_service.name)
        THEN
            PERFORM vigilbase.lock_service(v_service.name);
        END IF;
    END LOOP;
END;
$$;
