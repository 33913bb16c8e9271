-- Records that a runner is active. Also deletes those that have not been seen for a day.
CREATE OR REPLACE FUNCTION public.vigilbase_save_runner(p_runner_id uuid, p_host text, p_pid integer)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
BEGIN
    INSERT INTO vigilbase.runners AS r (runner_id, host, pid) VALUES (p_runner_id, p_host, p_pid)
    ON CONFLICT (runner_id) DO UPDATE SET seen_at = clock_timestamp();
    DELETE FROM vigilbase.runners AS r WHERE r.seen_at < clock_timestamp() - interval '1 day';
END;
$$;
