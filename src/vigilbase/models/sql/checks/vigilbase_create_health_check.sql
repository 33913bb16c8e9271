-- Writes one check, a JSON object, and returns the stored row, or NULL if a trigger of the host has discarded it.
-- Without checked_at, the check gets the current time.
CREATE OR REPLACE FUNCTION public.vigilbase_create_health_check(p_check text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_check public.service_health_checks;
BEGIN
    INSERT INTO public.service_health_checks AS c
        (id, service_name, status, latency_ms, checked_at, error_message, probe_details)
    SELECT coalesce(g.id, gen_random_uuid()), g.service_name, g.status, g.latency_ms,
        coalesce(g.checked_at, now()), g.error_message, g.probe_details
    FROM json_to_record(p_check::json) AS g (
        id uuid, service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
        probe_details jsonb
    )
    RETURNING c.* INTO v_check;
    IF v_check.id IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM vigilbase.add_services(ARRAY[v_check.service_name::text]);
    RETURN row_to_json(v_check);
END;
$$;
