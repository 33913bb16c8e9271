-- Enqueues the notifications about a new alert. p_routes: a JSON array of {"channel", "after_s", "unless_acknowledged",
-- "send_resolved"}; p_tags: a JSON array of strings. A second call changes nothing.
CREATE OR REPLACE FUNCTION vigilbase.enqueue_alert(p_alert public.alert_events, p_routes jsonb, p_tags jsonb)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO vigilbase.notifications (
        alert_id, service_name, alert_type, alert_status, channel, kind, number, tags, unless_acknowledged,
        send_resolved, after_s, due_at
    )
    SELECT p_alert.id, p_alert.service_name, p_alert.alert_type, p_alert.status, r.item ->> 'channel', 'triggered',
        r.place, coalesce(p_tags, '[]'), (r.item ->> 'unless_acknowledged')::boolean,
        (r.item ->> 'send_resolved')::boolean, (r.item ->> 'after_s')::double precision,
        clock_timestamp() + make_interval(secs => (r.item ->> 'after_s')::double precision)
    FROM jsonb_array_elements(coalesce(p_routes, '[]')) WITH ORDINALITY AS r (item, place)
    ON CONFLICT (alert_id, channel, kind, number) DO NOTHING;
    IF FOUND THEN
        PERFORM pg_notify('vigilbase_notifications', '');
    END IF;
END;
$$;
