-- Proves that Vigilbase can write, not only that it may: writes a row to each table of an outage and rolls them all
-- back. Returns {"code": "ok" or the SQLSTATE, "message": the server's error or null}.
CREATE OR REPLACE FUNCTION public.vigilbase_test_write()
RETURNS json
LANGUAGE plpgsql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
DECLARE
    v_name CONSTANT text := 'vigilbase doctor ' || gen_random_uuid();
    v_alert public.alert_events;
BEGIN
    BEGIN
        INSERT INTO public.service_health_checks (service_name, status, error_message) VALUES (v_name, 'down', 'test');
        PERFORM vigilbase.lock_service(v_name);
        v_alert := vigilbase.open_alert(v_name, 'service_down', '{"message": "test", "details": {}}', now());
        PERFORM vigilbase.enqueue_alert(
            v_alert, '[{"channel": "test", "after_s": 0, "unless_acknowledged": false, "send_resolved": true}]', '[]'
        );
        INSERT INTO vigilbase.channels (channel) VALUES (v_alert.id::text);
        INSERT INTO vigilbase.suppressions (kind, tag, starts_at, author, comment)
        VALUES ('silence', 'test', now(), 'test', 'test');
        INSERT INTO vigilbase.runners (runner_id, host, pid) VALUES (v_alert.id, 'test', 0);
        RAISE EXCEPTION USING ERRCODE = 'VB000'; -- rolls it all back
    EXCEPTION
        WHEN SQLSTATE 'VB000' THEN
            RETURN json_build_object('code', 'ok', 'message', NULL);
        WHEN OTHERS THEN
            RETURN json_build_object('code', SQLSTATE, 'message', SQLERRM);
    END;
END;
$$;
