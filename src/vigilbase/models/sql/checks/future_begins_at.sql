-- After this, a time is in the future: clocks never quite agree, so a second is allowed. Other code may write any time,
-- and a row from the future must not hide those of today.
CREATE OR REPLACE FUNCTION vigilbase.future_begins_at(p_now timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p_now + interval '1 second';
END;
