-- Records the result of one batch; see vigilbase_record_results. Returns its channel, or NULL if no attempt ended, and
-- whether this was its first attempt.
CREATE OR REPLACE FUNCTION vigilbase.record_result(
    p_result jsonb, p_now timestamptz, OUT channel text, OUT is_first boolean
)
LANGUAGE plpgsql
AS $$
DECLARE
    v_result CONSTANT text := p_result ->> 'result';
    v_lease_id CONSTANT uuid := (p_result ->> 'lease_id')::uuid;
    v_ids CONSTANT bigint[] := ARRAY(SELECT jsonb_array_elements_text(coalesce(p_result -> 'ids', '[]'))::bigint);
    v_new_batch_id CONSTANT uuid := gen_random_uuid();
    v_row vigilbase.notifications;
BEGIN
    is_first := false;
    FOR v_row IN
        SELECT n.* FROM vigilbase.notifications AS n
        WHERE n.batch_id = (p_result ->> 'batch_id')::uuid
          AND (n.lease_id = v_lease_id OR (v_result = 'delivered' AND n.status = 'pending'))
          AND (v_ids = '{}' OR n.id = ANY (v_ids))
        ORDER BY n.id
        FOR UPDATE
    LOOP
        IF v_row.status <> 'pending' THEN -- another worker delivered it; end the lease
            UPDATE vigilbase.notifications AS n SET lease_id = NULL, leased_until = NULL WHERE n.id = v_row.id;
        ELSIF v_result = 'deferred' THEN
            PERFORM vigilbase.defer_notification(
                v_row, (p_result ->> 'delay_s')::double precision, p_result ->> 'suppressed_by', p_now
            );
        ELSIF v_result = 'split' THEN
            UPDATE vigilbase.notifications AS n
            SET batch_id = v_new_batch_id, attempts = least(n.attempts - 1, 1), due_at = p_now,
                lease_id = NULL, leased_until = NULL, last_error = p_result ->> 'error', suppressed_by = NULL
            WHERE n.id = v_row.id;
        ELSE
            PERFORM vigilbase.end_attempt(v_row, p_result, p_now);
            channel := v_row.channel;
            is_first := is_first OR (v_row.attempts = 1 AND v_result <> 'cancelled');
        END IF;
    END LOOP;
END;
$$;
