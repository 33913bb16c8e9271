-- Everything that Vigilbase has created in this database except indexes, by kind and name: the schema and its objects,
-- the two contract tables, and the functions that clients call. `signature` is what GRANT and DROP need.
CREATE OR REPLACE VIEW vigilbase.objects WITH (security_invoker = true) AS
SELECT n.oid, 'schema' AS kind, 'vigilbase' AS name, 'vigilbase' AS signature
FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'vigilbase'
UNION ALL
SELECT c.oid, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'table' END,
    n.nspname || '.' || c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE (n.nspname = 'vigilbase' AND c.relkind IN ('r', 'p', 'v', 'S'))
   OR (n.nspname = 'public' AND c.relkind IN ('r', 'p') AND c.relname IN ('service_health_checks', 'alert_events'))
UNION ALL
SELECT p.oid, 'function', n.nspname || '.' || p.proname,
    pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'vigilbase' OR (n.nspname = 'public' AND p.proname LIKE 'vigilbase\_%');
