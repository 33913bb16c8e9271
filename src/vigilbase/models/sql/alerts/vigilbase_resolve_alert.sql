-- Resolves an open alert, tells those who heard of it, and keeps in its timeline who did so and a comment. Returns
-- the alert as it stands afterwards, or NULL for an unknown id.
CREATE OR REPLACE FUNCTION public.vigilbase_resolve_alert(
    p_id uuid, p_author text DEFAULT NULL, p_comment text DEFAULT NULL
)
RETURNS json
LANGUAGE sql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT vigilbase.move_alert(p_id, 'resolved', p_author, p_comment)
$$;
