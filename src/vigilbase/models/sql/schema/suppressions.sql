-- Silences and maintenance windows: for which services notifications are suppressed, when, and why. They match services
-- by a name pattern or by a tag. Intervals are half-open: a suppression includes starts_at and excludes ends_at. A
-- maintenance window with a cron expression is active for duration_s seconds from each of its times in time_zone,
-- between starts_at and ends_at. Only the end can change, and only while it is in the future; a suppression that is
-- cancelled before it starts ends at starts_at, and so is empty.
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
