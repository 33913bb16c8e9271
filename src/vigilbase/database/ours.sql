-- All objects of Vigilbase in a database, with the kind and the signature that DROP needs, the newest first.
-- %(tables)s: the tables of the schema public to include.
SELECT made.kind, made.signature FROM (
    SELECT c.oid, CASE c.relkind
            WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
            WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'i' THEN 'INDEX' ELSE 'TABLE'
        END AS kind,
        pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS signature
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE (n.nspname = 'vigilbase' AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))
        -- The sequence of an identity column is dropped with its table.
        OR (n.nspname = 'vigilbase' AND c.relkind = 'S' AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_depend AS d
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i'
        ))
        OR (n.nspname = 'public' AND c.relkind IN ('r', 'p') AND 'public.' || c.relname = ANY (%(tables)s))
        OR (n.nspname = 'public' AND c.relkind = 'i' AND c.relname = 'idx_service_health_checks_service_checked')
    UNION ALL
    SELECT p.oid, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END,
        pg_catalog.format('%%I.%%I(%%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = 'vigilbase' OR (n.nspname = 'public' AND p.proname LIKE 'vigilbase\_%%')
    UNION ALL
    SELECT n.oid, 'SCHEMA', 'vigilbase' FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'vigilbase'
) AS made
ORDER BY made.kind = 'SCHEMA', made.oid DESC
