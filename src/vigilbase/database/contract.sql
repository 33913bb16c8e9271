-- What differs from migration 012 in the two tables of the contract: columns that are missing or have another type,
-- CHECK constraints that are gone, and triggers, which may change or discard what is written.
WITH expected (relation, name, type, has_check, place) AS (
    VALUES
        ('service_health_checks', 'id', 'uuid', false, 1),
        ('service_health_checks', 'service_name', 'character varying(100)', false, 2),
        ('service_health_checks', 'status', 'text', true, 3),
        ('service_health_checks', 'latency_ms', 'integer', false, 4),
        ('service_health_checks', 'checked_at', 'timestamp with time zone', false, 5),
        ('service_health_checks', 'error_message', 'text', false, 6),
        ('service_health_checks', 'probe_details', 'jsonb', false, 7),
        ('service_health_checks', 'created_at', 'timestamp with time zone', false, 8),
        ('alert_events', 'id', 'uuid', false, 11),
        ('alert_events', 'service_name', 'character varying(100)', false, 12),
        ('alert_events', 'alert_type', 'text', true, 13),
        ('alert_events', 'status', 'text', true, 14),
        ('alert_events', 'message', 'text', false, 15),
        ('alert_events', 'details', 'jsonb', false, 16),
        ('alert_events', 'created_at', 'timestamp with time zone', false, 17),
        ('alert_events', 'acknowledged_at', 'timestamp with time zone', false, 18),
        ('alert_events', 'resolved_at', 'timestamp with time zone', false, 19)
), columns AS (
    SELECT e.*, to_regclass('public.' || e.relation) AS oid, a.attnum,
        pg_catalog.format_type(a.atttypid, a.atttypmod) AS actual
    FROM expected AS e
    LEFT JOIN pg_catalog.pg_attribute AS a
        ON a.attrelid = to_regclass('public.' || e.relation) AND a.attname = e.name AND NOT a.attisdropped
    WHERE to_regclass('public.' || e.relation) IS NOT NULL
)
SELECT CASE
        WHEN c.attnum IS NULL THEN pg_catalog.format('column public.%s.%s is missing', c.relation, c.name)
        WHEN c.actual <> c.type
        THEN pg_catalog.format('column public.%s.%s is %s, not %s', c.relation, c.name, c.actual, c.type)
        ELSE pg_catalog.format('the CHECK of column public.%s.%s is gone', c.relation, c.name)
    END AS text,
    c.attnum IS NULL OR c.actual <> c.type AS is_harmful, c.place
FROM columns AS c
WHERE c.attnum IS NULL OR c.actual <> c.type OR c.has_check AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid = c.oid AND k.contype = 'c' AND c.attnum = ANY (k.conkey)
)
UNION ALL
SELECT pg_catalog.format('the trigger %I on %s may change or discard what is written', t.tgname, t.tgrelid::regclass),
    false, 20
FROM pg_catalog.pg_trigger AS t
WHERE t.tgrelid IN (to_regclass('public.service_health_checks'), to_regclass('public.alert_events'))
    AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 2 = 2 -- BEFORE
ORDER BY place, text
