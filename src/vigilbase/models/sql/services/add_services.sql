-- Makes a row for those of these services that have none.
CREATE OR REPLACE FUNCTION vigilbase.add_services(p_service_names text[])
RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO vigilbase.services (service_name)
    SELECT unknown.service_name FROM (
        SELECT n.name FROM unnest(p_service_names) AS n (name)
        EXCEPT
        SELECT s.service_name FROM vigilbase.services AS s WHERE s.service_name = ANY (p_service_names)
    ) AS unknown (service_name)
    ORDER BY unknown.service_name COLLATE "C"
    ON CONFLICT (service_name) DO NOTHING
$$;
