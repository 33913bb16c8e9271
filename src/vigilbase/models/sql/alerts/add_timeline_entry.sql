-- Adds an entry to an alert's timeline.
CREATE OR REPLACE FUNCTION vigilbase.add_timeline_entry(
    p_service_name text, p_alert_id uuid, p_event text, p_author text DEFAULT NULL, p_comment text DEFAULT NULL,
    p_details jsonb DEFAULT NULL
)
RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO vigilbase.alert_timeline (service_name, alert_id, event, author, comment, details)
    VALUES (p_service_name, p_alert_id, p_event, p_author, p_comment, p_details)
$$;
