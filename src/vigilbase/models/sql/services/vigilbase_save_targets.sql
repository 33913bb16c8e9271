-- Saves facts about probed hosts. p_targets: a JSON object with an object for each service name. This is a separate
-- transaction, since an ordinary check changes no service.
CREATE OR REPLACE FUNCTION public.vigilbase_save_targets(p_targets text)
RETURNS void
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_target record;
BEGIN
    FOR v_target IN
        SELECT t.key AS service_name, t.value AS target FROM json_each(p_targets::json) AS t ORDER BY t.key COLLATE "C"
    LOOP
        INSERT INTO vigilbase.services AS s (service_name, target)
        VALUES (v_target.service_name, v_target.target::jsonb)
        ON CONFLICT (service_name) DO UPDATE SET target = excluded.target;
    END LOOP;
END;
$$;
