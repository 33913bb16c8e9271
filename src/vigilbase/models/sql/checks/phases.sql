-- A probe's phases in milliseconds by name, such as {"dns_ms": 1.2, ...}, from the compact text that a check stores:
-- values by position, "-" for a phase that did not occur. NULL if there are none. Returns an object unchanged.
CREATE OR REPLACE FUNCTION vigilbase.phases(p_probe_details jsonb)
RETURNS jsonb
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE
        WHEN jsonb_typeof(p_probe_details -> 'phases') = 'object' THEN p_probe_details -> 'phases'
        WHEN jsonb_typeof(p_probe_details -> 'phases') = 'string' AND p_probe_details ->> 'phases'
            ~ '^((-|(0|[1-9][0-9]{0,7})(\.[1-9])?) ){0,6}(0|[1-9][0-9]{0,7})(\.[1-9])?$'
        THEN (
            SELECT jsonb_object_agg(n.name || '_ms', v.value::numeric)
            FROM unnest(ARRAY['dns', 'connect', 'tls', 'first_byte', 'transfer', 'query', 'ping'])
                WITH ORDINALITY AS n (name, place)
            JOIN unnest(string_to_array(p_probe_details ->> 'phases', ' ')) WITH ORDINALITY AS v (value, place)
                ON v.place = n.place AND v.value <> '-'
        )
    END;
END;
