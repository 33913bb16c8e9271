-- An alert's timeline, oldest entry first.
CREATE OR REPLACE FUNCTION public.vigilbase_list_timeline(p_alert_id uuid)
RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name CONSTANT text := vigilbase.find_alert_service(p_alert_id);
BEGIN
    RETURN (
        SELECT coalesce(json_agg(row_to_json(t) ORDER BY t.id), '[]')
        FROM vigilbase.alert_timeline AS t
        WHERE t.service_name = v_name AND t.alert_id = p_alert_id
    );
END;
$$;
