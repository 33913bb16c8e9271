-- Records checks in one transaction with the alerts that they open or resolve and the notifications about these.
-- p_checks: a JSON array, see vigilbase.write_checks; p_transitions: a JSON array, see vigilbase.apply_transition. A
-- call writes everything or nothing. If it has checks and none is new, an earlier call recorded them and their effects,
-- and this one changes nothing. Returns {"now": the database's clock, "written": a count, "transitions": one result
-- each, in the order of services}.
CREATE OR REPLACE FUNCTION public.vigilbase_record(p_checks text, p_transitions text)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_checks CONSTANT json := p_checks::json;
    v_transitions CONSTANT jsonb := p_transitions::jsonb;
    v_written integer;
    v_transition jsonb;
    v_results json[] := '{}';
BEGIN
    PERFORM vigilbase.lock_services(v_checks, v_transitions);
    v_written := vigilbase.write_checks(v_checks, clock_timestamp());
    IF v_written > 0 OR json_array_length(v_checks) = 0 THEN
        FOR v_transition IN
            SELECT t.item FROM jsonb_array_elements(v_transitions) WITH ORDINALITY AS t (item, place)
            ORDER BY (t.item ->> 'service_name') COLLATE "C", t.place
        LOOP
            v_results := array_append(v_results, vigilbase.apply_transition(v_transition));
        END LOOP;
    END IF;
    RETURN json_build_object(
        'now', clock_timestamp(), 'written', v_written, 'transitions', array_to_json(v_results)
    );
END;
$$;
