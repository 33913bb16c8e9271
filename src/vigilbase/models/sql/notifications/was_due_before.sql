-- Whether a trigger was due before a time. A trigger without a delay always was, whatever the clock says.
CREATE OR REPLACE FUNCTION vigilbase.was_due_before(
    p_created_at timestamptz, p_after_s double precision, p_moment timestamptz
)
RETURNS boolean
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT p_after_s = 0 OR p_created_at + make_interval(secs => p_after_s) <= p_moment;
END;
