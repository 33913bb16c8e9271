-- Acknowledges an active alert, tells those who heard of it, and keeps in its timeline who did so and a comment.
-- Returns the alert as it stands afterwards, acknowledged before or resolved as it may be, or NULL for an unknown id.
CREATE OR REPLACE FUNCTION public.vigilbase_acknowledge_alert(
    p_id uuid, p_author text DEFAULT NULL, p_comment text DEFAULT NULL
)
RETURNS json
LANGUAGE sql
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT vigilbase.move_alert(p_id, 'acknowledged', p_author, p_comment)
$$;
