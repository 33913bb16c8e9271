-- Locks a service until the transaction ends, and adds its row if it is missing. Every function that opens, changes or
-- closes an alert calls this first: one service a statement, several in the order of COLLATE "C". Because the row
-- changes, a transaction with a stale snapshot fails with 40001 instead of acting on what it can't see.
CREATE OR REPLACE FUNCTION vigilbase.lock_service(p_service_name text)
RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO vigilbase.services (service_name) VALUES (p_service_name)
    ON CONFLICT (service_name) DO UPDATE SET revision = services.revision + 1
$$;
