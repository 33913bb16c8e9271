-- Whether a check's status is one of ours. A host may have dropped the constraint that ensures it.
CREATE OR REPLACE FUNCTION vigilbase.is_status(p_status text)
RETURNS boolean
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT p_status IS NOT NULL AND p_status IN ('healthy', 'degraded', 'down');
END;
