-- Whether a channel that batches may start a batch: its window is over, and no batch is being sent.
CREATE OR REPLACE FUNCTION vigilbase.can_start_batch(p_channel text, p_window_s double precision, p_now timestamptz)
RETURNS boolean
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT NOT EXISTS (
        SELECT FROM vigilbase.channels AS c
        WHERE c.channel = p_channel AND vigilbase.window_ends_at(c.last_batch_at, p_window_s, p_now) IS NOT NULL
    ) AND NOT EXISTS (
        SELECT FROM vigilbase.notifications AS n
        WHERE n.channel = p_channel AND n.status = 'pending' AND n.leased_until > p_now
    );
END;
