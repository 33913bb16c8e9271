"""A call of every SQL function that the migrations create, and a list of all views."""

import psycopg
from psycopg import sql

ALERT = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
CHECK = "00000000-0000-4000-8000-000000000003"
LEASE = "00000000-0000-4000-8000-000000000004"
SUPPRESSION = "00000000-0000-4000-8000-000000000005"
BATCH = "00000000-0000-4000-8000-000000000006"
SEED = f"""
    INSERT INTO public.alert_events (id, service_name, alert_type, status, details)
    VALUES ('{ALERT}', 'db', 'service_down', 'active', '{{"source": "judge"}}'),
        ('{OTHER}', 'web', 'service_down', 'active', NULL);
    INSERT INTO vigilbase.suppressions (id, kind, tag, starts_at, cron, duration_s, time_zone, author, comment)
    VALUES ('{SUPPRESSION}', 'maintenance', 'shop', now(), '0 3 * * 0', 60, 'UTC', 'ada', 'backups')
"""
VIEWS = ("vigilbase.objects", "vigilbase.pending_notifications")

ROUTES = '[{"channel": "ops", "after_s": 0, "unless_acknowledged": false, "send_resolved": true}]'
ROW = "(SELECT n FROM vigilbase.notifications AS n ORDER BY n.id LIMIT 1)"
RETRY = f'{{"result": "retry", "lease_id": "{LEASE}", "delay_s": 0, "error": "busy"}}'

