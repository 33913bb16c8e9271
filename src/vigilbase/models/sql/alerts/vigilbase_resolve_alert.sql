-- Resolves an open alert, notifies the channels that know of it, and records the author and a comment in its timeline.
-- Returns the resulting alert, or NULL for an unknown id.
CREATE OR REPLACE FUNCTION public.vigilbase_resolve_alert(
    p_id uuid, p_author text DEFAULT NULL, p_comment text DEFAULT NULL
)
RETURNS json
LANGUAGE sql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT vigilbase.move_alert(p_id, 'resolved', p_author, p_comment)
$$;
