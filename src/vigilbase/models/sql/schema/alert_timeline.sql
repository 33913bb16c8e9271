-- What happened to an alert, in order. Entries never change, and are deleted when old.
CREATE TABLE IF NOT EXISTS vigilbase.alert_timeline (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    service_name VARCHAR(100) NOT NULL,
    alert_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    event TEXT NOT NULL CHECK (event IN (
        'opened', 'taken_over', 'acknowledged', 'resolved', 'commented',
        'delivered', 'attempt_failed', 'failed', 'cancelled', 'requeued'
    )),
    author TEXT,
    comment TEXT,
    details JSONB,
    PRIMARY KEY (service_name, id)
);
CREATE INDEX IF NOT EXISTS idx_alert_timeline_alert ON vigilbase.alert_timeline (service_name, alert_id, id);
CREATE INDEX IF NOT EXISTS idx_alert_timeline_at ON vigilbase.alert_timeline (at);
ALTER TABLE vigilbase.alert_timeline ENABLE ROW LEVEL SECURITY;
