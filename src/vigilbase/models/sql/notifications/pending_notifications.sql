-- Every pending notification, the time of its next attempt, and what it waits for (waits_for). NULL means that it can
-- be claimed now; the codes are:
--   not_needed        its alert is resolved, or acknowledged
--   worker            a worker is sending it
--   channel_disabled  its channel is disabled
--   suppression       a silence or maintenance window suppresses it
--   channel_pause     its channel requested a pause
--   due_at            it is not due yet
--   earlier           an earlier notification of the same alert to the same channel
--   resolution        the resolution of the service's last alert of that type, since some receivers can't tell the two
--                     apart. It stops waiting once that has failed four times, or is suppressed
-- A receiver knows a notification that was attempted before by its batch_id, so it waits for no other.
CREATE OR REPLACE VIEW vigilbase.pending_notifications WITH (security_invoker = true) AS
SELECT n.*, greatest(n.due_at, n.leased_until, c.paused_until) AS next_attempt_at, CASE
    WHEN NOT vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged) THEN 'not_needed'
    WHEN n.leased_until > clock_timestamp() THEN 'worker'
    WHEN c.disabled_at IS NOT NULL THEN 'channel_disabled'
    WHEN n.suppressed_by IS NOT NULL AND n.due_at > clock_timestamp() THEN 'suppression'
    WHEN c.paused_until > clock_timestamp() THEN 'channel_pause'
    WHEN n.due_at > clock_timestamp() THEN 'due_at'
    WHEN n.batch_id IS NOT NULL THEN NULL
    WHEN EXISTS (
        SELECT FROM vigilbase.notifications AS e
        WHERE e.alert_id = n.alert_id AND e.channel = n.channel AND e.id < n.id
          AND (e.leased_until > clock_timestamp()
              OR (e.status = 'pending' AND (e.due_at <= clock_timestamp() OR e.attempts > 0)))
    ) THEN 'earlier'
    WHEN n.kind = 'triggered' AND EXISTS (
        SELECT FROM vigilbase.notifications AS e
        WHERE e.service_name = n.service_name AND e.channel = n.channel AND e.kind = 'resolved'
          AND e.status = 'pending' AND e.id < n.id AND e.alert_type = n.alert_type
          AND (e.leased_until > clock_timestamp() OR (
              e.attempts <= 3 AND (e.suppressed_by IS NULL OR e.due_at <= clock_timestamp())
          ))
    ) THEN 'resolution'
END AS waits_for
FROM vigilbase.notifications AS n
LEFT JOIN vigilbase.channels AS c ON c.channel = n.channel
WHERE n.status = 'pending';
