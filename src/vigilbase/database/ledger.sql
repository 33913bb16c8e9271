-- The ledger of what has been applied. The migrations runner creates it before anything else; the printed migrations
-- carry it along, so that `vigilbase migrate --check` knows of them too.
CREATE TABLE IF NOT EXISTS public.vigilbase_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP
);
ALTER TABLE public.vigilbase_migrations ENABLE ROW LEVEL SECURITY;
DO $$
DECLARE
    v_role text;
BEGIN
    REVOKE ALL ON TABLE public.vigilbase_migrations FROM PUBLIC;
    FOREACH v_role IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
            EXECUTE format('REVOKE ALL ON TABLE public.vigilbase_migrations FROM %I', v_role);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'service_role') THEN
        GRANT SELECT ON TABLE public.vigilbase_migrations TO service_role;
    END IF;
END;
$$;
