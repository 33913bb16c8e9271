-- What a worker needs to know about claimed batches: [{"batch_id", "channel", "kind", "at", "attempts",
-- "notifications": [{"id", "tags", "may_know_alert": whether the channel may know of the alert, "alert"}]}], oldest
-- first. Omits those whose alert is deleted; they are cancelled when the lease ends.
CREATE OR REPLACE FUNCTION vigilbase.describe_batches(p_batch_ids uuid[], p_lease_id uuid)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT coalesce(json_agg(b.batch ORDER BY b.first_id), '[]')
    FROM (
        SELECT min(n.id) AS first_id, json_build_object(
            'batch_id', n.batch_id, 'channel', n.channel, 'kind', n.kind, 'at', min(n.batched_at),
            'attempts', max(n.attempts),
            'notifications', json_agg(json_build_object(
                'id', n.id, 'tags', n.tags, 'alert', n.alert,
                'may_know_alert', EXISTS (
                    SELECT FROM vigilbase.notifications AS t
                    WHERE t.alert_id = n.alert_id AND t.channel = n.channel AND t.kind = 'triggered'
                      AND t.attempts > 0 AND t.id <> n.id
                )
            ) ORDER BY n.id)
        ) AS batch
        FROM (
            SELECT d.*, vigilbase.read_alert(d.service_name, d.alert_id) AS alert FROM vigilbase.notifications AS d
            WHERE d.batch_id = ANY (p_batch_ids) AND d.status = 'pending' AND d.lease_id = p_lease_id
        ) AS n
        WHERE (n.alert).id IS NOT NULL
        GROUP BY n.batch_id, n.channel, n.kind
    ) AS b
$$;
