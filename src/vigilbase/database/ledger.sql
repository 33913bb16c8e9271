-- The ledger of what has been applied, in the schema of all that Vigilbase has beside its two contract tables. The
-- migrations runner creates it before anything else and locks it; the printed migrations carry it along, so that
-- `vigilbase migrate --check` knows of them too. Privileges on both are 018's.
DO $$
BEGIN
    -- CREATE SCHEMA IF NOT EXISTS asks for a privilege that a role needn't have where the schema is there.
    IF to_regnamespace('vigilbase') IS NULL THEN
        CREATE SCHEMA vigilbase;
    END IF;
END;
$$;
CREATE TABLE IF NOT EXISTS vigilbase.migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP
);
ALTER TABLE vigilbase.migrations ENABLE ROW LEVEL SECURITY;
