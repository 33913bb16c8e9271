-- Writes a runner's checks, a JSON array, each with its own id; a check that is already stored stays as it is. A check
-- from the future (clocks never quite agree) gets the time p_now; checked_at_was keeps its own. Returns how many are
-- new.
CREATE OR REPLACE FUNCTION vigilbase.write_checks(p_checks json, p_now timestamptz)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    v_future CONSTANT timestamptz := vigilbase.future_begins_at(p_now);
    v_count integer;
BEGIN
    WITH written AS (
        INSERT INTO public.service_health_checks
            (id, service_name, status, latency_ms, checked_at, error_message, probe_details)
        SELECT c.id, c.service_name, c.status, c.latency_ms,
            CASE WHEN c.checked_at > v_future THEN p_now ELSE c.checked_at END, c.error_message,
            CASE
                WHEN c.checked_at > v_future
                THEN coalesce(c.probe_details, '{}') || jsonb_build_object('checked_at_was', c.checked_at)
                ELSE c.probe_details
            END
        FROM json_to_recordset(p_checks) AS c (
            id uuid, service_name text, status text, latency_ms integer, checked_at timestamptz, error_message text,
            probe_details jsonb
        )
        ON CONFLICT ON CONSTRAINT service_health_checks_pkey DO NOTHING
        RETURNING service_name
    )
    SELECT count(*) INTO v_count FROM written AS w;
    RETURN v_count;
END;
$$;
