-- Adds the rows that these services lack. Costs one index lookup each, and touches no existing row.
CREATE OR REPLACE FUNCTION vigilbase.add_services(p_service_names text[])
RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO vigilbase.services (service_name)
    SELECT n.name FROM unnest(p_service_names) AS n (name) GROUP BY n.name ORDER BY n.name COLLATE "C"
    ON CONFLICT (service_name) DO NOTHING
$$;
