-- Every channel that something is known of, by name: [{"channel", "disabled_at", "disabled_reason", "paused_until",
-- "last_batch_at": when one was last tried for the first time, "last_delivered_at", "waiting": due and not tried yet,
-- "failing": tried without success, with the "last_error" of the newest, "suppressed", "failed": for good, and still
-- needed}].
CREATE OR REPLACE FUNCTION public.vigilbase_list_channels()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.channel), '[]')
    FROM (
        SELECT coalesce(c.channel, o.channel) AS channel, c.disabled_at, c.disabled_reason, c.paused_until,
            c.last_batch_at, o.last_delivered_at, o.last_error, coalesce(o.waiting, 0) AS waiting,
            coalesce(o.failing, 0) AS failing, coalesce(o.suppressed, 0) AS suppressed, coalesce(o.failed, 0) AS failed
        FROM vigilbase.channels AS c
        FULL JOIN (
            SELECT n.channel, max(n.ended_at) FILTER (WHERE n.status = 'delivered') AS last_delivered_at,
                count(*) FILTER (WHERE n.status = 'pending' AND n.last_error IS NULL AND n.due_at <= clock_timestamp())
                    AS waiting,
                count(*) FILTER (WHERE n.status = 'pending' AND n.last_error IS NOT NULL AND n.suppressed_by IS NULL)
                    AS failing,
                (array_agg(n.last_error ORDER BY n.id DESC) FILTER (
                    WHERE n.status = 'pending' AND n.last_error IS NOT NULL AND n.suppressed_by IS NULL
                ))[1] AS last_error,
                count(*) FILTER (
                    WHERE n.status = 'pending' AND n.suppressed_by IS NOT NULL AND n.due_at > clock_timestamp()
                ) AS suppressed,
                count(*) FILTER (
                    WHERE n.status = 'failed' AND vigilbase.is_needed(n.alert_status, n.kind, n.unless_acknowledged)
                ) AS failed
            FROM vigilbase.notifications AS n
            GROUP BY n.channel
        ) AS o ON o.channel = c.channel
    ) AS k
$$;
