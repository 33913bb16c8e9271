"""A call of every SQL function that the migrations create."""

import psycopg

ALERT = "00000000-0000-4000-8000-000000000001"
SEED = f"INSERT INTO alert_events (id, service_name, alert_type, status) VALUES ('{ALERT}', 'db', 'recovery', 'active')"

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
    "vigilbase_delete_health_checks_v1": "(0, 10, now() + interval '1 day') ->> 'deleted' = '3'",
    "vigilbase_delete_alerts_v1": "(0, 10, true, now() + interval '1 day') ->> 'deleted' = '4'",
}


def require_that_every_function_works(connection: psycopg.Connection) -> None:
    """Call each as the service role, on a database that the migrations have just been applied to."""
    connection.execute(SEED)
    connection.execute("SET ROLE service_role")
    for function, call in CALLS.items():
        answer = connection.execute(f"SELECT {function}{call}".encode()).fetchone()
        assert answer == (True,), function
    connection.execute("RESET ROLE")
