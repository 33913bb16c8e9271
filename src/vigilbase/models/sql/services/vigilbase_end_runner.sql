-- Removes a stopped runner.
CREATE OR REPLACE FUNCTION public.vigilbase_end_runner(p_runner_id uuid)
RETURNS void
LANGUAGE sql
SET search_path = '' SET default_transaction_isolation = 'read committed'
AS $$
    DELETE FROM vigilbase.runners AS r WHERE r.runner_id = p_runner_id
$$;
