-- The outbox: one row for each notification about one alert to one channel. The first claim sets its batch_id, the
-- deduplication key of every attempt; rows with the same batch_id are sent together. alert_type and alert_status copy
-- the alert's values, so that deciding what to send never joins the two tables. after_s is how long the alert must last
-- before it is sent; due_at moves with every attempt. Channels are known by name alone: their addresses are in
-- vigilbase.yaml. A small coordination table: Citus does not distribute it.
CREATE TABLE IF NOT EXISTS vigilbase.notifications (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id UUID NOT NULL,
    service_name VARCHAR(100) NOT NULL,
    alert_type TEXT NOT NULL,
    alert_status TEXT NOT NULL CHECK (alert_status IN ('active', 'acknowledged', 'resolved')),
    channel VARCHAR(50) NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('triggered', 'acknowledged', 'resolved', 'reminder')),
    number INTEGER NOT NULL DEFAULT 0,
    tags JSONB NOT NULL DEFAULT '[]',
    unless_acknowledged BOOLEAN NOT NULL DEFAULT false,
    send_resolved BOOLEAN NOT NULL DEFAULT true,
    after_s DOUBLE PRECISION NOT NULL DEFAULT 0,
    status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed', 'cancelled')),
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    batch_id UUID,
    batched_at TIMESTAMP WITH TIME ZONE,
    lease_id UUID,
    leased_until TIMESTAMP WITH TIME ZONE,
    suppressed_by TEXT,
    answer TEXT,
    last_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    ended_at TIMESTAMP WITH TIME ZONE,
    CHECK ((status = 'pending') = (ended_at IS NULL)),
    UNIQUE (alert_id, channel, kind, number)
);
CREATE INDEX IF NOT EXISTS idx_notifications_due ON vigilbase.notifications (channel, due_at) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS idx_notifications_batch ON vigilbase.notifications (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_notifications_ending ON vigilbase.notifications (service_name, channel)
    WHERE status = 'pending' AND kind = 'resolved';
CREATE INDEX IF NOT EXISTS idx_notifications_open ON vigilbase.notifications (alert_id)
    WHERE alert_status <> 'resolved';
CREATE INDEX IF NOT EXISTS idx_notifications_created_at ON vigilbase.notifications (created_at);
ALTER TABLE vigilbase.notifications ENABLE ROW LEVEL SECURITY;
