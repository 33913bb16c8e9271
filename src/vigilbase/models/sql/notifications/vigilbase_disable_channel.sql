-- Disables a channel, and notifies others: raises an alert with the rule "channel" and the given message. p_routes: see
-- vigilbase.enqueue_alert. Returns whether it was enabled.
CREATE OR REPLACE FUNCTION public.vigilbase_disable_channel(
    p_channel text, p_reason text, p_message text, p_routes text
)
RETURNS boolean
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name CONSTANT text := left('channel ' || p_channel, 100);
    v_result json;
    v_alert public.alert_events;
BEGIN
    INSERT INTO vigilbase.channels (channel) VALUES (p_channel) ON CONFLICT (channel) DO NOTHING;
    UPDATE vigilbase.channels AS c SET disabled_at = clock_timestamp(), disabled_reason = p_reason
    WHERE c.channel = p_channel AND c.disabled_at IS NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    v_result := public.vigilbase_raise_alert(
        v_name, 'service_degraded', p_message, '{"source": "notifications", "rule": "channel"}'
    );
    v_alert := vigilbase.read_alert(v_name, (v_result #>> '{alert,id}')::uuid);
    PERFORM vigilbase.add_timeline_entry(v_name, v_alert.id, 'opened');
    PERFORM vigilbase.enqueue_alert(v_alert, p_routes::jsonb, '[]');
    RETURN true;
END;
$$;