# A call of every function and its expected result, as one expression. Each call relies on the calls above it.
CALLS = {
    # Predicates and other small helpers.
    "vigilbase.is_needed": "('acknowledged', 'reminder', false) = false",
    "vigilbase.was_due_before": "(now(), 60, now()) = false",
    "vigilbase.window_ends_at": "(now(), 60, now()) = now() + interval '1 minute'",
    "vigilbase.can_start_batch": "('ops', 60, now())",
    "vigilbase.future_begins_at": "(now()) = now() + interval '1 second'",
    "vigilbase.is_status": "('paused') = false",
    "vigilbase.phases": """('{"phases": "1.5 - 3"}') = '{"dns_ms": 1.5, "tls_ms": 3}'""",
    # Services and runners.
    "vigilbase.add_services": "('{db,api}') IS NULL",
    "vigilbase.lock_service": "('db') IS NULL",
    "public.vigilbase_save_services": """(
        '[{"service_name": "db", "kind": "tcp", "tags": []}]', 'file', 'a.yaml'
    )::text = ''""",
    "public.vigilbase_save_targets": """('{"db": {"address": "192.0.2.1"}}')::text = ''""",
    "public.vigilbase_save_runner": f"('{LEASE}', 'box', 1)::text = ''",
    "public.vigilbase_end_runner": f"('{LEASE}') IS NULL",
    # Checks.
    "vigilbase.write_checks": f"""(
        '[{{"id": "{CHECK}", "service_name": "api", "status": "down", "checked_at": "2100-01-01T00:00:00Z"}}]', now()
    ) = 1""",
    "public.vigilbase_create_health_check": """('{"service_name": "api", "status": "down"}') ->> 'status' = 'down'""",
    "public.vigilbase_create_health_checks": """('[{"service_name": "new", "status": "healthy"}]') = 1""",
    "vigilbase.discover_services": "()::text = ''",
    "public.vigilbase_find_latest_health_checks": "() #>> '{1,0,service_name}' = 'new'",
    "public.vigilbase_find_latest_health_check": "('new') #>> '{0,status}' = 'healthy'",
    "public.vigilbase_find_check_history": "('api', '2026-01-01T00:00:00Z', 1) #>> '{checks,0,status}' = 'down'",
    # Alerts.
    "vigilbase.find_alert_service": f"('{ALERT}') = 'db'",
    "vigilbase.read_alert": f"('db', '{ALERT}')::text LIKE '({ALERT},db,service_down,active,%'",
    "vigilbase.find_current_alert": f"('db')::text LIKE '({ALERT},db,service_down,active,%'",
    "vigilbase.add_timeline_entry": f"('db', '{ALERT}', 'opened') IS NULL",
    "vigilbase.open_alert": """(
        'slow', 'service_degraded', '{"message": "slow", "details": {}}', now()
    )::text LIKE '%,slow,service_degraded,active,%'""",
    "vigilbase.write_recovery": """(
        vigilbase.find_current_alert('slow'), '{"recovery": {"message": "fast", "details": {}}}', now()
    )::text LIKE '%,slow,recovery,resolved,fast,%'""",
    "vigilbase.resolve_alerts": """(
        '{"service_name": "slow", "to": "healthy", "recovery": {"message": "fast", "details": {}}}', NULL, NULL, NULL,
        now()
    )::text = ''""",
    "public.vigilbase_create_alert": "('old', 'service_degraded', 'resolved', 'slow', '{}') ->> 'status' = 'resolved'",
    "public.vigilbase_raise_alert": "('old', 'service_down', 'gone', '{}') ->> 'is_new' = 'true'",
    "public.vigilbase_find_recent_alert": "('old', 'service_down', 1) ->> 'message' = 'gone'",
    "public.vigilbase_list_alerts": """('["active"]', 'old') -> 0 ->> 'message' = 'gone'""",
    # The outbox.
    "vigilbase.enqueue_alert": f"(vigilbase.read_alert('db', '{ALERT}'), '{ROUTES}', '[]')::text = ''",
    "vigilbase.catch_up_with_alert": f"('db', '{ALERT}')::text = ''",
    "vigilbase.lock_notifications": f"(ARRAY['{ALERT}'::uuid])::text = ''",
    "vigilbase.lock_services": """('[{"service_name": "new"}]', '[{"service_name": "api"}]')::text = ''""",
    "vigilbase.catch_up_with_alerts": "('{1}') = 0",
    "vigilbase.lock_channel": "('ops', now())",
    "vigilbase.claim_new": f"('ops', 0, '{LEASE}', now() + interval '1 minute', 10) <> '{{}}'",
    "vigilbase.describe_batches": f"""(
        ARRAY(SELECT n.batch_id FROM vigilbase.notifications AS n), '{LEASE}'
    ) #>> '{{0,notifications,0,alert,service_name}}' = 'db'""",
    "vigilbase.end_attempt": f"({ROW}, '{RETRY}', now())::text = ''",
    "vigilbase.claim_retries": f"('ops', '{LEASE}', now() + interval '1 minute', 10) <> '{{}}'",
    "vigilbase.defer_notification": f"({ROW}, 0, 'silence', now())::text = ''",
    "vigilbase.record_result": f"""('{{"result": "failed", "batch_id": "{BATCH}"}}', now())::text = '(,f)'""",
    "vigilbase.enqueue_after_attempt": f"({ROW}, 'delivered', 'acknowledged', NULL, now())::text = ''",
    "vigilbase.save_alert_status": f"('{ALERT}', 'acknowledged')::text = ''",
    "vigilbase.cancel_unneeded": f"('{ALERT}', 'acknowledged')::text = ''",
    "vigilbase.enqueue_follow_up": f"('db', '{ALERT}', 'resolved')::text = ''",
    "vigilbase.requeue_suppressed": "()::text = ''",
    "public.vigilbase_record_results": f"""(
        '[{{"result": "deferred", "batch_id": "{BATCH}", "lease_id": "{LEASE}", "delay_s": 1}}]'
    )::text = ''""",
    # A batch of checks that opens an alert and enqueues a notification.
    "vigilbase.apply_transition": f"""(
        '{{"service_name": "late", "to": "down", "opening": {{"message": "late", "details": {{}}}},
            "routes": {ROUTES}, "tags": ["shop"]}}'
    ) #>> '{{opened,alert_type}}' = 'service_down'""",
    "public.vigilbase_load_state": """('["late"]', 3) #>> '{services,0,alert,alert_type}' = 'service_down'""",
    "public.vigilbase_record": f"""(
        '[{{"id": "{OTHER}", "service_name": "late", "status": "healthy", "checked_at": "2026-01-01T00:00:00Z"}}]',
        '[{{"service_name": "late", "to": "healthy", "recovery": {{"message": "back", "details": {{}}}}}}]'
    ) #>> '{{transitions,0,recovery,alert_type}}' = 'recovery'""",
    "public.vigilbase_claim_notifications": f"""(
        'ops', 0, '{LEASE}', 60, 10
    ) #>> '{{batches,0,notifications,0,alert,status}}' = 'active'""",
    "public.vigilbase_enqueue_missing_resolutions": "() = 0",
    "public.vigilbase_disable_channel": f"('ops', 'gone', 'ops is disabled', '{ROUTES}')",
    "public.vigilbase_list_channels": "() -> 0 ->> 'disabled_reason' = 'gone'",
    "public.vigilbase_enable_channel": "('ops')",
    "public.vigilbase_list_notifications": """('["pending"]', 10) -> 0 ->> 'channel' = 'ops'""",
    "public.vigilbase_retry_notification": "(1) ->> 'outcome' = 'not_failed'",
    "public.vigilbase_discard_notification": "(1) ->> 'is_discarded' = 'false'",
    # Manual changes.
    "vigilbase.move_alert": f"('{OTHER}', 'acknowledged', 'ada', NULL) ->> 'status' = 'acknowledged'",
    "public.vigilbase_acknowledge_alert": f"('{OTHER}', 'ada', 'mine') ->> 'status' = 'acknowledged'",
    "public.vigilbase_resolve_alert": f"('{OTHER}', 'ada', 'done') ->> 'status' = 'resolved'",
    "public.vigilbase_list_timeline": f"('{OTHER}') #>> '{{2,comment}}' = 'done'",
    # Suppressions.
    "public.vigilbase_add_suppression": """(
        'silence', 'web', NULL, NULL, NULL, NULL, 'ada', 'deploy'
    ) ->> 'outcome' = 'added'""",
    "public.vigilbase_list_suppressions": "('silence') -> 0 ->> 'service_glob' = 'web'",
    "public.vigilbase_find_suppressions": f"""(
        'maintenance', '{SUPPRESSION}', '{SUPPRESSION}', 1
    ) -> 0 ->> 'tag' = 'shop'""",
    "public.vigilbase_end_suppression": f"('maintenance', '{SUPPRESSION}') ->> 'has_ended' = 'true'",
    # Objects and privileges.
    "public.vigilbase_role_info": "() ->> 'is_blind' = 'false'",
    "public.vigilbase_list_migrations": "() ->> 'is_blind' = 'false'",
    "public.vigilbase_list_privileges": "() ->> 'exposed' = '[]'",
    "public.vigilbase_test_write": "() ->> 'code' = 'ok'",
    # Retention.
    "public.vigilbase_delete_health_checks": "(0, 10, now() + interval '1 day') ->> 'deleted' = '4'",
    "public.vigilbase_delete_alerts": "(0, 10, true, now() + interval '1 day') ->> 'deleted' = '5'",
    "public.vigilbase_delete_notifications": "(0, 10, now() + interval '1 day') ->> 'deleted' = '10'",
}


def require_every_function_works(connection: psycopg.Connection) -> None:
    """Call every function as the service role, on a freshly migrated database."""
    connection.execute(SEED)
    connection.execute("SET ROLE service_role")
    for function, call in CALLS.items():
        answer = connection.execute(f"SELECT {function}{call}".encode()).fetchone()
        assert answer == (True,), function
    for view in VIEWS:
        connection.execute(sql.SQL("SELECT * FROM {}").format(sql.SQL(view)))
    connection.execute("RESET ROLE")
