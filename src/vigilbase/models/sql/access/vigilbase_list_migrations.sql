-- The ledger: {"is_blind": whether row-level security hides it from the role, "role", "migrations": [{"number",
-- "name", "sha256"}]}.
CREATE OR REPLACE FUNCTION public.vigilbase_list_migrations()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT json_build_object(
        'role', current_user,
        'is_blind', row_security_active('vigilbase.migrations'::regclass),
        'migrations', (
            SELECT coalesce(json_agg(json_build_object('number', m.number, 'name', m.name, 'sha256', m.sha256)
                ORDER BY m.number), '[]')
            FROM vigilbase.migrations AS m
        )
    )
$$;
