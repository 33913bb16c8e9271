"""A call of every SQL function that the migrations create."""

import psycopg

ALERT = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000004"
SEED = f"""
    INSERT INTO alert_events (id, service_name, alert_type, status)
    VALUES ('{ALERT}', 'db', 'recovery', 'active'), ('{OTHER}', 'db', 'recovery', 'active');
    INSERT INTO silences (id, service_glob, starts_at, author, comment)
    VALUES ('{OTHER}', 'db', now(), 'ada', 'deploy');
    INSERT INTO maintenance_windows (id, tag, starts_at, cron, duration_s, time_zone, author, comment)
    VALUES ('{OTHER}', 'shop', now(), '0 3 * * 0', 60, 'UTC', 'ada', 'backups')
"""

# For every function a call, and what makes it a success; each builds on those above it.
CALLS = {
    "vigilbase_access_v1": "() -> 'blind' #>> '{}' = 'false'",
    "vigilbase_insert_health_checks_v1": """('[{"service_name": "api", "status": "down"}]') = 1""",
    "vigilbase_latest_health_checks_v1": "() -> 0 ->> 'service_name' = 'api'",
    "vigilbase_list_health_checks_v1": "(10, 'api') -> 0 ->> 'status' = 'down'",
    "vigilbase_lock_service_v1": """('api') IS NULL AND EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 1986619241 AND pid = pg_backend_pid()
    )""",
    "vigilbase_acknowledge_alert_v1": f"('{ALERT}') ->> 'status' = 'acknowledged'",
    "vigilbase_resolve_alert_v1": f"('{ALERT}') ->> 'status' = 'resolved'",
    "vigilbase_create_alert_v1": "('web', 'service_degraded', 'active', 'slow', '{}') ->> 'status' = 'active'",
    "vigilbase_raise_alert_v1": "('web', 'service_down', 'gone', '{}') ->> 'is_new' = 'true'",
    "vigilbase_list_alerts_v1": """('["active"]', 'web') -> 1 ->> 'service_name' = 'web'""",
    "vigilbase_recent_alert_v1": "('web', 'service_down', 5) ->> 'message' = 'gone'",
    "vigilbase_record_v1": """(
        '[{"id": "00000000-0000-4000-8000-000000000002", "service_name": "api", "status": "down"}]',
        '[{"service_name": "api", "to": "down"}, {"service_name": "api", "to": "healthy"}]'
    ) -> 1 ->> 'outcome' = 'recovered'""",
    "vigilbase_watch_state_v1": """('["api"]', 3) #>> '{services,0,checks,1,status}' = 'down'""",
    "vigilbase_apply_transition_v1": """(
        '{"service_name": "slow", "to": "degraded", "opening": {"message": "slow", "details": {}}}'
    ) #>> '{opened,alert_type}' = 'service_degraded'""",
    "vigilbase_record_v2": """(
        '[{"id": "00000000-0000-4000-8000-000000000003", "service_name": "slow", "status": "down",
            "checked_at": "2026-01-01T00:00:00Z"}]',
        '[{"service_name": "slow", "to": "down", "opening": {"message": "gone", "details": {}}}]'
    ) #>> '{transitions,0,opened,alert_type}' = 'service_down'""",
    "vigilbase_watch_state_v2": """('["slow"]', 3) #>> '{services,0,episode,alert_type}' = 'service_down'""",
    "vigilbase_check_history_v1": "('slow', '2026-01-01T00:00:00Z', 1) #>> '{checks,0,status}' = 'down'",
    "vigilbase_newest_alerts_v1": "(1, 'api') -> 0 ->> 'service_name' = 'api'",
    "vigilbase_privileges_v1": """('["alert_events"]') #>> '{tables,alert_events,3}' = 'DELETE'""",
    "vigilbase_note_v1": f"('{ALERT}', 'db', 'opened', NULL, NULL, '{{}}') IS NULL",
    "vigilbase_owe_trigger_v1": f"""('{ALERT}', 'db', '[{{"channel": "ops", "after_s": 0, "unless_acknowledged": false,
        "tells_recovery": true}}]', '[]')::text = ''""",
    "vigilbase_owe_follow_up_v1": f"('{ALERT}', 'db', 'resolved')::text = ''",
    "vigilbase_apply_transition_v2": """(
        '{"service_name": "late", "to": "down", "opening": {"message": "late", "details": {}},
          "owed": [{"channel": "ops", "after_s": 0, "unless_acknowledged": false, "tells_recovery": true}]}'
    ) #>> '{opened,alert_type}' = 'service_down'""",
    "vigilbase_record_v3": """(
        '[]', '[{"service_name": "late", "to": "healthy", "recovery": {"message": "back", "details": {}}}]'
    ) #>> '{transitions,0,recovery,alert_type}' = 'recovery'""",
    "vigilbase_claim_deliveries_v1": f"""(
        '[{{"channel": "ops", "groups": false, "window_s": 0}}]', '{ALERT}', 60, 10
    ) #>> '{{messages,0,deliveries,0,alert,status}}' = 'resolved'""",
    "vigilbase_finish_deliveries_v1": "('[]')::text = ''",
    "vigilbase_owe_missing_v1": "() = 0",
    "vigilbase_switch_channel_off_v1": "('ops', 'gone', '[]')",
    "vigilbase_list_channels_v1": "() -> 0 ->> 'off_reason' = 'gone'",
    "vigilbase_switch_channel_on_v1": "('ops')",
    "vigilbase_list_deliveries_v1": """('["pending"]', 10) -> 0 ->> 'channel' = 'ops'""",
    "vigilbase_was_wanted_v1": "(now(), now() + interval '1 s', NULL, now()) = false",
    "vigilbase_retry_delivery_v1": "(1) #>> '{delivery,status}' = 'cancelled'",
    "vigilbase_reconsider_withheld_v1": "()::text = ''",
    "vigilbase_list_channels_v2": "() -> 0 ->> 'given_up' = '0'",
    "vigilbase_retry_delivery_v2": "(1) ->> 'outcome' = 'not_dead'",
    "vigilbase_cancel_delivery_v1": "(1) ->> 'cancelled' = 'false'",
    "vigilbase_delete_deliveries_v1": "(0, 10, now() + interval '1 day') ->> 'deleted' IS NOT NULL",
    "vigilbase_add_silence_v1": "('web', NULL, NULL, NULL, NULL, 'ada', 'deploy') ->> 'outcome' = 'added'",
    "vigilbase_list_silences_v1": "() -> 0 ->> 'service_glob' = 'web'",
    "vigilbase_end_silence_v1": f"('{OTHER}') ->> 'ended' = 'true'",
    "vigilbase_add_maintenance_v1": """(
        NULL, 'shop', NULL, NULL, NULL, '0 3 * * 0', 7200, 'Europe/Berlin', 'ada', 'backups'
    ) ->> 'outcome' = 'added'""",
    "vigilbase_list_maintenance_v1": "() -> 0 ->> 'tag' = 'shop'",
    "vigilbase_end_maintenance_v1": f"('{OTHER}') ->> 'ended' = 'true'",
    "vigilbase_acknowledge_alert_v2": f"('{OTHER}', 'ada') ->> 'status' = 'acknowledged'",
    "vigilbase_resolve_alert_v2": f"('{OTHER}', 'ada', 'done') ->> 'status' = 'resolved'",
    "vigilbase_alert_timeline_v1": f"('{OTHER}') #>> '{{1,comment}}' = 'done'",
    "vigilbase_delete_health_checks_v1": "(0, 10, now() + interval '1 day') ->> 'deleted' = '3'",
    "vigilbase_delete_alerts_v1": "(0, 10, true, now() + interval '1 day') ->> 'deleted' = '6'",
}


def require_that_every_function_works(connection: psycopg.Connection) -> None:
    """Call each as the service role, on a database that the migrations have just been applied to."""
    connection.execute(SEED)
    connection.execute("SET ROLE service_role")
    for function, call in CALLS.items():
        answer = connection.execute(f"SELECT {function}{call}".encode()).fetchone()
        assert answer == (True,), function
    connection.execute("RESET ROLE")
