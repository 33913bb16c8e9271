-- The objects of Vigilbase, and what the calling role, anon and authenticated may do with them: {"tables":
-- {"public.alert_events": ["SELECT", ...]}, "functions": {"vigilbase.is_needed": whether the role may call it},
-- "has_usage": of the schema, "exposed": [what anon or authenticated may use: "sequence
-- vigilbase.notifications_id_seq"]}.
CREATE OR REPLACE FUNCTION public.vigilbase_list_privileges()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT json_build_object(
        'has_usage', has_schema_privilege('vigilbase', 'USAGE'),
        'tables', (
            SELECT json_object_agg(o.name, (
                SELECT coalesce(json_agg(p.privilege), '[]')
                FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p (privilege)
                WHERE has_table_privilege(o.oid, p.privilege)
            ))
            FROM vigilbase.objects AS o WHERE o.kind IN ('table', 'view')
        ),
        'functions', (
            SELECT json_object_agg(f.name, f.may_call) FROM (
                SELECT o.name, bool_and(has_function_privilege(o.oid, 'EXECUTE')) AS may_call
                FROM vigilbase.objects AS o WHERE o.kind = 'function' GROUP BY o.name
            ) AS f
        ),
        'exposed', (
            SELECT coalesce(json_agg(DISTINCT o.kind || ' ' || o.name), '[]')
            FROM vigilbase.objects AS o CROSS JOIN pg_catalog.pg_roles AS r
            WHERE r.rolname IN ('anon', 'authenticated') AND CASE o.kind
                WHEN 'schema' THEN has_schema_privilege(r.oid, o.oid, 'USAGE, CREATE')
                WHEN 'function' THEN has_function_privilege(r.oid, o.oid, 'EXECUTE')
                WHEN 'sequence' THEN has_sequence_privilege(r.oid, o.oid, 'USAGE, SELECT, UPDATE')
                WHEN 'table' THEN (
                    o.name LIKE 'vigilbase.%'
                    OR NOT (SELECT c.relrowsecurity FROM pg_catalog.pg_class AS c WHERE c.oid = o.oid)
                ) AND has_table_privilege(r.oid, o.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                ELSE o.name LIKE 'vigilbase.%'
                    AND has_table_privilege(r.oid, o.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
            END
        )
    )
$$;
