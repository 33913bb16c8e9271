-- Enqueues the resolutions of alerts that were resolved by other means than these functions. Returns how many alerts
-- had changed; if 1,000, there may be more.
CREATE OR REPLACE FUNCTION public.vigilbase_enqueue_missing_resolutions()
RETURNS integer
LANGUAGE sql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT vigilbase.catch_up_with_alerts(ARRAY(
        SELECT min(n.id) FROM vigilbase.notifications AS n WHERE n.alert_status <> 'resolved' GROUP BY n.alert_id
    ))
$$;
