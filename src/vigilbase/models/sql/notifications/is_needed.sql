-- Whether a notification is still needed: a resolution always is; others are until the alert is resolved, and an
-- escalation or a reminder only until it is acknowledged.
CREATE OR REPLACE FUNCTION vigilbase.is_needed(p_alert_status text, p_kind text, p_unless_acknowledged boolean)
RETURNS boolean
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT (p_kind = 'resolved' OR p_alert_status <> 'resolved')
        AND NOT (p_alert_status = 'acknowledged' AND (p_unless_acknowledged OR p_kind = 'reminder'));
END;
