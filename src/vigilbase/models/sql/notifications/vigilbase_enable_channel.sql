-- Enables a channel, or ends the pause that it requested; what waited for it is sent. Returns whether it was disabled
-- or paused.
CREATE OR REPLACE FUNCTION public.vigilbase_enable_channel(p_channel text)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name CONSTANT text := left('channel ' || p_channel, 100);
    v_alert record;
BEGIN
    UPDATE vigilbase.channels AS c SET disabled_at = NULL, disabled_reason = NULL, paused_until = NULL
    WHERE c.channel = p_channel AND (c.disabled_at IS NOT NULL OR c.paused_until > clock_timestamp());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM vigilbase.lock_service(v_name);
    FOR v_alert IN
        UPDATE public.alert_events AS a SET status = 'resolved', resolved_at = clock_timestamp()
        WHERE a.service_name = v_name AND a.status <> 'resolved' AND a.details ->> 'rule' = 'channel'
        RETURNING a.id
    LOOP
        PERFORM vigilbase.add_timeline_entry(v_name, v_alert.id, 'resolved');
        PERFORM vigilbase.enqueue_follow_up(v_name, v_alert.id, 'resolved');
    END LOOP;
    PERFORM pg_notify('vigilbase_notifications', '');
    RETURN true;
END;
$$;
