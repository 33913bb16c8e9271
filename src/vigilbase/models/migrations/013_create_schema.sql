-- 013_create_schema.sql
-- Created: 2026-11-25 18:22
--
-- Creates all tables beside the two of 012, in a schema of their own.

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

-- Serves "the newest check of a service". The design of the analytics decides whether it stays.
CREATE INDEX IF NOT EXISTS idx_service_health_checks_service_checked
    ON public.service_health_checks (service_name, checked_at DESC NULLS LAST);

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

-- Active runners. Each updates seen_at every few seconds, by any transport.
CREATE TABLE IF NOT EXISTS vigilbase.runners (
    runner_id UUID PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE vigilbase.runners ENABLE ROW LEVEL SECURITY;

-- One row for each known service: the source of truth for other processes, and the service's lock. It changes when a
-- definition or a status changes, never with an ordinary check. `owner` is the file or key that added the service;
-- `target` holds facts about the probed host, such as its address or its certificate, and no secret. `revision` has no
-- index, so that locking a service is a HOT update.
CREATE TABLE IF NOT EXISTS vigilbase.services (
    service_name VARCHAR(100) PRIMARY KEY,
    kind TEXT,
    interval_s DOUBLE PRECISION,
    timeout_s DOUBLE PRECISION,
    tags JSONB NOT NULL DEFAULT '[]',
    group_name TEXT,
    source TEXT NOT NULL DEFAULT 'app' CHECK (source IN ('file', 'api', 'app')),
    owner TEXT,
    is_on_status_page BOOLEAN NOT NULL DEFAULT false,
    target JSONB,
    paused_at TIMESTAMP WITH TIME ZONE,
    removed_at TIMESTAMP WITH TIME ZONE,
    revision BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP
);
ALTER TABLE vigilbase.services ENABLE ROW LEVEL SECURITY;

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
