-- When the window ends in which a channel collects a batch, counted from its last batch; NULL if none is open. A last
-- batch in the future, because the clock was set back, opens none.
CREATE OR REPLACE FUNCTION vigilbase.window_ends_at(
    p_last_batch_at timestamptz, p_window_s double precision, p_now timestamptz
)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT CASE
        WHEN p_last_batch_at <= p_now AND p_last_batch_at > p_now - make_interval(secs => p_window_s)
        THEN p_last_batch_at + make_interval(secs => p_window_s)
    END;
END;
