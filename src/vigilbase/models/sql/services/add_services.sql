-- Adds a row for those of these services that have none. An index look-up each, and no row is touched that is there.
CREATE OR REPLACE FUNCTION vigilbase.add_services(p_service_names text[])
RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO vigilbase.services (service_name)
    SELECT n.name FROM unnest(p_service_names) AS n (name) GROUP BY n.name ORDER BY n.name COLLATE "C"
    ON CONFLICT (service_name) DO NOTHING
$$;
