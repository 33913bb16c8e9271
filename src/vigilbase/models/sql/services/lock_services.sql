-- Locks the services of a batch's transitions, and adds those that a check is the first to name: all of them in one
-- order, so that two runners never wait for each other's locks.
CREATE OR REPLACE FUNCTION vigilbase.lock_services(p_checks json, p_transitions jsonb)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_checked CONSTANT text[] := ARRAY(SELECT DISTINCT c ->> 'service_name' FROM json_array_elements(p_checks) AS c);
    v_name text;
BEGIN
    FOR v_name IN
        SELECT n.name FROM (
            (
                SELECT c.name FROM unnest(v_checked) AS c (name)
                EXCEPT
                SELECT s.service_name FROM vigilbase.services AS s WHERE s.service_name = ANY (v_checked)
            )
            UNION
            SELECT t ->> 'service_name' FROM jsonb_array_elements(p_transitions) AS t
        ) AS n (name)
        ORDER BY n.name COLLATE "C"
    LOOP
        PERFORM vigilbase.lock_service(v_name);
    END LOOP;
END;
$$;
