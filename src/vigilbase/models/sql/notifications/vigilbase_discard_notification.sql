-- Cancels a notification that has failed, or that is pending and not being sent. NULL for an unknown id, else
-- {"is_discarded": whether it was one of these, "notification"}.
CREATE OR REPLACE FUNCTION public.vigilbase_discard_notification(p_id bigint, p_author text DEFAULT NULL)
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_now CONSTANT timestamptz := clock_timestamp();
    v_is_discarded boolean;
    v_row vigilbase.notifications;
BEGIN
    UPDATE vigilbase.notifications AS n
    SET status = 'cancelled', ended_at = v_now, lease_id = NULL, leased_until = NULL
    WHERE n.id = p_id AND (
        n.status = 'failed' OR (n.status = 'pending' AND (n.leased_until IS NULL OR n.leased_until <= v_now))
    );
    v_is_discarded := FOUND;
    SELECT n.* INTO v_row FROM vigilbase.notifications AS n WHERE n.id = p_id;
    IF v_is_discarded THEN
        PERFORM vigilbase.add_timeline_entry(
            v_row.service_name, v_row.alert_id, 'cancelled', p_author,
            p_details => jsonb_build_object('channel', v_row.channel, 'kind', v_row.kind, 'attempts', v_row.attempts)
        );
    END IF;
    RETURN CASE WHEN v_row.id IS NOT NULL THEN
        json_build_object('is_discarded', v_is_discarded, 'notification', row_to_json(v_row))
    END;
END;
$$;
