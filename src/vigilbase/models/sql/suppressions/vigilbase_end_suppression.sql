-- Ends a suppression of a kind now, or cancels it if it has not started; notifications that it suppressed are sent.
-- NULL for an unknown id, else {"has_ended": whether this call ended it, "suppression": row}.
CREATE OR REPLACE FUNCTION public.vigilbase_end_suppression(p_kind text, p_id uuid)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_now timestamptz;
    v_has_ended boolean;
    v_suppression vigilbase.suppressions;
BEGIN
    -- The clock is read under the lock, so that only one of several calls ends it.
    PERFORM FROM vigilbase.suppressions AS s WHERE s.kind = p_kind AND s.id = p_id FOR UPDATE;
    v_now := clock_timestamp();
    UPDATE vigilbase.suppressions AS s SET ends_at = greatest(v_now, s.starts_at)
    WHERE s.kind = p_kind AND s.id = p_id AND (s.ends_at IS NULL OR s.ends_at > greatest(v_now, s.starts_at));
    v_has_ended := FOUND;
    IF v_has_ended THEN
        PERFORM vigilbase.requeue_suppressed();
    END IF;
    SELECT s.* INTO v_suppression FROM vigilbase.suppressions AS s WHERE s.kind = p_kind AND s.id = p_id;
    RETURN CASE WHEN FOUND THEN
        json_build_object('has_ended', v_has_ended, 'suppression', row_to_json(v_suppression))
    END;
END;
$$;
