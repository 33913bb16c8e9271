-- Until when a channel that batches gathers what comes, counted from its last batch; NULL where nothing keeps it. A
-- last batch from the future, before the clock was set back, keeps nothing.
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
