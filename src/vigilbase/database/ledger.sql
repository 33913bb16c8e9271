-- The ledger of applied migrations, and the schema of everything except the two contract tables. The migrations runner
-- creates both before anything else and locks the ledger. Printed migrations contain this text, too, so that
-- `vigilbase migrate --check` knows about them. Migration 018 grants the privileges.
DO $$
BEGIN
    -- CREATE SCHEMA IF NOT EXISTS needs a privilege that a role may lack, even if the schema exists.
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
