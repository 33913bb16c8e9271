-- Locks a channel for a claim, so that one worker claims at a time and what belongs together gets one batch. Returns
-- false if another worker is claiming, or the channel is disabled or paused. Cancels due notifications that are no
-- longer needed, such as those that a worker released.
CREATE OR REPLACE FUNCTION vigilbase.lock_channel(p_channel text, p_now timestamptz)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    v_channel vigilbase.channels;
BEGIN
    INSERT INTO vigilbase.channels (channel) VALUES (p_channel) ON CONFLICT (channel) DO NOTHING;
    SELECT c.* INTO v_channel FROM vigilbase.channels AS c WHERE c.channel = p_channel FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR v_channel.disabled_at IS NOT NULL OR v_channel.paused_until > p_now THEN
        RETURN false;
    END IF;
    UPDATE vigilbase.notifications AS n
    SET status = 'cancelled', ended_at = p_now, lease_id = NULL, leased_until = NULL
    WHERE n.id = ANY (ARRAY(
        SELECT d.id FROM vigilbase.notifications AS d
        WHERE d.channel = p_channel AND d.status = 'pending' AND d.due_at <= p_now
          AND (d.leased_until IS NULL OR d.leased_until <= p_now)
          AND NOT vigilbase.is_needed(d.alert_status, d.kind, d.unless_acknowledged)
        ORDER BY d.id
        FOR UPDATE SKIP LOCKED
    ));
    RETURN true;
END;
$$;
