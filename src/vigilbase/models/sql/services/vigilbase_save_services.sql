-- Saves the definitions of one owner, and marks its other services as removed. p_services: a JSON array of
-- {"service_name", "kind", "interval_s", "timeout_s", "tags": [...]}. Rows that already have these values are not
-- touched.
CREATE OR REPLACE FUNCTION public.vigilbase_save_services(p_services text, p_source text, p_owner text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name text;
BEGIN
    INSERT INTO vigilbase.services AS s (service_name, kind, interval_s, timeout_s, tags, source, owner)
    SELECT d.service_name, d.kind, d.interval_s, d.timeout_s, coalesce(d.tags, '[]'), p_source, p_owner
    FROM json_to_recordset(p_services::json) AS d (
        service_name text, kind text, interval_s double precision, timeout_s double precision, tags jsonb
    )
    ORDER BY d.service_name COLLATE "C"
    ON CONFLICT (service_name) DO UPDATE
    SET kind = excluded.kind, interval_s = excluded.interval_s, timeout_s = excluded.timeout_s, tags = excluded.tags,
        source = excluded.source, owner = excluded.owner, removed_at = NULL, revision = s.revision + 1
    WHERE (s.kind, s.interval_s, s.timeout_s, s.tags, s.source, s.owner, s.removed_at)
        IS DISTINCT FROM (
            excluded.kind, excluded.interval_s, excluded.timeout_s, excluded.tags, excluded.source, excluded.owner,
            NULL::timestamptz
        );
    FOR v_name IN
        SELECT s.service_name FROM vigilbase.services AS s
        WHERE s.source = p_source AND s.owner = p_owner AND s.removed_at IS NULL AND NOT s.service_name = ANY (ARRAY(
            SELECT d ->> 'service_name' FROM json_array_elements(p_services::json) AS d
        ))
        ORDER BY s.service_name COLLATE "C"
    LOOP
        UPDATE vigilbase.services AS s SET removed_at = clock_timestamp(), revision = s.revision + 1
        WHERE s.service_name = v_name AND s.owner = p_owner;
    END LOOP;
END;
$$;
