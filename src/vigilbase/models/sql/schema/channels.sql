-- The state of a channel: when a batch last had its first attempt, since when and why the channel is disabled, and
-- until when its receiver requested a pause.
CREATE TABLE IF NOT EXISTS vigilbase.channels (
    channel VARCHAR(50) PRIMARY KEY,
    last_batch_at TIMESTAMP WITH TIME ZONE,
    disabled_at TIMESTAMP WITH TIME ZONE,
    disabled_reason TEXT,
    paused_until TIMESTAMP WITH TIME ZONE,
    CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
);
ALTER TABLE vigilbase.channels ENABLE ROW LEVEL SECURITY;
