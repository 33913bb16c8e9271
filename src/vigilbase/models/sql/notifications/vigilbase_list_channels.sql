-- Every channel that has a row or notifications, by name: [{"channel", "disabled_at", "disabled_reason",
-- "paused_until", "last_batch_at": the first attempt of its newest batch, "last_delivered_at", "pending": due and not
-- attempted yet, "retrying": attempted without success, with the "last_error" of the newest, "suppressed", "failed":
-- for good, and still needed}].
CREATE OR REPLACE FUNCTION public.vigilbase_list_channels()
RETURNS json
LANGUAGE sql STABLE
SET search_path = '' SET timezone = 'UTC' SET default_transaction_isolation = 'read committed'
AS $$
    SELECT coalesce(json_agg(row_to_json(k) ORDER BY k.channel), '[]')
    FROM (
        SELECT coalesce(c.channel, o.channel) AS channel, c.disabled_at, c.disabled_reason, c.paused_until,
            c.last_batch_at, o.last_delivered_at, o.last_error, coalesce(o.pending, 0) AS pending,
            coalesce(o.retrying, 0) AS retrying, coalesce(o.suppressed, 0) AS suppressed,
            coalesce(o.failed, 0) AS failed
        FROM vigilbase.channels AS c
        FULL JOIN (
            SELECT n.channel, max(n.ended_at) FILTER (WHERE n.status = 'delivered') AS last_delivered_at,
                count(*) FILTER (WHERE n.status = 'pending' AND n.last_error IS NULL AND n.due_at <= clock_timestamp())
                    AS pending,
                count(*) FILTER (WHERE n.status = 'pending' AND n.last_error IS NOT NULL AND n.suppressed_by IS NULL)
                    AS retrying,
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
