-- Adds a row for every service that has checks but no row, since any client may insert checks. Each iteration is one
-- index step, from a service to the first entry of the next, so the cost grows with the number of services, not with
-- their history.
CREATE OR REPLACE FUNCTION vigilbase.discover_services()
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_name text := '';
    v_names text[] := '{}';
BEGIN
    LOOP
        SELECT c.service_name INTO v_name FROM public.service_health_checks AS c
        WHERE c.service_name > v_name ORDER BY c.service_name LIMIT 1;
        EXIT WHEN NOT FOUND;
        v_names := array_append(v_names, v_name);
    END LOOP;
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN;
    END IF;
    INSERT INTO vigilbase.services (service_name)
    SELECT unknown.service_name FROM (
        SELECT n.name FROM unnest(v_names) AS n (name) EXCEPT SELECT s.service_name FROM vigilbase.services AS s
    ) AS unknown (service_name)
    ORDER BY unknown.service_name COLLATE "C"
    ON CONFLICT (service_name) DO NOTHING;
END;
$$;
