-- Silences and maintenance windows: for which services notifications are suppressed, from when until when, and why.
-- They match services by a pattern of the name or by a tag. Intervals are half-open: one begins at starts_at and has
-- ended at ends_at. A maintenance window with a cron expression holds for duration_s seconds from each of its times
-- by the clocks of a time zone, within starts_at and ends_at. Only the end may be changed, and only while it lies
-- ahead; one that is taken back before it begins ends where it would have begun, and so is empty.
CREATE TABLE IF NOT EXISTS vigilbase.suppressions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    kind TEXT NOT NULL CHECK (kind IN ('silence', 'maintenance')),
    service_glob TEXT,
    tag TEXT,
    starts_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    cron TEXT,
    duration_s INTEGER CHECK (duration_s > 0),
    time_zone TEXT,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(service_glob, tag) = 1),
    CHECK (ends_at >= starts_at),
    CHECK (num_nonnulls(cron, duration_s, time_zone) IN (0, 3)),
    CHECK (kind = 'maintenance' OR cron IS NULL),
    CHECK (kind = 'silence' OR num_nonnulls(cron, ends_at) > 0)
);
CREATE INDEX IF NOT EXISTS idx_suppressions_ends_at ON vigilbase.suppressions (ends_at);
ALTER TABLE vigilbase.suppressions ENABLE ROW LEVEL SECURITY;
