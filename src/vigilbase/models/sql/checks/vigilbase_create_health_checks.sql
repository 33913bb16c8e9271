-- Writes several checks, a JSON array, all or none. Those without checked_at get the current time. Returns how many.
CREATE OR REPLACE FUNCTION public.vigilbase_create_health_checks(p_checks text)
RETURNS integer
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_count integer;
    v_names text[];
BEGIN
    WITH written AS (
        INSERT INTO public.service_health_checks
            (id, service_name, status, latency_ms, checked_at, error_message, probe_details)
        SELECT coalesce(c.id, gen_random_uuid()), c.service_name, c.status, c.latency_ms,
            coalesce(c.checked_at, now()), c.error_message, c.probe_details
        FROM json_to_recordset(p_checks::json) AS c (
            id uuid, service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
            probe_details jsonb
        )
        RETURNING service_name
    )
    SELECT count(*), array_agg(DISTINCT w.service_name) INTO v_count, v_names FROM written AS w;
    PERFORM vigilbase.add_services(v_names);
    RETURN v_count;
END;
$$;
